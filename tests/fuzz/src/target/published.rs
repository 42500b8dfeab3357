//! Bodies of `POST /v1/publish`: what is read as an event is the same event in a frame of
//! a WebSocket, and each of a list stands for itself.

use edge::strangers::{Named, published};
use protocol::error_code::ErrorCode;
use protocol::frame::{Action, Command, Encoding, FRAMES_PER_MESSAGE_MAX, decode_commands, encode};
use protocol::name::ClientId;

use crate::meter;
use crate::property::{Kind, Target, bounded, refused, same};

/// A body.
pub const PUBLISHED: Target = Target {
    name: "published",
    words: &[
        b"{\"channel\":\"chat.a\",\"data\":1}",
        b"\"client\":\"c1\",\"n\":7",
        b"\"class\":\"ephemeral\"",
        b"\"headers\":{\"a\":\"b\"}",
        b"\"content_type\":\"text/plain\"",
        b"\"first_sent\":1",
        b",{",
        b"[",
        b"]",
        b"null",
        b"\"_key-1\"",
    ],
    make: None,
    check,
};

/// What such an input may be refused with.
const CODES: [ErrorCode; 2] = [ErrorCode::BadFrame, ErrorCode::BadClient];
/// Bytes for each byte of a body, and in any case.
const BYTES_EACH: usize = 64;
const BYTES_BASE: usize = 64 * 1024;

fn check(input: &[u8]) -> Result<u64, String> {
    let mut kind = Kind::default();
    for key in [None, Some("order-17")] {
        let read = || published(input, key, FRAMES_PER_MESSAGE_MAX);
        let (events, peak) = meter::peak(read);
        bounded(peak, input, BYTES_EACH, BYTES_BASE)?;
        match events {
            Ok((events, is_list)) => {
                kind.add(if is_list { "list" } else { "one" });
                if events.is_empty() || events.len() > FRAMES_PER_MESSAGE_MAX {
                    return Err(format!("{} events", events.len()));
                }
                for (place, event) in (0..).zip(&events) {
                    match event {
                        Ok(event) => as_a_frame(event, key.map(|key| (key, place)), &mut kind)?,
                        Err(error) => refused(error, &CODES, &mut kind)?,
                    }
                }
            }
            Err(error) => refused(&error, &CODES, &mut kind)?,
        }
    }
    Ok(kind.number())
}

fn as_a_frame(
    (client, publish): &Named,
    keyed: Option<(&str, u64)>,
    kind: &mut Kind,
) -> Result<(), String> {
    match keyed {
        Some((key, place)) => {
            same("the key's writer", client, &ClientId::of_key(key))?;
            same("the place", &publish.n, &place)?;
        }
        None => {
            let own = ClientId::for_client(client.as_str());
            same("a client's name", &own.ok().as_ref(), &Some(client))?;
        }
    }
    let command = Command::new(1, Action::Publish(publish.clone()));
    let written = encode(Encoding::Json, &command);
    let read: Vec<_> = decode_commands(Encoding::Json, &written).collect();
    same("the same in a frame", &read, &vec![Ok(command)])?;
    kind.add(if publish.content_type.is_some() {
        "typed"
    } else {
        ""
    });
    kind.add(if publish.first_sent.is_some() {
        "again"
    } else {
        ""
    });
    kind.size(publish.headers.len());
    Ok(())
}
