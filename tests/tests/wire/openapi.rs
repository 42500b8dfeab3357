//! The OpenAPI document against a running node: every operation is called as the document
//! says, with its own examples, and every status that it names is provoked; what comes
//! has to fit the schema that stands there.

use std::collections::{BTreeMap, BTreeSet};

use harness::Deployment;
use serde_json::Value;

use super::presence;
use super::request::{Answer, get, send};
use super::schema::fits;
use super::stream::EventStream;

/// Statuses that are not provoked here, and where they are.
const ELSEWHERE: [(&str, u16, &str); 20] = [
    (
        "readyz",
        503,
        "e2e: before the configuration is read, and while draining",
    ),
    ("websocket", 101, "every test of this folder"),
    ("websocket", 503, "e2e: more sessions than a node may have"),
    (
        "publish",
        409,
        "needs a resend from before retention: trouble",
    ),
    (
        "publish",
        429,
        "no request is as long as the window is wide",
    ),
    ("publish", 503, "trouble, on a full stream"),
    ("history", 429, "rates: as a session's commands"),
    ("history", 503, "as publish: the same answer"),
    ("presence", 429, "rates: as a session's commands"),
    ("presence", 503, "as publish: the same answer"),
    ("trace", 429, "rates: as a session's commands"),
    ("trace", 503, "as publish: the same answer"),
    ("sse", 503, "reading: more sessions than a node may have"),
    ("poll", 503, "reading: as there"),
    ("disconnect", 403, "manage: without its scope"),
    ("disconnect", 429, "rates: as a session's commands"),
    ("disconnect", 503, "needs a bucket that is full or gone"),
    ("revoke", 403, "manage: as disconnect"),
    ("revoke", 429, "as disconnect"),
    ("revoke", 503, "as disconnect"),
];

struct Document(Value);

/// One operation of the document.
struct Operation<'a> {
    id: &'a str,
    method: &'a str,
    path: &'a str,
    body: &'a Value,
}

impl Document {
    fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.0["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, body)| Operation {
                id: body["operationId"].as_str().unwrap(),
                method,
                path,
                body,
            })
        });
        let mut all: Vec<_> = all.collect();
        // What is published first is there to be read.
        all.sort_by_key(|operation| operation.method != "post");
        all
    }

    /// What a reference names, or the value itself.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(pointer) => {
                let found = self.0.pointer(pointer.strip_prefix('#').unwrap());
                found.unwrap_or_else(|| panic!("nothing at {pointer}"))
            }
            None => value,
        }
    }
}

/// Holds the document that a node serves against that node.
pub async fn held(deployment: &Deployment) {
    let address = deployment.edges[0].address();
    let served = get(address, "/v1/openapi.json", None).await;
    assert_eq!(served.status, 200);
    let document = Document(served.body());
    presence::allow(deployment, "chat", Some(200)).await;
    well_formed(&document);
    let mut seen: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for operation in document.operations() {
        let status = example(&document, &operation, deployment).await;
        seen.entry(operation.id.into()).or_default().insert(status);
    }
    for (id, request, status) in provoking() {
        let operations = document.operations();
        let operation = operations.iter().find(|known| known.id == id).unwrap();
        let token = deployment.token_with("joe", &SCOPES, std::time::Duration::from_secs(600));
        let answer = request.send(deployment, &token).await;
        assert_eq!(answer.status, status, "{id}: {answer:?}");
        fitting(&document, operation, &answer);
        seen.entry(id.into()).or_default().insert(status);
    }
    for operation in document.operations() {
        let named = operation.body["responses"].as_object().unwrap().keys();
        let named: BTreeSet<u16> = named.map(|status| status.parse().unwrap()).collect();
        let elsewhere = ELSEWHERE.iter().filter(|(id, ..)| *id == operation.id);
        let mut covered: BTreeSet<u16> = elsewhere.map(|(_, status, _)| *status).collect();
        covered.extend(seen.get(operation.id).into_iter().flatten());
        assert_eq!(covered, named, "statuses of {}", operation.id);
    }
}

