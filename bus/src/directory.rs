//! Reading `CONFIG`: what a store is; and the one thing that services write beside
//! deployers: how a trial ended. Owns no state; everybody does it this way.

use protocol::name::{FunctionName, StoreName};
use protocol::spec::{FunctionSpec, Judgement, SpecError, StoreSpec, key};
use protocol::stream::Bucket;

use crate::bus::Bus;
use crate::error::BusError;
use crate::kv::Kv;

/// Why a store's spec cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its bootstrap has not run; temporary.
    #[error("store {store} has no spec in CONFIG: run the bootstrap first")]
    Missing {
        /// The store.
        store: StoreName,
    },
    /// What `CONFIG` holds is not a spec.
    #[error("the spec of store {store} is not readable")]
    Unreadable {
        /// The store.
        store: StoreName,
        /// Why.
        source: serde_json::Error,
    },
    /// The spec contradicts itself.
    #[error("the spec of store {store} is not usable")]
    Unusable {
        /// The store.
        store: StoreName,
        /// Which field.
        source: SpecError,
    },
    /// The bus failed; see whether it is temporary.
    #[error("the spec of the store cannot be read")]
    Bus(#[from] BusError),
}

/// Reads and checks a store's spec.
///
/// # Errors
/// [`StoreError`]. Cancel safe.
pub async fn store(bus: &Bus, name: &StoreName) -> Result<StoreSpec, StoreError> {
    let entry = bus.kv(Bucket::Config).await?.get(&key::store(name)).await?;
    let store = || name.clone();
    let (json, _) = entry.ok_or_else(|| StoreError::Missing { store: store() })?;
    let spec: StoreSpec = serde_json::from_slice(&json).map_err(|source| {
        let store = store();
        StoreError::Unreadable { store, source }
    })?;
    spec.check().map_err(|source| {
        let store = store();
        StoreError::Unusable { store, source }
    })?;
    Ok(spec)
}

/// Ends the trial of the version that a judgement names, in the bucket `FUNCTIONS`. Returns
/// the judgement's revision; `None` if that version is not on trial, or was judged before:
/// of any number of judgements of a version, the first to be written is the one that holds.
///
/// # Errors
/// Those of the bus; [`BusError::Malformed`] for what is no spec or judgement. Not cancel
/// safe: it may be written.
pub async fn judge(
    functions: &Kv,
    name: &FunctionName,
    judgement: &Judgement,
) -> Result<Option<u64>, BusError> {
    let key = key::judged(name);
    let value = serde_json::to_vec(judgement).expect("a judgement has only texts and numbers");
    // What is read last decides: a later trial begins only after an earlier one was judged.
    let before = functions.get(&key).await?;
    if let Some((before, _)) = &before
        && serde_json::from_slice::<Judgement>(before)
            .map_err(unreadable("judgement"))?
            .version
            >= judgement.version
    {
        return Ok(None);
    }
    let Some((spec, _)) = functions.get(name.as_str()).await? else {
        return Ok(None);
    };
    let spec: FunctionSpec = serde_json::from_slice(&spec).map_err(unreadable("function spec"))?;
    if spec.judged(judgement).is_none() {
        return Ok(None);
    }
    let written = match before {
        Some((_, revision)) => functions.update(&key, value.into(), revision).await,
        None => functions.create(&key, value.into()).await,
    };
    match written {
        Ok(revision) => Ok(Some(revision)),
        Err(BusError::Exists | BusError::Conflict) => Ok(None),
        Err(error) => Err(error),
    }
}

fn unreadable(what: &'static str) -> impl Fn(serde_json::Error) -> BusError {
    move |_| BusError::Malformed { what }
}

#[cfg(test)]
mod tests {
    use protocol::checkpoint::Digest;
    use protocol::spec::{Canary, Trigger, Verdict};
    use protocol::work::Work;

    use super::*;
    use crate::bootstrap::{StoreSettings, bootstrap};
    use crate::model::{Model, ModelFaults};

    fn spec(version: u64) -> FunctionSpec {
        let name = FunctionName::parse("gate").unwrap();
        let store = StoreName::parse("main").unwrap();
        FunctionSpec {
            version,
            ..FunctionSpec::new(name, Digest::from_bytes([1; 32]), store, Trigger::Gate)
        }
    }

    fn judgement(version: u64, verdict: Verdict) -> Judgement {
        Judgement {
            version,
            beside: 1,
            verdict,
            reason: "so it is".into(),
            by: "ann".into(),
            at_us: 1,
            candidate: Work::default(),
            other: Work::default(),
        }
    }

    /// Puts a version on trial beside the first.
    async fn try_out(functions: &Kv, version: u64) {
        let canary = Canary {
            permille: 50,
            candidate: Box::new(spec(version)),
            events_min: 1,
            for_ms: 1,
        };
        let tried = FunctionSpec {
            canary: Some(canary),
            ..spec(1)
        };
        let json = serde_json::to_vec(&tried).unwrap();
        functions.put("gate", json.into()).await.unwrap();
    }

    #[tokio::test]
    async fn the_first_judgement_of_a_version_holds_and_ends_no_other_trial() {
        let bus = Model::start(ModelFaults::default()).connect("test");
        bootstrap(&bus, &StoreSettings::default()).await.unwrap();
        let functions = bus.kv(Bucket::Functions).await.unwrap();
        let name = spec(1).name;
        let judge =
            async |version, verdict| judge(&functions, &name, &judgement(version, verdict)).await;
        let nobody = judge(2, Verdict::Promoted).await.unwrap();
        assert_eq!(nobody, None, "there is no such function");
        try_out(&functions, 2).await;
        assert_eq!(judge(3, Verdict::Promoted).await.unwrap(), None);
        let (first, second) =
            tokio::join!(judge(2, Verdict::Promoted), judge(2, Verdict::RolledBack));
        let written = [first.unwrap(), second.unwrap()];
        assert_eq!(written.iter().flatten().count(), 1, "{written:?}");
        try_out(&functions, 3).await;
        assert_eq!(judge(2, Verdict::RolledBack).await.unwrap(), None, "late");
        assert!(judge(3, Verdict::RolledBack).await.unwrap().is_some());
        let (json, _) = functions.get(&key::judged(&name)).await.unwrap().unwrap();
        let stands: Judgement = serde_json::from_slice(&json).unwrap();
        assert_eq!(stands, judgement(3, Verdict::RolledBack));
    }
}
