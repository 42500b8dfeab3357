//! The lane's state machine against a model of its streams: whatever the guest
//! answers and wherever an owner dies, each input has exactly one effect, in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;
use protocol::bus::{Outgoing, Stored};
use protocol::checkpoint::{Bases, Checkpoint, Digest};
use protocol::envelope::Envelope;
use protocol::id::Publisher;
use protocol::lane::Lane;
use protocol::name::{ChannelPattern, FunctionName, StoreName};
use protocol::position::Epoch;
use protocol::spec::{FunctionLimits, FunctionSpec, StoreSpec, Trigger};
use protocol::stream::StreamName;
use protocol::subject::Subject;

use super::messages::Scope;
use super::staging::{COMMIT_MESSAGES_MAX, Commit};
use super::state::{Action, Machine};
use host::fault::Fault;
use host::pack::Item;
use host::reply::{Emit, Handled};

/// A checkpoint at a sequence, under a lease.
pub fn checkpoint(seq: u64, lease: u64) -> Checkpoint {
    Checkpoint {
        stream: StreamName::parse("INGRESS-main").unwrap(),
        epoch: Epoch::from_random(1),
        seq,
        time: if seq == 0 { 0 } else { 1_000_000 + seq },
        digest: Digest::from_bytes([7; 32]),
        lease,
        incarnation: 0,
        generation: 0,
        base: 0,
        parked: Vec::new(),
        unparked: Vec::new(),
        held: Vec::new(),
        ticked: None,
    }
}

/// An event as INGRESS holds it, published by alice; on `else.x` it is another gate's.
pub fn stored(seq: u64, channel: &str, data: &str) -> Stored {
    let gate = if channel == "else.x" {
        "other"
    } else {
        "probe"
    };
    let envelope = Envelope {
        id: format!("acme/alice/c1/{seq}"),
        publisher: Publisher::parse("alice/c1").ok(),
        time: Some(seq),
        gate: FunctionName::parse(gate).ok(),
        ..Envelope::default()
    };
    Stored {
        seq,
        time_us: 1_000_000 + seq,
        subject: format!("in.main.0.acme.{channel}"),
        headers: envelope.to_headers(),
        payload: data.to_owned().into(),
    }
}

/// A gate for the namespace `doc` that may emit to `side.>`.
fn spec(limits: FunctionLimits) -> FunctionSpec {
    let name = FunctionName::parse("probe").unwrap();
    let store = StoreName::parse("main").unwrap();
    FunctionSpec {
        emits: vec![ChannelPattern::parse("side.>").unwrap()],
        limits,
        ..FunctionSpec::new(name, Digest::from_bytes([7; 32]), store, Trigger::Gate)
    }
}

pub fn scope(limits: FunctionLimits) -> Scope {
    let store = StoreSpec {
        name: StoreName::parse("main").unwrap(),
        lanes: 1,
        epoch: Epoch::from_random(1),
    };
    Scope {
        spec: Arc::new(spec(limits)),
        store,
        lane: Lane(0),
        remembers: false,
    }
}

/// What the guest does with an event: it fails `failures` times, then `last`.
#[derive(Debug, Clone, Copy)]
struct Script {
    channel: u8,
    failures: u32,
    faults: bool,
    last: Last,
}

#[derive(Debug, Clone, Copy)]
enum Last {
    Emit(u8),
    Drop,
    Reject,
}

/// Where an owner dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    Never,
    BeforeRun(u32),
    BeforeCommit(u32),
    AfterCommit(u32),
}

/// The two streams and the time.
struct World {
    scripts: Vec<Script>,
    now: u64,
    /// What is stored, checkpoints apart.
    events: Vec<Outgoing>,
    last: Option<(u64, Checkpoint)>,
    bases: Bases,
    seq: u64,
}

const ATTEMPTS: u32 = 3;

impl World {
    fn new(scripts: Vec<Script>) -> Self {
        Self {
            scripts,
            now: 1,
            events: Vec::new(),
            last: None,
            bases: Bases::default(),
            seq: 0,
        }
    }

