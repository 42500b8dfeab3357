//! Where an edge node is, out of what a user writes. Pure.

use super::error::ClientError;

/// Path of the WebSocket on an edge node.
const PATH: &str = "/v1/ws";

/// Where an edge node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// The URL of its WebSocket.
    pub url: String,
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
}

impl Address {
    /// Reads `host:port`, or a URL of the scheme `ws`, `wss`, `http` or `https`, whose port
    /// and path may be left out.
    ///
    /// # Errors
    /// [`ClientError::Address`].
    pub(super) fn parse(text: &str) -> Result<Self, ClientError> {
        let wrong = || ClientError::Address {
            address: text.to_owned(),
        };
        let (tls, usual_port, rest) = match text.split_once("://") {
            Some(("ws" | "http", rest)) => (false, Some(80), rest),
            Some(("wss" | "https", rest)) => (true, Some(443), rest),
            Some(_) => return Err(wrong()),
            None => (false, None, text),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (name, port) = match authority.rsplit_once(':') {
            // A colon in brackets belongs to an address of IPv6.
            Some((name, port)) if !port.ends_with(']') => {
                (name, port.parse().map_err(|_| wrong())?)
            }
            _ => (authority, usual_port.ok_or_else(wrong)?),
        };
        let bracketed = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let host = bracketed.unwrap_or(name);
        if host.is_empty() || name.contains('@') || (bracketed.is_none() && name.contains(':')) {
            return Err(wrong());
        }
        let scheme = if tls { "wss" } else { "ws" };
        let path = match path {
            "" => PATH.to_owned(),
            path => format!("/{path}"),
        };
        Ok(Self {
            url: format!("{scheme}://{name}:{port}{path}"),
            host: host.to_owned(),
            port,
            tls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_urls_or_errors() {
        let check = |text: &str, expected: Option<&str>| {
            let address = Address::parse(text).ok();
            assert_eq!(address.map(|it| it.url).as_deref(), expected, "{text}");
        };
        check("127.0.0.1:8001", Some("ws://127.0.0.1:8001/v1/ws"));
        check("ws://edge:80", Some("ws://edge:80/v1/ws"));
        check("ws://edge:80/", Some("ws://edge:80/v1/ws"));
        check("ws://edge", Some("ws://edge:80/v1/ws"));
        check("http://edge:80/other/ws", Some("ws://edge:80/other/ws"));
        check("wss://edge:8443", Some("wss://edge:8443/v1/ws"));
        check("https://edge", Some("wss://edge:443/v1/ws"));
        check("[::1]:8001", Some("ws://[::1]:8001/v1/ws"));
        check(
            "wss://[2001:db8::1]/v1/ws",
            Some("wss://[2001:db8::1]:443/v1/ws"),
        );
        for wrong in [
            "edge",
            ":80",
            "edge:port",
            "ftp://edge:80",
            "::1:80",
            "wss://",
            "ws://a@b:1",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn names_are_looked_up_without_brackets() {
        let address = Address::parse("wss://[::1]:8443").unwrap();
        assert_eq!((address.host.as_str(), address.port), ("::1", 8443));
        assert!(address.tls && !Address::parse("edge:1").unwrap().tls);
    }
}
