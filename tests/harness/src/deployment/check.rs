//! From a run to a verdict: wait until everything has arrived where it must, read the
//! servers back, and ask the checker.

use std::collections::BTreeMap;

use anyhow::Context;
use checker::{Function, Kind, MirroredStream, Report, Stored};
use protocol::spec::{FunctionSpec, Schedule, Trigger};
use protocol::stream::StreamName;

use super::{Deployment, setup};
use crate::blocking::blocking;
use crate::collect::mirror;
use crate::{environment, wait};

impl Deployment {
    /// Waits for everything, judges the history and demands that it is clean.
    ///
    /// # Panics
    /// With the report, the seed and where the history was kept, if it is not.
    pub async fn check(&mut self) -> Report {
        self.settle().await;
        let report = self.report().await;
        if !report.is_clean() {
            let kept = self.keep_history();
            panic!("{report}\nthe history is in {kept}\n{}", self.describe());
        }
        report
    }

    /// Waits until functions have answered every input, subscribers have received
    /// every event, and the mirror holds everything.
    ///
    /// # Panics
    /// If that does not happen; with what is missing and what every instance does.
    pub async fn settle(&mut self) {
        let mut outcome = self.functions_settled().await;
        if outcome.is_ok() {
            outcome = self.subscribers_settled().await;
        }
        if outcome.is_ok() && !self.bridges.is_empty() {
            outcome = self.mirror_settled().await;
        }
        if let Err(problem) = outcome {
            let kept = self.keep_history();
            panic!("{problem}\nthe history is in {kept}\n{}", self.describe());
        }
    }

    /// Reads everything back as it is now, and judges it without waiting. Call it once,
    /// at the end: it adds to the history.
    ///
    /// # Panics
    /// If the servers cannot be read.
    pub async fn report(&mut self) -> Report {
        self.read_all().await;
        let ends = [self.ingress.last(), self.events.last()];
        self.recorder.extend(
            self.ingress
                .records()
                .iter()
                .chain(self.events.records())
                .cloned(),
        );
        self.recorder
            .extend([self.ingress.state(), self.events.state()]);
        self.recorder
            .extend(self.functions.iter().map(|spec| self.function(spec)));
        let events = self.events.stream().to_string();
        let owed = self.views.iter().map(|view| view.owed(&events, ends[1]));
        self.recorder.extend(owed.collect::<Vec<_>>());
        if self.servers.has_kafka() {
            self.read_mirror().await;
        }
        let recorder = self.recorder.clone();
        blocking(move || recorder.check()).await
    }

    /// Everything in INGRESS and EVENTS, freshly read.
    ///
    /// # Panics
    /// If the streams cannot be read.
    pub async fn stored(&mut self) -> Vec<Stored> {
        self.read_all().await;
        self.ingress
            .records()
            .iter()
            .chain(self.events.records())
            .cloned()
            .collect()
    }

    /// Reads on until that succeeds: a server may just be missing, or coming back.
    async fn read_all(&mut self) {
        let read = wait::look("the streams can be read", wait::DEADLINE, async || {
            let read = self.read_streams().await;
            read.map_err(|error| format!("{error:#}"))
        });
        if let Err(problem) = read.await {
            panic!("{problem}");
        }
    }

    async fn read_streams(&mut self) -> anyhow::Result<()> {
        self.ingress.read_on(&self.bus).await.context("INGRESS")?;
        self.events.read_on(&self.bus).await.context("EVENTS")
    }

    async fn read_mirror(&self) {
        let (bootstrap, prefix) = (
            self.servers.kafka_bootstrap().to_owned(),
            self.token.clone(),
        );
        let found = wait::until("kafka can be read", async || {
            let (bootstrap, prefix) = (bootstrap.clone(), prefix.clone());
            let found = blocking(move || mirror::read(&bootstrap, &prefix)).await;
            found.map_err(|error| format!("{error:#}"))
        })
        .await;
        self.recorder.extend(found.records);
        self.recorder.extend(found.gaps);
        let streams = found.progress.into_iter();
        self.recorder
            .extend(streams.map(|(stream, until_seq)| MirroredStream { stream, until_seq }));
    }

    async fn functions_settled(&mut self) -> Result<(), String> {
        wait::look(
            "functions have answered every input",
            wait::DEADLINE,
            async || {
                self.read_streams()
                    .await
                    .map_err(|error| format!("{error:#}"))?;
                self.functions
                    .iter()
                    .try_for_each(|spec| self.is_settled(spec))
            },
        )
        .await
    }

    /// Compares each lane's last checkpoint with its last input.
    fn is_settled(&self, spec: &FunctionSpec) -> Result<(), String> {
        let inputs = if matches!(spec.trigger, Trigger::Gate) {
            &self.ingress
        } else {
            &self.events
        };
        let mut owed = BTreeMap::new();
        for input in inputs
            .records()
            .iter()
            .filter(|input| input.seq >= spec.start_seq)
        {
            if handles(spec, input) {
                owed.insert(input.lane, input.seq);
            }
        }
        for stored in self.events.records() {
            if stored.function.as_deref() != Some(spec.name.as_str()) {
                continue;
            }
            if let Kind::Checkpoint { input_seq, parked } = &stored.kind
                && parked.is_empty()
                && owed.get(&stored.lane).is_some_and(|seq| seq <= input_seq)
            {
                owed.remove(&stored.lane);
            }
        }
        match owed.first_key_value() {
            None => Ok(()),
            Some((lane, seq)) => Err(format!(
                "{} has not answered {seq} in lane {lane}",
                spec.name
            )),
        }
    }