    fn input(&self, seq: u64) -> Option<Stored> {
        let script = self
            .scripts
            .get(usize::try_from(seq).unwrap().checked_sub(1)?)?;
        // Channel 0 is another function's.
        let channel = if script.channel == 0 {
            "else.x".into()
        } else {
            format!("doc.{}", script.channel)
        };
        Some(stored(seq, &channel, "{}"))
    }

    fn guest(&self, item: &Item) -> Handled {
        let script = self.scripts[usize::try_from(item.event.seq()).unwrap() - 1];
        if item.attempt <= script.failures {
            return if script.faults {
                Handled::Fault(Fault::Trap("no".into()))
            } else {
                Handled::Retry {
                    delay_ms: 0,
                    reason: "no".into(),
                }
            };
        }
        match script.last {
            Last::Emit(count) => {
                let emits: Vec<Emit> = (0..count).map(|_| emission(item)).collect();
                Handled::Ack(emits.into())
            }
            Last::Drop => Handled::Drop("no".into()),
            Last::Reject => Handled::Reject("no".into()),
        }
    }

    /// Stores a commit as JetStream would: all of it, if the guard holds.
    fn commit(&mut self, commit: Commit) -> u64 {
        assert!(
            commit.messages.len() <= COMMIT_MESSAGES_MAX,
            "a batch has at most 1,000 messages"
        );
        assert_eq!(commit.guard, self.last.as_ref().map_or(0, |(seq, _)| *seq));
        self.seq += commit.messages.len() as u64 + 1;
        self.events.extend(commit.messages);
        let mut checkpoint = commit.checkpoint;
        let parked = self.bases.parked("ck", self.seq, &checkpoint);
        checkpoint.parked = parked.expect("a base is the last whole checkpoint");
        (checkpoint.base, checkpoint.unparked) = (0, Vec::new());
        self.last = Some((self.seq, checkpoint));
        self.seq
    }

    fn is_settled(&self) -> bool {
        let end = self.scripts.len() as u64;
        self.last.as_ref().is_some_and(|(_, last)| {
            last.seq == end && last.parked.is_empty() && last.held.is_empty()
        })
    }

    /// What a parked channel, or a tenant, has within a range.
    fn range(&self, subject: &Subject, from: u64, to: u64) -> Vec<Stored> {
        let all = (from..=to).filter_map(|seq| self.input(seq));
        let filter = subject.as_str();
        all.filter(|event| match filter.strip_suffix('>') {
            Some(prefix) => event.subject.starts_with(prefix),
            None => event.subject == filter,
        })
        .collect()
    }

    /// The next few inputs.
    fn after(&self, seq: u64) -> Vec<Stored> {
        (seq + 1..=seq + 5)
            .filter_map(|seq| self.input(seq))
            .collect()
    }

    /// One owner's life; false when it died.
    fn own(&mut self, lease: u64, crash: Crash, tenant_max: usize) -> bool {
        let scope = scope(FunctionLimits {
            attempts: ATTEMPTS,
            ..FunctionLimits::default()
        });
        let begin = self
            .last
            .clone()
            .map_or(checkpoint(0, lease), |(_, last)| Checkpoint {
                lease,
                ..last
            });
        let guard = self.last.as_ref().map_or(0, |(seq, _)| *seq);
        let guard = self.commit(Commit {
            messages: Vec::new(),
            change: None,
            checkpoint: begin.clone(),
            guard,
        });
        let mut machine = Machine::resume(scope, &begin, guard, lease, 7);
        machine.set_tenant_max(tenant_max);
        let (mut read, mut runs, mut commits) = (begin.seq, 0, 0);
        let mut actions = VecDeque::new();
        while !self.is_settled() {
            self.now += 1;
            match actions
                .pop_front()
                .unwrap_or_else(|| machine.next(self.now))
            {
                Action::Run(items) => {
                    runs += 1;
                    if crash == Crash::BeforeRun(runs) {
                        return false;
                    }
                    machine.ran(
                        items.iter().map(|item| self.guest(item)).collect(),
                        self.now,
                    );
                }
                Action::Commit(commit) => {
                    commits += 1;
                    if crash == Crash::BeforeCommit(commits) {
                        return false;
                    }
                    let seq = self.commit(*commit);
                    if crash == Crash::AfterCommit(commits) {
                        return false;
                    }
                    machine.committed(seq);
                }
                Action::ReadParked { subject, from, to } => {
                    let read = self.range(&subject, from, to);
                    let complete = read.len() <= 2;
                    let first = read.into_iter().take(2).collect();
                    actions.extend(machine.parked_read(first, complete, self.now));
                }
                Action::Wait { until, hungry } => {
                    let more = self.after(read);
                    if hungry && !more.is_empty() {
                        read += more.len() as u64;
                        machine.push(more);
                    } else {
                        self.now = until.expect("somebody waits for something").max(self.now);
                    }
                }
                action => panic!("{action:?}"),
            }
        }
        true
    }

