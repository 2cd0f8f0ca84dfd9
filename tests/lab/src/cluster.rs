//! Corosync and Pacemaker in a node: their files, their start and their end.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use nix::unistd::User;

use crate::{
    error::{Error, Result, at, call},
    file_systems::{make_directory, make_owned_directory},
    network::{HostNumber, Network},
    options::Options,
    wait::{self, wait_for},
};

/// How long Corosync may take to answer, or a daemon to end.
const PATIENCE: Duration = Duration::from_secs(120);

const COROSYNC_CONF: &str = "/etc/corosync/corosync.conf";
const AUTHKEY: &str = "/etc/corosync/authkey";
/// Where a node finds the key that the rack made for all.
pub(crate) const KEY_FROM_RACK: &str = "/run/lab/authkey";
const COROSYNC_LOG: &str = "/var/log/corosync/corosync.log";
const CIB: &str = "/var/lib/pacemaker/cib/cib.xml";

/// Pacemaker's user (crm_user of its build; Debian's postinst makes it).
const PACEMAKER_USER: &str = "hacluster";

/// The text of corosync.conf (corosync.conf(5), votequorum(5)).
pub(crate) fn corosync_conf(options: &Options) -> String {
    let mut text = format!(
        "# Written by `lab up`.\n\
         totem {{\n    \
             version: 2\n    \
             cluster_name: {}\n    \
             transport: knet\n    \
             crypto_cipher: aes256\n    \
             crypto_hash: sha256\n    \
             token: {}\n",
        options.place.name, options.token
    );
    let links =
        if options.second_link { &[Network::Lan, Network::Public][..] } else { &[Network::Lan] };
    for (link, _) in links.iter().enumerate() {
        // By default these follow from the token: with one of 10 s a link would count as up only
        // after some 5 s. A link counts as down as late as the token does, not before.
        let _ = write!(
            text,
            "    interface {{\n        \
                 linknumber: {link}\n        \
                 knet_ping_interval: {}\n        \
                 knet_ping_timeout: {}\n        \
                 knet_pong_count: 1\n    \
             }}\n",
            (options.token / 4).min(200),
            options.token / 2,
        );
    }
    text.push_str("}\nnodelist {\n");
    for (name, number) in options.node_names().zip(1..) {
        let _ = write!(text, "    node {{\n        name: {name}\n        nodeid: {number}\n");
        for (link, network) in links.iter().enumerate() {
            let address = network.ipv4(HostNumber::node(number));
            let _ = writeln!(text, "        ring{link}_addr: {address}");
        }
        text.push_str("    }\n");
    }
    text.push_str("}\nquorum {\n    provider: corosync_votequorum\n");
    if options.nodes == 2 {
        text.push_str("    two_node: 1\n");
    }
    let _ = write!(
        text,
        "}}\nlogging {{\n    \
             to_stderr: no\n    \
             to_syslog: no\n    \
             to_logfile: yes\n    \
             logfile: {COROSYNC_LOG}\n    \
             timestamp: hires\n\
         }}\n"
    );
    text
}

/// The CIB that a new cluster starts with: an empty one of the installed Pacemaker's own schema,
/// so that its feature set is never newer than the daemons'. `dc-deadtime`: how long the first
/// node waits for others before an election; the default of 20 s is most of a fresh start.
/// `stonith-enabled=false`: a cluster without a device starts resources; `pcs property set`
/// changes it.
pub(crate) fn seeded_cib(empty: &str) -> Result<String> {
    let place = "<crm_config/>";
    if !empty.contains(place) {
        return Err(Error::EmptyCib);
    }
    let property = |name: &str, value: &str| {
        format!(r#"<nvpair id="cib-bootstrap-options-{name}" name="{name}" value="{value}"/>"#)
    };
    let set = format!(
        r#"<crm_config><cluster_property_set id="cib-bootstrap-options">{}{}</cluster_property_set></crm_config>"#,
        property("dc-deadtime", "2s"),
        property("stonith-enabled", "false"),
    );
    Ok(empty.replacen(place, &set, 1))
}

/// Writes the cluster's files; what a former boot wrote stays, with the changes made since.
pub(crate) fn provision(options: &Options) -> Result<()> {
    let Some(user) = User::from_name(PACEMAKER_USER).map_err(call("getpwnam(hacluster)"))? else {
        return Err(Error::MissingPrograms {
            root: None,
            programs: vec!["user hacluster"],
            packages: vec!["pacemaker-common"],
        });
    };
    for directory in ["", "/cib", "/pengine", "/cores", "/blackbox"] {
        make_owned_directory(&format!("/var/lib/pacemaker{directory}"), 0o750, &user)?;
    }
    make_owned_directory("/var/log/pacemaker", 0o770, &user)?;
    make_owned_directory("/run/crm", 0o750, &user)?;
    for directory in ["/var/log/corosync", "/var/log/pcsd"] {
        make_directory(directory, 0o755)?;
    }
    if Path::new(CIB).exists() {
        return Ok(());
    }
    make_directory("/etc/corosync", 0o755)?;
    fs::write(COROSYNC_CONF, corosync_conf(options)).map_err(at(COROSYNC_CONF))?;
    fs::copy(KEY_FROM_RACK, AUTHKEY).map_err(at(AUTHKEY))?;
    fs::set_permissions(AUTHKEY, fs::Permissions::from_mode(0o400)).map_err(at(AUTHKEY))?;
    let empty = run(Command::new("cibadmin").arg("--empty"))?;
    let cib = seeded_cib(&String::from_utf8_lossy(&empty.stdout))?;
    fs::write(CIB, cib).map_err(at(CIB))?;
    fs::set_permissions(CIB, fs::Permissions::from_mode(0o600)).map_err(at(CIB))?;
    chown(CIB, Some(user.uid.as_raw()), Some(user.gid.as_raw())).map_err(at(CIB))
}

/// Starts Corosync and waits until it answers: pacemakerd would retry a Corosync that doesn't in
/// steps of a second.
pub(crate) fn start_corosync() -> Result<()> {
    if pid_of("corosync").is_some() {
        return Ok(());
    }
    run(&mut daemon("corosync", "/etc/default/corosync"))
        .map_err(|error| with_log(error, COROSYNC_LOG))?;
    let answers = || run(Command::new("corosync-cfgtool").arg("-s")).is_ok().then_some(());
    wait_for("corosync answers", PATIENCE, answers).map_err(|error| with_log(error, COROSYNC_LOG))
}

/// Starts Pacemaker; it goes on by itself.
pub(crate) fn start_pacemaker() -> Result<()> {
    if pid_of("pacemakerd").is_some() {
        return Ok(());
    }
    // In a session of its own: `pcs cluster start` may be typed on a terminal.
    let mut command = daemon("setsid", "/etc/default/pacemaker");
    run(command.args(["--fork", "pacemakerd"])).map(drop)
}

/// Ends Pacemaker, which stops the resources first.
pub(crate) fn stop_pacemaker() -> Result<()> {
    let Some(pid) = pid_of("pacemakerd") else {
        return Ok(());
    };
    let pid = nix::unistd::Pid::from_raw(pid);
    // One that ended meanwhile is what was wanted.
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    let gone = || pid_of("pacemakerd").is_none().then_some(());
    wait_for("pacemakerd ends", Duration::from_secs(600), gone)
}

/// Ends Corosync, in the way of its systemd unit.
pub(crate) fn stop_corosync() -> Result<()> {
    if pid_of("corosync").is_none() {
        return Ok(());
    }
    run(Command::new("corosync-cfgtool").args(["-H", "--force"]))?;
    wait_for("corosync ends", PATIENCE, || pid_of("corosync").is_none().then_some(()))
}

/// The process of the node whose command (/proc/PID/comm) is `name`.
pub(crate) fn pid_of(name: &str) -> Option<i32> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // A zombie has a command, but no executable.
        let live = fs::read_link(entry.path().join("exe")).is_ok();
        let command = fs::read_to_string(entry.path().join("comm")).ok()?;
        (live && command.trim_end() == name).then_some(pid)
    })
}

