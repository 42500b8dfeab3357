//! Which partition a record goes to: murmur2 of the key, as the Java client and
//! `partitioner=murmur2_random` of librdkafka do it. Pure.
//!
//! The bridge computes it, rather than the producer, against the number of
//! partitions that the progress record holds: a topic that somebody widens cannot
//! silently split a channel's order between two partitions.

/// Seed of the Java client.
const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;

/// The partition of a record. One without a key goes by its sequence: any
/// partition will do, and a second attempt takes the same one.
///
/// # Panics
/// If `partitions` is not positive.
pub(crate) fn partition(key: Option<&[u8]>, seq: u64, partitions: i32) -> i32 {
    let count = u32::try_from(partitions).expect("a topic has a positive number of partitions");
    let hash = match key {
        Some(key) => murmur2(key) & 0x7fff_ffff,
        None => (seq % u64::from(count)) as u32,
    };
    (hash % count).cast_signed()
}

fn murmur2(data: &[u8]) -> u32 {
    let mut hash = SEED ^ data.len() as u32;
    let (blocks, rest) = data.as_chunks::<4>();
    for block in blocks {
        let mut k = u32::from_le_bytes(*block).wrapping_mul(MULTIPLIER);
        k ^= k >> 24;
        hash = hash.wrapping_mul(MULTIPLIER) ^ k.wrapping_mul(MULTIPLIER);
    }
    for (at, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * at);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the Java client's own `UtilsTest`.
    #[test]
    fn hashes_are_those_of_the_java_client() {
        let vectors: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ];
        for (key, expected) in vectors {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key}");
        }
    }

    #[test]
    fn one_key_has_one_partition_and_no_key_goes_round() {
        let of = |key: &str| partition(Some(key.as_bytes()), 7, 6);
        assert_eq!(of("doc.1"), partition(Some(b"doc.1"), 8, 6));
        assert!(
            (0..1000)
                .map(|n| of(&format!("doc.{n}")))
                .all(|p| (0..6).contains(&p))
        );
        assert_eq!(
            (0..4)
                .map(|seq| partition(None, seq, 3))
                .collect::<Vec<_>>(),
            [0, 1, 2, 0]
        );
    }
}
