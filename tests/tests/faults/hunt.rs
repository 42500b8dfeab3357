//! Kills instances of one service one after the other, each at a moment of its own:
//! at a named step, by a switch of the instance, or after a number of acks, from
//! outside. What was killed is started again, armed for its next end.
//!
//! Owns the list of moments. What the service promises is for the checker to judge.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use bridge::BridgeConfig;
use checker::Report;
use edge::EdgeConfig;
use harness::service::Service;
use harness::traffic::{Followed, Traffic, channels, follow_all};
use harness::{Builder, DEADLINE, Deployment, Instance, wait};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use workers::WorkerConfig;

/// Fewest kills of a service that count as a test of it.
const KILLS_MIN: usize = 20;
/// The signal that nobody can handle.
const SIGKILL: i32 = 9;
/// Bytes of a log that a failure shows.
const LOG_BYTES_SHOWN: usize = 4_000;

/// How long the input's stream remembers an id in these tests.
const WINDOW: Duration = Duration::from_millis(100);

/// Processes, and streams of which neither remembers an id for long.
pub fn forgetful() -> Builder {
    Deployment::builder()
        .hurried()
        .store(|store| store.duplicate_window_ingress = WINDOW)
        .processes()
}

/// A service with switches.
pub trait Victim: Service {
    /// Sets its switches, for the next start.
    fn arm(&mut self, faults: String);
}

impl Victim for EdgeConfig {
    fn arm(&mut self, faults: String) {
        self.faults = faults;
    }
}

impl Victim for WorkerConfig {
    fn arm(&mut self, faults: String) {
        self.faults = faults;
    }
}

impl Victim for BridgeConfig {
    fn arm(&mut self, faults: String) {
        self.faults = faults;
    }
}

/// When an instance is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// At a step, the n-th time that it comes there.
    Step(&'static str, u64),
    /// When so many more events have their ack.
    Acks(usize),
}

impl Moment {
    /// The switch that kills then; none for what happens from outside.
    pub fn faults(self) -> String {
        match self {
            Self::Step(point, n) => format!("{point}=kill@{n}"),
            Self::Acks(_) => String::new(),
        }
    }
}

/// What a hunt kills at.
#[derive(Debug, Clone, Copy)]
pub struct Ground {
    /// Steps, and the largest number of visits that an instance survives there.
    pub steps: &'static [(&'static str, u64)],
    /// Kills at each of them.
    pub each: usize,
    /// Kills at random.
    pub random: usize,
    /// Most acks before one of those.
    pub acks_max: usize,
}

impl Ground {
    fn moments(&self, random: &mut StdRng) -> Vec<Moment> {
        let mut moments = Vec::new();
        for _ in 0..self.each {
            for (point, visits) in self.steps {
                moments.push(Moment::Step(point, random.random_range(1..=*visits)));
            }
        }
        for _ in 0..self.random {
            moments.push(Moment::Acks(random.random_range(1..=self.acks_max)));
        }
        moments.shuffle(random);
        moments
    }
}

/// Acks without any kill after which an instance is restarted in good order: two
/// owners that share the lanes may both wait for a takeover that never comes.
const STALLED_ACKS: usize = 2_000;

/// An instance that waits for its end.
#[derive(Debug)]
struct Armed {
    moment: Moment,
    /// Acks are counted from here; `None` while another instance does the work, since
    /// nothing would be learnt from killing an idle one.
    from: Option<usize>,
}

impl Armed {
    fn is_due(&self, acked: usize) -> bool {
        match (self.moment, self.from) {
            (Moment::Acks(count), Some(from)) => acked >= from + count,
            _ => false,
        }
    }
}

/// Events flow while instances die, as `ground` says, and the checker looks at everything;
/// what it found, `None` if the servers are not here. The mirror takes the events in, or
/// subscribers of every channel.
pub async fn outlived<S: Victim>(
    builder: Builder,
    victims: fn(&mut Deployment) -> &mut Vec<Instance<S>>,
    ground: &Ground,
    by_mirror: bool,
) -> Option<Report> {
    let mut deployment = builder.start().await?;
    let channels = channels(&deployment);
    let followed = match by_mirror {
        true => Followed::ByMirror,
        false => follow_all(&mut deployment, &channels).await,
    };
    let mut traffic = Traffic::begin(&deployment, &channels).await;
    let kills = hunt(&mut deployment, victims, &mut traffic, ground).await;
    assert!(kills >= KILLS_MIN && kills >= ground.steps.len() * ground.each + ground.random);
    Some(traffic.conclude(&mut deployment, followed).await)
}