/// A daemon's command with the environment that its systemd unit would give it.
fn daemon(program: &str, environment_file: &str) -> Command {
    let mut command = Command::new(program);
    // There is no /dev/log in a node.
    command.env("PCMK_logfacility", "none").stdin(Stdio::null());
    if let Ok(text) = fs::read_to_string(environment_file) {
        command.envs(parse_environment(&text));
    }
    command
}

/// `NAME=value` lines of systemd.exec(5)'s EnvironmentFile, quotes around a value removed.
fn parse_environment(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once('=')?;
        let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
        let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
        (!name.starts_with(['#', ';'])).then_some((name, value))
    })
}

/// Runs a program of the cluster stack to its end.
fn run(command: &mut Command) -> Result<Output> {
    let output = wait::output(command, None, |command| {
        let program = command.get_program().to_string_lossy().into_owned();
        command.spawn().map_err(|source| Error::Spawn { program, source })
    })?;
    wait::succeeded(command, output)
}

fn with_log(error: Error, log: &'static str) -> Error {
    let text = fs::read_to_string(log).unwrap_or_default();
    error.with_log(log, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corosync_conf_of_two_nodes() {
        let text = corosync_conf(&Options::named("demo").unwrap());
        for line in [
            "cluster_name: demo",
            "transport: knet",
            "token: 10000",
            "two_node: 1",
            "ring0_addr: 198.51.100.11",
            "ring0_addr: 198.51.100.12",
            "linknumber: 0",
        ] {
            assert!(text.lines().any(|l| l.trim() == line), "{line} in {text}");
        }
        assert!(!text.contains("ring1") && !text.contains("linknumber: 1"));
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }

    #[test]
    fn corosync_conf_of_three_nodes_with_two_links() {
        let options = Options { nodes: 3, token: 300, second_link: true, ..Options::default() };
        let text = corosync_conf(&options);
        assert!(!text.contains("two_node"));
        assert!(text.contains("ring1_addr: 192.0.2.13\n"));
        assert!(text.contains("knet_ping_interval: 75\n"));
        assert_eq!(text.matches("nodeid:").count(), 3);
        assert_eq!(text.matches("linknumber:").count(), 2);
    }

    #[test]
    fn the_cib_is_seeded_and_stays_well_formed() {
        let empty = "<cib><configuration><crm_config/><nodes/></configuration></cib>";
        let seeded = seeded_cib(empty).unwrap();
        let document = roxmltree::Document::parse(&seeded).unwrap();
        let value = |name| {
            let pair = document.descendants().find(|node| node.attribute("name") == Some(name));
            pair.and_then(|node| node.attribute("value"))
        };
        assert_eq!(value("dc-deadtime"), Some("2s"));
        assert_eq!(value("stonith-enabled"), Some("false"));
        assert!(matches!(seeded_cib("<cib/>"), Err(Error::EmptyCib)));
    }

    #[test]
    fn environment_files() {
        let text = "# A=1\n;B=2\nC=3\n D=\"4 5\"\nE='6'\nF=\n7\n";
        let pairs: Vec<_> = parse_environment(text).collect();
        assert_eq!(pairs, [("C", "3"), ("D", "4 5"), ("E", "6"), ("F", "")]);
    }
}
