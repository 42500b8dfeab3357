//! Header blocks as bytes, as `STREAM.MSG.GET` returns them.
//!
//! The only way to read what some other program has stored with headers that async-nats
//! cannot parse: on every other way such a message breaks the connection that it comes
//! over. What can be read is read by async-nats's own rules, so that an event is the
//! same however it was read; a header that cannot be read is left out. Owns no state.

use protocol::header::Headers;

/// How a block begins that is no status of the server.
const VERSION: &[u8] = b"NATS/1.0";

/// What was read of a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// What can be read, in the order of names, without `Nats-*`.
    pub headers: Headers,
    /// Whether async-nats could have read it, as the event that it is.
    pub readable: bool,
}

/// Reads a block; an empty one is that of a message without headers.
pub(super) fn read(block: &[u8]) -> Block {
    let mut lines = block
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let version = lines.next().and_then(|line| line.strip_prefix(VERSION));
    let mut readable = block.is_empty() || version.is_some_and(|rest| rest.trim_ascii().is_empty());
    let mut found: Vec<(&str, String)> = Vec::new();
    // Whether the header that a further line would belong to is left out.
    let mut left_out = true;
    for line in lines.filter(|line| !line.is_empty()) {
        let text = std::str::from_utf8(line).ok();
        if line.starts_with(b" ") || text.is_some_and(|text| text.starts_with(char::is_whitespace))
        {
            match (text, found.last_mut(), left_out) {
                (Some(text), Some((_, value)), false) => value.push_str(text),
                (None, Some(_), false) => {
                    found.pop();
                    (left_out, readable) = (true, false);
                }
                _ => readable = false,
            }
            continue;
        }
        let header = text.and_then(|text| text.split_once(':'));
        let header = header.filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_graphic()));
        left_out = header.is_none();
        readable &= !left_out;
        found.extend(header.map(|(name, value)| (name, value.trim_start().to_owned())));
    }
    found.sort_by_key(|(name, _)| *name);
    let mut headers = Headers::new();
    for (name, value) in &found {
        headers.push_read(name, value.trim_end());
    }
    Block { headers, readable }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(block: &[u8], readable: bool, headers: &[(&str, &str)]) {
        let read = read(block);
        let found: Vec<_> = read.headers.iter().collect();
        assert_eq!(
            (found.as_slice(), read.readable),
            (headers, readable),
            "{}",
            block.escape_ascii()
        );
    }

    #[test]
    fn what_can_be_read_is_read() {
        check(b"", true, &[]);
        check(b"NATS/1.0\r\n\r\n", true, &[]);
        check(
            b"NATS/1.0\r\nb:  2 \r\na: 1\r\nNats-Msg-Id: x\r\n\r\n",
            true,
            &[("a", "1"), ("b", "2")],
        );
        check(b"NATS/1.0\r\na: 1\r\n  2\r\n\r\n", true, &[("a", "1  2")]);
        check(
            b"NATS/1.0\r\na: 1\r\nbad: caf\xe9\r\nc: 3\r\n\r\n",
            false,
            &[("a", "1"), ("c", "3")],
        );
        check(
            b"NATS/1.0\r\nbad: caf\xe9\r\n more\r\nc: 3\r\n\r\n",
            false,
            &[("c", "3")],
        );
        check(
            b"NATS/1.0\r\na: 1\r\n caf\xe9\r\n more\r\nc: 3\r\n\r\n",
            false,
            &[("c", "3")],
        );
        check(
            b"NATS/1.0\r\na b: 1\r\nno colon\r\nc: 3\r\n\r\n",
            false,
            &[("c", "3")],
        );
        check(b"NATS/1.0\r\n a: 1\r\nc: 3\r\n\r\n", false, &[("c", "3")]);
        // Read as a status of the server, which it is not.
        check(b"NATS/1.0 503\r\nc: 3\r\n\r\n", false, &[("c", "3")]);
        check(b"c: 3\r\n\r\n", false, &[]);
    }

    proptest! {
        #[test]
        fn any_block_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(&bytes);
            let mut block = b"NATS/1.0\r\n".to_vec();
            block.extend(bytes);
            let _ = read(&block);
        }
    }
}
