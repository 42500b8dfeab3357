//! What the pages of the library's functions show of them.

/// Where an event is emitted to and how its data begins; or why it is
/// rejected or dropped.
pub type Becomes = Result<&'static [(&'static str, &'static str)], &'static str>;

/// What the pages show: the function, the channel, the data, and what becomes of it. Those
/// of a function come in this order, a second apart.
pub const EXAMPLES: &[(&str, &str, &str, Becomes)] = &[
    (
        "json-schema",
        "orders.new",
        r#"{"id":"AB0001","total":19.90,"items":[{"sku":"k","count":1}]}"#,
        Ok(&[("orders.new", r#"{"id":"AB0001","total":19.90,"items":"#)]),
    ),
    (
        "json-schema",
        "orders.new",
        r#"{"id":"AB0001","items":[]}"#,
        Err("\"/items\" must have at least 1 items (rule \"/properties/items/minItems\")"),
    ),
    (
        "json-schema",
        "orders.new",
        r#"{"id":"AB0001","items":[{"sku":"k","count":1}],"x":1}"#,
        Err("\"/x\" is not allowed (rule \"/unevaluatedProperties\")"),
    ),
    (
        "json-schema",
        "orders.new",
        r#"{"id":"AB0001","items":[{"sku":"k","count":0}]}"#,
        Err(
            "\"/items/0/count\" must be at least 1 (rule \"/$defs/item/properties/count/minimum\")",
        ),
    ),
    (
        "json-schema",
        "orders.cancelled",
        r#"{"id":"AB0001"}"#,
        Err("\"\" must have the member \"reason\" (rule \"/required\")"),
    ),
    (
        "redaction",
        "support.a",
        r#"{"customer":"c-7","password":"x","text":"Ann, ann@example.org, +49 171 1234567"}"#,
        Ok(&[("support.a", r#"{"customer":""#)]),
    ),
    (
        "redaction",
        "support.a",
        r#"{"text":"paid with 4111 1111 1111 1111 to DE89 3704 0044 0532 0130 00"}"#,
        Ok(&[("support.a", r#"{"text":"paid with [card] to [iban]"}"#)]),
    ),
    (
        "redaction",
        "support.a",
        r#"{"address":{"street":"High Street 1"},"n":1.50}"#,
        Ok(&[("support.a", r#"{"address":"***","n":1.50}"#)]),
    ),
    (
        "moderation",
        "chat.a",
        r#"{"text":"you BLOCKHEAD"}"#,
        Err("please be kind"),
    ),
    (
        "moderation",
        "chat.a",
        r#"{"text":"oh däärn, unchecked"}"#,
        Ok(&[("chat.a", r#"{"text":"oh *****, *********"}"#)]),
    ),
    (
        "moderation",
        "chat.a",
        r#"{"text":"Buy now!"}"#,
        Ok(&[("chat.a", r#"{"text":"Buy now!"}"#)]),
    ),
    (
        "moderation",
        "chat.a",
        r#"{"text":"Heckington"}"#,
        Ok(&[("chat.a", r#"{"text":"**********"}"#)]),
    ),
    (
        "enrichment",
        "sales.eu",
        r#"{"product":"p-1","price":9.90}"#,
        Ok(&[(
            "sales.eu",
            r#"{"product":"p-1","price":9.90,"plan":"gold","region":{"name":"Europe","vat":0.20},"product_name":"Kettle"}"#,
        )]),
    ),
    (
        "enrichment",
        "sales.eu",
        r#"{"product":"p-2","plan":"mine","region":"here"}"#,
        Ok(&[(
            "sales.eu",
            r#"{"product":"p-2","plan":"gold","region":"here","product_name":"Teapot"}"#,
        )]),
    ),
    (
        "enrichment",
        "sales.eu",
        r#"{"product":"p-9"}"#,
        Err("nothing is known about its field \"/product\""),
    ),
    (
        "fan-out",
        "payments.eu",
        r#"{"status":"open"}"#,
        Ok(&[("payments.eu", "{"), ("audit.acme", "{")]),
    ),
    (
        "fan-out",
        "payments.eu",
        r#"{"status":"paid","customer":"c-7"}"#,
        Ok(&[
            ("payments.eu", "{"),
            ("audit.acme", "{"),
            (
                "customer.c-7.receipts",
                r#"{"status":"paid","customer":"c-7"}"#,
            ),
        ]),
    ),
    (
        "fan-out",
        "payments.eu",
        r#"{"status":"paid","customer":"a.b"}"#,
        Err("the field \"/customer\" is not one token of a channel"),
    ),
    (
        "rate-limit",
        "lobby.a",
        r#"{"text":"one"}"#,
        Ok(&[("lobby.a", r#"{"text":"one"}"#)]),
    ),
    (
        "rate-limit",
        "lobby.a",
        r#"{"text":"two"}"#,
        Ok(&[("lobby.a", r#"{"text":"two"}"#)]),
    ),
    (
        "rate-limit",
        "lobby.a",
        r#"{"text":"three"}"#,
        Err("more than 2 events in 10s of one user: come again in 3000 ms"),
    ),
    (
        "deduplication",
        "checkout.a",
        r#"{"order":"o-1","total":19.90}"#,
        Ok(&[("checkout.a", r#"{"order":"o-1","total":19.90}"#)]),
    ),
    (
        "deduplication",
        "checkout.a",
        r#"{"total":19.90,"order":"o-1"}"#,
        Err("a double: its field \"/order\" came before, within 1h"),
    ),
    (
        "deduplication",
        "checkout.a",
        r#"{"order":"o-2","total":19.90}"#,
        Ok(&[("checkout.a", r#"{"order":"o-2""#)]),
    ),
    (
        "deduplication",
        "checkout.a",
        r#"{"total":5}"#,
        Err("it has no field \"/order\""),
    ),
    (
        "window",
        "meters.a",
        r#"{"watts":0.1,"at":1000}"#,
        Ok(&[("meters.a", r#"{"watts":0.1,"at":1000}"#)]),
    ),
    (
        "window",
        "meters.a",
        r#"{"watts":0.2,"at":1500}"#,
        Ok(&[("meters.a", r#"{"watts":0.2,"at":1500}"#)]),
    ),
    (
        "window",
        "meters.a",
        r#"{"watts":7,"at":2000}"#,
        Ok(&[
            (
                "sums.meters.a",
                r#"{"from":0,"to":2000,"count":2,"late":0,"sum":0.3,"min":0.1,"max":0.2,"mean":0.15}"#,
            ),
            ("meters.a", r#"{"watts":7,"at":2000}"#),
        ]),
    ),
    (
        "window",
        "meters.a",
        r#"{"watts":5,"at":1900}"#,
        Ok(&[("meters.a", r#"{"watts":5,"at":1900}"#)]),
    ),
    (
        "window",
        "meters.a",
        r#"{"watts":1,"at":4000}"#,
        Ok(&[
            (
                "sums.meters.a",
                r#"{"from":2000,"to":4000,"count":1,"late":1,"sum":7,"min":7,"max":7,"mean":7}"#,
            ),
            ("meters.a", r#"{"watts":1,"at":4000}"#),
        ]),
    ),
    (
        "last-writer",
        "cards.7",
        r#"{"v":2,"title":"Plan","done":false}"#,
        Ok(&[("cards.7", r#"{"v":2,"done":false,"title":"Plan"}"#)]),
    ),
    (
        "last-writer",
        "cards.7",
        r#"{"v":1,"title":"Draft","owner":"ann"}"#,
        Ok(&[(
            "cards.7",
            r#"{"v":2,"done":false,"owner":"ann","title":"Plan"}"#,
        )]),
    ),
    (
        "last-writer",
        "cards.7",
        r#"{"v":1,"title":"Notes"}"#,
        Err("stale: the field \"title\" has the version 2 of alice"),
    ),
    (
        "last-writer",
        "cards.7",
        r#"{"v":3,"done":null}"#,
        Ok(&[("cards.7", r#"{"v":3,"owner":"ann","title":"Plan"}"#)]),
    ),
    (
        "text-sequencer",
        "notes.a",
        r#"{"base":0,"ops":["größe"]}"#,
        Ok(&[("notes.a", r#"{"revision":1,"ops":["größe"]}"#)]),
    ),
    (
        "text-sequencer",
        "notes.a",
        r#"{"base":1,"ops":[2,-1,"oe"],"by":"a"}"#,
        Ok(&[("notes.a", r#"{"revision":2,"ops":[2,"oe",-1],"by":"a"}"#)]),
    ),
    (
        "text-sequencer",
        "notes.a",
        r#"{"base":1,"ops":[5,"r"],"by":"b"}"#,
        Ok(&[("notes.a", r#"{"revision":3,"ops":[6,"r"],"by":"b"}"#)]),
    ),
    (
        "text-sequencer",
        "notes.a",
        r#"{"base":9,"ops":["x"]}"#,
        Err("its base 9 is ahead of revision 3"),
    ),
];
