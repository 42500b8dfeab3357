//! The edge's core sees no transport: what a session, a publish or a replay does holds
//! for whatever carries it, and can be tried without a socket.

use super::tree;

/// What the core must not name, outside its comments.
const FORBIDDEN: [&str; 9] = [
    "axum",
    "hyper",
    "tungstenite",
    "tokio::net",
    "TcpStream",
    "crate::http",
    "crate::node",
    "crate::server",
    "crate::ws",
];

/// Lines of a source that name something forbidden.
fn seen(text: &str) -> Vec<&str> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.filter(|line| FORBIDDEN.iter().any(|name| line.contains(name)))
        .collect()
}

#[test]
fn the_core_of_the_edge_names_no_transport() {
    let core = tree::root().join("edge/src/core");
    let files: Vec<_> = tree::files("rs")
        .into_iter()
        .filter(|path| path.starts_with(&core))
        .collect();
    assert!(files.len() > 20, "the files of the core are found");
    for path in files {
        let text = tree::read(&path);
        let seen = seen(&text);
        assert!(seen.is_empty(), "{}: {seen:?}", tree::short(&path));
    }
}

#[test]
fn a_transport_in_the_core_is_found() {
    let text =
        "//! No axum here.\nuse tokio::net::TcpStream;\nuse crate::ws::frame;\nuse bytes::Bytes;\n";
    assert_eq!(
        seen(text),
        ["use tokio::net::TcpStream;", "use crate::ws::frame;"]
    );
}