/// What a document of OpenAPI 3.1 must have (section 4 of its specification).
fn well_formed(document: &Document) {
    let root = &document.0;
    assert!(root["openapi"].as_str().unwrap().starts_with("3.1."));
    assert!(root["info"]["title"].is_string() && root["info"]["version"].is_string());
    let mut ids = BTreeSet::new();
    for Operation {
        id,
        method,
        path,
        body,
    } in document.operations()
    {
        assert!(
            path.starts_with('/') && ["get", "post"].contains(&method),
            "{path}"
        );
        assert!(ids.insert(id), "{id} is there twice");
        let mut in_path = BTreeSet::new();
        for parameter in body["parameters"].as_array().into_iter().flatten() {
            let parameter = document.resolved(parameter);
            let name = parameter["name"].as_str().unwrap();
            let place = parameter["in"].as_str().unwrap();
            assert!(["path", "query", "header"].contains(&place), "{id}: {name}");
            assert!(parameter["schema"].is_object(), "{id}: {name}");
            if place == "path" {
                assert_eq!(parameter["required"], true, "{id}: {name}");
                in_path.insert(format!("{{{name}}}"));
            }
        }
        let named = path.split('/').filter(|part| part.starts_with('{'));
        assert_eq!(in_path, named.map(str::to_owned).collect(), "{path}");
        let responses = body["responses"].as_object().unwrap();
        assert!(!responses.is_empty(), "{id}");
        for response in responses.values() {
            assert!(
                document.resolved(response)["description"].is_string(),
                "{id}"
            );
        }
        for scheme in body["security"].as_array().into_iter().flatten() {
            for name in scheme.as_object().unwrap().keys() {
                let known = &root["components"]["securitySchemes"][name];
                assert!(known["type"].is_string(), "{id}: {name}");
            }
        }
    }
    references(document, root);
}

/// Every reference leads somewhere, and every example fits the schema beside it.
fn references(document: &Document, value: &Value) {
    document.resolved(value);
    if let (Some(schema), Some(example)) = (value.get("schema"), value.get("example")) {
        let fit = fits(&document.0, schema, example);
        fit.unwrap_or_else(|why| panic!("{example}: {why}"));
    }
    match value {
        Value::Object(fields) => fields
            .values()
            .for_each(|value| references(document, value)),
        Value::Array(items) => items.iter().for_each(|value| references(document, value)),
        _ => {}
    }
}

/// A value as a query holds it (RFC 3986, 3.4).
fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@/".contains(&byte);
    let encoded = value.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    encoded.collect()
}

