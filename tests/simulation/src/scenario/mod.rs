//! What is simulated: each scenario has its parties, its mix of steps, and its end.
//!
//! Owns the choice between them.

mod author;
mod feed;
mod lane;
mod lease;
mod mirror;
mod publisher;

use bus::bootstrap::StoreSettings;

use crate::plan::{Mix, Scenario, Step};
use crate::world::World;

/// A scenario under way.
pub enum Scene {
    /// See [`Scenario::Publisher`].
    Publisher(publisher::Scene),
    /// See [`Scenario::Feed`].
    Feed(feed::Scene),
    /// See [`Scenario::Lane`].
    Lane(lane::Scene),
    /// See [`Scenario::Mirror`].
    Mirror(mirror::Scene),
    /// See [`Scenario::Lease`].
    Lease(lease::Scene),
}

/// The steps that a scenario takes.
pub fn mix(scenario: Scenario) -> Mix {
    match scenario {
        Scenario::Publisher => publisher::MIX,
        Scenario::Feed => feed::MIX,
        Scenario::Lane => lane::MIX,
        Scenario::Mirror => mirror::MIX,
        Scenario::Lease => lease::MIX,
    }
}

/// The store that a scenario runs over.
pub fn settings(scenario: Scenario) -> StoreSettings {
    match scenario {
        Scenario::Feed => feed::settings(),
        Scenario::Mirror => mirror::settings(),
        _ => publisher::settings(),
    }
}

impl Scene {
    /// Starts one.
    pub async fn start(scenario: Scenario, world: &World, seed: u64) -> Self {
        match scenario {
            Scenario::Publisher => Self::Publisher(publisher::Scene::start(world)),
            Scenario::Feed => Self::Feed(feed::Scene::start(world)),
            Scenario::Lane => Self::Lane(lane::Scene::start(world)),
            Scenario::Mirror => Self::Mirror(mirror::Scene::start(world, seed)),
            Scenario::Lease => Self::Lease(lease::Scene::start(world)),
        }
    }

    /// Takes a step of its own.
    pub async fn take(&mut self, step: &Step) {
        match self {
            Self::Publisher(scene) => scene.take(step),
            Self::Feed(scene) => scene.take(step),
            Self::Lane(scene) => scene.take(step),
            Self::Mirror(scene) => scene.take(step),
            Self::Lease(scene) => scene.take(step),
        }
    }

    /// Lets everything come to rest and records what is stored.
    pub async fn end(self) {
        match self {
            Self::Publisher(scene) => scene.end().await,
            Self::Feed(scene) => scene.end().await,
            Self::Lane(scene) => scene.end().await,
            Self::Mirror(scene) => scene.end().await,
            Self::Lease(scene) => scene.end().await,
        }
    }
}
