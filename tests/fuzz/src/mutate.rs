//! Damages an input: bits, bytes, pieces, numbers, words that mean something where it is
//! read, and parts of other inputs.
//!
//! Owns nothing; everything follows from the random numbers that it is given.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Longest input, bytes. What is repeated grows quickly, and no reader takes more.
pub const INPUT_BYTES_MAX: usize = 16 * 1024;
/// Most changes of one input at a time.
const CHANGES_MAX: u32 = 6;
/// Longest piece that is taken out, doubled or put in, bytes.
const PIECE_BYTES_MAX: usize = 64;

/// Numbers at which something turns.
const NUMBERS: [&str; 14] = [
    "0",
    "-0",
    "1",
    "-1",
    "255",
    "256",
    "65535",
    "65536",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "1e400",
    "1.5",
    "00",
];

/// Another input, made of one or two.
pub fn mutated(rng: &mut StdRng, input: &[u8], other: &[u8], words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..rng.random_range(1..=CHANGES_MAX) {
        change(rng, &mut bytes, other, words);
    }
    bytes.truncate(INPUT_BYTES_MAX);
    bytes
}

fn change(rng: &mut StdRng, bytes: &mut Vec<u8>, other: &[u8], words: &[&[u8]]) {
    let at = rng.random_range(0..=bytes.len());
    match rng.random_range(0..12) {
        0 => flip(rng, bytes),
        1 => overwrite(bytes, at, &[rng.random()]),
        2 => insert(bytes, at, &[rng.random()]),
        3 => {
            let piece = piece(rng, bytes).to_vec();
            insert(bytes, at, &piece.repeat(rng.random_range(1..4)));
        }
        4 => remove(rng, bytes),
        5 => bytes.truncate(at),
        6 => insert(bytes, at, piece(rng, other)),
        7 => {
            // The head of this one, the tail of the other.
            bytes.truncate(at);
            bytes.extend_from_slice(&other[rng.random_range(0..=other.len())..]);
        }
        8 => replace_number(rng, bytes),
        9 => {
            let length: u32 = rng.random_range(1..=4);
            let number: u64 = [0, 1, u64::MAX, 1 << 31, 1 << 15, 0x80][rng.random_range(0..6)];
            let number = number.to_be_bytes();
            overwrite(bytes, at, &number[8 - 2_usize.pow(length - 1).min(8)..]);
        }
        _ => {
            if let Some(word) = words.choose(rng) {
                match rng.random_bool(0.5) {
                    true => insert(bytes, at, word),
                    false => overwrite(bytes, at, word),
                }
            }
        }
    }
}

fn flip(rng: &mut StdRng, bytes: &mut [u8]) {
    if !bytes.is_empty() {
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    if bytes.len() + piece.len() <= INPUT_BYTES_MAX {
        bytes.splice(at..at, piece.iter().copied());
    }
}

/// Puts a piece in the place of what is there, and behind the end.
fn overwrite(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    let end = bytes.len().min(at + piece.len());
    bytes.splice(at..end, piece.iter().copied());
}

/// Some part of an input.
fn piece<'a>(rng: &mut StdRng, bytes: &'a [u8]) -> &'a [u8] {
    let from = rng.random_range(0..=bytes.len());
    let most = (bytes.len() - from).min(PIECE_BYTES_MAX);
    &bytes[from..from + rng.random_range(0..=most)]
}

fn remove(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    let from = rng.random_range(0..=bytes.len());
    let most = (bytes.len() - from).min(PIECE_BYTES_MAX);
    bytes.drain(from..from + rng.random_range(0..=most));
}

/// Puts another number in the place of a run of digits.
fn replace_number(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|at| is_digit(&bytes[*at]) && (*at == 0 || !is_digit(&bytes[at - 1])))
        .collect();
    let Some(start) = starts.choose(rng) else {
        return;
    };
    let length = bytes[*start..]
        .iter()
        .take_while(|byte| is_digit(byte))
        .count();
    let number = NUMBERS[rng.random_range(0..NUMBERS.len())].bytes();
    bytes.splice(*start..start + length, number);
}
