//! A version of a function on trial: on a share of the channels, beside the version that
//! has the others, until a judgement ends it.
//!
//! Owns nothing. The trial is part of the function's spec, which deployers write; the
//! judgement is a key of its own, which workers may write as well and nothing else of
//! `FUNCTIONS`: they choose between two versions that a deployer has put there.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::{FunctionSpec, SpecError, check};
use crate::name::{Channel, FunctionName, Tenant};
use crate::work::Work;

/// All channels, in the unit of a share.
pub const PERMILLE: u16 = 1_000;
/// Most channels that a candidate may have: with more, the version beside it is the one
/// on trial.
pub const PERMILLE_MAX: u16 = PERMILLE / 2;
/// Events of a candidate before it may be promoted, unless its deployer says otherwise: a
/// fault of one event in a hundred shows with near certainty.
pub const EVENTS_MIN_DEFAULT: u64 = 500;
/// Most that a deployer may ask for: days of what the fastest function handles.
pub const EVENTS_MIN_MAX: u64 = 10_000_000_000;
/// Time on trial before it may be promoted, unless its deployer says otherwise,
/// milliseconds: what warms up, leaks or has a timer of minutes shows.
pub const FOR_MS_DEFAULT: u64 = 600_000;
/// Most that a deployer may ask for, milliseconds: a week.
pub const FOR_MS_MAX: u64 = 7 * 86_400_000;
/// A trial without enough events ends after so many times the time that was asked for:
/// left open, it would refuse every deployment for ever.
pub const LONGEST_TIMES: u64 = 10;

/// A version on trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// Its share of the channels, in a thousand.
    pub permille: u16,
    /// It, with a version number of its own and who put it on trial, and when.
    pub candidate: Box<FunctionSpec>,
    /// Events that it handles before it may be promoted.
    pub events_min: u64,
    /// How long it is on trial before it may be promoted, milliseconds.
    pub for_ms: u64,
}

/// How a trial ended. Key: see [`super::key::judged`], in `FUNCTIONS`. It ends the trial of
/// the version that it names, and no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The version that was on trial.
    pub version: u64,
    /// The version beside it.
    pub beside: u64,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why, with figures.
    pub reason: String,
    /// The worker, or the person.
    pub by: String,
    /// When, microseconds since 1970.
    pub at_us: u64,
    /// What the candidate has done.
    #[serde(default)]
    pub candidate: Work,
    /// What the version beside it has done meanwhile.
    #[serde(default)]
    pub other: Work,
}

/// What becomes of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It has every channel from now on.
    Promoted,
    /// It has none any more.
    RolledBack,
}

impl Verdict {
    /// Its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled_back",
        }
    }
}

impl Canary {
    /// Whether a channel is the candidate's: the same for as long as it is on trial, and
    /// another choice for another version, so that it is not always the same who try out
    /// what is new.
    pub fn takes(&self, tenant: &Tenant, channel: &Channel) -> bool {
        let FunctionSpec { name, version, .. } = &*self.candidate;
        place(name, *version, tenant, channel) < u64::from(self.permille)
    }

    /// When it was put on trial, microseconds since 1970.
    pub fn since_us(&self) -> u64 {
        let written = self.candidate.deployed.as_ref();
        written.map_or(0, |written| written.at_us)
    }

    /// When it may be promoted.
    pub fn due_us(&self) -> u64 {
        self.since_us()
            .saturating_add(self.for_ms.saturating_mul(1_000))
    }

    /// When it ends, whatever it has shown.
    pub fn last_us(&self) -> u64 {
        let longest = self.for_ms.saturating_mul(LONGEST_TIMES * 1_000);
        self.since_us().saturating_add(longest)
    }

