//! The text of an event stream (WHATWG HTML, section 9.2.6). Pure.

use bytes::{BufMut, BytesMut};
use protocol::close_code::CloseCode;
use serde_json::json;

/// An event. A line break inside JSON is white space; each line of it is a line of data.
pub fn event(out: &mut BytesMut, name: &str, id: Option<&str>, data: &[u8]) {
    line(out, "event", name.as_bytes());
    if let Some(id) = id {
        line(out, "id", id.as_bytes());
    }
    for part in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        line(out, "data", part);
    }
    out.put_u8(b'\n');
}

/// After how long a client whose stream has ended comes back, milliseconds.
pub fn retry(out: &mut BytesMut, wait_ms: u64) {
    line(out, "retry", wait_ms.to_string().as_bytes());
    out.put_u8(b'\n');
}

/// A comment, which shows everybody on the way that the stream lives.
pub fn ping(out: &mut BytesMut) {
    out.put_slice(b": ping\n\n");
}

/// The end, as a close frame says it.
pub fn close(out: &mut BytesMut, code: CloseCode) {
    let body = json!({
        "code": code.number(), "reason": code.reason(), "reconnect": code.reconnect()
    });
    event(out, "close", None, body.to_string().as_bytes());
}

fn line(out: &mut BytesMut, field: &str, value: &[u8]) {
    out.put_slice(field.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_u8(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_lines_whatever_its_data_holds() {
        let mut out = BytesMut::new();
        event(
            &mut out,
            "event",
            Some("1~9f.a-7"),
            b"{\"a\":\n1,\r\"b\":2}",
        );
        let wanted = "event: event\nid: 1~9f.a-7\ndata: {\"a\":\ndata: 1,\ndata: \"b\":2}\n\n";
        assert_eq!(out, wanted);
    }

    #[test]
    fn the_end_says_whether_to_come_back() {
        let mut out = BytesMut::new();
        close(&mut out, CloseCode::Restart);
        let text = String::from_utf8(out.to_vec()).unwrap();
        let data = text.lines().nth(1).unwrap().strip_prefix("data: ").unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(
            data,
            json!({"code": 1012, "reason": "restart", "reconnect": true})
        );
    }
}
