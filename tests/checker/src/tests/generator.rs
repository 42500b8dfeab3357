//! Makes valid histories: a small model of the whole path, driven by a seed.
//!
//! State: one [`World`] per history. Must not know: the checks; it follows the design only.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;

pub(super) const INGRESS: &str = "INGRESS-main";
pub(super) const EVENTS: &str = "EVENTS-main";
const LANES: u32 = 4;
const PARTITIONS: u32 = 3;

/// What varies between histories besides the seed.
#[derive(Debug, Clone)]
pub(super) struct Knobs {
    pub(super) seed: u64,
    pub(super) steps: u64,
    /// Percent of the streams that retention removed.
    pub(super) removed: u64,
    pub(super) subscribers: u64,
}

/// SplitMix64: small, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0) % sides
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(7, |h, b| mix(h ^ u64::from(b)))
}

fn lane(channel: &str) -> u32 {
    (hash(channel) % u64::from(LANES)) as u32
}

#[derive(Default)]
struct Progress {
    done: u64,
    parked: BTreeMap<String, u64>,
}

struct World {
    dice: Dice,
    history: History,
    last: BTreeMap<&'static str, u64>,
    next_n: BTreeMap<String, u64>,
    progress: BTreeMap<(usize, u32), Progress>,
}

/// A valid history.
pub(super) fn history(knobs: &Knobs) -> History {
    let mut world = World {
        dice: Dice(knobs.seed),
        history: History {
            functions: functions(),
            ..History::default()
        },
        last: BTreeMap::from([(INGRESS, 0), (EVENTS, 0)]),
        next_n: BTreeMap::new(),
        progress: BTreeMap::new(),
    };
    for _ in 0..knobs.steps {
        match world.dice.roll(10) {
            0..=6 => world.publish(),
            step => world.run_lane((step % 2) as usize),
        }
    }
    // Functions catch up except for a tail, so that checkpoints lie both behind and at the end.
    for function in [0, 1, 0, 1] {
        for lane in 0..LANES {
            world.commit(function, lane);
        }
    }
    world.publish();
    world.subscribe(knobs.subscribers, knobs.removed);
    world.mirror(knobs.removed);
    world.history
}

fn functions() -> Vec<Function> {
    let function = |name: &str, input: &str, silent_allowed| Function {
        name: name.into(),
        input_stream: input.into(),
        output_stream: EVENTS.into(),
        channels: vec!["acme/docs.>".into()],
        start_seq: 1,
        silent_allowed,
        every_s: None,
        expectation: None,
    };
    vec![
        function("gate", INGRESS, false),
        function("stats", EVENTS, true),
    ]
}

impl World {
    fn next_seq(&mut self, stream: &'static str) -> u64 {
        let last = self.last.get_mut(stream).unwrap();
        *last += 1;
        *last
    }

    fn publish(&mut self) {
        let user = self.dice.roll(4);
        let publisher = format!("acme/u{user}/c{user}");
        let space = if self.dice.roll(2) == 0 {
            "chat"
        } else {
            "docs"
        };
        let channel = format!("acme/{space}.room{}", self.dice.roll(4));
        let n = self.next_n.entry(publisher.clone()).or_insert(0);
        *n += 1;
        let n = *n;
        let body = hash(&format!("{publisher}/{n}"));
        let (p, c) = (publisher.clone(), channel.clone());
        self.history.push(Sent {
            publisher: p,
            n,
            channel: c,
            body,
            first_us: n,
        });
        let fate = self.dice.roll(12);
        if fate < 3 {
            let temporary = fate != 1;
            let code = if temporary { "overloaded" } else { "forbidden" };
            let (p, c, code) = (publisher.clone(), channel.clone(), code.to_owned());
            self.history.push(Refused {
                publisher: p,
                n,
                channel: c,
                code,
                temporary,
            });
        }
        // Refused for good, or never stored at all.
        if fate == 1 || fate == 2 {
            return;
        }
        let stream = if space == "chat" { EVENTS } else { INGRESS };
        let seq = self.store_client(stream, &publisher, n, &channel, body);
        // Nothing acknowledged, one first acknowledgement, that and duplicates, duplicates alone.
        let acks: &[bool] = match fate {
            3 => &[],
            4 => &[false, true, true],
            5 => &[true],
            _ => &[false],
        };
        for duplicate in acks {
            self.history.push(Acked {
                publisher: publisher.clone(),
                n,
                channel: channel.clone(),
                stream: stream.into(),
                seq,
                duplicate: *duplicate,
            });
        }
    }

