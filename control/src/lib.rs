//! What a deployer does: namespaces made, functions checked as a worker would check them,
//! stored, and written by compare-and-set.
//!
//! Layout
//! - `app`: an application's file, `eddyline.toml`
//! - `draft`: a function as it is wanted
//! - `landscape`: all that is configured and deployed; `rules`: what may be beside it
//! - `deployer`: who does it; `namespace`, `function`, `versions`: what they do
//! - `alone`: what can be judged where nobody can be asked what there is; `expected`: what
//!   a change is made to; `store`: stores made, changed, removed
//! - `trial`: a version beside the deployed one; `judgement`: how that ends by hand
//! - `plan`: all of that for a whole application; `rollout`: whether every lane runs it
//! - `letter`, `rejected`: dead letters, and what is done with them
//! - `logs`: what functions write; `load`: how busy they are
//! - `revocation`, `disconnect`: who is kept out, and who is sent away
//! - `replay`: recorded history through a `candidate`; `fate`: what became of an input
//! - `history`: one stream's, from JetStream and from the `mirror`; `seam`: which of the two;
//!   `queries`: which parts of the mirror; `held`: inputs put in order
//!
//! Owns no state: what is deployed lives in the buckets. Used by whoever deploys, not by
//! the services; must not know lanes, sessions or shards.

pub mod alone;
pub mod app;
mod candidate;
mod deployer;
mod disconnect;
mod draft;
mod error;
mod expected;
mod fate;
mod function;
mod held;
mod history;
mod judgement;
mod landscape;
mod letter;
mod load;
mod logs;
mod mirror;
mod namespace;
mod plan;
mod queries;
mod rejected;
mod remembering;
mod replay;
mod revocation;
mod rollout;
mod rules;
mod seam;
mod store;
mod trial;
mod versions;

pub use deployer::{Deployer, VERSIONS_KEPT};
pub use draft::{CanaryDraft, FunctionDraft, StageDraft, Start, digest};
pub use error::ControlError;
pub use expected::Expected;
pub use fate::{Fate, Output};
pub use function::Deployed;
pub use history::Missing;
pub use landscape::{Entry, Landscape, Pending};
pub use letter::{Letter, Settled};
pub use load::{LaneLoad, Load, Loads, Rates, Watcher};
pub use logs::Logs;
pub use mirror::{Asked, Mirror, MirrorError, Mirrored, Query};
pub use namespace::{Applied, NamespaceDraft};
pub use plan::{Action, Difference, Plan, Step, Thing, Wanted};
pub use rejected::{LETTERS_MAX, LetterFilter, Letters, Redriven};
pub use replay::{Compared, ReplayRequest, Replayed};
pub use rollout::Rollout;
pub use seam::Place;
pub use trial::TrialLoad;
