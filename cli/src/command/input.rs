//! Standard input as lines: each is handed on with its number, one that cannot be used
//! too, as what is wrong with it.
//!
//! Owns what has been read of a line that is not whole yet. Must not know what lines
//! are for.

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Longest line, in bytes: what is longer no node takes, and it would be held in memory.
pub(super) const LINE_BYTES_MAX: usize = 4 << 20;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number, from 1 on.
    pub number: u64,
    /// Its bytes without the end, or why they are not given.
    pub bytes: Result<Vec<u8>, LineFault>,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineFault {
    /// It is longer than [`LINE_BYTES_MAX`]; nothing of it is kept.
    #[error("it is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
}

/// Reads lines.
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
    line: Vec<u8>,
    too_long: bool,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// Lines of a reader, from its start.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            number: 0,
            line: Vec::new(),
            too_long: false,
        }
    }

    /// The next line; `None` at the end. Cancel safe: what was read stays here.
    ///
    /// # Errors
    /// The reader's.
    pub async fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            let read = self.reader.fill_buf().await?;
            if read.is_empty() {
                let begun = self.too_long || !self.line.is_empty();
                return Ok(begun.then(|| self.take()));
            }
            let end = read.iter().position(|byte| *byte == b'\n');
            let part = &read[..end.unwrap_or(read.len())];
            if self.line.len() + part.len() > LINE_BYTES_MAX {
                self.too_long = true;
                self.line.clear();
            }
            if !self.too_long {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Ok(Some(self.take()));
            }
        }
    }

    fn take(&mut self) -> Line {
        self.number += 1;
        let mut bytes = std::mem::take(&mut self.line);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        Line {
            number: self.number,
            bytes: match std::mem::take(&mut self.too_long) {
                true => Err(LineFault::TooLong),
                false => Ok(bytes),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(input: &[u8]) -> Vec<Line> {
        // A buffer far smaller than a line, so that lines come in parts.
        let mut lines = Lines::new(tokio::io::BufReader::with_capacity(7, input));
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    fn line(number: u64, bytes: &[u8]) -> Line {
        Line {
            number,
            bytes: Ok(bytes.to_vec()),
        }
    }

    #[tokio::test]
    async fn every_line_has_its_number_whatever_its_bytes() {
        let read = lines(b"{\"a\":1}\ncaf\xe9\r\n\nlast one without an end").await;
        let last = line(4, b"last one without an end");
        let expected = [
            line(1, b"{\"a\":1}"),
            line(2, b"caf\xe9"),
            line(3, b""),
            last,
        ];
        assert_eq!(read, expected);
        assert_eq!(lines(b"").await, []);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_passed_over_and_told() {
        let mut input = vec![b'x'; LINE_BYTES_MAX];
        input.extend_from_slice(b"\n");
        input.extend_from_slice(&vec![b'y'; LINE_BYTES_MAX + 1]);
        input.extend_from_slice(b"\nz\n");
        let read = lines(&input).await;
        assert!(read[0].bytes.is_ok());
        assert_eq!(read[1].bytes, Err(LineFault::TooLong));
        assert_eq!(read[2], line(3, b"z"));
    }
}
