//! Everything that a function's configuration asks for, files included. Owns nothing.

use bytes::Bytes;

use super::canary;
use super::canary::{Before, Trial};
use super::spec::{Written, digests, written};
use crate::diagnostic::Diagnostics;
use crate::fields::value_of;
use crate::value::Value;

/// A function as it is wanted, with all of its modules.
pub struct Wanted {
    /// The function.
    pub written: Written,
    /// The modules of its stages.
    pub modules: Vec<Bytes>,
    /// What is tried beside it, and its module.
    pub trial: Option<(Trial, Bytes)>,
}

impl Wanted {
    /// As attributes say it; `None`: not everything is known yet.
    ///
    /// # Errors
    /// What is not accepted of it.
    pub fn read(value: &Value) -> Result<Option<Self>, Diagnostics> {
        let (written, trial) = (written(value)?, canary::wanted(value)?);
        let Some((written, trial)) = written.zip(trial) else {
            return Ok(None);
        };
        let one = |problem| vec![problem];
        let modules = written.modules().map_err(one)?;
        let tried = trial.as_ref().map(Trial::module).transpose().map_err(one)?;
        Ok(Some(Self {
            written,
            modules,
            trial: trial.zip(tried),
        }))
    }

    /// The digests of everything.
    pub fn digests(&self) -> Vec<(&'static str, Value)> {
        let tried = self.trial.as_ref();
        let tried = tried.map(|(_, wasm)| value_of(&control::digest(wasm)));
        let mut all = Vec::from(digests(&self.modules));
        all.push(("canary_digest", tried.unwrap_or(Value::Null)));
        all
    }

    /// The modules of the version on trial: its own, and those of the same stages.
    pub fn tried(&self, wasm: &Bytes) -> Vec<Bytes> {
        let further = self.modules.iter().skip(1).cloned();
        std::iter::once(wasm.clone()).chain(further).collect()
    }

    /// The trial that has been judged already, if it has.
    pub fn judged(&self, before: &Before<'_>) -> Option<&Trial> {
        let (trial, wasm) = self.trial.as_ref()?;
        let judged = before.has_judged(&control::digest(wasm));
        judged.then_some(trial)
    }
}