    fn store_client(
        &mut self,
        stream: &'static str,
        publisher: &str,
        n: u64,
        channel: &str,
        body: u64,
    ) -> u64 {
        let seq = self.next_seq(stream);
        self.history.push(Stored {
            stream: stream.into(),
            seq,
            lane: lane(channel),
            channel: channel.into(),
            kind: if stream == INGRESS {
                Kind::In
            } else {
                Kind::Ev
            },
            id: format!("{publisher}/{n}"),
            body,
            source: None,
            function: None,
            ordinal: None,
            outcome: false,
            receipt: stream == INGRESS && n % 2 == 1,
            tick: None,
        });
        seq
    }

    fn run_lane(&mut self, function: usize) {
        let lane = self.dice.roll(u64::from(LANES)) as u32;
        self.commit(function, lane);
    }

    /// One batch: results of everything pending in the lane, then a checkpoint.
    fn commit(&mut self, at: usize, lane: u32) {
        let function = self.history.functions[at].clone();
        let mut progress = self.progress.remove(&(at, lane)).unwrap_or_default();
        let inputs: Vec<Stored> = self
            .history
            .stored
            .iter()
            .filter(|s| s.stream == function.input_stream && s.lane == lane && !s.outcome)
            .filter(|s| {
                matches!(s.kind, Kind::In | Kind::Ev) && s.channel.starts_with("acme/docs.")
            })
            .filter(|s| {
                let parked = progress
                    .parked
                    .get(&s.channel)
                    .is_some_and(|from| s.seq >= *from);
                s.seq > progress.done || parked
            })
            .cloned()
            .collect();
        progress.parked.clear();
        for input in inputs {
            progress.done = progress.done.max(input.seq);
            if progress.parked.contains_key(&input.channel) {
                continue;
            }
            if self.dice.roll(15) == 0 {
                progress.parked.insert(input.channel.clone(), input.seq);
                continue;
            }
            self.answer(&function, &input);
        }
        let parked = progress.parked.iter();
        let parked = parked
            .map(|(c, seq)| Parked {
                channel: c.clone(),
                seq: *seq,
            })
            .collect();
        let kind = Kind::Checkpoint {
            input_seq: progress.done,
            parked,
        };
        self.store_result(&function, lane, "", kind, None, None);
        self.progress.insert((at, lane), progress);
    }

    fn answer(&mut self, function: &Function, input: &Stored) {
        let source = Some(Place::new(&input.stream, input.seq));
        let gate = function.name == "gate";
        let fate = self.dice.roll(10);
        if fate == 0 {
            let lane = input.lane;
            let kind = Kind::DeadLetter;
            self.store_result(function, lane, &input.channel, kind, source.clone(), None);
        }
        let told = || {
            let (publisher, _) = input.id.rsplit_once('/').unwrap();
            let (_, writer) = publisher.split_once('/').unwrap();
            let (_, name) = input.channel.split_once('/').unwrap();
            let namespace = name.split('.').next().unwrap();
            format!("acme/_outcome.{}.{namespace}", writer.replace('/', "."))
        };
        if gate && fate < 3 {
            let channel = told();
            self.store_result(function, lane(&channel), &channel, Kind::Ev, source, None);
        } else if fate > 2 {
            let channel = if gate {
                input.channel.clone()
            } else {
                "acme/stats.all".into()
            };
            for ordinal in 0..=self.dice.roll(3) as u32 {
                let (lane, source) = (lane(&channel), source.clone());
                self.store_result(function, lane, &channel, Kind::Ev, source, Some(ordinal));
            }
            if gate && input.receipt {
                let channel = told();
                self.store_result(function, lane(&channel), &channel, Kind::Ev, source, None);
                let receipt = self.history.stored.last_mut().expect("it was stored");
                receipt.receipt = true;
            }
        }
    }

    fn store_result(
        &mut self,
        function: &Function,
        lane: u32,
        channel: &str,
        kind: Kind,
        source: Option<Place>,
        ordinal: Option<u32>,
    ) {
        let seq = self.next_seq(EVENTS);
        let outcome = kind == Kind::Ev && ordinal.is_none();
        let id = match (&source, ordinal) {
            (Some(s), Some(ordinal)) => {
                format!("{}/{}@7f3a:{}/{ordinal}", function.name, s.stream, s.seq)
            }
            _ => format!("{}-note-{seq}", function.name),
        };
        self.history.push(Stored {
            stream: EVENTS.into(),
            seq,
            lane,
            channel: channel.into(),
            kind,
            body: hash(&id),
            id,
            source,
            function: Some(function.name.clone()),
            ordinal,
            outcome,
            receipt: false,
            tick: None,
        });
    }

