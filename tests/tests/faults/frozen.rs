//! Instances that freeze themselves at a step, by their own switch. Owns nothing.

use harness::service::Service;
use harness::traffic::Traffic;
use harness::{Instance, process};

/// Waits until the instance stands still, by its own switch.
pub async fn frozen<S: Service>(instance: &mut Instance<S>, traffic: &mut Traffic) {
    let pid = instance.pid();
    harness::until(&format!("{} stands still", instance.name()), async || {
        traffic.assert_flows();
        assert!(instance.ended().is_none(), "{}", instance.describe());
        match process::look(pid) {
            Some(seen) if seen.state == 'T' => Ok(()),
            other => Err(format!("it is {other:?}")),
        }
    })
    .await;
}
