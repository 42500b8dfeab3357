//! A reader of event streams, after the standard (WHATWG HTML, section 9.2) and nothing
//! of ours: chunks (RFC 9112, section 7.1), lines, events.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::request::Answer;

/// An event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Its name.
    pub name: String,
    /// Its data.
    pub data: Value,
}

/// A stream that is being read, as an `EventSource` does.
#[derive(Debug)]
pub struct EventStream {
    stream: TcpStream,
    /// Bytes of chunks that are not whole yet.
    raw: Vec<u8>,
    /// Text of events that are not whole yet.
    text: String,
    /// What the last event with an id had.
    pub last_id: String,
    /// What it was told to wait before it comes back, milliseconds.
    pub retry_ms: Option<u64>,
    /// Comments so far.
    pub comments: usize,
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

impl EventStream {
    /// Opens a stream; a refusal is its answer.
    pub async fn open(
        address: SocketAddr,
        path: &str,
        token: &str,
        last_id: &str,
    ) -> Result<Self, Answer> {
        let mut stream = TcpStream::connect(address)
            .await
            .expect("the node takes connections");
        let last = if last_id.is_empty() {
            String::new()
        } else {
            format!("Last-Event-ID: {last_id}\r\n")
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: edge\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n{last}\r\n"
        );
        stream
            .write_all(request.as_bytes())
            .await
            .expect("the node reads");
        let mut opened = Self {
            stream,
            raw: Vec::new(),
            text: String::new(),
            last_id: last_id.to_owned(),
            retry_ms: None,
            comments: 0,
        };
        let end = loop {
            if let Some(end) = find(&opened.raw, b"\r\n\r\n") {
                break end;
            }
            assert!(opened.read().await, "the node answers");
        };
        let head = String::from_utf8_lossy(&opened.raw[..end]).to_ascii_lowercase();
        opened.raw.drain(..end + 4);
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.expect("a status");
        if status == 200 {
            assert!(head.contains("content-type: text/event-stream"), "{head}");
            assert!(head.contains("transfer-encoding: chunked"), "{head}");
            return Ok(opened);
        }
        while serde_json::from_slice::<Value>(&opened.raw).is_err() {
            assert!(opened.read().await, "the refusal has a body");
        }
        let text = String::from_utf8_lossy(&opened.raw).into_owned();
        Err(Answer { status, head, text })
    }

    /// Reads some bytes; false at the end.
    async fn read(&mut self) -> bool {
        let mut buffer = [0; 16 << 10];
        let read = harness::wait::within("the node sends", self.stream.read(&mut buffer)).await;
        match read {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.raw.extend_from_slice(&buffer[..count]);
                true
            }
        }
    }

    /// Takes a whole chunk off; false if there is none.
    fn unchunk(&mut self) -> bool {
        let Some(line) = find(&self.raw, b"\r\n") else {
            return false;
        };
        let size = std::str::from_utf8(&self.raw[..line]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        let (from, to) = (line + 2, line + 2 + size);
        if self.raw.len() < to + 2 {
            return false;
        }
        self.text += std::str::from_utf8(&self.raw[from..to]).expect("events are UTF-8");
        self.raw.drain(..to + 2);
        true
    }

    /// The next event; `None` once the stream has ended.
    pub async fn next(&mut self) -> Option<Sent> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if let Some(sent) = self.block(&block) {
                    return Some(sent);
                }
            }
            if !self.unchunk() && !self.read().await {
                return None;
            }
        }
    }

    fn block(&mut self, block: &str) -> Option<Sent> {
        let (mut name, mut data) = ("message".to_owned(), Vec::new());
        for line in block.lines().filter(|line| !line.is_empty()) {
            match line.split_once(": ") {
                Some(("", _)) => self.comments += 1,
                Some(("event", value)) => value.clone_into(&mut name),
                Some(("id", value)) => value.clone_into(&mut self.last_id),
                Some(("retry", value)) => self.retry_ms = value.parse().ok(),
                Some(("data", value)) => data.push(value),
                _ => panic!("no line of an event stream: {line:?}"),
            }
        }
        if data.is_empty() {
            return None;
        }
        let data = serde_json::from_str(&data.join("\n")).expect("data is JSON");
        Some(Sent { name, data })
    }

    /// The next event of this name; what comes before is passed over.
    pub async fn until(&mut self, name: &str) -> Value {
        loop {
            match self.next().await {
                Some(sent) if sent.name == name => return sent.data,
                Some(_) => {}
                None => panic!("the stream ended before {name}"),
            }
        }
    }

    /// Reads until so many comments have come.
    pub async fn commented(&mut self, count: usize) {
        while self.comments < count {
            assert!(self.unchunk() || self.read().await, "the stream ended");
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                self.block(&block);
            }
        }
    }
}
