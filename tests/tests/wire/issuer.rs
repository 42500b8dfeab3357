//! An issuer of tokens: a JWK set over HTTP that the test changes, and the private keys
//! that go with it.
//!
//! Owns one listener; each connection answers one request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// PKCS#8 of a P-256 key up to its 32 secret bytes (RFC 5915).
const P256_HEAD: [u8; 35] = [
    0x30, 0x41, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
    0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x27, 0x30, 0x25, 0x02, 0x01,
    0x01, 0x04, 0x20,
];

/// Seconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is after 1970").as_secs()
}

/// A private key of ES256 and its name.
pub struct Key {
    id: String,
    private: EncodingKey,
}

impl Key {
    /// A key that is made of its name, so that another name is another key.
    pub fn new(id: &str) -> Self {
        let fill = id
            .bytes()
            .fold(1u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        let der = [P256_HEAD.as_slice(), &[fill | 1; 32]].concat();
        Self {
            id: id.to_owned(),
            private: EncodingKey::from_ec_der(&der),
        }
    }

    fn public(&self) -> Jwk {
        let jwk = Jwk::from_encoding_key(&self.private, Algorithm::ES256);
        let mut jwk = jwk.expect("a private key has a public one");
        jwk.common.key_id = Some(self.id.clone());
        jwk
    }

    /// A token of any claims.
    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.clone());
        encode(&header, claims, &self.private).expect("JSON can be signed")
    }

    /// A token of ten minutes for a user of a tenant.
    pub fn token(&self, tenant: &str, user: &str) -> String {
        let scopes = ["publish:chat.>", "subscribe:chat.>"];
        self.sign(&json!({"sub": user, "tenant": tenant, "exp": now() + 600, "scopes": scopes}))
    }
}

/// The issuer's listener.
pub struct Issuer {
    address: SocketAddr,
    /// The document; `None`: it answers 500.
    document: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Issuer {
    /// Listens; has no keys yet.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("the system has a free port");
        let address = listener.local_addr().expect("it is bound");
        let document = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&document);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let document = shared.lock().expect("no holder panics").clone();
                tokio::spawn(answer(stream, document));
            }
        });
        Self {
            address,
            document,
            task,
        }
    }

    /// Where its keys are.
    pub fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    /// A JWK set.
    pub fn document(keys: &[&Key]) -> String {
        let keys: Vec<Jwk> = keys.iter().map(|key| key.public()).collect();
        json!({ "keys": keys }).to_string()
    }

    /// Shows these keys from now on.
    pub fn show(&self, keys: &[&Key]) {
        *self.document.lock().expect("no holder panics") = Some(Self::document(keys));
    }

    /// Answers no more.
    pub fn break_down(&self) {
        *self.document.lock().expect("no holder panics") = None;
    }
}

async fn answer(mut stream: TcpStream, document: Option<String>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut request).await, Ok(1..)) {
            return;
        }
    }
    let (status, body) = match document {
        Some(body) => ("200 OK", body),
        None => ("500 Internal Server Error", String::new()),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // Whoever asked may have gone.
    let _ = stream.write_all(answer.as_bytes()).await;
}
