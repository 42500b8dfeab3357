//! What nodes send, as clients read it: whatever a broken node or somebody in between
//! makes of it is frames, or one complaint.

use protocol::frame::{Encoding, decode_from_server};

use crate::meter;
use crate::property::{Kind, Target, bounded, told};

/// Frames of a node, in either encoding: the first byte says which.
pub const SERVER: Target = Target {
    name: "server",
    words: &[
        b"{\"event\":{",
        b"\"gap\":{",
        b"\"id\":4,\"error\":{\"code\":\"unavailable\"",
        b"\"caught_up\":",
        b"\"seq\":18446744073709551615",
        b"\"dropped\":{\"channel\":\"a\",\"count\":1}",
        b"\x81\xa5event\x86",
        b"\xdf\xff\xff\xff\xff",
    ],
    make: None,
    check,
};

/// Bytes for each byte of a message, and in any case.
const BYTES_EACH: usize = 64;
const BYTES_BASE: usize = 64 * 1024;

fn check(input: &[u8]) -> Result<u64, String> {
    let (first, message) = input.split_first().unwrap_or((&b'{', &[]));
    let encoding = match first {
        b'm' => Encoding::Msgpack,
        _ => Encoding::Json,
    };
    let decode = || decode_from_server(encoding, message);
    let ((frames, error), peak) = meter::peak(decode);
    bounded(peak, input, BYTES_EACH, BYTES_BASE)?;
    let mut kind = Kind::default();
    for frame in &frames {
        let text = format!("{frame:?}");
        let told = text.split(", ").filter(|field| !field.ends_with("None"));
        let names = told.filter_map(|field| field.split(':').next());
        kind.add(&names.take(8).collect::<Vec<_>>().join(" "));
    }
    if let Some(error) = error {
        told(&error.to_string())?;
        kind.complain(&error.to_string());
    }
    kind.size(frames.len());
    Ok(kind.number())
}
