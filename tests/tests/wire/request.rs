//! Requests over bare TCP, by a client that is nobody's.

use std::net::SocketAddr;

use protocol::error_code::ErrorCode;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a request was answered.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its head, in lower case.
    pub head: String,
    /// Its body.
    pub text: String,
}

impl Answer {
    /// The body, which is JSON.
    pub fn body(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What stands under a key of the body.
    pub fn field<T: DeserializeOwned>(&self, key: &str) -> T {
        let fields: std::collections::HashMap<String, Box<serde_json::value::RawValue>> =
            serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let raw = fields
            .get(key)
            .unwrap_or_else(|| panic!("no {key}: {self:?}"));
        serde_json::from_str(raw.get()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The refusal's code.
    pub fn code(&self) -> ErrorCode {
        let code = self.body()["error"]["code"].clone();
        serde_json::from_value(code).unwrap_or_else(|_| panic!("no refusal: {self:?}"))
    }
}

/// Answers `GET`, with a token or without one.
pub async fn get(address: SocketAddr, path: &str, token: Option<&str>) -> Answer {
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    send(address, "GET", path, &bearer.unwrap_or_default(), "").await
}

/// Answers any request; `headers` are whole lines.
pub async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    let asked = attempt(address, &request);
    let text = harness::wait::within("the node answers", asked).await;
    read(&text.unwrap_or_else(|error| panic!("{method} {path}: {error}"))).expect("an answer")
}

/// Answers `GET` with a token; `None` where nothing answers, or not to the end.
pub async fn try_get(address: SocketAddr, path: &str, token: &str) -> Option<Answer> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let text = harness::wait::within("the node answers", attempt(address, &request)).await;
    read(&text.ok()?)
}

async fn attempt(address: SocketAddr, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// An answer, if it is a whole one.
fn read(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_ascii_lowercase(),
        text: body.to_owned(),
    })
}