    async fn subscribers_settled(&mut self) -> Result<(), String> {
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        for stored in self
            .events
            .records()
            .iter()
            .filter(|stored| stored.kind == Kind::Ev)
        {
            last.insert(&stored.channel, stored.seq);
        }
        wait::look("subscribers are complete", wait::DEADLINE, async || {
            self.views
                .iter()
                .try_for_each(|view| match last.get(view.channel()) {
                    Some(seq) => view.has_reached(*seq),
                    None => Ok(()),
                })
        })
        .await
    }

    /// The last sequence of each stream that is mirrored: checkpoints are not.
    fn mirror_owed(&self) -> Vec<(StreamName, u64)> {
        let last = |records: &[Stored]| {
            let mirrored = |stored: &&Stored| !matches!(stored.kind, Kind::Checkpoint { .. });
            records
                .iter()
                .rev()
                .find(mirrored)
                .map_or(0, |stored| stored.seq)
        };
        [&self.ingress, &self.events]
            .map(|log| (log.stream().clone(), last(log.records())))
            .into_iter()
            .filter(|(_, seq)| *seq > 0)
            .collect()
    }

    async fn mirror_settled(&mut self) -> Result<(), String> {
        let owed = self.mirror_owed();
        let (bootstrap, prefix) = (
            self.servers.kafka_bootstrap().to_owned(),
            self.token.clone(),
        );
        wait::look("the mirror is complete", wait::DEADLINE, async || {
            let (bootstrap, prefix) = (bootstrap.clone(), prefix.clone());
            let progress = blocking(move || mirror::progress(&bootstrap, &prefix)).await;
            let progress = progress.map_err(|error| format!("{error:#}"))?;
            owed.iter()
                .try_for_each(|(stream, seq)| match progress.get(stream.as_str()) {
                    Some(mirrored) if mirrored >= seq => Ok(()),
                    mirrored => Err(format!("{stream} is mirrored up to {mirrored:?} of {seq}")),
                })
        })
        .await
    }

    fn function(&self, spec: &FunctionSpec) -> Function {
        let (input, channels) = match &spec.trigger {
            Trigger::Gate => {
                let patterns = setup::namespaces_of(&spec.name)
                    .flat_map(|name| [format!("*/{name}"), format!("*/{name}.>")]);
                (&self.ingress, patterns.collect())
            }
            Trigger::Reactive(patterns) => (
                &self.events,
                patterns
                    .iter()
                    .map(|pattern| format!("*/{pattern}"))
                    .collect(),
            ),
            Trigger::Schedule(schedule) => {
                let channel = format!("{}/{}", schedule.tenant(), schedule.channel());
                (&self.events, vec![channel])
            }
        };
        Function {
            name: spec.name.to_string(),
            input_stream: input.stream().to_string(),
            output_stream: self.events.stream().to_string(),
            channels,
            start_seq: spec.start_seq,
            silent_allowed: !matches!(spec.trigger, Trigger::Gate),
            every_s: spec.schedule().map(every_s),
            expectation: self.expectations.get(spec.name.as_str()).cloned(),
        }
    }

    /// Writes the history to the build's folder, for whoever looks into a failure.
    fn keep_history(&self) -> String {
        let lines = self.recorder.with(|history| history.to_lines());
        let path = environment::scratch_folder().join(format!("history-{}.jsonl", self.token));
        match std::fs::write(&path, lines) {
            Ok(()) => path.display().to_string(),
            Err(error) => format!("no file: {error}"),
        }
    }
}

/// The interval of a schedule that has one.
fn every_s(schedule: &Schedule) -> u64 {
    let first = schedule.after(0).expect("there is a first tick");
    let second = schedule.after(first).expect("there is a second tick");
    second - first
}

/// Whether a stored message is an input of the function, as its deployment says.
fn handles(spec: &FunctionSpec, stored: &Stored) -> bool {
    let Some((_, channel)) = stored.channel.split_once('/') else {
        return false;
    };
    match &spec.trigger {
        Trigger::Gate => {
            let first = channel.split('.').next().unwrap_or_default();
            stored.kind == Kind::In
                && setup::namespaces_of(&spec.name).any(|namespace| namespace == first)
        }
        Trigger::Schedule(schedule) => {
            let tick = stored.tick.as_ref();
            channel == schedule.channel().as_str()
                && tick.is_some_and(|tick| tick.function == spec.name.as_str())
        }
        Trigger::Reactive(patterns) => {
            let channel = protocol::name::Channel::parse(channel);
            stored.kind == Kind::Ev
                && channel
                    .is_ok_and(|channel| patterns.iter().any(|pattern| pattern.matches(&channel)))
        }
    }
}