/// Calls an operation with the examples of its parameters and of its body.
async fn example(document: &Document, operation: &Operation<'_>, deployment: &Deployment) -> u16 {
    let (mut path, mut headers, mut query) = (operation.path.to_owned(), String::new(), Vec::new());
    for parameter in operation.body["parameters"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let parameter = document.resolved(parameter);
        let name = parameter["name"].as_str().unwrap();
        let values = match &parameter["example"] {
            Value::Null => continue,
            Value::Array(items) => items.clone(),
            value => vec![value.clone()],
        };
        for value in values {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            match parameter["in"].as_str() {
                Some("path") => path = path.replace(&format!("{{{name}}}"), &value),
                Some("header") => headers += &format!("{name}: {value}\r\n"),
                _ => query.push(format!("{name}={}", encoded(&value))),
            }
        }
    }
    let path = format!("{path}?{}", query.join("&"));
    let token = deployment.token("joe");
    let address = deployment.edges[0].address();
    if operation.id == "sse" {
        let mut stream = EventStream::open(address, &path, &token, "").await.unwrap();
        stream.until("subscribe").await;
        return 200;
    }
    headers += &format!("Authorization: Bearer {token}\r\n");
    let body = operation
        .body
        .pointer("/requestBody/content/application~1json/examples/one/value");
    let body = body.map(Value::to_string).unwrap_or_default();
    let method = operation.method.to_uppercase();
    let answer = send(address, &method, &path, &headers, &body).await;
    if operation.id != "websocket" {
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    fitting(document, operation, &answer);
    answer.status
}

/// The answer is one that the document names, in its media type and its schema.
fn fitting(document: &Document, operation: &Operation<'_>, answer: &Answer) {
    let response = &operation.body["responses"][answer.status.to_string()];
    let response = document.resolved(response);
    assert!(response.is_object(), "{} names no {answer:?}", operation.id);
    let content = response["content"].as_object().unwrap();
    let (media, content) = content.iter().next().unwrap();
    assert!(
        answer.head.contains(&format!("content-type: {media}")),
        "{answer:?}"
    );
    if media == "application/json" {
        let fit = fits(&document.0, &content["schema"], &answer.body());
        fit.unwrap_or_else(|why| panic!("{}: {why}: {answer:?}", operation.id));
    }
    for name in response["headers"].as_object().into_iter().flatten() {
        let temporary = answer.text.contains("\"temporary\":true");
        let wanted = name.0 != "Retry-After" || temporary;
        let has = answer
            .head
            .contains(&format!("{}: ", name.0.to_lowercase()));
        assert_eq!(has, wanted, "{}: {answer:?}", operation.id);
    }
}

/// What the token of these requests allows: the namespace `secret` is missing.
const SCOPES: [&str; 7] = [
    "manage:>",
    "publish:chat.>",
    "publish:nowhere.>",
    "subscribe:chat.>",
    "subscribe:nowhere.>",
    "trace:chat.>",
    "trace:nowhere.>",
];

struct Request {
    method: &'static str,
    path: String,
    token: bool,
    key: Option<&'static str>,
    body: String,
}

impl Request {
    fn get(path: String, token: bool) -> Self {
        Self {
            method: "GET",
            path,
            token,
            key: None,
            body: String::new(),
        }
    }

    async fn send(&self, deployment: &Deployment, token: &str) -> Answer {
        let mut headers = String::new();
        if self.token {
            headers += &format!("Authorization: Bearer {token}\r\n");
        }
        if let Some(key) = self.key {
            headers += &format!("Idempotency-Key: {key}\r\n");
        }
        let address = deployment.edges[0].address();
        send(address, self.method, &self.path, &headers, &self.body).await
    }
}

/// Looks at who is there, each with whether it has a token, and its status.
const PRESENCE: [(&str, bool, u16); 5] = [
    ("chat.a?members=perhaps", true, 400),
    ("chat.a", false, 401),
    ("secret.a", true, 403),
    ("nowhere.a", true, 404),
    ("chat.%20", true, 422),
];
/// Follows an event of a channel, likewise.
const TRACE: [(&str, bool, u16); 6] = [
    ("channel=chat.a&seq=one", true, 400),
    ("seq=1", true, 400),
    ("channel=chat.a", false, 401),
    ("channel=secret.a", true, 403),
    ("channel=nowhere.a", true, 404),
    ("channel=chat.*", true, 422),
];

/// The same of what backends ask for.
fn managing(long: &str) -> Vec<(&'static str, Request, u16)> {
    let mut rows = Vec::new();
    for id in ["disconnect", "revoke"] {
        let ask = |body: &str, token| Request {
            method: "POST",
            path: format!("/v1/{id}"),
            token,
            key: None,
            body: body.into(),
        };
        rows.extend([
            (id, ask("{}", true), 400),
            (id, ask(r#"{"user":"joe"}"#, false), 401),
            (id, ask(long, true), 413),
        ]);
    }
    rows
}

/// A request for each status that can be had.
fn provoking() -> Vec<(&'static str, Request, u16)> {
    let post = |body: &str, token| Request {
        method: "POST",
        path: "/v1/publish".into(),
        token,
        key: Some("table"),
        body: body.into(),
    };
    let long = format!(r#"{{"channel":"chat.a","data":"{}"}}"#, "x".repeat(70_000));
    let mut rows = vec![
        (
            "publish",
            post(
                r#"[{"channel":"chat.a","data":1},{"channel":"chat.a"}]"#,
                true,
            ),
            207,
        ),
        ("publish", post("{", true), 400),
        ("publish", post("{}", false), 401),
        (
            "publish",
            post(r#"{"channel":"secret.a","data":1}"#, true),
            403,
        ),
        (
            "publish",
            post(r#"{"channel":"nowhere.a","data":1}"#, true),
            404,
        ),
        ("publish", post(&long, true), 413),
        (
            "publish",
            Request {
                key: Some("nobody-faster"),
                ..post(
                    r#"{"channel":"chat.a","data":1,"expected_seq":9007199254740991}"#,
                    true,
                )
            },
            412,
        ),
        (
            "publish",
            post(r#"{"channel":"chat.*","data":1}"#, true),
            422,
        ),
    ];
    rows.extend(reading());
    rows.extend(managing(&long));
    rows
}

/// Those that read.
fn reading() -> Vec<(&'static str, Request, u16)> {
    let mut rows = Vec::new();
    let history = |rest: &str, token| Request::get(format!("/v1/history/{rest}"), token);
    rows.extend([
        ("history", history("chat.a?limit=0", true), 400),
        ("history", history("chat.a", false), 401),
        ("history", history("secret.a", true), 403),
        ("history", history("nowhere.a", true), 404),
        ("history", history("chat.a?from=ff:1", true), 409),
        ("history", history("chat.%20", true), 422),
    ]);
    for (rest, token, status) in PRESENCE {
        let request = Request::get(format!("/v1/presence/{rest}"), token);
        rows.push(("presence", request, status));
    }
    for (rest, token, status) in TRACE {
        let request = Request::get(format!("/v1/trace/acme%2Fjoe%2Fc%2F1?{rest}"), token);
        rows.push(("trace", request, status));
    }
    for id in ["sse", "poll"] {
        let read = |rest: &str, token| Request::get(format!("/v1/{id}?channel={rest}"), token);
        let many = vec!["chat.a"; 33].join("&channel=");
        rows.extend([
            (id, read("chat.a&surplus=1", true), 400),
            (id, read("chat.a", false), 401),
            (id, read("secret.a", true), 403),
            (id, read("nowhere.a", true), 404),
            (id, read("chat.a&from=ff:1", true), 409),
            (id, read("chat.*", true), 422),
            (id, read(&many, true), 429),
        ]);
    }
    rows
}
