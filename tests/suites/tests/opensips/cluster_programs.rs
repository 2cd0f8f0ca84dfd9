//! Programs in the place of Pacemaker's, which note what they are asked.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use testnet::Agent;

use crate::Site;
use crate::site::NAME;

/// Puts programs in the place of Pacemaker's on the site's host: each writes its name and what it is asked into
/// the site's file `notes`, and then does what is given for it, in the language of the shell. False where one of
/// Pacemaker's is not installed: there is no place for others.
pub(crate) fn replace(site: &Site, programs: &[(&str, String)]) -> bool {
    let place = |program: &str| Path::new("/usr/sbin").join(program);
    if !programs.iter().all(|(program, _)| place(program).exists()) {
        return false;
    }
    let notes = site.path("notes").display().to_string();
    std::fs::write(&notes, "").unwrap();
    for (program, answer) in programs {
        let path: PathBuf = site.path(&format!("fake-{program}"));
        let script = format!("#!/bin/sh\necho \"{program} $*\" >> '{notes}'\n{answer}\n");
        testnet::write_program(&path, script);
        let none = None::<&str>;
        // On this host alone.
        site.on_host(|| {
            mount(Some(&path), &place(program), none, MsFlags::MS_BIND, none).unwrap();
        });
    }
    true
}

/// The agent as the executor of node1 calls it.
pub(crate) fn on_node1(agent: Agent) -> Agent {
    agent.env("OCF_RESKEY_CRM_meta_on_node", "node1")
}

/// One instance as crm_mon shows it.
pub(crate) fn instance(node: &str, role: &str, more: &str) -> String {
    let usual = ["managed=\"true\"", "failed=\"false\"", "blocked=\"false\""];
    let given = |usual: &&str| !more.contains(usual.split('=').next().unwrap());
    let usual: Vec<&str> = usual.into_iter().filter(given).collect();
    format!(
        "<resource id=\"{NAME}\" role=\"{role}\" active=\"true\" {} {more}>\n<node name=\"{node}\" \
         id=\"1\" cached=\"true\"/>\n</resource>\n",
        usual.join(" ")
    )
}

/// All that crm_mon shows.
pub(crate) fn shown(version: &str, instances: &[String]) -> String {
    format!(
        "<pacemaker-result api-version=\"2.25\">\n<summary>\n\
         <current_dc present=\"true\" version=\"{version}\" name=\"node1\"/>\n</summary>\n\
         <resources>\n{}</resources>\n</pacemaker-result>\n",
        instances.concat()
    )
}

/// A recurring monitor of level 20 in a promotable clone, to be run beside an attribute daemon; a program that
/// stands for that one.
pub(crate) fn monitor_and_attribute_daemon(site: &Site) -> (Command, PathBuf) {
    let daemon = site.path("pacemaker-attrd");
    testnet::copy_program(Path::new("/bin/sleep"), &daemon);
    let mut monitor = site.command("monitor");
    monitor.env("OCF_RESKEY_CRM_meta_interval", "10000");
    monitor.env("OCF_RESKEY_CRM_meta_timeout", "120000");
    monitor.env("OCF_RESKEY_CRM_meta_promoted_max", "1");
    monitor.env("OCF_CHECK_LEVEL", "20");
    (monitor, daemon)
}

/// Runs a monitor as Pacemaker does: from its executor, a sibling of its attribute daemon.
pub(crate) fn under_pacemaker(site: &Site, daemon: &Path, agent: &Command) -> Option<i32> {
    after_each_under_pacemaker(site, daemon, agent, &[":"])
}

/// Runs a monitor after each of these lines of shell, all beside the same attribute daemon; the exit code of the last one.
pub(crate) fn after_each_under_pacemaker(
    site: &Site,
    daemon: &Path,
    agent: &Command,
    lines: &[&str],
) -> Option<i32> {
    // A child that has not yet executed its program is no daemon. Neither shell executes its last command in its own place.
    let executor = "\"$0\" monitor; exit $?";
    let monitors = lines.iter().map(|line| format!("{line}\nsh -c '{executor}' \"$0\"; code=$?\n"));
    let script = format!(
        "{} 600 & daemon=$!\n\
         until readlink /proc/$daemon/exe | grep -q /pacemaker-attrd; do sleep 0.01; done\n\
         {}kill $daemon; wait; exit $code",
        daemon.display(),
        monitors.collect::<String>()
    );
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script]).arg(agent.get_program());
    command.envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = site.host.output(&mut command);
    output.status.code()
}
