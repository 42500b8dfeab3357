use proptest::prelude::*;

use super::*;

const V4: [u8; 12] = [203, 0, 113, 7, 192, 0, 2, 1, 0x30, 0x39, 0x01, 0xbb];
const CLIENT_V4: &str = "203.0.113.7";
const CLIENT_V6: &str = "2001:db8::7";

fn header(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = (rest.len() as u16).to_be_bytes();
    let fixed = [version_and_command, family, length[0], length[1]];
    [SIGNATURE.as_slice(), &fixed, rest].concat()
}

fn v6() -> Vec<u8> {
    let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    let (client, node) = (address(CLIENT_V6), address("2001:db8::1"));
    [client.as_slice(), &node, &[1, 2, 3, 4]].concat()
}

fn client(text: &str) -> Result<Progress, HeaderFault> {
    Ok(Progress::Client(text.parse().unwrap()))
}

/// Reads as a connection does: never more than is asked for.
fn drive(bytes: &[u8]) -> (Result<Progress, HeaderFault>, usize) {
    let mut have = 0;
    loop {
        match read(&bytes[..have]) {
            Ok(Progress::More(needed)) if bytes.len() > have => {
                assert!(needed > have && needed <= HEADER_BYTES_MAX, "{needed}");
                // The slowest of all peers.
                have += 1;
            }
            outcome => return (outcome, have),
        }
    }
}

#[test]
fn what_the_specification_allows_is_read() {
    let unix = [0; 216];
    let more = |rest: &[u8]| [rest, &[0x20, 0, 1, 9, 0x04, 0, 0]].concat();
    let proxy = Ok(Progress::Proxy);
    for (bytes, expected) in [
        (header(0x21, 0x11, &V4), client(CLIENT_V4)),
        (header(0x21, 0x12, &V4), client(CLIENT_V4)),
        (header(0x21, 0x21, &v6()), client(CLIENT_V6)),
        (header(0x21, 0x22, &v6()), client(CLIENT_V6)),
        // What follows the addresses is skipped.
        (header(0x21, 0x11, &more(&V4)), client(CLIENT_V4)),
        (header(0x21, 0x21, &more(&v6())), client(CLIENT_V6)),
        (header(0x21, 0x11, &more(&V4[..])), client(CLIENT_V4)),
        // Nobody is named.
        (header(0x21, 0x00, &[]), proxy),
        (header(0x21, 0x00, &V4), proxy),
        (header(0x21, 0x10, &V4), proxy),
        (header(0x21, 0x01, &V4), proxy),
        (header(0x21, 0x31, &unix), proxy),
        (header(0x21, 0x32, &unix), proxy),
        // The proxy's own connection: whatever stands there is ignored.
        (header(0x20, 0x00, &[]), proxy),
        (header(0x20, 0x11, &V4), proxy),
        (header(0x20, 0xff, &[1, 2, 3]), proxy),
    ] {
        let whole = bytes.len();
        // What follows the header is left alone.
        let followed = [bytes.as_slice(), b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(drive(&followed), (expected, whole), "{bytes:02x?}");
        assert_eq!(read(&bytes), expected, "{bytes:02x?}");
    }
}

#[test]
fn what_it_forbids_is_refused_as_soon_as_it_is_seen() {
    let mut damaged = header(0x21, 0x11, &V4);
    damaged[11] = b'\r';
    for (bytes, expected, seen) in [
        (
            b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2\r\n".to_vec(),
            HeaderFault::Version(1),
            5,
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), HeaderFault::Version(1), 5),
        (b"POST / HTTP/1.1\r\n".to_vec(), HeaderFault::Absent, 2),
        (b"GET / HTTP/1.1\r\n".to_vec(), HeaderFault::Absent, 1),
        (b"\x16\x03\x01\x02\x00".to_vec(), HeaderFault::Absent, 1),
        (damaged, HeaderFault::Absent, 12),
        (header(0x11, 0x11, &V4), HeaderFault::Version(1), 16),
        (header(0x31, 0x11, &V4), HeaderFault::Version(3), 16),
        (header(0x22, 0x11, &V4), HeaderFault::Command(2), 16),
        (header(0x2f, 0x11, &V4), HeaderFault::Command(15), 16),
        (header(0x21, 0x41, &V4), HeaderFault::Family(0x41), 16),
        (header(0x21, 0x13, &V4), HeaderFault::Family(0x13), 16),
        (header(0x21, 0x11, &V4[..11]), HeaderFault::TooShort(27), 16),
        (header(0x21, 0x21, &V4), HeaderFault::TooShort(28), 16),
    ] {
        assert_eq!(drive(&bytes), (Err(expected), seen), "{bytes:02x?}");
    }
}

#[test]
fn headers_within_and_beyond_their_limit() {
    let mut rest = V4.to_vec();
    rest.resize(HEADER_BYTES_MAX - FIXED_BYTES, 4);
    assert_eq!(read(&header(0x21, 0x11, &rest)), client(CLIENT_V4));
    rest.push(4);
    for command in [0x20, 0x21] {
        let long = header(command, 0x11, &rest);
        let refused = Err(HeaderFault::TooLong(HEADER_BYTES_MAX + 1));
        // It is not waited for.
        assert_eq!(drive(&long), (refused, FIXED_BYTES));
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_refused_or_ends_where_it_says(
        version_and_command in prop_oneof![3 => Just(0x21_u8), 1 => any::<u8>()],
        family in prop_oneof![3 => Just(0x11_u8), 3 => Just(0x21_u8), 1 => any::<u8>()],
        rest in proptest::collection::vec(any::<u8>(), 0..80),
        behind in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let bytes = header(version_and_command, family, &rest);
        let (outcome, taken) = drive(&[bytes.as_slice(), &behind].concat());
        match outcome {
            Ok(Progress::More(_)) => prop_assert!(false, "it has everything"),
            Ok(Progress::Client(IpAddr::V4(client))) => {
                prop_assert!(rest.starts_with(&client.octets()));
                prop_assert_eq!((family >> 4, taken), (1, bytes.len()));
            }
            Ok(Progress::Client(IpAddr::V6(client))) => {
                prop_assert!(rest.starts_with(&client.octets()));
                prop_assert_eq!((family >> 4, taken), (2, bytes.len()));
            }
            Ok(Progress::Proxy) => prop_assert_eq!(taken, bytes.len()),
            Err(_) => prop_assert!(taken <= FIXED_BYTES),
        }
    }

    #[test]
    fn bytes_of_any_kind_are_decided_on_or_need_more(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        match read(&bytes) {
            Ok(Progress::More(needed)) => prop_assert!(needed > bytes.len()),
            Ok(_) => prop_assert!(bytes.starts_with(SIGNATURE)),
            Err(fault) => prop_assert!(!fault.reason().is_empty()),
        }
    }
}
