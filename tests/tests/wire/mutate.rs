//! Frames as no client should send them: valid ones that were damaged, values of the
//! wrong type and size, and noise. Everything follows from a seed.
//!
//! Owns its random numbers.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::class::Class;
use protocol::frame::{
    Action, Command, Connect, Encoding, Named, Payload, Ping, Publish, Start, Subscribe,
    Unsubscribe, encode,
};
use protocol::position::{Epoch, Position};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// Longest noise, bytes.
const NOISE_BYTES_MAX: usize = 400;
/// Deepest nesting, levels: far beyond what any parser may follow on its stack.
const DEPTH_MAX: usize = 60_000;
/// Length of a text that is too long for every name.
const LONG_TEXT: usize = 3_000;

/// Makes broken frames.
pub struct Generator {
    rng: StdRng,
    encoding: Encoding,
    commands: Vec<Command>,
}

/// Data as a frame of this encoding carries it.
pub fn payload(encoding: Encoding, data: &[u8], is_json: bool) -> Payload {
    let data = Bytes::copy_from_slice(data);
    match encoding {
        Encoding::Json => Payload::for_json(&data, is_json),
        Encoding::Msgpack => Payload::Bytes(data),
    }
}

/// A plain publish.
pub fn publish(encoding: Encoding, channel: &str, n: u64, data: &[u8]) -> Publish {
    Publish {
        channel: channel.into(),
        class: Class::Durable,
        n,
        data: payload(encoding, data, true),
        content_type: None,
        headers: BTreeMap::new(),
        first_sent: None,
        expected_seq: None,
        clock: None,
        receipt: false,
    }
}

fn commands(encoding: Encoding, token: &str) -> Vec<Command> {
    let position = Position {
        epoch: Epoch::from_random(7),
        seq: 3,
        time: Some(9),
    };
    let from = [
        None,
        Some(Start::Named(Named::Earliest)),
        Some(Start::Named(Named::Now)),
        Some(Start::After(position)),
    ];
    let subscribes = from.into_iter().map(|from| {
        Action::Subscribe(Subscribe {
            from,
            ..Subscribe::new("chat.flood")
        })
    });
    let typed = Publish {
        data: payload(encoding, b"\x00\xffnoise", false),
        content_type: Some("application/octet-stream".into()),
        headers: BTreeMap::from([("room".into(), "blue".into())]),
        first_sent: Some(1_700_000_000_000_000),
        expected_seq: Some(3),
        clock: Some("[1,2]".into()),
        ..publish(encoding, "chat.flood", 1, b"")
    };
    let connect = Connect::new(token, "flood");
    let others = [
        Action::Connect(connect),
        Action::Unsubscribe(Unsubscribe {
            channel: "chat.flood".into(),
        }),
        Action::Publish(publish(
            encoding,
            "chat.flood",
            1,
            br#"{"text":"hello","list":[1,2,3]}"#,
        )),
        Action::Publish(typed),
        Action::Ping(Ping {}),
    ];
    subscribes
        .chain(others)
        .zip(1..)
        .map(|(action, id)| Command::new(id, action))
        .collect()
}

