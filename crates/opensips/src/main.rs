//! The program that Pacemaker executes.

use std::process::ExitCode;

fn main() -> ExitCode {
    opensips_ra::main()
}
