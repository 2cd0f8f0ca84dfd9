//! The installed agents: their programs, and the environment that Pacemaker gives them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use deadline::Deadline;
use hostproc::{Output, output};

use crate::cib::{Cib, Resource};

/// More than the advertised timeout of any action that is called here.
const PATIENCE: Duration = Duration::from_secs(60);

const LIMIT: usize = 4 * 1024 * 1024;

/// Where the programs of the system are.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `OCF_ROOT`
fn root() -> PathBuf {
    std::env::var_os("OCF_ROOT").map_or_else(|| PathBuf::from("/usr/lib/ocf"), PathBuf::from)
}

/// The program of an agent.
pub(crate) fn program(agent: &str) -> PathBuf {
    root().join("resource.d/smartvox").join(agent)
}

/// A tool of Pacemaker or Corosync. They are in `/usr/sbin`, which the PATH of cron lacks: without them the
/// cluster would seem not to run.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", with_system(std::env::var_os("PATH")));
    command
}

/// The caller's PATH, and after it the directories of the system.
fn with_system(path: Option<OsString>) -> OsString {
    let Some(mut path) = path.filter(|path| !path.is_empty()) else { return PATH.into() };
    path.push(":");
    path.push(PATH);
    path
}

/// Runs an agent with this environment and no other. `Err` with a sentence if it can't be run.
pub(crate) fn run(
    agent: &str,
    arguments: &[&str],
    environment: &[(String, String)],
) -> Result<Output, String> {
    let program = program(agent);
    let mut command = Command::new(&program);
    command.args(arguments).env_clear().env("PATH", PATH).env("OCF_ROOT", root());
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    // The dates of this user's logs.
    command.envs(std::env::var_os("TZ").map(|zone| (OsString::from("TZ"), zone)));
    match output(&mut command, LIMIT, Deadline::after(PATIENCE)) {
        Ok(Some(output)) => Ok(output),
        Ok(None) => Err(format!("{} did not end within {PATIENCE:?}", program.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(format!(
            "{} is not there: install the package resource-agents-smartvox on this node",
            program.display()
        )),
        Err(error) => Err(format!("{} can't be executed: {}", program.display(), error.kind())),
    }
}

/// The environment of an action of a resource on this node (Pacemaker Administration, "Resource Agents").
pub(crate) fn environment(cib: &Cib, resource: &Resource, node: &str) -> Vec<(String, String)> {
    let mut set = vec![
        ("OCF_RA_VERSION_MAJOR".to_owned(), "1".to_owned()),
        ("OCF_RA_VERSION_MINOR".to_owned(), "1".to_owned()),
        ("OCF_RESOURCE_INSTANCE".to_owned(), resource.id.clone()),
        ("OCF_RESOURCE_TYPE".to_owned(), resource.agent.clone()),
        ("OCF_RESOURCE_PROVIDER".to_owned(), resource.provider.clone().unwrap_or_default()),
    ];
    let parameters = resource.parameters.iter();
    set.extend(parameters.map(|(name, value)| (format!("OCF_RESKEY_{name}"), value.clone())));
    if let Some(version) = &cib.feature_set {
        set.push(("OCF_RESKEY_crm_feature_set".to_owned(), version.clone()));
    }
    let mut meta = |name: &str, value: &str| {
        let name = name.replace('-', "_");
        set.push((format!("OCF_RESKEY_CRM_meta_{name}"), value.to_owned()));
    };
    meta("on_node", node);
    if let Some(clone) = &resource.clone {
        let nodes = cib.nodes.len().to_string();
        let promoted = if clone.promotable { "1" } else { "0" };
        for (name, value) in [
            ("clone", "0"),
            ("clone-max", nodes.as_str()),
            ("clone-node-max", "1"),
            ("globally-unique", "false"),
            ("notify", "false"),
            ("promotable", if clone.promotable { "true" } else { "false" }),
            ("promoted-max", promoted),
            ("promoted-node-max", promoted),
            ("master-max", promoted),
            ("master-node-max", promoted),
        ] {
            meta(name, value);
        }
    }
    // The last setting counts: values of the configuration after the defaults.
    for (name, value) in &resource.meta {
        meta(name, value);
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_found_where_cron_does_not_look() {
        let found = with_system(Some("/usr/bin:/bin".into())).into_string().unwrap();
        assert!(found.starts_with("/usr/bin:/bin:") && found.contains(":/usr/sbin:"), "{found}");
        for none in [None, Some("".into())] {
            assert_eq!(with_system(none), PATH);
        }
        let shell = output(tool("sh").args(["-c", "echo $PATH"]), LIMIT, Deadline::after(PATIENCE));
        assert!(shell.unwrap().unwrap().stdout.contains(PATH));
    }

    #[test]
    fn the_environment_is_that_of_pacemaker() {
        let xml = include_str!("../fixtures/hot-standby.xml");
        let cib = Cib::read(xml, "node2").unwrap();
        let variables = |id: &str| {
            let resource = cib.resources.iter().find(|resource| resource.id == id).unwrap();
            environment(&cib, resource, "node2")
        };
        // The last setting of a variable counts.
        let value = |set: &[(String, String)], name: &str| {
            let last = set.iter().rev().find(|(known, _)| known == name);
            last.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let set = variables("opensips");
        for (name, expected) in [
            ("OCF_RESOURCE_INSTANCE", "opensips"),
            ("OCF_RESOURCE_TYPE", "opensips"),
            ("OCF_RESKEY_vip", "192.0.2.10"),
            ("OCF_RESKEY_sharing_tag", "vip/1"),
            ("OCF_RESKEY_crm_feature_set", "3.16.1"),
            ("OCF_RESKEY_CRM_meta_on_node", "node2"),
            ("OCF_RESKEY_CRM_meta_promotable", "true"),
            ("OCF_RESKEY_CRM_meta_promoted_max", "1"),
            ("OCF_RESKEY_CRM_meta_clone_max", "2"),
            ("OCF_RESKEY_CRM_meta_failure_timeout", "60s"),
        ] {
            assert_eq!(value(&set, name), expected, "{name}");
        }
        assert_eq!(value(&variables("vip"), "OCF_RESKEY_CRM_meta_promotable"), "");
    }
}
