//! `systemctl` in a node, where no systemd runs: enough for `pcs cluster start`, `pcs cluster stop`
//! and `pcs status`. It knows Corosync and Pacemaker.

use std::{ffi::OsString, process::ExitCode};

use crate::{cluster, error::Result};

/// systemctl(1): "program is not running".
const INACTIVE: u8 = 3;
/// systemctl(1): "program or service status is unknown"; `disabled` for is-enabled is 1.
const UNKNOWN: u8 = 4;

/// The services of a node, in the order of their start.
const SERVICES: [(&str, &str); 2] = [("corosync", "corosync"), ("pacemaker", "pacemakerd")];

/// The program.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let words: Vec<String> = arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let Some((verb, units)) = words.split_first() else {
        return ExitCode::SUCCESS;
    };
    let services = units.iter().map(|unit| unit.trim_end_matches(".service"));
    match verb.as_str() {
        "daemon-reload" => ExitCode::SUCCESS,
        "list-units" | "list-unit-files" => {
            for (service, _) in SERVICES {
                println!("{service}.service disabled");
            }
            ExitCode::SUCCESS
        }
        verb => services.fold(ExitCode::SUCCESS, |before, service| {
            let code = perform(verb, service);
            if code == ExitCode::SUCCESS { before } else { code }
        }),
    }
}

fn perform(verb: &str, service: &str) -> ExitCode {
    let Some((_, process)) = SERVICES.iter().find(|(name, _)| *name == service) else {
        eprintln!("Unit {service}.service could not be found.");
        return ExitCode::from(UNKNOWN);
    };
    let active = cluster::pid_of(process).is_some();
    match verb {
        "is-active" | "status" => {
            println!("{}", if active { "active" } else { "inactive" });
            if active { ExitCode::SUCCESS } else { ExitCode::from(INACTIVE) }
        }
        "is-enabled" => {
            println!("disabled");
            ExitCode::FAILURE
        }
        "enable" | "disable" => ExitCode::SUCCESS,
        "start" => told(start(service)),
        "stop" => told(stop(service)),
        "restart" => told(stop(service).and_then(|()| start(service))),
        other => {
            eprintln!("systemctl of the lab: no verb {other}");
            ExitCode::FAILURE
        }
    }
}

fn told(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// With what it requires (corosync.service's `Requires=` in pacemaker.service).
fn start(service: &str) -> Result<()> {
    cluster::start_corosync()?;
    if service == "pacemaker" { cluster::start_pacemaker() } else { Ok(()) }
}

fn stop(service: &str) -> Result<()> {
    cluster::stop_pacemaker()?;
    if service == "corosync" { cluster::stop_corosync() } else { Ok(()) }
}
