//! A version on trial: `canary` of a function, what it says, how it stands, and what has to
//! be done about it.
//!
//! Owns nothing. Workers judge a trial; here is only what follows from that for a plan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use control::{CanaryDraft, Deployer, Expected, FunctionDraft, Landscape, digest};
use protocol::checkpoint::Digest;
use protocol::name::FunctionName;
use protocol::spec::{Canary, EVENTS_MIN_DEFAULT, FOR_MS_DEFAULT, FunctionSpec, Verdict};
use serde::Deserialize;

use super::module::read_module;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fields::{Fields, value_of};
use crate::schema::{Attribute, Kind};
use crate::value::{Object, Value};

/// What is on trial still.
const ON_TRIAL: &str = "on_trial";

/// A trial as its configuration has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The file of its module.
    pub module: PathBuf,
    /// Its settings; the function's own unless said.
    pub config: Option<BTreeMap<String, String>>,
    /// Its share of the channels, in a thousand.
    pub permille: u16,
    /// Events before it may be promoted.
    pub events_min: u64,
    /// Time before it may be promoted, milliseconds.
    pub for_ms: u64,
}

/// Its attributes.
pub fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::required(
            "module",
            Kind::Text,
            "The file of the module that is tried.",
        ),
        Attribute::optional(
            "config",
            Kind::Map(Box::new(Kind::Text)),
            "Its settings; the function's own unless said.",
        ),
        Attribute::default(
            "permille",
            Kind::Number,
            50u64,
            "Its share of the channels, in a thousand; 500 at most.",
        ),
        Attribute::default(
            "events_min",
            Kind::Number,
            EVENTS_MIN_DEFAULT,
            "Events that it handles before it may be promoted.",
        ),
        Attribute::default(
            "for_ms",
            Kind::Number,
            FOR_MS_DEFAULT,
            "How long it is on trial before it may be promoted, milliseconds.",
        ),
    ]
}

/// The trial of a function, as far as it is known; the inner `None`: there is none.
pub fn wanted(value: &Value) -> Result<Option<Option<Trial>>, Diagnostics> {
    let mut fields = Fields::of(value);
    let trial = fields.read::<Option<Trial>>("canary");
    fields.end(trial)
}

impl Trial {
    /// Its module, read.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn module(&self) -> Result<Bytes, Diagnostic> {
        read_module(&self.module)
            .map_err(|problem| Diagnostic::error(format!("canary: {problem}"), "").at("canary"))
    }

    /// The function as it is tried.
    pub fn draft(&self, draft: FunctionDraft) -> FunctionDraft {
        FunctionDraft {
            config: self.config.clone().unwrap_or(draft.config),
            canary: Some(CanaryDraft {
                permille: self.permille,
                events_min: self.events_min,
                for_ms: self.for_ms,
            }),
            ..draft
        }
    }

    /// Whether this is what is on trial.
    fn is(&self, canary: &Canary, tried: &Digest) -> bool {
        let terms = (canary.permille, canary.events_min, canary.for_ms);
        canary.candidate.digest == *tried
            && terms == (self.permille, self.events_min, self.for_ms)
            && self
                .config
                .as_ref()
                .is_none_or(|config| *config == canary.candidate.config)
    }
}

/// Whether what is deployed is the version that a state knows to have been on trial.
pub fn has_become(land: &Landscape, spec: &FunctionSpec, prior: &Value) -> bool {
    let known = prior.get("canary_version").as_u64();
    let judged = land.judged.get(&spec.name);
    let passed = judged
        .is_some_and(|judged| judged.verdict == Verdict::Promoted && Some(judged.version) == known);
    passed && known == Some(spec.version) && !prior.get("canary").is_null()
}

