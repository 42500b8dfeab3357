//! The proxy between a client and a server that sends everything back.

use super::*;
use crate::wait;

/// What one exchange carries.
const WORD: &[u8] = b"word";

/// A server that echoes, and a proxy before it.
async fn echo() -> (Proxy, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    (Proxy::to(address).await, serving)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// Sends a word and waits for it.
async fn exchange(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(WORD).await?;
    receive(stream).await
}

async fn receive(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut back = [0; WORD.len()];
    wait::within("a word comes back", stream.read_exact(&mut back)).await?;
    assert_eq!(back, WORD);
    Ok(())
}

/// Whether nothing has come although the proxy had its chance: another connection's
/// exchange has passed the other way meanwhile.
async fn is_silent(stream: &TcpStream) -> bool {
    let mut byte = [0; 1];
    tokio::task::yield_now().await;
    matches!(stream.try_read(&mut byte), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test]
async fn a_cut_closes_connections_and_new_ones_until_it_is_healed() {
    let (proxy, _serving) = echo().await;
    let mut stream = connect(&proxy).await;
    exchange(&mut stream).await.unwrap();
    assert_eq!(proxy.connections(), 1);
    assert_eq!(proxy.passed(Direction::ToTarget), WORD.len() as u64);

    proxy.cut();
    assert!(receive(&mut stream).await.is_err());
    assert!(exchange(&mut connect(&proxy).await).await.is_err());
    proxy.heal();
    exchange(&mut connect(&proxy).await).await.unwrap();
    // A cut that is healed at once has still closed what there was.
    let mut stream = connect(&proxy).await;
    exchange(&mut stream).await.unwrap();
    proxy.cut();
    proxy.heal();
    assert!(receive(&mut stream).await.is_err());
}

#[tokio::test]
async fn what_was_held_arrives_when_the_way_opens() {
    for direction in Direction::BOTH {
        let (proxy, _serving) = echo().await;
        let mut stream = connect(&proxy).await;
        exchange(&mut stream).await.unwrap();
        proxy.hold(&[direction]);
        stream.write_all(WORD).await.unwrap();
        if direction == Direction::ToClient {
            wait::until("the word reaches the server", async || {
                match proxy.passed(Direction::ToTarget) {
                    passed if passed == 2 * WORD.len() as u64 => Ok(()),
                    passed => Err(format!("{passed} bytes have")),
                }
            })
            .await;
        }
        assert!(is_silent(&stream).await);
        proxy.heal();
        receive(&mut stream).await.unwrap();
        exchange(&mut stream).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_lost_bytes_is_closed_when_the_way_opens() {
    let (proxy, _serving) = echo().await;
    let (mut loses, mut idle) = (connect(&proxy).await, connect(&proxy).await);
    exchange(&mut loses).await.unwrap();
    exchange(&mut idle).await.unwrap();
    proxy.swallow(&[Direction::ToTarget]);
    // More than all buffers take: it has been read by somebody.
    let flood = vec![0; 16 << 20];
    wait::within("everything is swallowed", loses.write_all(&flood))
        .await
        .unwrap();
    proxy.heal();
    assert!(receive(&mut loses).await.is_err());
    exchange(&mut idle).await.unwrap();
}

#[tokio::test]
async fn bytes_come_late_and_slowly_and_in_order() {
    const LATE: Duration = Duration::from_millis(50);
    let (proxy, _serving) = echo().await;
    let mut stream = connect(&proxy).await;
    proxy.delay(LATE);
    let start = Instant::now();
    exchange(&mut stream).await.unwrap();
    assert!(start.elapsed() >= 2 * LATE, "there and back");

    proxy.heal();
    proxy.throttle(100 * CHUNK_BYTES as u64);
    let start = Instant::now();
    let sent: Vec<u8> = (0..10 * CHUNK_BYTES).map(|at| (at / 7) as u8).collect();
    let mut back = vec![0; sent.len()];
    let (mut from, mut to) = stream.split();
    let (wrote, read) = tokio::join!(to.write_all(&sent), from.read_exact(&mut back));
    wrote.unwrap();
    read.unwrap();
    assert_eq!(back, sent);
    // The last chunk is waited for by nobody, whatever its size.
    assert!(
        start.elapsed() >= Duration::from_millis(80),
        "{:?}",
        start.elapsed()
    );
}
