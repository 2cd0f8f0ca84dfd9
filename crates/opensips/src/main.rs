//! The program that Pacemaker executes.

use std::process::ExitCode;

fn main() -> ExitCode {
    ocf::run(&opensips_ra::OpenSips)
}