/// Kills the instances that `victims` picks until so many kills are done as `ground`
/// says, and leaves them running without switches. Returns how many that were.
///
/// # Panics
/// If an instance ends in another way, or not at all.
pub async fn hunt<S: Victim>(
    deployment: &mut Deployment,
    victims: fn(&mut Deployment) -> &mut Vec<Instance<S>>,
    traffic: &mut Traffic,
    ground: &Ground,
) -> usize {
    let mut random = StdRng::seed_from_u64(deployment.seed);
    let mut moments = ground.moments(&mut random);
    let kills = moments.len();
    let count = victims(deployment).len();
    // Those that are still armed when the last kill is done need a moment, too.
    moments.extend((0..count).map(|_| Moment::Acks(ground.acks_max)));
    eprintln!("seed {}: kills at {moments:?}", deployment.seed);
    let mut moments = moments.into_iter();
    let mut next = move || {
        moments
            .next()
            .expect("there are as many as kills and instances")
    };
    let mut armed = Vec::with_capacity(count);
    for instance in victims(deployment) {
        instance.stop().await;
        let from = Some(traffic.acked());
        armed.push(arm(instance, next(), from).await);
    }
    let (mut done, mut stalls) = (0, 0);
    while done < kills {
        let Some(fallen) = next_end(deployment, victims, traffic, &armed).await else {
            let stalled = stalls % count;
            stalls += 1;
            let instance = &mut victims(deployment)[stalled];
            instance.stop().await;
            let acked = traffic.acked();
            armed.iter_mut().for_each(|other| other.from = Some(acked));
            armed[stalled] = arm(
                instance,
                armed[stalled].moment,
                (count == 1).then_some(acked),
            )
            .await;
            continue;
        };
        done += 1;
        let instance = &mut victims(deployment)[fallen];
        let status = instance.kill();
        assert_killed(instance, status);
        let acked = traffic.acked();
        armed.iter_mut().for_each(|other| other.from = Some(acked));
        let alone = count == 1;
        armed[fallen] = arm(instance, next(), alone.then_some(acked)).await;
    }
    for instance in victims(deployment) {
        instance.stop().await;
        instance.config.arm(String::new());
        instance.start().await;
    }
    kills
}

async fn arm<S: Victim>(instance: &mut Instance<S>, moment: Moment, from: Option<usize>) -> Armed {
    instance.config.arm(moment.faults());
    instance.start().await;
    Armed { moment, from }
}

/// Waits until an instance has ended or has to be killed; which one. `None`: the
/// traffic flows, and none of them comes to its end.
async fn next_end<S: Victim>(
    deployment: &mut Deployment,
    victims: fn(&mut Deployment) -> &mut Vec<Instance<S>>,
    traffic: &mut Traffic,
    armed: &[Armed],
) -> Option<usize> {
    let since = traffic.acked();
    let ended = wait::look("the next kill", DEADLINE, async || {
        traffic.assert_flows();
        let acked = traffic.acked();
        let instances = victims(deployment).iter_mut().zip(armed);
        let mut ends =
            instances.map(|(instance, armed)| instance.ended().is_some() || armed.is_due(acked));
        match ends.position(|end| end) {
            None if acked >= since + STALLED_ACKS => Ok(None),
            None => Err(format!("{armed:?} at {acked} acks")),
            fallen => Ok(fallen),
        }
    });
    match ended.await {
        Ok(fallen) => fallen,
        Err(problem) => panic!("{problem}\n{}", deployment.describe()),
    }
}

/// Demands that an instance has come to the end that was meant for it.
///
/// # Panics
/// If it has ended in another way.
pub fn assert_killed<S: Victim>(instance: &Instance<S>, status: ExitStatus) {
    if status.signal() != Some(SIGKILL) {
        let log = instance.log();
        let from = log.ceil_char_boundary(log.len().saturating_sub(LOG_BYTES_SHOWN));
        panic!(
            "{} has ended by itself: {status}\n{}",
            instance.name(),
            &log[from..]
        );
    }
}
