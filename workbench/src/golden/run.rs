//! Recorded events through the real host: one at a time, in order, on one instance, as
//! a lane would hand them over that is never behind.
//!
//! Owns the host for the time of a run. Must not know where records come from.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use host::event::Event;
use host::fault::Broken;
use host::module::{ModuleError, Program};
use host::pack::Item;
use host::remembered::Remembered;
use host::reply::{Emit, Handled};
use host::{Host, HostError};
use protocol::bus::Stored;
use protocol::envelope::{Envelope, stored_content_type};
use protocol::id::Publisher;
use protocol::lane::Lane;
use protocol::name::{Channel, ClientId, Tenant, User};
use protocol::spec::FunctionSpec;
use protocol::subject::{Kind, Subject};

use super::record::{Becomes, Outcome, Output, Record, TENANT};

/// When the first event was stored that says nothing else: 2023-11-14, in microseconds
/// since 1970.
const TIME: u64 = 1_700_000_000_000_000;
/// Time between events that say nothing else, microseconds.
const STEP: u64 = 1_000_000;
/// User and writer of an event that names none.
const USER: &str = "dev";
const WRITER: &str = "golden";
/// Most bytes of one emission: what NATS carries unless it is told otherwise, less what
/// headers may take.
const EVENT_BYTES_MAX: usize = (1 << 20) - (64 << 10);

/// Why records were not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The host does not start.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The module cannot be used.
    #[error(transparent)]
    Module(#[from] Arc<ModuleError>),
    /// The function does not start.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// A record is no event.
    #[error("event {number}: {problem}")]
    Record {
        /// Which one, from 1.
        number: usize,
        /// What is wrong.
        problem: String,
    },
    /// The thread that compiles was cut off.
    #[error("the run was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// A function, compiled and ready to be handed records.
pub struct Runner {
    host: Host,
    program: Arc<Program>,
}

impl Runner {
    /// Compiles the function, a module for each of its stages. Takes up to a second, for an
    /// interpreter far longer, on a thread for that. `compiled` is where compiled code is kept.
    ///
    /// # Errors
    /// [`RunError`]; a dropped future leaves the compilation running.
    pub async fn new(
        spec: FunctionSpec,
        wasm: Vec<Bytes>,
        compiled: Option<PathBuf>,
    ) -> Result<Self, RunError> {
        let compiled = tokio::task::spawn_blocking(move || {
            let host = Host::start(1, EVENT_BYTES_MAX, compiled.as_deref())?;
            let program = host.program(Arc::new(spec), &wasm)?;
            Ok(Self { host, program })
        });
        compiled.await?
    }

    /// Hands records to a fresh instance and says what each became. One after another:
    /// a batch of several may be split anywhere, and nothing may depend on that.
    ///
    /// # Errors
    /// A record is no event, or the function does not start.
    pub async fn run(&self, records: &[Record]) -> Result<Vec<Becomes>, RunError> {
        let guest = self.host.attach(0);
        let mut remembered = Remembered::default();
        let mut outcomes = Vec::with_capacity(records.len());
        for (number, record) in (1..).zip(records) {
            let wrong = |problem| RunError::Record { number, problem };
            let mut item = item(number, record, &self.program.spec).map_err(wrong)?;
            remembered.give(&mut item);
            let run = guest.run(Arc::clone(&self.program), vec![item.clone()]);
            for handled in run.await? {
                remembered.take(&item, &handled);
                outcomes.push(becomes(handled));
            }
        }
        Ok(outcomes)
    }
}

fn item(number: usize, record: &Record, spec: &FunctionSpec) -> Result<Item, String> {
    let seq = record.seq.unwrap_or(number as u64);
    let text = |given: &Option<String>, usual: &str| given.clone().unwrap_or(usual.to_owned());
    let tenant = parsed(Tenant::parse(&text(&record.tenant, TENANT)))?;
    let channel = parsed(Channel::for_client(&record.channel))?;
    let publisher = Publisher {
        user: parsed(User::parse(&text(&record.user, USER)))?,
        client: parsed(ClientId::parse(WRITER))?,
    };
    let (bytes, content_type) = record.bytes()?;
    let envelope = Envelope {
        id: text(&record.id, &format!("{tenant}/{publisher}/{seq}")),
        publisher: Some(publisher),
        content_type: stored_content_type(content_type)?.map(Into::into),
        ..Envelope::default()
    };
    let mut headers = envelope.to_headers();
    for (name, value) in &record.headers {
        parsed(headers.push_user(name, value))?;
    }
    let lane = Lane::of(&tenant, &channel, 1);
    let subject = Subject::event(Kind::In, &spec.store, lane, &tenant, &channel);
    let stored = Stored {
        seq,
        time_us: record.time.unwrap_or(TIME + STEP * seq),
        subject: subject.as_str().to_owned(),
        headers,
        payload: bytes.into(),
    };
    let event = Event::read(tenant, channel, stored).map_err(|refused| refused.1.to_string())?;
    Ok(Item {
        attempt: record.attempt.unwrap_or(1),
        event: Arc::new(event),
        memory: None,
    })
}

fn parsed<T, E: std::fmt::Display>(read: Result<T, E>) -> Result<T, String> {
    read.map_err(|error| error.to_string())
}

fn becomes(handled: Handled) -> Becomes {
    let plain = |outcome, reason: Option<String>| Becomes {
        outcome,
        reason,
        delay_ms: None,
        outputs: Vec::new(),
    };
    match handled {
        Handled::Ack(done) => Becomes {
            outputs: done.emits.iter().map(output).collect(),
            ..plain(Outcome::Ack, None)
        },
        Handled::Drop(reason) => plain(Outcome::Drop, Some(reason)),
        Handled::Reject(reason) => plain(Outcome::Reject, Some(reason)),
        Handled::Retry { delay_ms, reason } => Becomes {
            delay_ms: (delay_ms > 0).then_some(delay_ms),
            ..plain(Outcome::Retry, Some(reason))
        },
        Handled::Halt(reason) => plain(Outcome::Halt, Some(reason)),
        Handled::Fault(fault) => plain(Outcome::Fault, Some(fault.to_string())),
    }
}

fn output(emit: &Emit) -> Output {
    let content_type = emit.content_type.as_deref();
    Output::new(
        emit.channel.as_str(),
        content_type,
        &emit.headers,
        &emit.data,
    )
}
