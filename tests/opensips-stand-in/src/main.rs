//! Behaves as OpenSIPS does towards its supervisor, for machines that lack the daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(opensips_stand_in::run())
}
