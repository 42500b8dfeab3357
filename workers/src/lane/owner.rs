//! One ownership of a lane: runs it under a grant until it ends, and says how.
//!
//! Owns what the worker shows of the lane meanwhile.

use std::sync::Arc;

use protocol::lane::Lane;
use service::shutdown::Shutdown;
use tokio::sync::watch;

use super::grant::Grant;
use super::run::{End, Run};
use super::shared::Shared;
use crate::deployed::Deployed;

/// One lane of one function, owned.
pub struct Owner {
    /// What all lanes share.
    pub shared: Arc<Shared>,
    /// Which lane.
    pub lane: Lane,
    /// The function as it is deployed now.
    pub deployed: watch::Receiver<Deployed>,
    /// The right to run it.
    pub grant: Grant,
    /// Asks it to commit and end.
    pub stop: Shutdown,
}

impl Owner {
    /// Runs the lane until it is stopped or lost; false if it failed, and should not be
    /// tried again at once.
    pub async fn run(self) -> bool {
        let (function, revision) = {
            let deployed = self.deployed.borrow();
            (deployed.program.spec.name.clone(), deployed.revision)
        };
        let lane = self.lane.0;
        let shown = self
            .shared
            .status
            .owned(function.clone(), self.lane, revision);
        tracing::debug!(%function, lane, revision = self.grant.revision, "lane is owned");
        let mut run = Run {
            shared: &self.shared,
            lane: self.lane,
            deployed: self.deployed,
            grant: &self.grant,
            stop: &self.stop,
            shown: &shown,
        };
        match run.run().await {
            Ok(End::Stopped) => {
                self.shared.faults.hit("lane.drained");
                tracing::debug!(%function, lane, "lane is given up");
            }
            Ok(End::Superseded) => {
                metrics::counter!("lanes_lost_total").increment(1);
                tracing::info!(%function, lane, "lane has another owner");
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    %function,
                    lane,
                    "lane fails and is claimed again"
                );
                return false;
            }
        }
        true
    }
}
