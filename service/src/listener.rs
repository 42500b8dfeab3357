//! Health and metrics of a process, on a listener of their own: what load balancers
//! and Prometheus ask is never open to clients.
//!
//! Owns the listener's task. What a service waits for is read at each request from
//! the function that it hands in.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::shutdown::Shutdown;
use crate::telemetry;

/// Connections at a time: a few probes and scrapes. Policy: more are closed at once.
const CONNECTIONS_MAX: usize = 64;
/// How long a request's head may take: probes are on the same network.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a request's head; hyper's least.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Wait after a failed accept: the system is out of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// Where health and metrics are unless settings say otherwise: a free port, logged.
pub const ADDR_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// What a service waits for before it should get traffic, in words; none: it is ready.
pub type Waiting = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Serves `/healthz` (200 while the process answers), `/readyz` (200, or 503 with what
/// is waited for, a line each) and `/metrics` (Prometheus text of the process) until
/// the shutdown. Returns the address at once.
///
/// # Errors
/// The system's, if the address cannot be bound.
pub async fn serve(
    addr: SocketAddr,
    waiting: Waiting,
    stop: Shutdown,
) -> std::io::Result<SocketAddr> {
    telemetry::metrics_handle();
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    tokio::spawn(accept(listener, waiting, stop));
    Ok(addr)
}

async fn accept(listener: TcpListener, waiting: Waiting, stop: Shutdown) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Both branches are cancel safe: a connection that was not taken stays queued.
        let accepted = tokio::select! {
            () = stop.triggered() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            metrics::counter!("health_connections_refused_total").increment(1);
            continue;
        };
        let (waiting, stop) = (waiting.clone(), stop.clone());
        tokio::spawn(async move {
            // Cancel safe: at the end of the process open probes are dropped.
            tokio::select! {
                () = stop.triggered() => {}
                () = connection(stream, waiting) => {}
            }
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, waiting: Waiting) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), &waiting);
        async move { Ok::<_, Infallible>(response) }
    });
    // An error is the peer's: it broke off, was too slow, or did not speak HTTP.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn answer(method: &Method, path: &str, waiting: &Waiting) -> Response<String> {
    if method != Method::GET && method != Method::HEAD {
        return text(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET is served here\n".into(),
        );
    }
    match path {
        "/healthz" => text(StatusCode::OK, "ok\n".into()),
        "/readyz" => {
            let reasons = waiting();
            match reasons.is_empty() {
                true => text(StatusCode::OK, "ready\n".into()),
                false => text(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"),
            }
        }
        "/metrics" => text(StatusCode::OK, telemetry::metrics_handle().render()),
        _ => text(
            StatusCode::NOT_FOUND,
            "/healthz, /readyz and /metrics are served here\n".into(),
        ),
    }
}

fn text(status: StatusCode, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(addr: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_says_what_it_waits_for() {
        let reasons = Arc::new(Mutex::new(vec!["not connected to nats".to_owned()]));
        let read = reasons.clone();
        let stop = Shutdown::new();
        let waiting: Waiting = Arc::new(move || read.lock().clone());
        let addr = serve(ADDR_DEFAULT, waiting, stop.clone()).await.unwrap();
        assert!(get(addr, "/healthz").await.starts_with("HTTP/1.1 200"));
        let unready = get(addr, "/readyz").await;
        assert!(unready.starts_with("HTTP/1.1 503"), "{unready}");
        assert!(
            unready.ends_with("\r\n\r\nnot connected to nats\n"),
            "{unready}"
        );
        reasons.lock().clear();
        assert!(get(addr, "/readyz").await.starts_with("HTTP/1.1 200"));
        metrics::counter!("listener_test_total").increment(1);
        assert!(
            get(addr, "/metrics")
                .await
                .contains("listener_test_total 1")
        );
        assert!(get(addr, "/v1/ws").await.starts_with("HTTP/1.1 404"));
        stop.trigger();
    }
}
