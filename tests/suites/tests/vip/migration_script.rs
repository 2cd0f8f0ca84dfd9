//! `pcs-examples/migrate-from-IPaddr2.sh` with a cluster of three small programs: however it ends,
//! maintenance-mode is what it was. (That it migrates is for the suite with a real cluster.)

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testnet::wait_until;

use super::LONG;

const SCRIPT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../pcs-examples/migrate-from-IPaddr2.sh");
const CRM_ATTRIBUTE: &str = r#"#!/bin/sh
case "$*" in
*--query*) cat "$CLUSTER/maintenance" 2>/dev/null ;;
*--delete*) rm -f "$CLUSTER/maintenance" ;;
*--update*) for value; do :; done; echo "$value" >"$CLUSTER/maintenance" ;;
esac
"#;
const CIBADMIN: &str = r#"#!/bin/sh
case "$*" in
*IPaddr2*) echo IPaddr2 >"$CLUSTER/agent" ;;
*) echo opensips-vip >"$CLUSTER/agent" ;;
esac
"#;
/// What `$FAILS` names fails; what `$HANGS` names waits for a signal.
const CRM_RESOURCE: &str = r#"#!/bin/sh
case "$*" in *--query-xml*) echo '<primitive type="IPaddr2"/>'; exit 0 ;; esac
[ -z "$HANGS" ] || case "$*" in *"$HANGS"*) : >"$CLUSTER/hangs"; while [ -e "$CLUSTER/hangs" ]; do sleep 0.05; done ;; esac
[ -z "$FAILS" ] || case "$*" in *"$FAILS"*) exit 1 ;; esac
"#;

fn script(cluster: &Path, fails: &str, hangs: &str) -> Command {
    for (name, text) in
        [("crm_attribute", CRM_ATTRIBUTE), ("cibadmin", CIBADMIN), ("crm_resource", CRM_RESOURCE)]
    {
        let path = cluster.join(name);
        testnet::write_program(path, text);
    }
    // A test that is run in the background of a script has SIGINT ignored, and so would have the shell,
    // which can't trap what was ignored when it began.
    let mut command = Command::new("env");
    command.arg("--default-signal=INT,TERM,HUP").args(["sh", SCRIPT, "vip"]);
    command.env("CLUSTER", cluster).env("FAILS", fails).env("HANGS", hangs);
    command.env("PATH", format!("{}:/usr/bin:/bin", cluster.display()));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn value(cluster: &Path, name: &str) -> Option<String> {
    Some(fs::read_to_string(cluster.join(name)).ok()?.trim().to_owned())
}

#[test]
fn maintenance_mode_is_what_it_was() {
    for before in [None, Some("true"), Some("false")] {
        let cluster = tempfile::tempdir().unwrap();
        let cluster = cluster.path();
        let ends = |fails: &str, agent: &str| {
            if let Some(before) = before {
                fs::write(cluster.join("maintenance"), before).unwrap();
            }
            fs::write(cluster.join("agent"), "IPaddr2").unwrap();
            let status = script(cluster, fails, "").status().unwrap();
            assert_eq!(status.success(), fails.is_empty(), "{fails}");
            assert_eq!(value(cluster, "maintenance").as_deref(), before, "{fails}");
            assert_eq!(value(cluster, "agent").as_deref(), Some(agent), "{fails}");
        };
        ends("", "opensips-vip");
        for fails in ["--wait", "--validate", "--force-check", "--refresh"] {
            ends(fails, "IPaddr2");
        }
        for (hangs, signal) in [
            ("--validate", Signal::SIGTERM),
            ("--wait", Signal::SIGINT),
            ("--refresh", Signal::SIGHUP),
        ] {
            fs::write(cluster.join("agent"), "IPaddr2").unwrap();
            let mut running = script(cluster, "", hangs).spawn().unwrap();
            wait_until("it is in the middle", LONG, || cluster.join("hangs").exists());
            assert_eq!(value(cluster, "maintenance").as_deref(), Some("true"));
            kill(Pid::from_raw(i32::try_from(running.id()).unwrap()), signal).unwrap();
            // The shell waits for the program it runs before it looks at the signal; then it may
            // call it once more.
            let gone = || {
                let _ = fs::remove_file(cluster.join("hangs"));
                running.try_wait().unwrap().is_some()
            };
            wait_until("it has ended", LONG, gone);
            assert_eq!(value(cluster, "maintenance").as_deref(), before, "{hangs}");
            assert_eq!(value(cluster, "agent").as_deref(), Some("IPaddr2"), "{hangs}");
        }
    }
}
