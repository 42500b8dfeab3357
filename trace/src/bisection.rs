//! Finds the first of a row of messages from which on something holds, by halving the
//! range of sequences in which they stand. A machine: it asks for the last message
//! before a sequence, and never awaits.
//!
//! Owns the range. Each answer halves it, so a range of a billion takes thirty.

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bisection {
    /// A message for which it does not hold.
    low: u64,
    /// There is no message behind `low` up to here.
    floor: u64,
    /// A message for which it holds.
    high: u64,
}

impl Bisection {
    /// It does not hold for the message at `low`, and does for the one at `high`.
    pub fn new(low: u64, high: u64) -> Self {
        Self {
            low,
            floor: low,
            high: high.max(low + 1),
        }
    }

    /// The next question: which is the last message before this sequence? `None`: done.
    pub fn question(&self) -> Option<u64> {
        let width = self.high - self.floor;
        (width > 1).then(|| self.floor + width / 2 + 1)
    }

    /// The answer to a question: the message before it, or none that was not known.
    /// `holds` is asked for a new one alone.
    pub fn is_known(&self, answer: Option<u64>) -> bool {
        answer.is_none_or(|seq| seq <= self.floor)
    }

    /// Takes an answer that is known: nothing stands there.
    pub fn nothing(&mut self, question: u64) {
        self.floor = self.floor.max(question - 1);
    }

    /// Takes a new message, and whether it holds for it.
    pub fn found(&mut self, question: u64, seq: u64, holds: bool) {
        if holds {
            self.high = seq;
        } else {
            self.low = seq;
            self.floor = question - 1;
        }
    }

    /// The first message for which it holds, and the one before it.
    pub fn end(&self) -> (u64, u64) {
        (self.high, self.low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks for the first of these at or behind `from`; how many questions it took.
    fn look(row: &[u64], from: u64) -> ((u64, u64), usize) {
        let mut bisection = Bisection::new(row[0], row[row.len() - 1]);
        let mut questions = 0;
        while let Some(question) = bisection.question() {
            questions += 1;
            assert!(questions <= 64, "{bisection:?}");
            let answer = row.iter().copied().filter(|seq| *seq < question).max();
            match answer.filter(|_| !bisection.is_known(answer)) {
                None => bisection.nothing(question),
                Some(seq) => bisection.found(question, seq, seq >= from),
            }
        }
        (bisection.end(), questions)
    }

    #[test]
    fn the_first_that_holds_is_found_wherever_it_is() {
        let row = [3, 4, 9, 10, 11, 500, 100_000, 100_001, 70_000_000];
        for (index, seq) in row.iter().enumerate().skip(1) {
            let ((first, before), questions) = look(&row, *seq);
            assert_eq!((first, before), (*seq, row[index - 1]));
            assert!(questions <= 27, "{questions} for {seq}");
        }
    }

    #[test]
    fn two_that_stand_side_by_side_need_no_question() {
        assert_eq!(look(&[7, 8], 8), ((8, 7), 0));
    }
}