    /// What is stored is what the inputs must lead to, in order on each channel.
    fn check(&self) {
        let mut by_source: BTreeMap<u64, Vec<&Outgoing>> = BTreeMap::new();
        let mut order: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for message in &self.events {
            let source = message
                .headers
                .get(protocol::outcome::dead_letter::SOURCE)
                .or(message.headers.get("eddy-source"))
                .unwrap();
            let source: u64 = source.rsplit_once(':').unwrap().1.parse().unwrap();
            by_source.entry(source).or_default().push(message);
            order
                .entry(self.scripts[usize::try_from(source).unwrap() - 1].channel)
                .or_default()
                .push(source);
            if message.subject.as_str().starts_with("ev.") {
                assert!(
                    ids.insert(message.headers.get("eddy-id").unwrap().to_owned()),
                    "an id stands once"
                );
            }
        }
        for (channel, sources) in order {
            assert!(
                sources.is_sorted(),
                "channel {channel} is out of order: {sources:?}"
            );
        }
        for (seq, script) in (1..).zip(&self.scripts) {
            let kinds: Vec<String> = by_source
                .get(&seq)
                .into_iter()
                .flatten()
                .map(|m| {
                    m.subject
                        .as_str()
                        .split('.')
                        .take(5)
                        .collect::<Vec<_>>()
                        .join(".")
                })
                .collect();
            assert_eq!(kinds, expected(script), "effect of input {seq}: {script:?}");
        }
    }
}

fn emission(item: &Item) -> Emit {
    Emit {
        channel: item.event.channel.clone(),
        content_type: None,
        headers: Vec::new(),
        data: bytes::Bytes::new(),
    }
}

/// The subjects, cut to five tokens, that an input must lead to.
fn expected(script: &Script) -> Vec<String> {
    let (told, letter) = (
        "ev.main.0.acme._outcome".to_owned(),
        "rej.main.0.probe".to_owned(),
    );
    if script.channel == 0 {
        return Vec::new();
    }
    if script.failures >= ATTEMPTS {
        return vec![told, letter];
    }
    match script.last {
        Last::Emit(0) | Last::Drop => vec![told],
        Last::Emit(count) => vec!["ev.main.0.acme.doc".to_owned(); count.into()],
        Last::Reject => vec![told, letter],
    }
}

fn any_script() -> impl Strategy<Value = Script> {
    let last = prop_oneof![6 => (0_u8..4).prop_map(Last::Emit), 1 => Just(Last::Drop), 1 => Just(Last::Reject)];
    let failures = prop_oneof![6 => Just(0_u32), 2 => 1..=ATTEMPTS];
    (0_u8..5, failures, any::<bool>(), last).prop_map(|(channel, failures, faults, last)| Script {
        channel,
        failures,
        faults,
        last,
    })
}

fn any_crash() -> impl Strategy<Value = Crash> {
    prop_oneof![
        (1_u32..6).prop_map(Crash::BeforeRun),
        (1_u32..6).prop_map(Crash::BeforeCommit),
        (1_u32..6).prop_map(Crash::AfterCommit)
    ]
}

proptest! {
    #[test]
    fn each_input_has_one_effect_in_order(scripts in prop::collection::vec(any_script(), 1..60), crashes in prop::collection::vec(any_crash(), 0..6), tenant_max in 0_usize..5) {
        let mut world = World::new(scripts);
        for (lease, crash) in (1..).zip(crashes) {
            world.own(lease, crash, tenant_max + 1);
        }
        prop_assert!(world.own(100, Crash::Never, tenant_max + 1));
        world.check();
    }
}

mod cases;
mod redriven;
mod schedule;
