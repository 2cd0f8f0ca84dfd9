//! `smartvox`: diagnoses the resources of ocf:smartvox and checks the pair that they are part of.

use std::process::ExitCode;

fn main() -> ExitCode {
    smartvox::run()
}
