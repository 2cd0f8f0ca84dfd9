//! What the cluster knows beyond this host, by Pacemaker's own tools. Each is a process: they run only where
//! another host has the VIP, and once after a boot to note that the cluster has held it.
//!
//! The note is a cluster property of its own set, because the node that needs it is another one than the
//! node that wrote it. Nothing of the cluster's configuration depends on it.

use std::net::IpAddr;
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Command, Stdio};

use deadline::Deadline;

use super::run_files::RunFiles;
use crate::log_line::{failure, line};
use crate::params::Params;

/// Where Pacemaker's tools are.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// The set of the properties that this agent adds.
const SET: &str = "smartvox";
/// Limit of what a tool prints; one word is expected.
const LIMIT: usize = 4096;

/// May start take over a VIP that another host answers for?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakeOver {
    /// The previous owner is off for certain, and the address is one of this cluster.
    Allowed,
    /// The address was never one of this cluster: it can be that of a router, by a typing error.
    NeverHeld,
    /// The other host can be the living peer, or the cluster does not answer.
    Unknown,
}

/// Asks the cluster whether start may take over the VIP. Pacemaker starts it here only after it was stopped
/// everywhere else or its node was fenced, which holds if fencing is enabled and this partition has quorum.
pub(crate) fn may_take_over(params: &Params, until: Deadline) -> TakeOver {
    let property = |name: &str, default: &str| {
        let arguments = ["--type=crm_config", "--query", "--quiet"].map(str::to_owned);
        let more = [format!("--name={name}"), format!("--default={default}")];
        ask(params, "crm_attribute", arguments.iter().chain(&more), until)
    };
    let fencing = property("stonith-enabled", "true");
    let quorum = ask(params, "crm_node", [&"--quorum".to_owned()], until);
    let held = property(&property_name(params.ip), "");
    judge(fencing.as_deref(), quorum.as_deref(), held.as_deref())
}

/// From what the tools print; `None`: nothing that counts.
fn judge(fencing: Option<&str>, quorum: Option<&str>, held: Option<&str>) -> TakeOver {
    // As crm_str_to_boolean() of Pacemaker reads it.
    let is_true = |text: &str| {
        ["1", "true", "on", "yes", "y"].iter().any(|word| word.eq_ignore_ascii_case(text))
    };
    match (fencing, quorum, held) {
        (Some(fencing), Some("1"), Some(held)) if is_true(fencing) => {
            if is_true(held) {
                TakeOver::Allowed
            } else {
                TakeOver::NeverHeld
            }
        }
        _ => TakeOver::Unknown,
    }
}

/// What a tool prints; `None` if it fails or does not end.
fn ask<'a>(
    params: &Params,
    program: &str,
    arguments: impl IntoIterator<Item = &'a String>,
    until: Deadline,
) -> Option<String> {
    let mut command = tool(params, program);
    command.args(arguments);
    match hostproc::output(&mut command, LIMIT, until) {
        Ok(Some(output)) if output.status.success() => Some(output.stdout.trim().to_owned()),
        Ok(Some(output)) => {
            let said = ocf::shown(output.stderr.trim().as_bytes());
            log::warn!("{}", line().note(format_args!("{program}: {}: {said}", output.status)));
            None
        }
        Ok(None) => {
            log::warn!("{}", line().note(format_args!("{program} does not end")));
            None
        }
        Err(error) => {
            log::warn!("{}", failure(&error).note(format_args!("{program} can't be run")));
            None
        }
    }
}

/// Notes in the cluster, if that was not done since the boot, that it has held the VIP. start and monitor do
/// not wait for it: a process of its own writes the property, and then the file that says so.
pub(crate) fn note_held(params: &Params, files: &RunFiles) {
    let Some(told) = files.untold_held() else { return };
    let property = format!("--name={}", property_name(params.ip));
    let mut command = tool(params, "sh");
    // crm_attribute changes nothing if the property has this value already.
    let script = "crm_attribute --type=crm_config --set-name=\"$1\" \"$2\" --update=1 && : >\"$3\"";
    command.args(["-c", script, "sh", SET, &property]).arg(told);
    // Pacemaker kills the process group of an action that takes too long.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Err(error) = command.spawn() {
        log::warn!("{}", failure(&error).note("the cluster is not told that it holds the VIP"));
    }
}

fn property_name(ip: IpAddr) -> String {
    format!("smartvox-held-{ip}")
}

/// A command that reaches the cluster: its sockets belong to the network namespace of Pacemaker, which has
/// started this process.
fn tool(params: &Params, program: &str) -> Command {
    let mut command = if params.namespace.is_some() {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", parent_id())).args(["--", program]);
        command
    } else {
        Command::new(program)
    };
    command.env("PATH", PATH);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_certain_answer_allows_a_take_over() {
        let quorum = Some("1");
        for fencing in ["true", "TRUE", "yes", "1", "on"] {
            assert_eq!(judge(Some(fencing), quorum, Some("1")), TakeOver::Allowed, "{fencing}");
            assert_eq!(judge(Some(fencing), quorum, Some("")), TakeOver::NeverHeld, "{fencing}");
        }
        for (fencing, quorum, held) in [
            (Some("false"), quorum, Some("1")),
            (Some(""), quorum, Some("1")),
            (None, quorum, Some("1")),
            (Some("true"), Some("0"), Some("1")),
            (Some("true"), None, Some("1")),
            (Some("true"), quorum, None),
        ] {
            assert_eq!(judge(fencing, quorum, held), TakeOver::Unknown, "{fencing:?} {quorum:?}");
        }
    }
}
