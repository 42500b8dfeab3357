//! TLS on the clients' port, by clients that are not ours: what is agreed on, what is
//! refused, and certificates that change under sessions that stand.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use client::{Client, ClientOptions, Draft};
use harness::pki::{Authority, Files, Issued};
use harness::{Deployment, RawSession, wait};
use protocol::frame::{Action, Encoding, Ping, Subscribe};
use service::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, SupportedProtocolVersion};

use super::door::{HASTY, NAMES, TLS};
use super::mutate::publish;
use super::request::get;

/// Every version that is spoken.
const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
/// The longest data of an event: many records of TLS.
const DATA_BYTES: usize = 64 * 1024;

/// Agrees on TLS with a node, over a connection that stands.
pub async fn agree(
    stream: TcpStream,
    config: ClientConfig,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let agreeing = TlsConnector::from(Arc::new(config)).connect(name, stream);
    wait::within("the node agrees on TLS, or does not", agreeing).await
}

async fn open(
    address: SocketAddr,
    config: ClientConfig,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    agree(TcpStream::connect(address).await?, config, name).await
}

/// Everything that the node says until it closes.
async fn said(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A reset is an end too.
    let reading = stream.read_to_end(&mut answer);
    let _ = wait::within("the node closes", reading).await;
    answer
}

/// What is agreed on, and what is not.
pub async fn check(deployment: &Deployment, authority: &Authority, folder: &Path) {
    let address = deployment.edges[TLS].address();
    for (name, version) in ["tls12", "tls13"].into_iter().zip(VERSIONS) {
        sessions(deployment, &authority.client(&[version]), name).await;
    }
    requests(address, authority).await;
    strangers(address, authority).await;
    plain(address).await;
    stalled(deployment).await;
    own_client(deployment, authority, folder).await;
    faulty_files(deployment, folder).await;
}

/// A session that publishes and receives more than TLS holds at a time.
async fn sessions(deployment: &Deployment, config: &ClientConfig, client: &str) {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let address = deployment.edges[TLS].address();
    for encoding in [Encoding::Json, Encoding::Msgpack] {
        let stream = open(address, config.clone(), "localhost").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let opened = RawSession::over(stream, "localhost", encoding).await;
        let mut session = opened.expect("the node upgrades");
        let connected = session.connect(&deployment.token("tls"), client).await;
        connected.expect("a valid token");
        let channel = format!("chat.{client}");
        let subscribe = Action::Subscribe(Subscribe::new(channel.clone()));
        assert_eq!(session.ask(subscribe).await.unwrap().error, None);
        let data = format!("\"{}\"", "x".repeat(DATA_BYTES - 2));
        for n in 0..8 {
            let n = n + 1_000 * u64::from(encoding == Encoding::Json);
            let event = publish(encoding, &channel, n, data.as_bytes());
            session.send(Action::Publish(event)).await.unwrap();
        }
        let mut received = 0;
        while received < 8 {
            match session.next().await {
                harness::raw::Received::Frame(frame) => {
                    assert_eq!(frame.error, None);
                    received += u32::from(frame.event.is_some());
                }
                other => panic!("{other:?}"),
            }
        }
        let reply = session.ask(Action::Ping(Ping {})).await.unwrap();
        assert_eq!(reply.error, None);
    }
}

/// HTTP over TLS.
async fn requests(address: SocketAddr, authority: &Authority) {
    let mut stream = open(address, authority.client(&VERSIONS), "127.0.0.1")
        .await
        .unwrap();
    let request = b"GET /readyz HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    let reading = stream.read_to_string(&mut answer);
    // An end without TLS's own would be an error.
    wait::within("the node answers and closes", reading)
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Names that are not the node's, authorities that are not its, protocols that it does
/// not speak.
async fn strangers(address: SocketAddr, authority: &Authority) {
    let problem = async |config: ClientConfig, name: &str| {
        let refused = open(address, config, name).await.unwrap_err();
        refused.to_string()
    };
    let named = problem(authority.client(&VERSIONS), "elsewhere.example.org").await;
    assert!(named.contains("not valid for name"), "{named}");
    let foreign = problem(Authority::new().client(&VERSIONS), "localhost").await;
    // Whoever it is that is called so: the signature is not his.
    assert!(foreign.contains("invalid peer certificate"), "{foreign}");
    let mut config = authority.client(&VERSIONS);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let other = problem(config, "localhost").await;
    assert!(other.contains("NoApplicationProtocol"), "{other}");
}

/// What is no TLS at all.
async fn plain(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: edge\r\n\r\n")
        .await
        .unwrap();
    let answer = String::from_utf8(said(stream).await).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("wss://"),
        "{answer}"
    );
    for noise in [
        &b"\x00\x01\x02\x03noise"[..],
        b"\x16\x03\x01\xff\xff",
        b"\x16\x02\x00\x00\x01\x00",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(noise).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = said(stream).await;
        // Nothing, or an alert of TLS.
        assert!(answer.is_empty() || answer[0] == 21, "{answer:02x?}");
    }
}

