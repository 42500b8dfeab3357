//! A function on a schedule, against a model of EVENTS and of the server's clock: however
//! its owners die and whatever their own clocks say, each tick is stored once, in order, and
//! handled once.

use super::*;
use protocol::tick::Tick;

/// Seconds between two ticks.
const EVERY_S: u64 = 10;
const SECOND_US: u64 = 1_000_000;
/// When it all begins, by the server.
const START_US: u64 = 1_700_000_003 * SECOND_US;

fn scheduled() -> Scope {
    let trigger = serde_json::json!({"schedule": {
        "every": format!("{EVERY_S}s"), "tenant": "acme", "channel": "reports.tick",
    }});
    let spec = FunctionSpec {
        trigger: serde_json::from_value(trigger).unwrap(),
        ..spec(FunctionLimits::default())
    };
    Scope {
        spec: Arc::new(spec),
        ..scope(FunctionLimits::default())
    }
}

/// One owner: how far its clock is from the server's, how often the server does not say
/// its time, where it dies, and how long nobody comes then.
#[derive(Debug, Clone)]
struct Life {
    skew_us: i64,
    mute: u32,
    crash: Crash,
    lasts_s: u64,
    gap_s: u64,
}

struct Server {
    now: u64,
    log: Vec<Stored>,
    last: Option<(u64, Checkpoint)>,
    seq: u64,
}

impl Server {
    fn commit(&mut self, commit: Commit) -> u64 {
        assert_eq!(commit.guard, self.last.as_ref().map_or(0, |(seq, _)| *seq));
        for message in commit.messages {
            self.seq += 1;
            self.log.push(Stored {
                seq: self.seq,
                time_us: self.now,
                subject: message.subject.to_string(),
                headers: message.headers,
                payload: message.payload,
            });
        }
        self.seq += 1;
        self.last = Some((self.seq, commit.checkpoint));
        self.seq
    }

    fn begin(&mut self, lease: u64) -> (Checkpoint, u64) {
        let first = Checkpoint {
            stream: scheduled().stream(),
            ..checkpoint(0, lease)
        };
        let begin = self.last.clone().map_or(first, |(_, last)| last);
        let begin = Checkpoint { lease, ..begin };
        let guard = self.last.as_ref().map_or(0, |(seq, _)| *seq);
        let guard = self.commit(Commit {
            messages: Vec::new(),
            change: None,
            checkpoint: begin.clone(),
            guard,
        });
        (begin, guard)
    }

    /// What stands on the channel of the ticks behind a sequence.
    fn after(&self, seq: u64) -> Vec<Stored> {
        let subject = scheduled().filter();
        let on = |stored: &&Stored| stored.seq > seq && stored.subject == subject.as_str();
        self.log.iter().filter(on).cloned().collect()
    }

    fn live(&mut self, lease: u64, life: &Life) {
        let (begin, guard) = self.begin(lease);
        let mut machine = Machine::resume(scheduled(), &begin, guard, lease, 7);
        let end = self.now + life.lasts_s * SECOND_US;
        let (mut read, mut runs, mut commits, mut mute) = (begin.seq, 0, 0, life.mute);
        while self.now < end {
            let local = self.now.saturating_add_signed(life.skew_us);
            match machine.next(local) {
                Action::AskTime => {
                    self.now += 300;
                    let told = (mute == 0).then_some(self.now);
                    mute = mute.saturating_sub(1);
                    machine.told_time(told, local + 300);
                }
                Action::Run(items) => {
                    runs += 1;
                    if life.crash == Crash::BeforeRun(runs) {
                        return;
                    }
                    let handled = |item| Handled::Ack(vec![emission(item)].into());
                    machine.ran(items.iter().map(handled).collect(), local);
                }
                Action::Commit(commit) => {
                    commits += 1;
                    if life.crash == Crash::BeforeCommit(commits) {
                        return;
                    }
                    let seq = self.commit(*commit);
                    if life.crash == Crash::AfterCommit(commits) {
                        return;
                    }
                    machine.committed(seq);
                }
                Action::Wait { until, hungry } => {
                    let more = self.after(read);
                    assert!(hungry, "nothing is parked");
                    if let Some(last) = more.last() {
                        read = last.seq;
                        machine.push(more);
                    } else {
                        let until = until.expect("there is always a next tick");
                        self.now = until.saturating_add_signed(-life.skew_us).max(self.now + 1);
                    }
                }
                action => panic!("{action:?}"),
            }
        }
    }

