//! People who edit one text at once, each with a copy that is behind the others: in the
//! end all have the text that the gate has.

use std::collections::VecDeque;

use json_tree::Node;
use proptest::prelude::*;
use sdk::testing::{Input, Runner};

use super::gate;
use crate::TextSequencer;
use crate::operation::{Operation, Side};

/// What the page asks of a client that shows its own edits at once.
#[derive(Default)]
struct Person {
    text: String,
    /// The last edit of the channel that is in the text.
    revision: u64,
    /// Its own edits that are in the text and not yet on the channel; the first of them
    /// has been sent if `sent`.
    own: VecDeque<Operation>,
    sent: bool,
}

impl Person {
    fn edit(&mut self, at: usize, delete: usize, insert: &str) {
        let length = self.text.chars().count();
        let at = at % (length + 1);
        let delete = delete.min(length - at);
        let ops = format!("[{at},\"{insert}\",-{delete}]");
        let edit = Operation::read(&json_tree::parse(ops.as_bytes()).unwrap()).unwrap();
        self.text = edit.apply(&self.text).unwrap();
        self.own.push_back(edit);
    }

    /// The event that is sent, if there is something to send and nothing is under way.
    fn send(&mut self, name: usize) -> Option<String> {
        let first = self.own.front().filter(|_| !self.sent)?;
        self.sent = true;
        let mut ops = Vec::new();
        first.node().write(&mut ops).unwrap();
        let (base, ops) = (self.revision, String::from_utf8(ops).unwrap());
        Some(format!(r#"{{"base":{base},"ops":{ops},"by":{name}}}"#))
    }

    /// Takes in the next event of the channel.
    fn take(&mut self, name: usize, event: &Node<'_>) {
        let number = |member: &str| {
            event
                .member(member)
                .unwrap()
                .decimal()
                .unwrap()
                .count()
                .unwrap()
        };
        self.revision += 1;
        assert_eq!(number("revision"), self.revision);
        let mut edit = Operation::read_kept(event.member("ops").unwrap()).unwrap();
        if number("by") == name as u64 {
            let own = self.own.pop_front().unwrap();
            assert_eq!(edit, own, "one's own edit is in the text already");
            self.sent = false;
            return;
        }
        for own in &mut self.own {
            let behind = own.transform(&edit, Side::Behind);
            edit = edit.transform(own, Side::Before);
            *own = behind;
        }
        self.text = edit.apply(&self.text).unwrap();
    }
}

/// The gate, and what is on the channel.
struct Channel {
    gate: Runner<TextSequencer>,
    stored: Vec<Vec<u8>>,
}

impl Channel {
    fn publish(&mut self, event: String) {
        let (outcome, mut outputs) = self.gate.run_one(Input::json("notes.a", event));
        assert_eq!(outcome, sdk::Outcome::Ack);
        self.stored.push(outputs.remove(0).data);
    }

    fn deliver(&self, people: &mut [Person], name: usize) -> bool {
        let seen = usize::try_from(people[name].revision).unwrap();
        let Some(event) = self.stored.get(seen) else {
            return false;
        };
        people[name].take(name, &json_tree::parse(event).unwrap());
        true
    }

    /// Until all has been sent and seen.
    fn settle(&mut self, people: &mut [Person]) {
        loop {
            let mut quiet = true;
            for name in 0..people.len() {
                while self.deliver(people, name) {
                    quiet = false;
                }
                if let Some(event) = people[name].send(name) {
                    self.publish(event);
                    quiet = false;
                }
            }
            if quiet {
                return;
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Edit(usize, usize, String),
    Send,
    See,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (any::<usize>(), 0..4_usize, "[aö💬👩]{0,3}").prop_map(|(at, delete, insert)| Step::Edit(at, delete, insert)),
        2 => Just(Step::Send),
        3 => Just(Step::See),
    ]
}

proptest! {
    #[test]
    fn everybody_ends_with_the_text_of_the_gate(
        steps in proptest::collection::vec((0..4_usize, step()), 0..120),
    ) {
        let gate = gate(&[("snapshots", "texts"), ("every", "1")]);
        let mut channel = Channel { gate, stored: Vec::new() };
        let mut people: Vec<Person> = (0..4).map(|_| Person::default()).collect();
        for (name, step) in steps {
            match step {
                Step::Edit(at, delete, insert) => people[name].edit(at, delete, &insert),
                Step::Send => {
                    if let Some(event) = people[name].send(name) {
                        channel.publish(event);
                    }
                }
                Step::See => {
                    channel.deliver(&mut people, name);
                }
            }
        }
        channel.settle(&mut people);
        // Who shows nothing but what is on the channel needs no transformation at all.
        let plain = channel.stored.iter().fold(String::new(), |text, event| {
            let event = json_tree::parse(event).unwrap();
            let edit = Operation::read_kept(event.member("ops").unwrap()).unwrap();
            edit.apply(&text).unwrap()
        });
        let snapshot = channel.gate.run_one(Input::json("notes.a", format!(r#"{{"base":{},"ops":[]}}"#, channel.stored.len()))).1.remove(1);
        let snapshot = json_tree::parse(&snapshot.data).unwrap();
        prop_assert_eq!(snapshot.member("text").and_then(Node::text), Some(&*plain));
        for person in people {
            prop_assert_eq!(&person.text, &plain);
        }
    }
}