/// Who does not go on is cut off.
async fn stalled(deployment: &Deployment) {
    let hasty = &deployment.edges[HASTY];
    let (address, health) = (hasty.address(), hasty.health());
    for begun in [
        &b""[..],
        b"\x16",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        assert_eq!(said(stream).await, b"", "{begun:02x?}");
    }
    wait::until("handshakes that stalled are counted", async || {
        let name = r#"edge_rejected_connections_total{reason="tls_timeout"}"#;
        match metric(health, name).await {
            Some(count) if count >= 3.0 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// The Rust client, with this authority and without it.
async fn own_client(deployment: &Deployment, authority: &Authority, folder: &Path) {
    let address = deployment.edges[TLS].address();
    let roots = folder.join("roots.pem");
    std::fs::write(&roots, authority.pem()).unwrap();
    let mut options = ClientOptions::new(format!("wss://{address}"), deployment.token("rust"));
    options.roots = Some(roots.clone());
    let connected = Client::connect(options.clone()).await;
    let client = connected.expect("the authority vouches for the node");
    let stored = client.publish(Draft::json("chat.rust", "[1]")).await;
    stored.expect("the store takes it");
    client.close().await;
    std::fs::write(&roots, "").unwrap();
    let refused = Client::connect(options.clone()).await.err().unwrap();
    assert!(!refused.temporary(), "{refused}");
    assert!(
        refused.to_string().contains("holds no certificate"),
        "{refused}"
    );
    std::fs::write(&roots, Authority::new().pem()).unwrap();
    let refused = Client::connect(options).await.err().unwrap();
    let source = std::error::Error::source(&refused).unwrap().to_string();
    assert!(source.contains("invalid peer certificate"), "{source}");
}

/// A node does not start with files that it cannot use, and says with which.
async fn faulty_files(deployment: &Deployment, folder: &Path) {
    for (text, problem) in [
        (None, "cannot be read"),
        (Some("x"), "holds no certificate"),
    ] {
        let path = folder.join("faulty.pem");
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        let mut config = deployment.edges[TLS].config.clone();
        config.tls.certificate = Some(path.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let started = edge::start(config, listener, Shutdown::new()).await;
        let error = started.err().expect("it does not start");
        let told = error.to_string();
        assert!(error.is_settings(), "{told}");
        assert!(
            told.contains("faulty.pem") && told.contains(problem),
            "{told}"
        );
    }
}

/// A metric of the process.
pub async fn metric(health: SocketAddr, name: &str) -> Option<f64> {
    let page = get(health, "/metrics", None).await.text;
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok())
}

/// The certificate that the node shows now.
async fn is_shown(
    address: SocketAddr,
    authority: &Authority,
    wanted: &Issued,
) -> Result<(), String> {
    let stream = open(address, authority.client(&VERSIONS), "localhost").await;
    let stream = stream.map_err(|error| error.to_string())?;
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    match shown.first() == Some(&wanted.der) {
        true => Ok(()),
        false => Err("another certificate is shown".into()),
    }
}

/// Certificates that change while a session stands.
pub async fn changes(deployment: &Deployment, authority: &Authority, files: &Files) {
    let (address, health) = (
        deployment.edges[TLS].address(),
        deployment.edges[TLS].health(),
    );
    let stream = open(address, authority.client(&VERSIONS), "localhost")
        .await
        .unwrap();
    let opened = RawSession::over(stream, "localhost", Encoding::Json).await;
    let mut session = opened.expect("the node upgrades");
    let connected = session.connect(&deployment.token("stays"), "c1").await;
    connected.expect("a valid token");

    let second = authority.issue(&NAMES, 2090);
    files.write(&second);
    let what = "the new certificate is shown";
    wait::until(what, async || is_shown(address, authority, &second).await).await;
    // 2090-01-01.
    ends_at(health, 3_786_912_000.0).await;

    // What does not fit, or is not there, changes nothing.
    let third = authority.issue(&NAMES, 2095);
    let ended = authority.issue(&NAMES, 2001);
    for wrong in [Some(third.with_key_of(&second)), Some(ended), None] {
        let name = r#"certificate_reads_total{outcome="refused"}"#;
        let before = metric(health, name).await.unwrap_or(0.0);
        match wrong {
            Some(wrong) => files.write(&wrong),
            None => files.remove_key(),
        }
        // Once by each node that speaks TLS here.
        wait::until("the new pair is refused", async || {
            match metric(health, name).await {
                Some(count) if count >= before + 3.0 => Ok(()),
                other => Err(format!("{before} before, {other:?} now")),
            }
        })
        .await;
        let shown = is_shown(address, authority, &second).await;
        shown.expect("the old certificate is shown");
        ends_at(health, 3_786_912_000.0).await;
    }

    files.write(&third);
    let what = "the next certificate is shown";
    wait::until(what, async || is_shown(address, authority, &third).await).await;
    // 2095-01-01.
    ends_at(health, 3_944_678_400.0).await;
    let reply = session.ask(Action::Ping(Ping {})).await;
    assert_eq!(reply.expect("the session stands").error, None);
}

async fn ends_at(health: SocketAddr, expected: f64) {
    wait::until("the certificate's end is told", async || {
        match metric(health, "certificate_expires_timestamp_seconds ").await {
            Some(told) if told == expected => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}
