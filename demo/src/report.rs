//! What came of a demo: numbers, and whether everything held. Plain values and the
//! words for them; must not know where they are printed.

use std::fmt;

use serde::Serialize;

use super::latency::LatencySummary;

/// The promise that publish-to-delivery is held against: the 99th percentile
/// through a function, in milliseconds.
pub const DELIVERY_P99_MAX_MS: f64 = 100.0;

/// The report of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The document's channel.
    pub channel: String,
    /// How many editors there were.
    pub editors: usize,
    /// How many edge nodes they were on.
    pub edges: usize,
    /// Edits published and acknowledged.
    pub events: usize,
    /// Deliveries of edits, over all editors.
    pub deliveries: usize,
    /// Malformed edits published.
    pub malformed: usize,
    /// Malformed edits whose publisher was told that they are rejected.
    pub rejects: usize,
    /// Edits sent again under their own id.
    pub resent: usize,
    /// Of those, answered as duplicates with the first position.
    pub duplicates: usize,
    /// From publish to ack.
    pub publish_to_ack: LatencySummary,
    /// From publish to delivery at every other editor.
    pub publish_to_delivery: LatencySummary,
    /// Events published per second, the malformed and the resent included.
    pub rate: f64,
    /// Events per second that were asked for.
    pub rate_max: f64,
    /// How long the session took, seconds.
    pub seconds: f64,
    /// How long editors could not type because the trace has them wait for another
    /// editor's events, seconds, over all editors.
    pub waited_seconds: f64,
    /// Code points of the trace's final text.
    pub text_chars: usize,
    /// Whether each editor's text is the trace's.
    pub editors_equal: Vec<bool>,
    /// Whether the text rebuilt from the mirror is the trace's.
    pub mirror_equal: bool,
    /// Whether the mirror holds the very events that the editors got, in order.
    pub mirror_order_equal: bool,
    /// Connections lost and healed meanwhile.
    pub reconnects: u64,
    /// Breaks of the chain that clients found; the edge should leave none.
    pub breaks: u64,
}

impl Report {
    /// Whether every text is the trace's final text.
    pub fn is_equal(&self) -> bool {
        self.editors_equal.iter().all(|equal| *equal) && self.mirror_equal
    }

    /// Whether everything held: texts, order, rejects and duplicates. Latency is
    /// told, but decides nothing.
    pub fn holds(&self) -> bool {
        self.is_equal()
            && self.mirror_order_equal
            && self.rejects == self.malformed
            && self.duplicates == self.resent
            && self.breaks == 0
    }

    fn verdict(&self) -> String {
        let ways = self.editors_equal.len() + 1;
        let ways = if ways == 3 {
            "three".to_owned()
        } else {
            ways.to_string()
        };
        if self.is_equal() {
            let chars = self.text_chars;
            return format!(
                "equal {ways} ways: yes (each editor and the document rebuilt from the mirror: {chars} characters)"
            );
        }
        let names = self.editors_equal.iter().enumerate();
        let mut wrong: Vec<String> = names
            .filter(|(_, equal)| !**equal)
            .map(|(index, _)| format!("editor {}", index + 1))
            .collect();
        if !self.mirror_equal {
            wrong.push("the document rebuilt from the mirror".into());
        }
        format!(
            "equal {ways} ways: NO, {} differs from the trace's final text",
            wrong.join(" and ")
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in self.rows() {
            writeln!(f, "  {name:<20}  {text}")?;
        }
        writeln!(f, "{}", self.verdict())
    }
}

impl Report {
    fn rows(&self) -> Vec<(&'static str, String)> {
        let (events, deliveries, channel) = (self.events, self.deliveries, &self.channel);
        let (rejects, malformed) = (self.rejects, self.malformed);
        let (duplicates, resent) = (self.duplicates, self.resent);
        let mut rows = vec![
            (
                "events",
                format!("{events} published, {deliveries} deliveries, on {channel}"),
            ),
            (
                "rejects",
                format!("{rejects} of {malformed} malformed edits rejected with a reason"),
            ),
            (
                "duplicates",
                format!("{duplicates} of {resent} resent events answered as duplicates"),
            ),
            ("publish to ack", milliseconds(&self.publish_to_ack)),
            ("publish to delivery", self.delivery()),
            ("rate", self.pace()),
        ];
        if self.reconnects + self.breaks > 0 {
            let (reconnects, breaks) = (self.reconnects, self.breaks);
            let text = format!("{reconnects} lost and healed, {breaks} breaks");
            rows.push(("connections", text));
        }
        if !self.mirror_order_equal {
            let text = "holds other events than the editors got, or in another order";
            rows.push(("mirror", text.to_owned()));
        }
        rows
    }

    fn delivery(&self) -> String {
        let delivery = &self.publish_to_delivery;
        let under = if delivery.p99_ms < DELIVERY_P99_MAX_MS {
            "p99 stayed under"
        } else {
            "p99 is NOT under"
        };
        let (times, rate) = (milliseconds(delivery), self.rate);
        format!(
            "{times}; through the function, {under} {DELIVERY_P99_MAX_MS:.0} ms at {rate:.0} events/s"
        )
    }

    fn pace(&self) -> String {
        let (rate, seconds, asked) = (self.rate, self.seconds, self.rate_max);
        let waited = self.waited_seconds;
        format!(
            "{rate:.0} events/s for {seconds:.1} s, {asked:.0} asked for; \
             {waited:.1} s of waiting for each other, as the trace has it"
        )
    }
}

fn milliseconds(summary: &LatencySummary) -> String {
    let LatencySummary {
        p50_ms,
        p99_ms,
        max_ms,
        ..
    } = summary;
    format!("p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, max {max_ms:.1} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let latency = LatencySummary {
            count: 1,
            p50_ms: 1.0,
            p99_ms: 20.0,
            max_ms: 30.0,
        };
        Report {
            channel: "doc.a".into(),
            editors: 2,
            edges: 2,
            events: 10,
            deliveries: 20,
            malformed: 5,
            rejects: 5,
            resent: 2,
            duplicates: 2,
            publish_to_ack: latency,
            publish_to_delivery: latency,
            rate: 499.6,
            rate_max: 500.0,
            seconds: 1.0,
            waited_seconds: 0.0,
            text_chars: 30,
            editors_equal: vec![true, true],
            mirror_equal: true,
            mirror_order_equal: true,
            reconnects: 0,
            breaks: 0,
        }
    }

    #[test]
    fn a_good_run_says_so() {
        let text = report().to_string();
        assert!(report().holds());
        assert!(text.contains("equal three ways: yes"), "{text}");
        assert!(text.contains("p99 stayed under 100 ms"), "{text}");
    }

    #[test]
    fn every_fault_is_told_and_decides() {
        let check = |change: fn(&mut Report), expected: &str| {
            let mut report = report();
            change(&mut report);
            let text = report.to_string();
            assert!(!report.holds(), "{expected}");
            assert!(text.contains(expected), "{text}");
        };
        check(
            |r| r.editors_equal[1] = false,
            "equal three ways: NO, editor 2",
        );
        check(
            |r| r.mirror_equal = false,
            "NO, the document rebuilt from the mirror differs",
        );
        check(|r| r.mirror_order_equal = false, "or in another order");
        check(|r| r.rejects = 4, "4 of 5 malformed");
        check(|r| r.duplicates = 1, "1 of 2 resent");
        check(|r| r.breaks = 1, "1 breaks");
    }
}
