//! What guests remember of channels: threaded through batches, taken back with what
//! does not pass.

use std::collections::BTreeMap;

use protocol::state::{Change, ChannelState};

use super::*;
use crate::pool::GuestPool;

/// One lane of the probe, and what is remembered between its batches.
struct Lane {
    runtime: tokio::runtime::Runtime,
    guest: crate::pool::Guest,
    program: Arc<Program>,
    memories: BTreeMap<String, ChannelState>,
    seq: u64,
}

impl Lane {
    fn start() -> Self {
        let pool = GuestPool::start(1, EVENT_BYTES_MAX, &Arc::new(accounts())).unwrap();
        let program = load("probe", spec(wide()));
        assert!(program.remembers());
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
            guest: pool.attach(0),
            program,
            memories: BTreeMap::new(),
            seq: 0,
        }
    }

    /// Hands over a batch; says the count that each event passed with, or `None`.
    fn run(&mut self, orders: &[(&str, &str)]) -> Vec<Option<String>> {
        let orders = orders.iter().map(|(channel, order)| {
            self.seq += 1;
            let memory = self.memories.entry((*channel).into()).or_default().clone();
            Item {
                memory: Some(Arc::new(memory)),
                ..item(self.seq, channel, order)
            }
        });
        let items: Vec<Item> = orders.collect();
        let run = self.guest.run(self.program.clone(), items.clone());
        let handled = self.runtime.block_on(run).unwrap();
        assert_eq!(handled.len(), items.len());
        let both = items.iter().zip(handled);
        both.map(|(item, handled)| match handled {
            Handled::Ack(done) => {
                self.apply(item, done.changes);
                Some(String::from_utf8(done.emits[0].data.to_vec()).unwrap())
            }
            _ => None,
        })
        .collect()
    }

    fn apply(&mut self, item: &Item, changes: Vec<Change>) {
        let memory = self.memories.get_mut(item.event.channel.as_str()).unwrap();
        for change in changes {
            memory.apply(change, item.event.stored.time_us).unwrap();
        }
    }
}

fn count(n: u32) -> Option<String> {
    Some(format!(r#"{{"count":{n}}}"#))
}

const PLAIN: &str = r#"{"do":"remember"}"#;

#[test]
fn each_channel_has_a_memory_that_lasts_from_batch_to_batch() {
    let mut lane = Lane::start();
    let batch = [("doc.a", PLAIN), ("doc.b", PLAIN), ("doc.a", PLAIN)];
    assert_eq!(lane.run(&batch), [count(1), count(1), count(2)]);
    assert_eq!(lane.run(&batch), [count(3), count(2), count(4)]);
}

#[test]
fn what_does_not_pass_was_never_written() {
    let mut lane = Lane::start();
    let then = |what| format!(r#"{{"do":"remember","then":"{what}"}}"#);
    let (reject, trap) = (then("reject"), then("trap"));
    let batch = [("doc.a", PLAIN), ("doc.a", &*reject), ("doc.a", PLAIN)];
    assert_eq!(lane.run(&batch), [count(1), None, count(2)]);
    let batch = [
        ("doc.a", PLAIN),
        ("doc.b", PLAIN),
        ("doc.a", &*trap),
        ("doc.a", PLAIN),
        ("doc.b", PLAIN),
    ];
    let passed = [count(3), count(1), None, count(4), count(2)];
    assert_eq!(
        lane.run(&batch),
        passed,
        "the others go on from one another"
    );
}

#[test]
fn a_memory_within_and_beyond_its_limits() {
    let mut lane = Lane::start();
    let under = |key: String| format!(r#"{{"do":"remember","key":"{key}"}}"#);
    for n in 0..protocol::state::KEYS_MAX {
        assert_eq!(lane.run(&[("doc.a", &under(format!("k{n}")))]), [count(1)]);
    }
    assert_eq!(lane.run(&[("doc.a", &under("more".into()))]), [None]);
    assert_eq!(lane.run(&[("doc.a", &under("k0".into()))]), [count(2)]);
    let longest = "k".repeat(protocol::state::KEY_BYTES_MAX);
    assert_eq!(lane.run(&[("doc.b", &under(longest.clone()))]), [count(1)]);
    assert_eq!(lane.run(&[("doc.b", &under(longest + "k"))]), [None]);
}

#[test]
fn whoever_never_writes_remembers_nothing() {
    let spec = spec(FunctionLimits::default());
    assert!(!load("document-gate", spec).remembers());
}
