//! What is left of an input that fails: pieces are taken out for as long as it still
//! does. Pure.

/// Attempts at most: the shortest is not needed, a short one is.
const ATTEMPTS_MAX: usize = 2_000;

/// A shorter input that still fails.
pub fn shrunk(input: &[u8], fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut best = input.to_vec();
    let (mut piece, mut attempts) = (best.len().div_ceil(2), 0);
    while piece > 0 {
        let mut at = 0;
        while at < best.len() && attempts < ATTEMPTS_MAX {
            attempts += 1;
            let end = (at + piece).min(best.len());
            let shorter = [&best[..at], &best[end..]].concat();
            match fails(&shorter) {
                true => best = shorter,
                false => at = end,
            }
        }
        piece /= 2;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_makes_it_fail_is_left() {
        let input = b"some text with an x and then a y, and more of it";
        let fails = |input: &[u8]| input.contains(&b'x') && input.contains(&b'y');
        assert_eq!(shrunk(input, fails), b"xy");
        assert_eq!(shrunk(b"", |_| true), b"");
    }
}