impl Generator {
    /// A generator of frames in one encoding; `token` is a valid one.
    pub fn new(seed: u64, encoding: Encoding, token: &str) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            encoding,
            commands: commands(encoding, token),
        }
    }

    /// The next message.
    pub fn message(&mut self) -> Vec<u8> {
        let bytes = match self.rng.random_range(0..12) {
            0 => self.valid(),
            1..=3 => self.flipped(),
            4 => self.truncated(),
            5 => self.spliced(),
            6 => self.nested(),
            7 | 8 => self.wrong_types(),
            9 => self.many(),
            10 => self.odd_text(),
            _ => self.noise(),
        };
        match self.encoding {
            // Mostly valid UTF-8: otherwise the session ends before the parser of frames.
            Encoding::Json if self.rng.random_ratio(19, 20) => {
                String::from_utf8_lossy(&bytes).into_owned().into_bytes()
            }
            _ => bytes,
        }
    }

    /// Any of the random choices that a caller needs.
    pub fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    fn valid(&mut self) -> Vec<u8> {
        let mut command = self.commands.choose(&mut self.rng).unwrap().clone();
        command.id = self.rng.random_range(0..1_000);
        let channel = format!("chat.flood{}", self.rng.random_range(0..40));
        if let Some(publish) = &mut command.publish {
            publish.n = self.rng.random_range(0..5_000);
            publish.channel = channel;
        } else if let Some(subscribe) = &mut command.subscribe {
            subscribe.channel = channel;
        }
        encode(self.encoding, &command).to_vec()
    }

    fn flipped(&mut self) -> Vec<u8> {
        let mut bytes = self.valid();
        for _ in 0..self.rng.random_range(1..6) {
            let at = self.rng.random_range(0..bytes.len());
            bytes[at] = match self.rng.random_range(0..3) {
                0 => self.rng.random(),
                1 => bytes[at] ^ (1 << self.rng.random_range(0..8)),
                _ => *b"{}[]\",:0\\-ne".choose(&mut self.rng).unwrap(),
            };
        }
        bytes
    }

    fn truncated(&mut self) -> Vec<u8> {
        let mut bytes = self.valid();
        bytes.truncate(self.rng.random_range(0..bytes.len()));
        bytes
    }

    fn spliced(&mut self) -> Vec<u8> {
        let (mut head, tail) = (self.valid(), self.valid());
        head.truncate(self.rng.random_range(0..head.len()));
        head.extend_from_slice(&tail[self.rng.random_range(0..tail.len())..]);
        head
    }

    fn nested(&mut self) -> Vec<u8> {
        let depth = *[60, 64, 65, 127, 128, 129, 1_000, DEPTH_MAX]
            .choose(&mut self.rng)
            .unwrap();
        let (head, open): (&[u8], &[u8]) = match (self.encoding, self.rng.random_bool(0.5)) {
            (Encoding::Json, true) => (
                br#"{"id":1,"publish":{"channel":"chat.flood","n":1,"data":"#,
                b"[",
            ),
            (Encoding::Json, false) => (b"", br#"{"a":"#),
            (Encoding::Msgpack, true) => (b"\x82\xa2id\x01\xa4ping", b"\x91"),
            (Encoding::Msgpack, false) => (b"", b"\x81\xa1a"),
        };
        let mut bytes = head.to_vec();
        let longest = DEPTH_MAX / open.len();
        bytes.extend(open.repeat(depth.min(longest)));
        bytes
    }

    /// A value that no field expects.
    fn odd(&mut self) -> Value {
        match self.rng.random_range(0..12) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(1.5e300),
            4 => json!(u64::MAX),
            5 => json!(""),
            6 => json!("\u{0}\u{7}\u{202e}"),
            7 => json!("x".repeat(LONG_TEXT)),
            8 => json!([[], {}, [1, "a", null]]),
            9 => json!({ "": { "a": [] } }),
            10 => json!(["."; 40].concat()),
            _ => json!(i64::MIN),
        }
    }

    /// A valid command of which one part was replaced, added or left out.
    fn wrong_types(&mut self) -> Vec<u8> {
        let command = self.commands.choose(&mut self.rng).unwrap();
        // Data of MessagePack is no JSON; any text stands for it.
        let mut value = serde_json::to_value(command).unwrap_or_else(
            |_| json!({"id": 1, "publish": {"channel": "chat.flood", "n": 1, "data": "x"}}),
        );
        let odd = self.odd();
        let whole = value.as_object_mut().unwrap();
        let keys: Vec<String> = whole.keys().cloned().collect();
        let key = keys.choose(&mut self.rng).unwrap();
        match self.rng.random_range(0..4) {
            0 => drop(whole.insert("surplus".into(), odd)),
            1 => drop(whole.remove(key)),
            2 if whole[key].is_object() => {
                let inner = whole[key].as_object_mut().unwrap();
                let keys: Vec<String> = inner.keys().cloned().collect();
                let key = keys.choose(&mut self.rng).cloned().unwrap_or_default();
                inner.insert(key, odd);
            }
            _ => drop(whole.insert(key.clone(), odd)),
        }
        match self.encoding {
            Encoding::Json => serde_json::to_vec(&value).unwrap(),
            Encoding::Msgpack => rmp_serde::to_vec(&value).unwrap(),
        }
    }

    fn many(&mut self) -> Vec<u8> {
        let count = self.rng.random_range(2..300);
        let one = encode(self.encoding, &Command::new(1, Action::Ping(Ping {})));
        let mut bytes = one.repeat(count);
        bytes.extend(self.flipped());
        bytes
    }

    /// Numbers and texts that only a text can hold; lengths that lie in MessagePack.
    fn odd_text(&mut self) -> Vec<u8> {
        let json: [&[u8]; 8] = [
            br#"{"id":99999999999999999999999999999999,"ping":{}}"#,
            br#"{"id":1e400,"ping":{}}"#,
            br#"{"id":-0,"ping":{}}"#,
            br#"{"id":1,"id":2,"ping":{},"ping":{}}"#,
            br#"{"id":1,"publish":{"channel":"\ud800","n":1,"data":1}}"#,
            br#"{"id":1,"publish":{"channel":"chat.flood","n":1,"data":NaN}}"#,
            b"\xef\xbb\xbf{\"id\":1,\"ping\":{}}",
            b"   \n\t  ",
        ];
        let msgpack: [&[u8]; 8] = [
            b"\xdf\xff\xff\xff\xff",
            b"\xdd\xff\xff\xff\xff\x01",
            b"\xc6\xff\xff\xff\xff",
            b"\xdb\x7f\xff\xff\xffabc",
            b"\x82\xa2id\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa4ping\x80",
            b"\x82\xa2id\xd3\xff\xff\xff\xff\xff\xff\xff\xff\xa4ping\x80",
            b"\xc1",
            b"\x82\x01\x02\xc7\xff\x05",
        ];
        let list = if self.encoding == Encoding::Json {
            json
        } else {
            msgpack
        };
        list.choose(&mut self.rng).unwrap().to_vec()
    }

    fn noise(&mut self) -> Vec<u8> {
        let length = self.rng.random_range(0..NOISE_BYTES_MAX);
        (0..length).map(|_| self.rng.random()).collect()
    }
}
