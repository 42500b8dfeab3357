//! One event's way, asked of a node over HTTP.
//!
//! Owns nothing: each question is a request on a connection of its own, so it needs no
//! session, and is no writer.

use std::sync::Arc;
use std::time::Duration;

use protocol::frame::ErrorBody;
use protocol::trace::Trace;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;

use super::address::Address;
use super::connection::{self, Inside};
use super::error::ClientError;
use super::options::ClientOptions;

/// How long an answer may take: longer than a node takes to give up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest answer, bytes: some hundred steps.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// What a WebSocket's path ends with, in whose place another path may stand.
const SOCKET: &str = "/v1/ws";

/// Which event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceQuery {
    /// Its id.
    pub id: String,
    /// The channel that it was published on.
    pub channel: String,
    /// Where it stands, if that is known: nothing has to be searched then.
    pub seq: Option<u64>,
    /// Look only below this sequence.
    pub before: Option<u64>,
}

impl TraceQuery {
    fn path(&self) -> String {
        let mut path = format!(
            "/v1/trace/{}?channel={}",
            encoded(&self.id),
            encoded(&self.channel)
        );
        for (name, value) in [("seq", self.seq), ("before", self.before)] {
            if let Some(value) = value {
                path += &format!("&{name}={value}");
            }
        }
        path
    }
}

/// Asks the first node that can be reached. Cancel safe.
///
/// # Errors
/// None can be reached; it refuses, which [`ClientError::Refused`] says; its answer
/// cannot be read.
pub async fn trace(options: &ClientOptions, query: &TraceQuery) -> Result<Trace, ClientError> {
    let mut last = ClientError::Lost;
    for edge in &options.edges {
        let asking = ask(edge, options, query);
        last = match timeout(ANSWER_TIMEOUT, asking).await {
            Ok(Ok(trace)) => return Ok(trace),
            Ok(Err(error @ (ClientError::Unreachable { .. } | ClientError::Lost))) => error,
            Ok(Err(error)) => return Err(error),
            Err(_) => ClientError::Silent {
                address: edge.clone(),
                seconds: ANSWER_TIMEOUT.as_secs(),
            },
        };
    }
    Err(last)
}

async fn ask(
    edge: &str,
    options: &ClientOptions,
    query: &TraceQuery,
) -> Result<Trace, ClientError> {
    let place = Address::parse(edge)?;
    let unreachable = |source| ClientError::Unreachable {
        address: edge.to_owned(),
        source: Arc::new(tungstenite::Error::Io(source)),
    };
    let mut connection = connection::open(&place, options.roots.as_deref(), Inside::Http1)
        .await
        .map_err(|error| error.at(&place))?;
    let request = request(&place, options.token.expose(), query);
    let write = connection.write_all(request.as_bytes()).await;
    write.map_err(unreachable)?;
    let mut answer = Vec::new();
    let mut limited = (&mut connection).take(ANSWER_BYTES_MAX as u64);
    match limited.read_to_end(&mut answer).await {
        Ok(_) => read(&answer),
        // TLS that is not closed properly: what came says whether it is whole.
        Err(error) => read(&answer).map_err(|_| unreachable(error)),
    }
}

fn request(place: &Address, token: &str, query: &TraceQuery) -> String {
    let rest = place.url.split_once("://").map_or("", |(_, rest)| rest);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = format!("/{path}");
    let before = path.strip_suffix(SOCKET).unwrap_or_default();
    format!(
        "GET {before}{} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\n\
         Accept: application/json\r\nConnection: close\r\n\r\n",
        query.path()
    )
}

/// Reads an answer (RFC 9112, section 2) as nodes write it: its length is said.
fn read(answer: &[u8]) -> Result<Trace, ClientError> {
    let odd = |what: &str| ClientError::Protocol(what.to_owned());
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = answer.split_at(end.ok_or(ClientError::Lost)? + 4);
    let head = std::str::from_utf8(head).map_err(|_| odd("its answer is no HTTP"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.trim().parse::<usize>().ok());
    let length = length.ok_or_else(|| odd("its answer does not say how long it is"))?;
    let body = body.get(..length).ok_or(ClientError::Lost)?;
    let mut body: Value = serde_json::from_slice(body).map_err(|_| odd("its answer is no JSON"))?;
    let part = match status {
        Some("200") => "trace",
        Some(_) => "error",
        None => return Err(odd("its answer has no status")),
    };
    let part_of = body.get_mut(part).map(Value::take).unwrap_or_default();
    if part == "error" {
        let error = serde_json::from_value::<ErrorBody>(part_of);
        let error = error.map_err(|_| odd("its refusal is not readable"))?;
        return Err(ClientError::Refused(error));
    }
    serde_json::from_value(part_of).map_err(|_| odd("its answer is no trace"))
}

/// As one segment of a path, or one value of a query (RFC 3986, 2.1).
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_one_segment_and_a_query() {
        let query = TraceQuery {
            id: "acme/ann%40a.b/c/1".into(),
            channel: "doc.a".into(),
            seq: None,
            before: Some(7),
        };
        let head = |edge: &str| {
            let text = request(&Address::parse(edge).unwrap(), "a.b.c", &query);
            text.split("\r\n").take(2).collect::<Vec<_>>().join("|")
        };
        let path = "/v1/trace/acme%2Fann%2540a.b%2Fc%2F1?channel=doc.a&before=7";
        assert_eq!(
            head("127.0.0.1:8001"),
            format!("GET {path} HTTP/1.1|Host: 127.0.0.1:8001")
        );
        assert_eq!(
            head("wss://edge/live/v1/ws"),
            format!("GET /live{path} HTTP/1.1|Host: edge:443")
        );
    }

    fn answer(status: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn answers_are_traces_refusals_or_none() {
        let whole = r#"{"trace":{"id":"a","channel":"doc.a","store":"main","epoch":"0a","found":false,"searched":{"stream":"EVENTS-main","from":1,"to":2,"kept_from":1,"kept_since":0}}}"#;
        let trace = read(&answer("200 OK", whole)).unwrap();
        assert!(!trace.found && trace.hops.is_empty());
        let refusal = r#"{"error":{"code":"forbidden","message":"no scope","temporary":false}}"#;
        let refused = read(&answer("403 Forbidden", refusal)).unwrap_err();
        assert!(matches!(refused, ClientError::Refused(_)), "{refused:?}");
        let mut cut = answer("200 OK", whole);
        cut.pop();
        assert!(matches!(read(&cut), Err(ClientError::Lost)));
        assert!(matches!(
            read(b"HTTP/1.1 200 OK\r\n"),
            Err(ClientError::Lost)
        ));
        for odd in [
            answer("200 OK", "{}"),
            answer("502 Bad Gateway", "{}"),
            answer("200 OK", "no"),
            b"HTTP/1.1 200 OK\r\n\r\n{}".to_vec(),
        ] {
            assert!(matches!(read(&odd), Err(ClientError::Protocol(_))));
        }
    }
}
