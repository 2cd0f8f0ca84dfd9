//! Asks and tells Pacemaker, by its own programs. Each call is a process, so it is made only where
//! something has changed.

mod status;

use std::process::Command;
use std::time::Duration;

use deadline::Deadline;
use hostproc::{Output, output};
use ocf::InstanceName;

pub(crate) use status::Status;

/// The directories of Pacemaker's programs.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// How long one of them may take. What comes late is no reason to fail.
const PATIENCE: Duration = Duration::from_secs(5);
/// The part of an answer that is read, in bytes. A clone has some hundred for each node.
const ANSWER_LIMIT: usize = 256 * 1024;
/// How often the CIB is looked at for a score that was told, and the pause between two looks.
const CIB_LOOKS: u32 = 5;
const CIB_PAUSE: Duration = Duration::from_millis(100);
/// The longest message of a program that is told, in bytes.
const MESSAGE_LIMIT: usize = 4096;
/// The exit code of cibadmin where nothing in the configuration is as asked (`CRM_EX_NOSUCH`).
const NOTHING_FOUND: i32 = 105;

/// A result of this room.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Why Pacemaker could not be asked or told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{program} can't be executed: {cause}")]
    NotExecuted { program: &'static str, cause: String },
    #[error("{program} did not end in time")]
    Late { program: &'static str },
    #[error("{program}: {status}{message}")]
    Refused { program: &'static str, status: String, code: Option<i32>, message: String },
    #[error("crm_mon: its answer has an unknown form")]
    Malformed,
}

/// Publishes or deletes the promotion score of a resource on this node (Pacemaker Administration,
/// "Promotable clone resource agents").
///
/// # Errors
/// Pacemaker has not accepted it.
pub(crate) fn set_promotion_score(
    resource: &InstanceName,
    what: &str,
    deadline: Deadline,
) -> Result<()> {
    // With the environment of the action, which names the node.
    let mut command = Command::new("crm_attribute");
    command.arg(format!("--promotion={}", resource.as_str())).args(["--lifetime=reboot", what]);
    run("crm_attribute", &mut command, deadline).map(drop)
}

/// Publishes a transient attribute of this node: it is gone when the node leaves the cluster.
///
/// # Errors
/// Pacemaker has not accepted it.
pub(crate) fn publish(attribute: &str, value: &str, deadline: Deadline) -> Result<()> {
    // With the environment of the action, which names the node.
    let mut command = Command::new("attrd_updater");
    command.args(["--name", attribute, "--update", value]);
    run("attrd_updater", &mut command, deadline).map(drop)
}

/// Whether the scheduler knows that promotion score of a node. One that the attribute daemon has just been told is there
/// a moment later.
///
/// # Errors
/// The CIB can't be read, or not in time.
pub(crate) fn is_score_in_cib(
    resource: &InstanceName,
    node: &str,
    score: i32,
    deadline: Deadline,
) -> Result<bool> {
    let name = format!("master-{}", resource.as_str());
    let path = format!(
        "//node_state[@uname='{node}']/transient_attributes//nvpair[@name='{name}'][@value='{score}']"
    );
    for _ in 0..CIB_LOOKS {
        if is_configured(&path, deadline)? {
            return Ok(true);
        }
        if !deadline.sleep(CIB_PAUSE) {
            return Err(Error::Late { program: "attrd_updater" });
        }
    }
    Ok(false)
}

/// Has the attribute daemon write all values that it knows into the CIB again, also those whose `dampen` is not over.
///
/// # Errors
/// Pacemaker has not accepted it.
pub(crate) fn refresh_attributes(deadline: Deadline) -> Result<()> {
    ask("attrd_updater", &["--refresh"], deadline).map(drop)
}

/// What the nodes have published as this attribute: the name of each node, and its value.
///
/// # Errors
/// Pacemaker does not tell.
pub(crate) fn published(attribute: &str, deadline: Deadline) -> Result<Vec<(String, String)>> {
    // In the environment of an action, --all shows this node alone (OCF_RESKEY_CRM_meta_on_node).
    let query = ["--query", "--all", "--name", attribute];
    let answer = ask("attrd_updater", &query, deadline)?;
    Ok(answer.stdout.lines().filter_map(|line| node_and_value(line, attribute)).collect())
}

/// Reads a line like `name="smartvox-routes-sip" host="node2" value="1"`.
pub(crate) fn node_and_value(line: &str, attribute: &str) -> Option<(String, String)> {
    let rest = line.trim().strip_prefix("name=\"")?.strip_prefix(attribute)?;
    let (node, rest) = rest.strip_prefix("\" host=\"")?.split_once('"')?;
    let value = rest.strip_prefix(" value=\"")?.strip_suffix('"')?;
    Some((node.to_owned(), value.to_owned()))
}

/// The name of this node.
///
/// # Errors
/// No cluster is running here.
pub(crate) fn node_name(deadline: Deadline) -> Result<String> {
    let found = ask("crm_node", &["--name"], deadline)?;
    Ok(found.stdout.trim().to_owned())
}

/// What Pacemaker knows of a resource.
///
/// # Errors
/// No cluster is running here, or what it says can't be understood.
pub(crate) fn status(resource: &InstanceName, deadline: Deadline) -> Result<Status> {
    // Not those of the whole cluster, which can be large.
    let name = resource.without_clone_number();
    let only = ["--include=none,dc,resources", "--resource", name.as_str()];
    let options = ["--one-shot", "--output-as=xml"];
    let answer = ask("crm_mon", &[&options[..], &only[..]].concat(), deadline)?;
    Status::parse(&answer.stdout, resource).ok_or(Error::Malformed)
}

/// Whether the configuration has such an element or attribute.
///
/// # Errors
/// The configuration can't be read.
pub(crate) fn is_configured(xpath: &str, deadline: Deadline) -> Result<bool> {
    match ask("cibadmin", &["--query", "--xpath", xpath], deadline) {
        Ok(_) => Ok(true),
        Err(Error::Refused { code: Some(NOTHING_FOUND), .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tells Pacemaker that the resource has failed on a node. Pacemaker records the failure of an operation
/// `asyncmon` (`fail_lrm_resource()` in daemons/controld/controld_execd.c) and recovers the resource.
///
/// # Errors
/// Pacemaker has not accepted it.
pub(crate) fn fail(resource: &InstanceName, node: &str, deadline: Deadline) -> Result<()> {
    let which = ["--fail", "--resource", resource.as_str(), "--node", node];
    ask("crm_resource", &which, deadline).map(drop)
}

/// Runs a program without the environment of an action: that changes what some of them answer.
fn ask(program: &'static str, arguments: &[&str], deadline: Deadline) -> Result<Output> {
    run(program, Command::new(program).args(arguments).env_clear(), deadline)
}

fn run(program: &'static str, command: &mut Command, deadline: Deadline) -> Result<Output> {
    command.env("PATH", PATH);
    match output(command, ANSWER_LIMIT, deadline.within(PATIENCE)) {
        Ok(Some(ended)) if ended.status.success() => Ok(ended),
        Ok(Some(ended)) => {
            let words: String = ended.stderr.trim().chars().take(MESSAGE_LIMIT).collect();
            let message = if words.is_empty() { String::new() } else { format!(": {words}") };
            let message = ocf::shown(message.as_bytes());
            let (status, code) = (ended.status.to_string(), ended.status.code());
            Err(Error::Refused { program, status, code, message })
        }
        Ok(None) => Err(Error::Late { program }),
        Err(error) => Err(Error::NotExecuted { program, cause: ocf::cause(&error) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_attrd_updater_says_of_a_node() {
        let read = |line: &str| node_and_value(line, "smartvox-routes-sip");
        let known = Some(("node2".to_owned(), "1-ab".to_owned()));
        assert_eq!(read(r#"name="smartvox-routes-sip" host="node2" value="1-ab""#), known);
        let deleted = Some(("node2".to_owned(), String::new()));
        assert_eq!(read(r#"name="smartvox-routes-sip" host="node2" value="""#), deleted);
        for other in [
            "",
            r#"name="smartvox-routes-sip-2" host="node2" value="1-ab""#,
            r#"name="smartvox-routes-sip" host="node2""#,
            r#"name="smartvox-routes-sip" host="node2" value="1-ab"#,
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
