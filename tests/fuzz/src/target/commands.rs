//! What clients send over a WebSocket: every command that is read is written back equal,
//! and both encodings say the same.

use protocol::envelope::is_json;
use protocol::frame::{
    Command, Encoding, FRAMES_PER_MESSAGE_MAX, Payload, Unreadable, decode_commands, encode,
};
use rand::rngs::StdRng;
use rand::{Rng, RngCore};

use crate::frames::Generator;
use crate::meter;
use crate::property::{Kind, Target, bounded, same, told};

/// JSON.
pub const JSON: Target = Target {
    name: "commands-json",
    words: &[
        b"{\"id\":1,",
        b"\"publish\":{",
        b"\"subscribe\":{",
        b"\"history\":{",
        b"\"connect\":{",
        b"\"unsubscribe\":{",
        b"\"refresh\":{",
        b"\"ping\":{}",
        b"\"from\":",
        b"\"epoch\":\"9f86d081884c7d65\"",
        b"\"class\":\"ephemeral\"",
        b"\"data\":",
        b"\"headers\":{\"a\":\"b\"}",
        b"\"content_type\":\"text/plain\"",
        b"\"first_sent\":1",
        b"\\u0000",
        b"\\ud800",
        b"null",
        b"[[[[",
        b"}}",
    ],
    make: Some(|rng| made(rng, Encoding::Json)),
    check: |input| check(Encoding::Json, input),
};

/// MessagePack.
pub const MSGPACK: Target = Target {
    name: "commands-msgpack",
    words: &[
        b"\x82\xa2id\x01",
        b"\xa7publish\x83",
        b"\xa9subscribe\x81",
        b"\xa7history\x82",
        b"\xa4ping\x80",
        b"\xa4data\xc4\x01",
        b"\xa4from",
        b"\xc4\x00",
        b"\xc6\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\x00\x00\xff\xff",
        b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xd9\x05",
        b"\xc0",
        b"\xc1",
        b"\x91\x91\x91\x91",
    ],
    make: Some(|rng| made(rng, Encoding::Msgpack)),
    check: |input| check(Encoding::Msgpack, input),
};

/// Bytes for each byte of a message: a short frame becomes a command with all its fields.
const BYTES_EACH: usize = 64;
/// Bytes in any case: the complaints about as many frames as a message may have.
const BYTES_BASE: usize = 512 * 1024;

fn made(rng: &mut StdRng, encoding: Encoding) -> Vec<u8> {
    let mut message = Generator::new(rng.next_u64(), encoding, "a.b.c").message();
    // Its deepest are for sockets; here they would only take time.
    message.truncate(crate::mutate::INPUT_BYTES_MAX);
    if rng.random_ratio(1, 8) {
        message.extend(Generator::new(rng.next_u64(), encoding, "a.b.c").message());
    }
    message
}

fn check(encoding: Encoding, input: &[u8]) -> Result<u64, String> {
    let decode = || decode_commands(encoding, input).collect::<Vec<_>>();
    let (commands, peak) = meter::peak(decode);
    bounded(peak, input, BYTES_EACH, BYTES_BASE)?;
    if commands.len() > FRAMES_PER_MESSAGE_MAX {
        return Err(format!("{} frames of one message", commands.len()));
    }
    same("read again", &commands, &decode())?;
    let mut kind = Kind::default();
    for command in &commands {
        match command {
            Ok(command) => {
                kind.add(&shape(command));
                written_back(encoding, command)?;
                in_the_other(encoding, command)?;
            }
            Err(Unreadable { id, error }) => {
                told(&error.to_string())?;
                kind.complain(&error.to_string());
                kind.add(if *id == 0 { "no id" } else { "id" });
            }
        }
    }
    kind.size(commands.len());
    Ok(kind.number())
}

/// Which fields a command has.
fn shape(command: &Command) -> String {
    let text = format!("{command:?}");
    // Names of fields and of variants, without what they hold.
    let words = text.split(|c: char| !c.is_ascii_alphabetic() && c != '_');
    let names = words.filter(|word| word.len() > 3);
    names.take(24).collect::<Vec<_>>().join(" ")
}

fn one(encoding: Encoding, bytes: &[u8]) -> Result<Command, String> {
    let mut list = decode_commands(encoding, bytes);
    match (list.next(), list.next()) {
        (Some(Ok(command)), None) => Ok(command),
        other => Err(format!(
            "a command is written as {bytes:?}, which is {other:?}"
        )),
    }
}

fn written_back(encoding: Encoding, command: &Command) -> Result<(), String> {
    let written = encode(encoding, command);
    same("written and read", &one(encoding, &written)?, command)
}

/// The command with its data as the other encoding has it; `None` if its data does not fit
/// its content type, which is found out later.
fn carried(command: &Command, to: Encoding) -> Option<Command> {
    let mut command = command.clone();
    if let Some(publish) = &mut command.publish {
        let is_json = is_json(publish.content_type.as_deref());
        let data = publish.data.clone().into_bytes(is_json)?;
        // JSON's white space around a value is no part of it.
        let data = match is_json {
            true => bytes::Bytes::copy_from_slice(trimmed(&data)),
            false => data,
        };
        publish.data = match to {
            Encoding::Json => Payload::for_json(&data, is_json),
            Encoding::Msgpack => Payload::Bytes(data),
        };
    }
    Some(command)
}

fn trimmed(json: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| b" \t\r\n".contains(byte);
    let from = json.iter().position(|byte| !is_space(byte));
    let to = json.iter().rposition(|byte| !is_space(byte));
    match (from, to) {
        (Some(from), Some(to)) => &json[from..=to],
        _ => &[],
    }
}

fn in_the_other(encoding: Encoding, command: &Command) -> Result<(), String> {
    let other = match encoding {
        Encoding::Json => Encoding::Msgpack,
        Encoding::Msgpack => Encoding::Json,
    };
    let Some(wanted) = carried(command, other) else {
        return Ok(());
    };
    let read = one(other, &encode(other, &wanted))?;
    same("in the other encoding", &read, &wanted)?;
    let back = carried(&read, encoding);
    same("and back", &back, &carried(command, encoding))
}