/// How the trial stands that a state knows of, as attributes.
pub fn state(land: &Landscape, spec: &FunctionSpec, prior: &Value) -> Vec<(&'static str, Value)> {
    let said = prior.get("canary");
    if let Some(canary) = &spec.canary {
        let candidate = &canary.candidate;
        let own = said.get("config").is_null() && candidate.config == spec.config;
        let config = if own {
            Value::Null
        } else {
            value_of(&candidate.config)
        };
        let all = [
            ("module", said.get("module").clone()),
            ("config", config),
            ("permille", u64::from(canary.permille).into()),
            ("events_min", canary.events_min.into()),
            ("for_ms", canary.for_ms.into()),
        ];
        let all: Object = all.map(|(name, value)| (name.to_owned(), value)).into();
        return told(
            Value::Map(all),
            value_of(&candidate.digest),
            candidate.version.into(),
            ON_TRIAL.into(),
        );
    }
    let known = prior.get("canary_version").as_u64();
    let judged = land.judged.get(&spec.name);
    let judged = judged.filter(|judged| Some(judged.version) == known);
    match judged {
        Some(judged) => told(
            said.clone(),
            prior.get("canary_digest").clone(),
            judged.version.into(),
            judged.verdict.as_str().into(),
        ),
        None => told(Value::Null, Value::Null, Value::Null, Value::Null),
    }
}

fn told(canary: Value, digest: Value, version: Value, state: Value) -> Vec<(&'static str, Value)> {
    vec![
        ("canary", canary),
        ("canary_digest", digest),
        ("canary_version", version),
        ("canary_state", state),
    ]
}

/// What a plan has to know of the trial that there was.
pub struct Before<'a>(pub &'a Value);

impl Before<'_> {
    /// Whether a trial is under way.
    pub fn is_on_trial(&self) -> bool {
        self.state() == Some(ON_TRIAL)
    }

    fn state(&self) -> Option<&str> {
        self.0.get("canary_state").as_text()
    }

    /// Whether this trial has been judged already: it is not begun again.
    pub fn has_judged(&self, tried: &Digest) -> bool {
        let judged = self.state().is_some_and(|state| state != ON_TRIAL);
        judged && *self.0.get("canary_digest") == value_of(tried)
    }

    /// Whether it has every channel now, and the configuration does not know yet.
    pub fn was_promoted(&self) -> bool {
        self.state() == Some(Verdict::Promoted.as_str())
    }

    /// What should be done about a trial that has ended.
    pub fn advice(&self, trial: &Trial) -> Diagnostic {
        let version = self.0.get("canary_version").as_u64().unwrap_or_default();
        let module = trial.module.display();
        let (summary, detail) = match self.was_promoted() {
            true => (
                format!("version {version} has passed its trial, and has every channel"),
                format!("Make it the function's own (module = \"{module}\"), and remove canary."),
            ),
            false => (
                format!("version {version} has failed its trial, and was taken back"),
                format!(
                    "`eddyline function show` says why. Remove canary, or try another module than {module}."
                ),
            ),
        };
        Diagnostic::warning(summary, detail).at("canary")
    }
}

/// Ends a trial that is not wanted any more, or not in this way: what is to be the
/// function's own from now on is promoted, and anything else is taken back.
///
/// # Errors
/// Those of the deployer.
pub async fn end_other(
    deployer: &Deployer,
    name: &FunctionName,
    own: &[Bytes],
    wanted: Option<&(Trial, Bytes)>,
    expected: Expected,
) -> Result<(), Diagnostics> {
    let failed = |error| vec![Diagnostic::from(error)];
    let land = deployer.landscape().await;
    let land = land.map_err(|error| vec![Diagnostic::from(error)])?;
    let Some(entry) = land.functions.get(name) else {
        return Ok(());
    };
    // Who has changed it meanwhile is heard first: nothing is done then.
    let seen = match expected {
        Expected::Revision(seen) => seen == entry.revision,
        Expected::New => false,
        Expected::Whatever => true,
    };
    let Some(canary) = entry.spec.canary.as_ref().filter(|_| seen) else {
        return Ok(());
    };
    let promoted = own.first().map(|wasm| digest(wasm)) == Some(canary.candidate.digest.clone());
    match wanted {
        Some((trial, wasm)) if trial.is(canary, &digest(wasm)) => return Ok(()),
        None if promoted => {
            deployer.promote(name).await.map_err(failed)?;
        }
        _ => {
            deployer.rollback(name, None).await.map_err(failed)?;
        }
    }
    Ok(())
}
