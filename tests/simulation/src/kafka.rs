//! Kafka's transactions as one producer sees them, in memory.
//!
//! Modelled: one transactional id whose newest producer fences the ones before and ends
//! what they left open; requests that arrive late or not at all, answers that get lost,
//! so that the outcome of a commit is unknown; a coordinator that aborts what is open
//! too long; readers of committed records alone. Not modelled: brokers, partitions'
//! leaders, the protocol itself.
//!
//! Owns the log. Must not know the mirror.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{Instant, sleep};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a transaction may stay open.
const OPEN_MAX: Duration = Duration::from_secs(10);

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaError {
    /// A newer producer has the id.
    Fenced,
    /// The transaction was aborted.
    Aborted,
    /// No answer: it may have happened or may yet happen.
    Unknown,
}

/// Where a record goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A topic's partition.
    Partition(String, i32),
    /// The progress of the mirror, of which the last counts.
    Progress,
}

/// Chances of what goes wrong, and how long a request takes at most.
#[derive(Debug, Clone, Copy, Default)]
pub struct KafkaFaults {
    /// A request does not arrive.
    pub request_lost: f64,
    /// A request is carried out, its answer does not arrive.
    pub answer_lost: f64,
    /// The coordinator aborts a transaction.
    pub aborted: f64,
    /// A request takes longer than its client waits.
    pub late: f64,
}

#[derive(Debug)]
struct Transaction {
    since: Instant,
    records: Vec<(Target, Vec<u8>)>,
}

#[derive(Debug)]
struct State {
    producer: u64,
    open: Option<Transaction>,
    log: BTreeMap<Target, Vec<Vec<u8>>>,
    faults: KafkaFaults,
    dice: StdRng,
    happened: BTreeMap<&'static str, u64>,
}

/// The cluster; clones are the same.
#[derive(Debug, Clone)]
pub struct Kafka(Arc<Mutex<State>>);

impl Kafka {
    /// An empty one.
    pub fn start(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            producer: 0,
            open: None,
            log: BTreeMap::new(),
            faults: KafkaFaults::default(),
            dice: StdRng::seed_from_u64(seed ^ 0x0caf_cafe),
            happened: BTreeMap::new(),
        })))
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&self, faults: KafkaFaults) {
        self.0.lock().faults = faults;
    }

    /// How often each fault has happened.
    pub fn happened(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().happened.clone()
    }

    /// Everything committed that a partition holds, or all progress.
    pub fn log(&self) -> BTreeMap<Target, Vec<Vec<u8>>> {
        self.0.lock().log.clone()
    }

    /// Ends the predecessor's transaction, fences it, and returns a producer.
    ///
    /// # Errors
    /// [`KafkaError::Unknown`]: try again.
    pub async fn init(&self) -> Result<u64, KafkaError> {
        self.call(|state| {
            state.producer += 1;
            state.open = None;
            Ok(state.producer)
        })
        .await
    }

    /// Writes a record into the producer's transaction, which begins with the first.
    ///
    /// # Errors
    /// [`KafkaError`]; begin anew with [`Self::init`].
    pub async fn produce(
        &self,
        producer: u64,
        records: Vec<(Target, Vec<u8>)>,
    ) -> Result<(), KafkaError> {
        self.call(move |state| {
            state.may(producer)?;
            let open = state.open.get_or_insert_with(|| Transaction {
                since: Instant::now(),
                records: Vec::new(),
            });
            open.records.extend(records);
            Ok(())
        })
        .await
    }

    /// Writes a record outside of any transaction: readers see it at once.
    pub async fn write_outside(&self, target: Target, value: Vec<u8>) -> Result<(), KafkaError> {
        self.call(move |state| {
            state.log.entry(target).or_default().push(value);
            Ok(())
        })
        .await
    }

    /// Commits the producer's transaction.
    ///
    /// # Errors
    /// [`KafkaError`]. After [`KafkaError::Unknown`] it may still happen, until
    /// [`Self::init`].
    pub async fn commit(&self, producer: u64) -> Result<(), KafkaError> {
        self.call(move |state| {
            state.may(producer)?;
            let open = state.open.take().ok_or(KafkaError::Aborted)?;
            for (target, value) in open.records {
                state.log.entry(target).or_default().push(value);
            }
            Ok(())
        })
        .await
    }

    /// The last committed progress.
    pub async fn progress(&self) -> Result<Option<Vec<u8>>, KafkaError> {
        self.call(|state| {
            let all = state.log.get(&Target::Progress);
            Ok(all.and_then(|all| all.last()).cloned())
        })
        .await
    }

    /// A request, there and back. Whoever gives up waiting does not take it back.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, KafkaError> {
        let (lost, unanswered, delay) = {
            let mut state = self.0.lock();
            let faults = state.faults;
            let lost = state.happens("kafka request lost", faults.request_lost);
            let unanswered = state.happens("kafka answer lost", faults.answer_lost);
            let longest = if state.happens("kafka request late", faults.late) {
                PATIENCE * 2
            } else {
                Duration::from_millis(20)
            };
            let delay = state.dice.random_range(0..=longest.as_millis() as u64);
            (lost, unanswered, Duration::from_millis(delay))
        };
        let state = self.0.clone();
        let arrives = tokio::spawn(async move {
            sleep(delay).await;
            if lost {
                return Err(KafkaError::Unknown);
            }
            work(&mut state.lock())
        });
        match tokio::time::timeout(PATIENCE, arrives).await {
            Ok(Ok(answer)) if !lost && !unanswered => answer,
            Err(_) => Err(KafkaError::Unknown),
            Ok(_) => {
                sleep(PATIENCE.saturating_sub(delay)).await;
                Err(KafkaError::Unknown)
            }
        }
    }
}

impl State {
    /// Whether a producer may still write.
    fn may(&mut self, producer: u64) -> Result<(), KafkaError> {
        if producer != self.producer {
            return Err(KafkaError::Fenced);
        }
        let faults = self.faults;
        let open = self.open.as_ref();
        let old = open.is_some_and(|open| open.since.elapsed() > OPEN_MAX);
        if old || (open.is_some() && self.happens("kafka abort", faults.aborted)) {
            self.open = None;
            // Who was aborted must not go on as if its records were there.
            self.producer += 1;
            return Err(KafkaError::Aborted);
        }
        Ok(())
    }

    fn happens(&mut self, what: &'static str, chance: f64) -> bool {
        let happens = chance > 0.0 && self.dice.random_bool(chance);
        if happens {
            *self.happened.entry(what).or_default() += 1;
        }
        happens
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Vec<(Target, Vec<u8>)> {
        vec![(Target::Partition("t".into(), 0), text.into())]
    }

    #[tokio::test(start_paused = true)]
    async fn a_newer_producer_ends_what_the_older_left_open() {
        let kafka = Kafka::start(1);
        let old = kafka.init().await.unwrap_or_default();
        assert_eq!(kafka.produce(old, record("a")).await, Ok(()));
        let new = kafka.init().await.unwrap_or_default();
        assert_eq!(kafka.commit(old).await, Err(KafkaError::Fenced));
        assert_eq!(kafka.produce(new, record("b")).await, Ok(()));
        assert!(kafka.log().is_empty());
        assert_eq!(kafka.commit(new).await, Ok(()));
        let all: Vec<_> = kafka.log().into_values().flatten().collect();
        assert_eq!(all, [b"b".to_vec()]);
    }
}