    /// Checks a trial beside the version that it is for.
    pub(super) fn check(&self, beside: &FunctionSpec) -> Result<(), SpecError> {
        let Self {
            permille,
            candidate,
            events_min,
            for_ms,
        } = self;
        let refuse = |holds, problem: String| check(holds, "canary", || problem);
        refuse(
            (1..=PERMILLE_MAX).contains(permille),
            "must be a share of 0.1 % to 50 %".into(),
        )?;
        refuse(
            (1..=EVENTS_MIN_MAX).contains(events_min),
            format!("must be tried on 1 to {EVENTS_MIN_MAX} events"),
        )?;
        refuse(
            (1..=FOR_MS_MAX).contains(for_ms),
            "must be on trial for 1 ms to 7 days".into(),
        )?;
        refuse(
            candidate.canary.is_none(),
            "must not have a trial itself".into(),
        )?;
        refuse(candidate.paused.is_none(), "must not be paused".into())?;
        refuse(
            candidate.version > beside.version,
            format!("must be of a version after {}", beside.version),
        )?;
        if let Some(field) = differs(candidate, beside) {
            let problem = format!(
                "has another {field} than version {}: both handle the same events and remember \
                 the same",
                beside.version
            );
            return refuse(false, problem);
        }
        candidate.check()
    }
}

/// A field that must be the same in two versions that run beside each other.
fn differs(one: &FunctionSpec, other: &FunctionSpec) -> Option<&'static str> {
    let fields = [
        ("name", one.name != other.name),
        ("store", one.store != other.store),
        ("trigger", one.trigger != other.trigger),
        ("headers", one.headers != other.headers),
        ("start_seq", one.start_seq != other.start_seq),
        ("incarnation", one.incarnation != other.incarnation),
    ];
    let found = fields.into_iter().find(|(_, differs)| *differs);
    found.map(|(field, _)| field)
}

/// `xxh3_64(function, 0x00, version, tenant, 0x00, channel) mod 1000`, the version as eight
/// bytes, the least first: nothing to do with the lane, so that a trial is on every lane.
fn place(function: &FunctionName, version: u64, tenant: &Tenant, channel: &Channel) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(function.as_str().as_bytes());
    hash.update(&[0]);
    hash.update(&version.to_le_bytes());
    hash.update(tenant.as_str().as_bytes());
    hash.update(&[0]);
    hash.update(channel.as_str().as_bytes());
    hash.digest() % u64::from(PERMILLE)
}

impl FunctionSpec {
    /// What it is once its trial has been judged; `None` if the judgement is not of its
    /// trial.
    #[must_use]
    pub fn judged(&self, judgement: &Judgement) -> Option<Self> {
        let canary = self.canary.as_ref()?;
        if canary.candidate.version != judgement.version {
            return None;
        }
        Some(match judgement.verdict {
            Verdict::Promoted => Self {
                paused: self.paused.clone(),
                ..Self::clone(&canary.candidate)
            },
            Verdict::RolledBack => self.without_canary(),
        })
    }

    /// The same, with no trial.
    #[must_use]
    pub fn without_canary(&self) -> Self {
        Self {
            canary: None,
            ..self.clone()
        }
    }

