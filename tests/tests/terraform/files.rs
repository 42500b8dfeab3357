//! What the tests configure, as its author would write it.

use std::time::Duration;

use bytes::Bytes;
use client::ClientError;
use harness::{Deployment, Writer, environment};
use protocol::permission::Role;

use super::shell::Terraform;

/// What the probe passes on.
pub const PASS: &str = r#"{"do":"pass"}"#;

/// A configuration: the provider, and what follows.
pub fn config(url: &str, rest: &str) -> String {
    format!(
        "terraform {{\n  required_providers {{\n    eddyline = {{ source = \"eddyline/eddyline\" \
         }}\n  }}\n}}\n\nprovider \"eddyline\" {{\n  servers = [\"{url}\"]\n  user    = \
         \"operator\"\n  by      = \"ann\"\n}}\n\n{rest}"
    )
}

/// The file of a module.
pub fn module(name: &str) -> String {
    environment::module_path(name).display().to_string()
}

/// A gate and the namespace behind it. What follows on their attributes is added.
pub fn hall(gate: &str, namespace: &str) -> String {
    let module = module("probe");
    format!(
        "resource \"eddyline_function\" \"gate\" {{\n  name   = \"hall-gate\"\n  module = \
         \"{module}\"\n{gate}\n}}\n\nresource \"eddyline_namespace\" \"hall\" {{\n  name = \
         \"hall\"\n  gate = eddyline_function.gate.name\n{namespace}\n}}\n"
    )
}

/// That namespaces may go again.
pub const FREE: &str = "deletion_protection = false";

/// An edge node, a worker and nothing that is deployed.
pub async fn deployment() -> Option<Deployment> {
    let builder = Deployment::builder()
        .without_mirror()
        .functions(&[])
        .edges(1);
    builder.start().await
}

/// Terraform beside a deployment.
pub async fn beside(deployment: &Deployment, rest: &str) -> Option<Terraform> {
    let url = deployment.servers.nats_url();
    let terraform = Terraform::new(&config(url, rest)).await?;
    let password = deployment.servers.nats_settings(Role::Edge).password;
    Some(terraform.variable("EDDYLINE_NATS_PASSWORD", password.unwrap().expose()))
}

/// Publishes as soon as the node has heard of the namespace.
pub async fn publish(writer: &mut Writer, channel: &str, data: &str) {
    let deadline = tokio::time::Instant::now() + harness::DEADLINE;
    loop {
        match writer.publish(channel, Bytes::from(data.to_owned())).await {
            Err(ClientError::Refused(_)) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            stored => {
                stored.unwrap_or_else(|error| panic!("{channel}: {error}"));
                return;
            }
        }
    }
}
