//! Asks and tells the cluster manager, by its own programs. Each call is a process, so it is made only
//! where something has changed, by a probe, and where there is no carrier.

use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Duration;

use deadline::Deadline;
use hostproc::{Output, ProcFs};
use ocf::{Action, Membership, Request};

use super::run_files::{RunFiles, Told};
use crate::decide::carrier::{self, AttributeName, Elsewhere};
use crate::log_line::line;

/// Where the programs are.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// How long one of them may take. What comes late is no reason to fail.
const PATIENCE: Duration = Duration::from_secs(3);
/// The file names of Pacemaker's attribute daemon, and of what starts it.
const ATTRIBUTE_DAEMON: &str = "pacemaker-attrd";
const MANAGER: &str = "pacemakerd";
/// The exit code of cibadmin where nothing in the CIB is as asked (`CRM_EX_NOSUCH`).
const NOTHING_FOUND: i32 = 105;
/// How often the CIB is looked at for a value that was told, and the pause between two looks.
const CIB_LOOKS: u32 = 5;
const CIB_PAUSE: Duration = Duration::from_millis(100);
/// The part of an answer that is read, in bytes.
const LIMIT: usize = 64 * 1024;

/// The cluster, as seen by one resource on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    attribute: AttributeName,
    /// `None`: the cluster manager has not given it.
    node: Option<String>,
}

impl Cluster {
    /// `None` for an action that is run by hand: there is nothing to tell, and nothing is known.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let asked = request.in_cluster && request.action != Action::Diagnose;
        asked.then(|| Self {
            attribute: AttributeName::of(&request.instance),
            node: request.node.clone(),
        })
    }

    pub(crate) fn attribute(&self) -> &AttributeName {
        &self.attribute
    }

    /// Whether another node has published that it has a carrier.
    pub(crate) fn elsewhere(&self, until: Deadline) -> Elsewhere {
        let Some(node) = self.node(until) else { return Elsewhere::Unknown };
        let query = ["--query", "--all", "--name", self.attribute.as_str()];
        let answer = run("attrd_updater", &query, until).filter(|it| it.status.success());
        answer
            .map_or(Elsewhere::Unknown, |it| carrier::elsewhere(&it.stdout, &self.attribute, &node))
    }

    /// Returns true if a location rule of the cluster refers to the attribute.
    pub(crate) fn has_location_rule(&self, until: Deadline) -> bool {
        let rule = format!("//rsc_location//expression[@attribute='{}']", self.attribute);
        let found = run("cibadmin", &["--query", "--xpath", &rule], until);
        found.is_some_and(|it| it.status.success())
    }

    /// Whether the scheduler knows that value of this node; `None`: not known. A value that the attribute daemon has
    /// just been told is there a moment later.
    pub(crate) fn is_in_cib(&self, usable: bool, until: Deadline) -> Option<bool> {
        let (attribute, value) = (&self.attribute, value_of(usable));
        let node = self.node(until)?;
        let path = format!(
            "//node_state[@uname='{node}']/transient_attributes//nvpair[@name='{attribute}'][@value='{value}']"
        );
        for _ in 0..CIB_LOOKS {
            let answer = run("cibadmin", &["--query", "--xpath", &path], until)?.status;
            match answer.code() {
                Some(0) => return Some(true),
                Some(NOTHING_FOUND) => {}
                _ => return None,
            }
            if !until.sleep(CIB_PAUSE) {
                return None;
            }
        }
        Some(false)
    }

    /// The name of this node.
    pub(crate) fn node(&self, until: Deadline) -> Option<String> {
        if self.node.is_some() {
            return self.node.clone();
        }
        let found = run("crm_node", &["--name"], until).filter(|it| it.status.success())?;
        let name = found.stdout.trim();
        (!name.is_empty()).then(|| name.to_owned())
    }
}

/// Publishes whether this node's link is usable, and notes it. Without a cluster nothing is noted.
pub(crate) fn publish(
    attribute: &AttributeName,
    files: &RunFiles,
    usable: bool,
    until: Deadline,
) -> bool {
    let value = value_of(usable);
    // What changes meanwhile has changed for a later monitor. What was uncertain stays so until a monitor has looked.
    let is_uncertain = files.has_told_uncertainly(attribute);
    let told_now = Told::now().map(|now| if is_uncertain { now.uncertain() } else { now });
    let told = run("attrd_updater", &["--name", attribute.as_str(), "--update", value], until)
        .is_some_and(|it| it.status.success());
    if told {
        files.note_published_carrier(attribute, usable);
        files.note_told(attribute, told_now);
        log::info!("{}", line().field(attribute.as_str(), value));
    } else {
        files.note_unknown_carrier(attribute);
    }
    told
}

const fn value_of(usable: bool) -> &'static str {
    if usable { "1" } else { "0" }
}

impl Told {
    /// Who would be told now; `None` where a person has started this action.
    pub(crate) fn now() -> Option<Self> {
        let daemon = ProcFs::default().daemon_beside_parent(MANAGER, ATTRIBUTE_DAEMON)?;
        Some(Self { daemon, membership: Membership::now().noted() })
    }
}

/// Has the attribute daemon write all values that it knows into the CIB again, also those whose `dampen` is not over.
pub(crate) fn refresh_attributes(until: Deadline) -> bool {
    run("attrd_updater", &["--refresh"], until).is_some_and(|it| it.status.success())
}

/// Clears the failures of one operation of a resource on one node.
pub(crate) fn clear_failure(
    resource: &str,
    node: &str,
    (operation, interval): (&str, Duration),
    until: Deadline,
) -> bool {
    let interval = format!("{}ms", interval.as_millis());
    let which = ["--cleanup", "--resource", resource, "--node", node];
    let failed = ["--operation", operation, "--interval", &interval];
    run("crm_resource", &[&which[..], &failed[..]].concat(), until)
        .is_some_and(|it| it.status.success())
}

/// Runs a program of Pacemaker; `None` if there is none, or if it does not end.
fn run(program: &str, arguments: &[&str], until: Deadline) -> Option<Output> {
    // The sockets of Pacemaker are in its own network namespace.
    let mut command = if is_in_namespace_of_init() {
        Command::new(program)
    } else {
        let mut command = Command::new("nsenter");
        command.args(["--net=/proc/1/ns/net", program]);
        command
    };
    // In the environment of an action, attrd_updater --all shows this node alone (OCF_RESKEY_CRM_meta_on_node).
    command.args(arguments).env_clear().env("PATH", PATH);
    match hostproc::output(&mut command, LIMIT, until.within(PATIENCE)) {
        Ok(output) => {
            let ended = output.as_ref().map(|output| output.status.to_string());
            let ended = ended.unwrap_or_else(|| "killed at the deadline".to_owned());
            let printed = output.as_ref().map_or("", |output| output.stdout.trim());
            let line = line().field("ran", program).field("ended", ended);
            log::debug!("{}", line.field("printed", printed));
            output
        }
        Err(error) => {
            log::debug!("{}", line().field("ran", program).field("error", error));
            None
        }
    }
}

fn is_in_namespace_of_init() -> bool {
    let number = |path: &str| std::fs::metadata(path).map(|metadata| metadata.ino()).ok();
    let (own, init) = (number("/proc/self/ns/net"), number("/proc/1/ns/net"));
    init.is_none() || own == init
}
