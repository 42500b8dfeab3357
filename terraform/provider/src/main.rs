//! `terraform-provider-eddyline`: started by Terraform, for one run.

use std::process::ExitCode;

fn main() -> ExitCode {
    provider::run()
}