    /// Subscribers that start anywhere; some leave and come back, some meet the retention.
    fn subscribe(&mut self, subscribers: u64, removed: u64) {
        let last = self.last[EVENTS];
        let lost = last * removed / 100;
        let events = self.history.stored.iter().filter(|s| s.kind == Kind::Ev);
        let channels: BTreeSet<String> = events.map(|s| s.channel.clone()).collect();
        for subscriber in 0..subscribers {
            for channel in &channels {
                let from_seq = if subscriber == 0 {
                    0
                } else {
                    self.dice.roll(last + 1)
                };
                // The first two meet the retention: one lost what it asks for, one had it before.
                let gap = (subscriber != 1 && from_seq < lost).then_some((from_seq + 1, lost));
                let away = (subscriber == 2 && from_seq > lost).then(|| {
                    let left = from_seq + self.dice.roll(last - from_seq + 1);
                    (left, left + self.dice.roll(last - left + 1))
                });
                self.view(&format!("s{subscriber}"), channel, from_seq, gap, away);
            }
        }
    }

    fn view(
        &mut self,
        subscriber: &str,
        channel: &str,
        from_seq: u64,
        gap: Option<(u64, u64)>,
        away: Option<(u64, u64)>,
    ) {
        let last = self.last[EVENTS];
        let mut owe = |from_seq: u64, until_seq: u64, gap: Option<(u64, u64)>| {
            self.history.push(Subscription {
                subscriber: subscriber.into(),
                channel: channel.into(),
                stream: EVENTS.into(),
                from_seq,
                until_seq,
                gaps: gap.into_iter().collect(),
            });
        };
        owe(from_seq, away.map_or(last, |away| away.0), gap);
        if let Some((_, back)) = away {
            owe(back, last, None);
        }
        let mut prev = 0;
        let mut arrivals = Vec::new();
        for s in self
            .history
            .stored
            .iter()
            .filter(|s| s.kind == Kind::Ev && s.channel == channel)
        {
            let lost = gap.is_some_and(|(from, to)| (from..=to).contains(&s.seq));
            let missed = away.is_some_and(|(left, back)| s.seq > left && s.seq <= back);
            if s.seq > from_seq && !lost && !missed {
                arrivals.push(Delivered {
                    subscriber: subscriber.into(),
                    channel: channel.into(),
                    seq: s.seq,
                    prev: if gap.is_some_and(|gap| prev <= gap.1) {
                        0
                    } else {
                        prev
                    },
                    body: s.body,
                    id: s.id.clone(),
                });
            }
            prev = s.seq;
        }
        self.history.delivered.extend(arrivals);
    }

    /// Mirrors everything but what was lost before; then retention removes the old part.
    fn mirror(&mut self, removed: u64) {
        let mut offsets: BTreeMap<(String, i32), i64> = BTreeMap::new();
        let mut mirrored = Vec::new();
        for (&stream, &last) in &self.last {
            let lost = last * removed / 100;
            let unmirrored = if removed > 20 { lost / 2 } else { 0 };
            if unmirrored > 0 {
                let stream = stream.to_owned();
                self.history.mirror_gaps.push(MirrorGap {
                    stream,
                    from: 1,
                    to: unmirrored,
                });
            }
            for s in self.history.stored.iter().filter(|s| s.stream == stream) {
                let kind = match s.kind {
                    Kind::In => "in",
                    Kind::Ev => "ev",
                    Kind::DeadLetter => "rej",
                    Kind::Checkpoint { .. } => continue,
                };
                if s.seq <= unmirrored {
                    continue;
                }
                let topic = format!("eddyline.{kind}.acme");
                let partition = (hash(&s.channel) % u64::from(PARTITIONS)) as i32;
                let offset = offsets.entry((topic.clone(), partition)).or_insert(0);
                // Transaction markers leave holes in the offsets.
                *offset += 1 + self.dice.roll(2) as i64;
                mirrored.push(Mirrored {
                    stream: stream.into(),
                    seq: s.seq,
                    topic,
                    partition,
                    offset: *offset,
                    key: s.channel.clone(),
                    channel: s.channel.clone(),
                    body: s.body,
                    id: s.id.clone(),
                });
            }
            self.history
                .stored
                .retain(|s| s.stream != stream || s.seq > lost);
            self.history.push(MirroredStream {
                stream: stream.into(),
                until_seq: last,
            });
            self.history.push(StreamState {
                stream: stream.into(),
                retained_from: lost + 1,
                last_seq: last,
            });
        }
        self.history.mirrored = mirrored;
    }
}