    /// The version that handles a channel.
    pub fn version_for(&self, tenant: &Tenant, channel: &Channel) -> &Self {
        match &self.canary {
            Some(canary) if canary.takes(tenant, channel) => &canary.candidate,
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Digest;
    use crate::name::{ChannelPattern, StoreName};
    use crate::spec::{Trigger, Written};

    fn base() -> FunctionSpec {
        let name = FunctionName::parse("gate").unwrap();
        let store = StoreName::parse("main").unwrap();
        FunctionSpec::new(name, Digest::from_bytes([1; 32]), store, Trigger::Gate)
    }

    fn on_trial(permille: u16) -> FunctionSpec {
        let candidate = FunctionSpec {
            version: 2,
            digest: Digest::from_bytes([2; 32]),
            linger_ms: 7,
            deployed: Some(Written {
                by: "ann".into(),
                at_us: 5_000,
            }),
            ..base()
        };
        let canary = Canary {
            permille,
            candidate: Box::new(candidate),
            events_min: 10,
            for_ms: 3,
        };
        FunctionSpec {
            canary: Some(canary),
            ..base()
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

    #[test]
    fn a_share_of_the_channels_takes_part_and_always_the_same() {
        let tenant = Tenant::parse("acme").unwrap();
        let channel = |n: u32| Channel::parse(&format!("doc.{n}")).unwrap();
        let gate = base().name;
        // Fixed values, which any xxh3 gives: a change would move channels between the two
        // versions of a trial that is under way, and workers would not agree.
        let fixed = |version| [1, 2, 3].map(|n| place(&gate, version, &tenant, &channel(n)));
        assert_eq!(fixed(2), [488, 13, 611]);
        assert_eq!(fixed(3), [224, 430, 31]);
        for permille in [50, 500] {
            let spec = on_trial(permille);
            let taken =
                (0..10_000).filter(|n| spec.version_for(&tenant, &channel(*n)).version == 2);
            let share = taken.count() as f64 / 10.0;
            assert!((share - f64::from(permille)).abs() < 15.0, "{share}");
        }
        assert_eq!(base().version_for(&tenant, &channel(1)), &base());
    }

    #[test]
    fn a_judgement_ends_its_own_trial_and_no_other() {
        let spec = on_trial(50);
        assert_eq!(spec.judged(&judgement(3, Verdict::Promoted)), None);
        assert_eq!(base().judged(&judgement(2, Verdict::Promoted)), None);
        let back = spec.judged(&judgement(2, Verdict::RolledBack));
        assert_eq!(back, Some(base()));
        let mut paused = spec.clone();
        paused.paused = Some(Written {
            by: "joe".into(),
            at_us: 9,
        });
        let on = paused.judged(&judgement(2, Verdict::Promoted)).unwrap();
        assert_eq!((on.version, on.linger_ms, &on.canary), (2, 7, &None));
        assert_eq!(
            on.paused, paused.paused,
            "it is the function that is paused"
        );
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<FunctionSpec>(&json).unwrap(), spec);
    }

    #[test]
    fn times_follow_from_when_it_was_put_on_trial() {
        let canary = on_trial(50).canary.unwrap();
        let times = (canary.since_us(), canary.due_us(), canary.last_us());
        assert_eq!(times, (5_000, 8_000, 35_000));
    }

    #[test]
    fn what_must_be_the_same_is_the_same() {
        assert_eq!(on_trial(1).check(), Ok(()));
        assert_eq!(on_trial(PERMILLE_MAX).check(), Ok(()));
        let refused = |change: &dyn Fn(&mut Canary)| {
            let mut spec = on_trial(50);
            change(spec.canary.as_mut().unwrap());
            let error = spec.check().unwrap_err();
            format!("{}: {}", error.field, error.problem)
        };
        for (says, change) in [
            (
                "share",
                &(|c: &mut Canary| c.permille = 0) as &dyn Fn(&mut Canary),
            ),
            ("share", &|c| c.permille = PERMILLE_MAX + 1),
            ("events", &|c| c.events_min = 0),
            ("7 days", &|c| c.for_ms = FOR_MS_MAX + 1),
            ("version after 1", &|c| c.candidate.version = 1),
            ("itself", &|c| c.candidate.canary = on_trial(50).canary),
            ("another incarnation", &|c| c.candidate.incarnation = 1),
            ("another start_seq", &|c| c.candidate.start_seq = 7),
            ("another trigger", &|c| {
                let on = vec![ChannelPattern::parse("chat.>").unwrap()];
                c.candidate.trigger = Trigger::Reactive(on);
            }),
            ("limits.attempts", &|c| c.candidate.limits.attempts = 0),
        ] {
            let told = refused(change);
            assert!(told.contains(says), "{told} does not say {says}");
        }
    }
}
