//! Temporary.
use futures_util::{SinkExt, StreamExt};
use protocol::frame::*;
use protocol::name::*;
use protocol::service::auth::Authenticator;
use protocol::service::bootstrap::{StoreSettings, bootstrap};
use protocol::service::bus::{Bucket, Bus};
use protocol::service::settings::{NatsSettings, Secret};
use protocol::service::shutdown::Shutdown;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

struct Nats(Child, String, tempfile_dir::Dir);
mod tempfile_dir {
    pub struct Dir(pub std::path::PathBuf);
    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn nats() -> Nats {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let dir = std::env::temp_dir().join(format!("edge-smoke-{port}"));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(
        dir.join("c.conf"),
        format!(
            "listen: 127.0.0.1:{port}\njetstream {{ store_dir: \"{}\", sync_interval: always }}\n",
            dir.display()
        ),
    )
    .unwrap();
    let child = Command::new("/tmp/natsbin/nats-server")
        .arg("-c")
        .arg(dir.join("c.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    Nats(
        child,
        format!("nats://127.0.0.1:{port}"),
        tempfile_dir::Dir(dir),
    )
}

type Ws =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;
struct Client {
    ws: Ws,
    enc: Encoding,
    id: u64,
    queue: std::collections::VecDeque<FromServer>,
}
impl Client {
    async fn open(addr: std::net::SocketAddr, enc: Encoding) -> Client {
        let mut r = format!("ws://{addr}/v1/ws").into_client_request().unwrap();
        r.headers_mut()
            .insert("sec-websocket-protocol", enc.protocol().parse().unwrap());
        let (ws, resp) = tokio_tungstenite::connect_async(r).await.unwrap();
        assert_eq!(resp.headers()["sec-websocket-protocol"], enc.protocol());
        Client {
            ws,
            enc,
            id: 0,
            queue: Default::default(),
        }
    }
    async fn connect(
        addr: std::net::SocketAddr,
        enc: Encoding,
        token: &str,
        client: &str,
    ) -> Client {
        let mut c = Client::open(addr, enc).await;
        c.send(Action::Connect(Connect {
            token: token.into(),
            client: client.into(),
        }))
        .await;
        let f = c.recv().await;
        assert!(f.connect.is_some(), "{f:?}");
        c
    }
    async fn send(&mut self, a: Action) -> u64 {
        self.id += 1;
        let b = encode(self.enc, &protocol::frame::Command::new(self.id, a));
        let m = match self.enc {
            Encoding::Json => Message::text(String::from_utf8(b.to_vec()).unwrap()),
            Encoding::Msgpack => Message::binary(b),
        };
        self.ws.send(m).await.unwrap();
        self.id
    }
    async fn recv(&mut self) -> FromServer {
        loop {
            if let Some(f) = self.queue.pop_front() {
                return f;
            }
            let m = tokio::time::timeout(Duration::from_secs(10), self.ws.next())
                .await
                .expect("nothing came")
                .unwrap()
                .unwrap();
            match m {
                Message::Text(t) => {
                    let (f, e) = decode_from_server(self.enc, t.as_bytes());
                    assert_eq!(e, None, "{t}");
                    self.queue.extend(f);
                }
                Message::Binary(t) => {
                    let (f, e) = decode_from_server(self.enc, &t);
                    assert_eq!(e, None);
                    self.queue.extend(f);
                }
                Message::Close(c) => panic!("closed {c:?}"),
                _ => {}
            }
        }
    }
    fn data(&self, t: &str) -> Payload {
        let b = bytes::Bytes::copy_from_slice(t.as_bytes());
        match self.enc {
            Encoding::Json => Payload::for_json(&b, true),
            Encoding::Msgpack => Payload::Bytes(b),
        }
    }
    async fn publish(&mut self, channel: &str, n: u64, data: &str, first_sent: Option<u64>) -> u64 {
        let data = self.data(data);
        self.send(Action::Publish(Publish {
            channel: channel.into(),
            n,
            data,
            content_type: None,
            headers: Default::default(),
            first_sent,
        }))
        .await
    }
    async fn published(&mut self) -> Result<Published, ErrorBody> {
        loop {
            let f = self.recv().await;
            if let Some(p) = f.publish {
                return Ok(p);
            }
            if let Some(e) = f.error {
                return Err(e);
            }
        }
    }
    async fn subscribe(&mut self, channel: &str, from: Option<Start>) -> Subscribed {
        self.send(Action::Subscribe(Subscribe {
            channel: channel.into(),
            from,
        }))
        .await;
        loop {
            let f = self.recv().await;
            if let Some(s) = f.subscribe {
                return s;
            }
            if let Some(e) = f.error {
                panic!("{e:?}");
            }
        }
    }
}

async fn world(
    window_ms: u64,
    faults: &str,
) -> (
    Nats,
    Vec<(std::net::SocketAddr, Shutdown, tokio::task::JoinHandle<()>)>,
    String,
    Bus,
) {
    protocol::service::telemetry::init_logs("smoke");
    let nats = nats();
    let settings = NatsSettings {
        url: nats.1.clone(),
        ..Default::default()
    };
    let bus = Bus::connect(&settings, "smoke").await.unwrap();
    let mut store = StoreSettings::default();
    store.duplicate_window_events = Duration::from_millis(window_ms);
    bootstrap(&bus, &store).await.unwrap();
    bus.kv(Bucket::Config)
        .await
        .unwrap()
        .put(
            "namespace.chat",
            r#"{"name":"chat","store":"main","path":"direct"}"#.into(),
        )
        .await
        .unwrap();
    let secret = Secret::new("x".repeat(32));
    let mut nodes = Vec::new();
    for n in 0..2 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let config = edge::EdgeConfig {
            name: format!("edge-{n}"),
            nats: settings.clone(),
            token_secret: secret.clone(),
            probe_interval_ms: 300,
            faults: faults.into(),
            ..Default::default()
        };
        let node = edge::start(config, listener, shutdown.clone())
            .await
            .unwrap();
        nodes.push((addr, shutdown, tokio::spawn(node.run())));
        let until = Instant::now() + Duration::from_secs(5);
        loop {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut s = tokio::net::TcpStream::connect(addr).await.unwrap();
            s.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut t = String::new();
            s.read_to_string(&mut t).await.unwrap();
            if t.starts_with("HTTP/1.1 200") {
                break;
            }
            assert!(Instant::now() < until, "{t}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
    let token = Authenticator::new(&secret).unwrap().mint(
        &Tenant::parse("acme").unwrap(),
        &User::parse("ann@x").unwrap(),
        &["publish:>", "subscribe:>"],
        Duration::from_secs(600),
    );
    (nats, nodes, token, bus)
}

#[tokio::test(flavor = "multi_thread")]
async fn all() {
    let (_nats, nodes, token, _bus) = world(100, "").await;
    let mut a = Client::connect(nodes[0].0, Encoding::Json, &token, "c1").await;
    let mut b = Client::connect(nodes[1].0, Encoding::Msgpack, &token, "c2").await;
    b.subscribe("chat.a", None).await;
    a.publish("chat.a", 1, r#"{"x": 1}"#, None).await;
    let first = a.published().await.unwrap();
    let e = b.recv().await.event.unwrap();
    assert_eq!(
        (e.seq, e.prev, e.user.as_deref()),
        (first.position.seq, 0, Some("ann@x"))
    );
    println!("delivered {e:?}");
    // resend after the window
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_micros() as u64;
    tokio::time::sleep(Duration::from_millis(300)).await;
    a.publish("chat.a", 1, r#"{"x": 1}"#, Some(now - 300_000))
        .await;
    let again = a.published().await.unwrap();
    assert!(
        again.duplicate && again.position.seq == first.position.seq,
        "{again:?}"
    );
    a.publish("chat.a", 1, r#"{"x": 2}"#, Some(now - 300_000))
        .await;
    assert_eq!(
        a.published().await.unwrap_err().code,
        protocol::error_code::ErrorCode::IdReused
    );
    a.publish("chat.a", 2, r#"{"x": 2}"#, Some(now)).await;
    assert!(!a.published().await.unwrap().duplicate);
    b.recv().await.event.unwrap();
    // throughput
    let t = Instant::now();
    let total = 10_000u64;
    let (mut next, mut acked) = (3, 0);
    while acked < total {
        while next < 3 + total && next - 3 - acked < 256 {
            a.publish("chat.a", next, "[1,2,3]", None).await;
            next += 1;
        }
        let p = a.published().await.unwrap();
        assert!(!p.duplicate);
        acked += 1;
    }
    println!("published {total} in {:?}", t.elapsed());
    let mut last = 0;
    let mut count = 0;
    while count < total {
        if let Some(e) = b.recv().await.event {
            assert!(
                e.prev <= e.seq && (last == 0 || e.prev == last),
                "{} {last}",
                e.prev
            );
            last = e.seq;
            count += 1;
        }
    }
    println!("delivered in {:?}", t.elapsed());
    // resume elsewhere
    for node in 0..2 {
        let mut c = Client::connect(nodes[node].0, Encoding::Msgpack, &token, "c3").await;
        let t = Instant::now();
        c.subscribe(
            "chat.a",
            Some(Start::After(protocol::position::Position {
                time: None,
                ..first.position.clone()
            })),
        )
        .await;
        let mut count = 0;
        let mut at = first.position.seq;
        loop {
            let f = c.recv().await;
            if let Some(e) = f.event {
                assert_eq!(e.prev, at);
                at = e.seq;
                count += 1;
            }
            if let Some(cu) = f.caught_up {
                assert_eq!(cu.seq, last);
                break;
            }
            assert!(f.gap.is_none());
        }
        assert_eq!(count, total + 1);
        println!("resumed {count} in {:?}", t.elapsed());
    }
    // earliest
    let mut c = Client::connect(nodes[1].0, Encoding::Json, &token, "c4").await;
    c.subscribe("chat.a", Some(Start::Named(Named::Earliest)))
        .await;
    let mut count = 0;
    loop {
        let f = c.recv().await;
        if f.event.is_some() {
            count += 1;
        }
        if f.caught_up.is_some() {
            break;
        }
    }
    assert_eq!(count, total + 2);
    c.send(Action::Unsubscribe(Unsubscribe {
        channel: "chat.a".into(),
    }))
    .await;
    assert!(c.recv().await.unsubscribe.is_some());
    // drain
    nodes[0].1.trigger();
    let f = a.recv().await;
    assert!(f.going_away.is_some(), "{f:?}");
    let m = a.ws.next().await.unwrap().unwrap();
    println!("{m:?}");
    drop((b, c));
    for n in nodes {
        n.1.trigger();
        let t = Instant::now();
        n.2.await.unwrap();
        println!("drained {:?}", t.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drops() {
    let (_nats, nodes, token, _bus) = world(600_000, "edge.drop_delivery=skip%30/7").await;
    let mut a = Client::connect(nodes[0].0, Encoding::Json, &token, "c1").await;
    let mut subs = Vec::new();
    for n in 0..4 {
        let mut c =
            Client::connect(nodes[n % 2].0, Encoding::Msgpack, &token, &format!("s{n}")).await;
        c.subscribe("chat.a", None).await;
        subs.push(c);
    }
    for burst in 0..20u64 {
        for n in 0..50 {
            a.publish("chat.a", burst * 50 + n, "1", None).await;
        }
        for _ in 0..50 {
            a.published().await.unwrap();
        }
    }
    for c in &mut subs {
        let mut last = 0;
        let mut count = 0;
        while count < 1000 {
            if let Some(e) = c.recv().await.event {
                assert!(last == 0 || e.prev == last);
                last = e.seq;
                count += 1;
            }
        }
    }
    println!(
        "{}",
        protocol::service::telemetry::metrics_handle()
            .render()
            .lines()
            .filter(|l| l.starts_with("edge_") && !l.contains("bucket"))
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn slow() {
    let (_nats, nodes, token, _bus) = world(600_000, "").await;
    let mut a = Client::connect(nodes[0].0, Encoding::Json, &token, "c1").await;
    let mut s = Client::connect(nodes[0].0, Encoding::Msgpack, &token, "s").await;
    s.subscribe("chat.a", None).await;
    let big = format!("\"{}\"", "x".repeat(40_000));
    let total = 600u64;
    let (mut next, mut acked) = (0, 0);
    while acked < total {
        while next < total && next - acked < 64 {
            a.publish("chat.a", next, &big, None).await;
            next += 1;
        }
        a.published().await.unwrap();
        acked += 1;
    }
    println!("published; now reading");
    let mut last = 0;
    let mut count = 0;
    while count < total {
        let f = s.recv().await;
        if let Some(e) = f.event {
            assert!(last == 0 || e.prev == last, "{} {last}", e.prev);
            last = e.seq;
            count += 1;
        }
    }
    println!(
        "{}",
        protocol::service::telemetry::metrics_handle()
            .render()
            .lines()
            .filter(|l| l.starts_with("edge_lag") || l.starts_with("edge_deliv"))
            .collect::<Vec<_>>()
            .join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_memory() {
    let (_nats, nodes, token, _bus) = world(600_000, "").await;
    let rss = || {
        let s = std::fs::read_to_string("/proc/self/statm").unwrap();
        s.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut keep = Vec::new();
    let mut base = 0;
    for n in 0..3500u64 {
        if n == 500 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            base = rss();
        }
        let mut s = tokio::net::TcpStream::connect(nodes[0].0).await.unwrap();
        s.write_all(format!("GET /v1/ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: eddyline.v1.json\r\n\r\n").as_bytes()).await.unwrap();
        let mut b = [0; 1024];
        let k = s.read(&mut b).await.unwrap();
        assert!(b[..k].starts_with(b"HTTP/1.1 101"));
        let frame = |t: String| {
            let p = t.into_bytes();
            let mut f = vec![0x81];
            if p.len() < 126 {
                f.push(0x80 | p.len() as u8)
            } else {
                f.push(0x80 | 126);
                f.extend((p.len() as u16).to_be_bytes());
            }
            f.extend([0, 0, 0, 0]);
            f.extend(p);
            f
        };
        s.write_all(&frame(format!(
            r#"{{"id":1,"connect":{{"token":"{token}","client":"c{n}"}}}}"#
        )))
        .await
        .unwrap();
        s.write_all(&frame(
            r#"{"id":2,"subscribe":{"channel":"chat.a"}}"#.into(),
        ))
        .await
        .unwrap();
        let mut got = 0;
        while got < 400 {
            let k = s.read(&mut b).await.unwrap();
            assert!(k > 0);
            got += k;
            if b[..k].windows(9).any(|w| w == b"subscribe")
                && b[..k].windows(5).any(|w| w == b"after")
            {
                break;
            }
        }
        keep.push(s);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!(
        "per idle connection: {} bytes",
        (rss() - base) * 1024 / 3000
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_of_nats() {
    for window in [100, 600_000] {
        let (mut nats, nodes, token, _bus) = world(window, "").await;
        let mut a = Client::connect(nodes[0].0, Encoding::Json, &token, "c1").await;
        let mut s = Client::connect(nodes[1].0, Encoding::Msgpack, &token, "s").await;
        s.subscribe("chat.a", None).await;
        let now = || {
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_micros() as u64
        };
        let mut unacked: std::collections::BTreeMap<u64, u64> = Default::default();
        let mut ids: std::collections::HashMap<u64, u64> = Default::default();
        let total = 3000u64;
        let mut next = 1;
        let mut errors = std::collections::BTreeMap::<String, u64>::new();
        let mut dups = 0;
        let mut killed = 0;
        while next <= total || !unacked.is_empty() {
            while next <= total && ids.len() < 100 && errors_pending(&unacked, &ids) {
                let id = a.publish("chat.a", next, &format!("{next}"), None).await;
                ids.insert(id, next);
                unacked.insert(next, now());
                next += 1;
            }
            if next > 1000 && killed == 0 {
                killed = 1;
                nats.0.kill().unwrap();
                nats.0.wait().unwrap();
                println!("killed");
            }
            if killed == 1 && errors.values().sum::<u64>() > 20 {
                killed = 2;
                nats.0 = Command::new("/tmp/natsbin/nats-server")
                    .arg("-c")
                    .arg(nats.2.0.join("c.conf"))
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                println!("restarted");
            }
            if ids.is_empty() && !unacked.is_empty() {
                tokio::time::sleep(Duration::from_millis(100)).await;
                for (n, at) in unacked.clone() {
                    let id = a.publish("chat.a", n, &format!("{n}"), Some(at)).await;
                    ids.insert(id, n);
                }
            }
            let f = a.recv().await;
            if let Some(n) = f.id.and_then(|id| ids.remove(&id)) {
                if let Some(p) = f.publish {
                    assert_eq!(p.n, n);
                    unacked.remove(&n);
                    dups += u64::from(p.duplicate);
                } else {
                    let e = f.error.unwrap();
                    assert!(e.temporary, "{e:?}");
                    *errors
                        .entry(format!("{:?}: {}", e.code, e.message))
                        .or_default() += 1;
                }
            }
        }
        println!("window {window} errors {errors:?} duplicates {dups}");
        let mut last = 0;
        for n in 1..=total {
            let e = loop {
                if let Some(e) = s.recv().await.event {
                    break e;
                }
            };
            assert!(e.prev == last);
            last = e.seq;
            assert_eq!(e.id, format!("acme/ann%40x/c1/{n}"));
        }
    }
    fn errors_pending(
        unacked: &std::collections::BTreeMap<u64, u64>,
        ids: &std::collections::HashMap<u64, u64>,
    ) -> bool {
        unacked.len() == ids.len()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage() {
    let (_nats, nodes, token, _bus) = world(600_000, "").await;
    use rand::{Rng, SeedableRng};
    let mut rng = rand::rngs::StdRng::seed_from_u64(7);
    let t = Instant::now();
    let mut closes = std::collections::BTreeMap::<String, u64>::new();
    let mut sent = 0;
    for round in 0..300 {
        let enc = if round % 2 == 0 {
            Encoding::Json
        } else {
            Encoding::Msgpack
        };
        let mut c = Client::connect(nodes[0].0, enc, &token, "g").await;
        for _ in 0..100 {
            let mut b = encode(
                enc,
                &protocol::frame::Command::new(
                    1,
                    Action::Publish(Publish {
                        channel: "chat.z".into(),
                        n: 1,
                        data: c.data("1"),
                        content_type: None,
                        headers: Default::default(),
                        first_sent: None,
                    }),
                ),
            )
            .to_vec();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..b.len());
                b[at] = rng.random();
            }
            let m = if enc == Encoding::Json {
                match String::from_utf8(b) {
                    Ok(t) => Message::text(t),
                    Err(e) => Message::binary(e.into_bytes()),
                }
            } else {
                Message::binary(b)
            };
            sent += 1;
            if c.ws.send(m).await.is_err() {
                break;
            }
        }
        loop {
            match tokio::time::timeout(Duration::from_millis(300), c.ws.next()).await {
                Ok(Some(Ok(Message::Close(f)))) => {
                    *closes.entry(format!("{f:?}")).or_default() += 1;
                    break;
                }
                Ok(Some(Ok(_))) => {}
                _ => break,
            }
        }
    }
    println!("{sent} garbage frames in {:?}: {closes:?}", t.elapsed());
    let mut c = Client::connect(nodes[0].0, Encoding::Json, &token, "g").await;
    c.ws.send(Message::text("x".repeat(200_000))).await.unwrap();
    loop {
        match c.ws.next().await {
            Some(Ok(Message::Close(f))) => {
                println!("{f:?}");
                break;
            }
            Some(Ok(_)) => {}
            o => panic!("{o:?}"),
        }
    }
    let mut c = Client::connect(nodes[0].0, Encoding::Json, &token, "g").await;
    c.publish("chat.q", 77, "1", None).await;
    c.published().await.unwrap();
}