    fn ticks(&self) -> Vec<(u64, Tick)> {
        let ticks = self.after(0).into_iter();
        let ticks = ticks.filter(|stored| stored.headers.get("eddy-tick") == Some("probe"));
        ticks
            .map(|stored| (stored.seq, serde_json::from_slice(&stored.payload).unwrap()))
            .collect()
    }

    fn check(&self) {
        let ticks = self.ticks();
        let mut due = START_US / SECOND_US / EVERY_S * EVERY_S;
        for (n, (seq, tick)) in (1..).zip(&ticks) {
            due += EVERY_S * (tick.missed + 1);
            assert_eq!((tick.n, tick.due), (n, due), "sequence {seq}");
        }
        let sources = self.log.iter().filter_map(|stored| {
            let source = stored.headers.get("eddy-source")?;
            source.rsplit_once(':')?.1.parse::<u64>().ok()
        });
        let sources: Vec<u64> = sources.collect();
        let made: Vec<u64> = ticks.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(sources, made, "each tick is handled once, in order");
    }
}

fn any_life() -> impl Strategy<Value = Life> {
    let gap = prop_oneof![3 => 0_u64..50, 1 => 50_u64..500];
    let skew = prop_oneof![2 => Just(0_i64), 1 => -4_000_000_000_i64..4_000_000_000];
    (skew, 0_u32..3, any_crash(), 1_u64..200, gap).prop_map(
        |(skew_us, mute, crash, lasts_s, gap_s)| Life {
            skew_us,
            mute,
            crash,
            lasts_s,
            gap_s,
        },
    )
}

proptest! {
    #[test]
    fn each_tick_is_stored_and_handled_once(lives in prop::collection::vec(any_life(), 0..8)) {
        let mut server = Server { now: START_US, log: Vec::new(), last: None, seq: 0 };
        let calm = |lasts_s| Life { skew_us: 0, mute: 0, crash: Crash::Never, lasts_s, gap_s: 0 };
        server.live(1, &calm(1));
        for (lease, life) in (2..).zip(&lives) {
            server.live(lease, life);
            server.now += life.gap_s * SECOND_US;
        }
        server.live(100, &calm(95));
        server.check();
        let last = server.ticks().last().map_or(0, |(_, tick)| tick.due);
        prop_assert!(last + 2 * EVERY_S > server.now / SECOND_US, "none is owed at the end");
    }
}

#[test]
fn only_the_lane_of_its_ticks_makes_them() {
    let scope = scheduled();
    assert!(scope.schedule().is_some());
    let elsewhere = (0..16).map(Lane).filter(|lane| {
        let mut scope = scope.clone();
        (scope.store.lanes, scope.lane) = (16, *lane);
        scope.schedule().is_some()
    });
    let lanes = scope.spec.lanes(16);
    assert_eq!(lanes.len(), 1);
    assert_eq!(elsewhere.collect::<Vec<_>>(), [Lane(lanes.start)]);
}

#[test]
fn what_others_publish_on_the_channel_is_no_tick() {
    let scope = scheduled();
    let mut event = stored(1, "reports.tick", "{}");
    let channel = protocol::name::Channel::parse("reports.tick").unwrap();
    assert!(!scope.spec.handles(&channel, &event.headers));
    event.headers.push("eddy-tick", "other");
    assert!(!scope.spec.handles(&channel, &event.headers));
}

#[test]
fn a_machine_that_drains_or_is_halted_makes_no_tick() {
    let scope = scheduled();
    let begin = checkpoint(0, 1);
    let mut machine = Machine::resume(scope.clone(), &begin, 1, 1, 7);
    machine.drain();
    assert!(matches!(machine.next(START_US), Action::Done));
    let mut machine = Machine::resume(scope, &begin, 1, 1, 7);
    assert!(matches!(machine.next(START_US), Action::AskTime));
    machine.told_time(None, START_US);
    machine.run_failed(Some("no".into()));
    assert!(matches!(
        machine.next(START_US + SECOND_US),
        Action::Halted(_)
    ));
}
