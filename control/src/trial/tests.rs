//! What may be tried beside what, what is refused meanwhile, and what a landscape makes of
//! a judgement.

use protocol::checkpoint::Digest;
use protocol::name::{FunctionName, StoreName};
use protocol::spec::{Judgement, Trigger, Verdict, Written};

use super::*;
use crate::landscape::Entry;

fn name(text: &str) -> FunctionName {
    FunctionName::parse(text).unwrap()
}

fn spec(named: &str, version: u64) -> FunctionSpec {
    let store = StoreName::parse("main").unwrap();
    FunctionSpec {
        version,
        ..FunctionSpec::new(
            name(named),
            Digest::from_bytes([1; 32]),
            store,
            Trigger::Gate,
        )
    }
}

fn on_trial(named: &str) -> FunctionSpec {
    let (now, draft) = (spec(named, 2), CanaryDraft::new(50));
    beside(Some(&now), spec(named, 3), draft, &Landscape::default()).unwrap()
}

fn land(functions: impl IntoIterator<Item = FunctionSpec>) -> Landscape {
    let mut land = Landscape::default();
    for spec in functions {
        let entry = Entry { spec, revision: 7 };
        land.functions.insert(entry.spec.name.clone(), entry);
    }
    land
}

fn judged(version: u64, verdict: Verdict) -> Judgement {
    Judgement {
        version,
        beside: 2,
        verdict,
        reason: "so it is".into(),
        by: "ann".into(),
        at_us: 1,
        candidate: Work::default(),
        other: Work::default(),
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, ControlError>, says: &str) {
    let error = outcome.unwrap_err().to_string();
    assert!(
        error.starts_with("canary: ") && error.contains(says),
        "{error}"
    );
}

#[test]
fn a_trial_needs_something_that_runs_beside_it() {
    let tried = on_trial("gate");
    assert_eq!(tried.version, 2);
    let canary = tried.canary.as_ref().unwrap();
    assert_eq!((canary.permille, canary.candidate.version), (50, 3));
    assert_eq!(tried.check(), Ok(()));
    let (draft, land) = (CanaryDraft::new(50), Landscape::default());
    let wanted = spec("gate", 3);
    refused(beside(None, wanted.clone(), draft, &land), "not deployed");
    let mut paused = spec("gate", 2);
    paused.paused = Some(Written {
        by: "ann".into(),
        at_us: 1,
    });
    refused(beside(Some(&paused), wanted, draft, &land), "resume gate");
}

#[test]
fn trials_of_a_store_are_limited() {
    let all = |count: usize| land((0..count).map(|n| on_trial(&format!("f{n}"))));
    let begin = |land: &Landscape| {
        let now = spec("gate", 2);
        beside(Some(&now), spec("gate", 3), CanaryDraft::new(50), land)
    };
    assert!(begin(&all(TRIALS_MAX - 1)).is_ok());
    refused(begin(&all(TRIALS_MAX)), "64 functions of the store main");
}

#[test]
fn one_thing_at_a_time() {
    assert!(none_on_trial(&spec("gate", 2)).is_ok());
    refused(none_on_trial(&on_trial("gate")), "promote gate");
}

#[test]
fn a_landscape_is_what_judgements_have_made_of_it() {
    let settled = |verdict, version| {
        let mut land = land([on_trial("gate")]);
        land.judged.insert(name("gate"), judged(version, verdict));
        land.settle();
        land
    };
    let land = settled(Verdict::Promoted, 3);
    let now = &land.functions[&name("gate")];
    assert_eq!(
        (now.spec.version, &now.spec.canary, now.revision),
        (3, &None, 7)
    );
    let kept = &land.versions[&name("gate")][&2];
    assert_eq!(*kept, spec("gate", 2), "the way back to it is open");
    assert_eq!(land.next_version(&name("gate")), 4);

    let land = settled(Verdict::RolledBack, 3);
    assert_eq!(land.functions[&name("gate")].spec, spec("gate", 2));
    assert!(
        !land.versions.contains_key(&name("gate")),
        "nobody wants it back"
    );
    assert_eq!(land.next_version(&name("gate")), 4, "its number was used");
    assert_eq!(land.ended[&name("gate")], on_trial("gate"));

    let land = settled(Verdict::Promoted, 1);
    assert_eq!(land.functions[&name("gate")].spec, on_trial("gate"));
    assert!(land.ended.is_empty(), "that was another trial");
}

#[test]
fn what_workers_say_of_a_trial_is_taken_together() {
    let report = |worker: &str, version, ack, failed: Option<&str>| {
        let work = Work {
            ack,
            ..Work::default()
        };
        let trial = TrialReport {
            version,
            failed: failed.map(str::to_owned),
            candidate: work.clone(),
            other: work,
        };
        let function = protocol::report::FunctionReport {
            digest: Digest::from_bytes([1; 32]),
            revision: 1,
            version: 2,
            lanes: Vec::new(),
            memory_bytes: 0,
            work: None,
            trial: Some(trial),
        };
        WorkerReport {
            name: worker.into(),
            incarnation: 1,
            version: "1".into(),
            store: StoreName::parse("main").unwrap(),
            at_us: 0,
            functions: [(name("gate"), function)].into(),
            broken: BTreeMap::new(),
            uncounted: 0,
        }
    };
    let reports = [
        report("a", 3, 5, None),
        report("b", 3, 6, Some("no")),
        report("c", 2, 100, Some("of a trial before")),
    ];
    let load = trial(&on_trial("gate"), &reports).unwrap();
    assert_eq!((load.candidate.ack, load.other.ack), (11, 11));
    assert_eq!(load.failed, [("b".to_owned(), "no".to_owned())].into());
    assert_eq!(trial(&spec("gate", 2), &reports), None);
}
