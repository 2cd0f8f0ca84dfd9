//! The asynchronous monitor: Pacemaker is told at once when the main process dies. Programs in the place of
//! Pacemaker's note what they are asked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use testnet::{Agent, wait_until};

use crate::site::{NAME, PIDFILE, is_alive, recurring, signal};
use crate::{LONG, Site, ends, every_daemon, fails};

/// What a daemon must have lived for, so that its death is told at once, and a little more.
const OLD: Duration = Duration::from_millis(5_500);

/// The death is told.
const TOLD: &str = "crm_resource --fail --resource sip --node node1";

const PROGRAMS: [&str; 5] = ["crm_mon", "cibadmin", "crm_resource", "crm_attribute", "crm_node"];

/// The cluster as its programs show it.
struct Cluster<'a> {
    site: &'a Site,
}

impl<'a> Cluster<'a> {
    /// `None` where Pacemaker's programs are not installed: there is no place for others.
    fn new(site: &'a Site) -> Option<Self> {
        let place = |program: &str| PathBuf::from("/usr/sbin").join(program);
        if !PROGRAMS.iter().all(|program| place(program).exists()) {
            return None;
        }
        let cluster = Self { site };
        std::fs::write(cluster.notes_file(), "").unwrap();
        for program in PROGRAMS {
            let path = site.path(&format!("fake-{program}"));
            let answer = match program {
                "crm_mon" => format!("cat '{}'", site.path("status").display()),
                // Something is configured as asked, or not.
                "cibadmin" => format!(
                    "while read -r part; do case \"$*\" in *\"$part\"*) exit 0; esac; done < '{}'; exit 105",
                    site.path("configured").display()
                ),
                "crm_resource" => {
                    let stuck = site.path("stuck").display().to_string();
                    format!("[ ! -e '{stuck}' ] || {{ echo $$ > '{stuck}'; exec sleep 600; }}")
                }
                "crm_attribute" => {
                    let held = site.path("held").display().to_string();
                    format!("while [ -e '{held}' ]; do sleep 0.1; done")
                }
                "crm_node" => "echo node1".to_owned(),
                _ => String::new(),
            };
            let notes = cluster.notes_file().display().to_string();
            let script = format!("#!/bin/sh\necho \"{program} $*\" >> '{notes}'\n{answer}\n");
            testnet::write_program(&path, script);
            let none = None::<&str>;
            // On this host alone.
            site.on_host(|| {
                mount(Some(&path), &place(program), none, MsFlags::MS_BIND, none).unwrap();
            });
        }
        cluster.is_configured("");
        cluster.shows(&[instance("node1", "Started", "")]);
        Some(cluster)
    }

    fn notes_file(&self) -> PathBuf {
        self.site.path("notes")
    }

    fn notes(&self) -> String {
        std::fs::read_to_string(self.notes_file()).unwrap()
    }

    /// How often the death was told.
    fn told(&self) -> usize {
        self.notes().lines().filter(|line| *line == TOLD).count()
    }

    /// What crm_mon shows from now on.
    fn shows(&self, instances: &[String]) {
        self.shows_version("2.1.5-a3f44794f94", instances);
    }

    fn shows_version(&self, version: &str, instances: &[String]) {
        let text = format!(
            "<pacemaker-result api-version=\"2.25\">\n<summary>\n\
             <current_dc present=\"true\" version=\"{version}\" name=\"node1\"/>\n</summary>\n\
             <resources>\n{}</resources>\n</pacemaker-result>\n",
            instances.concat()
        );
        std::fs::write(self.site.path("status"), text).unwrap();
    }

    /// What the configuration has, by a part of the question for it.
    fn is_configured(&self, part: &str) {
        let line = if part.is_empty() { String::new() } else { format!("{part}\n") };
        std::fs::write(self.site.path("configured"), line).unwrap();
    }

    /// The agent as the executor of node1 calls it.
    fn agent(&self) -> Agent {
        on_node1(self.site.agent())
    }

    #[track_caller]
    fn start(&self, agent: &Agent) {
        ends(&agent.action("start"), 0);
        assert_eq!(self.site.async_monitors().len(), 1);
    }

    /// Until a death is told at once.
    fn grow_old(&self) {
        let main = self.site.main();
        wait_until("the daemon is old enough", LONG, || age(main) > OLD);
    }

    /// Kills the main process and waits until the asynchronous monitor has ended by itself.
    fn kill_main(&self) -> i32 {
        let main = self.site.kill_main();
        self.wait_over();
        main
    }

    fn wait_over(&self) {
        wait_until("the asynchronous monitor has ended", LONG, || {
            self.site.async_monitors().is_empty()
        });
    }
}

fn on_node1(agent: Agent) -> Agent {
    agent.env("OCF_RESKEY_CRM_meta_on_node", "node1")
}

/// One instance as crm_mon shows it.
fn instance(node: &str, role: &str, more: &str) -> String {
    let usual = ["managed=\"true\"", "failed=\"false\"", "blocked=\"false\""];
    let given = |usual: &&str| !more.contains(usual.split('=').next().unwrap());
    let usual: Vec<&str> = usual.into_iter().filter(given).collect();
    format!(
        "<resource id=\"{NAME}\" role=\"{role}\" active=\"true\" {} {more}>\n<node name=\"{node}\" \
         id=\"1\" cached=\"true\"/>\n</resource>\n",
        usual.join(" ")
    )
}

/// How long a process has lived, by the clock of the kernel.
fn age(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = rest.split(' ').nth(19).unwrap().parse().unwrap();
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    Duration::from_secs_f64(uptime).saturating_sub(Duration::from_millis(ticks * 10))
}

/// Skips a test where Pacemaker's programs are missing.
macro_rules! cluster_or_skip {
    ($site:expr, $name:literal) => {
        match Cluster::new($site) {
            Some(cluster) => cluster,
            None => {
                return testnet::skipped(
                    concat!("async_monitor::", $name),
                    "needs pacemaker-cli-utils",
                )
            }
        }
    };
}

#[test]
fn a_death_is_told_at_once() {
    testnet::root_or_skip!();
    every_daemon("a_death_is_told_at_once", |site| {
        let cluster = &cluster_or_skip!(site, "a_death_is_told_at_once");
        let agent = cluster.agent();
        cluster.start(&agent);
        ends(&recurring(&agent), 0);
        cluster.grow_old();
        assert_eq!(cluster.notes(), "", "nothing is asked while it lives");
        cluster.kill_main();
        assert_eq!(cluster.told(), 1, "{}", cluster.notes());
        // What Pacemaker does then.
        ends(&agent.action("stop"), 0);
        cluster.start(&agent);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
        assert_eq!((site.async_monitors(), cluster.told()), (vec![], 1));
    });
}

/// A clone's instance with a number too many, and a call that does not name the node.
#[test]
fn a_promoted_instance_publishes_its_failure_first() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let cluster = &cluster_or_skip!(site, "a_promoted_instance");
    let agent = crate::roles::clone_of(site.agent());
    cluster.start(&agent);
    ends(&agent.action("promote"), 0);
    // The peer has a standby, which gets the role because of the score.
    let peer = instance("node2", "Unpromoted", "");
    cluster.shows(&[instance("node1", "Promoted", ""), peer]);
    cluster.grow_old();
    let main = site.kill_main();
    wait_until("the score is told", LONG, || cluster.notes().contains("--update=1\n"));
    ends(&agent.action("demote"), 0);
    cluster.shows(&[instance("node1", "Unpromoted", ""), instance("node2", "Promoted", "")]);
    cluster.wait_over();
    let notes = cluster.notes();
    let at = |line: &str| notes.find(line).unwrap_or_else(|| panic!("{line} is not in\n{notes}"));
    assert!(at("crm_attribute --promotion=sip --lifetime=reboot --update=1\n") < at(TOLD));
    assert_eq!(cluster.told(), 1);
    assert!(!is_alive(main));
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();
}

/// The score alone moves the role; a failure that comes with it delays the move.
#[test]
fn a_promoted_instance_that_fails_reports_it_when_the_role_can_have_moved() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let cluster = &cluster_or_skip!(site, "a_promoted_instance_that_fails");
    let agent = crate::roles::clone_of(cluster.agent());
    let failing = agent.clone().param("sip_probe_codes", "299");
    let asked = || cluster.notes().matches("crm_mon").count();
    cluster.start(&agent);
    ends(&agent.action("promote"), 0);
    cluster.shows(&[instance("node1", "Promoted", ""), instance("node2", "Unpromoted", "")]);
    let outcome = recurring(&failing);
    fails(&outcome, 9, "sip_probe_codes");
    assert!(cluster.notes().contains("--update=1\n"), "{}", cluster.notes());
    assert!(outcome.took >= Duration::from_millis(500), "{:?}", outcome.took);
    // Pacemaker knows of it.
    fails(&recurring(&failing), 9, "sip_probe_codes");
    assert_eq!(asked(), 1);
    // A standby that fails costs no call.
    ends(&agent.action("demote"), 0);
    ends(&recurring(&agent), 0);
    fails(&recurring(&failing), 1, "sip_probe_codes");
    assert_eq!(asked(), 1);
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();
}

/// Each on a host of its own, because each needs a daemon that is old.
#[test]
fn what_an_administrator_has_decided_is_left_to_the_next_monitor() {
    testnet::root_or_skip!();
    type Prepare = fn(&Cluster<'_>);
    let cases: [(&str, Prepare, usize); 6] = [
        ("unmanaged", |it| it.shows(&[instance("node1", "Started", "managed=\"false\"")]), 0),
        ("on another node", |it| it.shows(&[instance("node2", "Started", "")]), 0),
        ("on-fail", |it| it.is_configured("on-fail"), 0),
        ("counted twice", |it| it.is_configured("migration-threshold"), 0),
        (
            "counted once",
            |it| {
                it.is_configured("migration-threshold");
                it.shows_version("3.0.0-4", &[instance("node1", "Started", "")]);
            },
            1,
        ),
        ("no cluster", |it| std::fs::remove_file(it.site.path("status")).unwrap(), 0),
    ];
    std::thread::scope(|scope| {
        for (name, prepare, told) in cases {
            scope.spawn(move || {
                let site = &Site::stand_in();
                let cluster = &cluster_or_skip!(site, "what_an_administrator");
                prepare(cluster);
                let agent = cluster.agent();
                cluster.start(&agent);
                cluster.grow_old();
                cluster.kill_main();
                assert_eq!(cluster.told(), told, "{name}: {}", cluster.notes());
                // Today's way.
                fails(&recurring(&agent), 1, "orphans of OpenSIPS are alive");
                ends(&agent.action("stop"), 0);
                site.nothing_is_left();
            });
        }
    });
}

/// A person starts another daemon in the place of one that has died.
fn start_by_hand(site: &Site) {
    for pid in site.processes() {
        signal(pid, Signal::SIGKILL);
    }
    wait_until("nothing is left", LONG, || site.processes().is_empty());
    site.on_host(|| std::fs::remove_file(PIDFILE).unwrap());
    let mut command = std::process::Command::new(&site.binary);
    command.args(["-P", PIDFILE, "-f"]).arg(site.config());
    let null = std::process::Stdio::null;
    let mut child = site.host.spawn(command.stdin(null()).stdout(null()).stderr(null()));
    assert!(child.wait().unwrap().success());
    wait_until("it serves", LONG, || site.answers("127.0.0.1:5060"));
}

#[test]
fn an_end_that_is_no_death_is_not_told() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let cluster = &cluster_or_skip!(site, "an_end_that_is_no_death");
    let agent = cluster.agent();
    // It was stopped.
    cluster.start(&agent);
    cluster.grow_old();
    ends(&agent.action("stop"), 0);
    assert_eq!(site.async_monitors(), [0; 0]);
    site.nothing_is_left();
    // A person has started another one in its place.
    cluster.start(&agent);
    cluster.grow_old();
    let watcher = site.async_monitors()[0];
    // Not as OpenSIPS: scripts look for that by `pidof opensips`.
    let words = std::fs::read(format!("/proc/{watcher}/cmdline")).unwrap();
    assert!(words.starts_with(b"opensips-ocf\0"), "{words:?}");
    signal(watcher, Signal::SIGSTOP);
    site.kill_main();
    start_by_hand(site);
    signal(watcher, Signal::SIGCONT);
    wait_until("it has looked", LONG, || !is_alive(watcher));
    assert_eq!(cluster.told(), 0, "{}", cluster.notes());
    // Adopted, and watched.
    ends(&recurring(&agent), 0);
    assert_eq!(site.async_monitors().len(), 1);
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();
}

/// It waits for the promoted role to move, and meanwhile a person starts another daemon.
#[test]
fn a_daemon_that_a_person_has_started_meanwhile_is_not_failed() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let cluster = &cluster_or_skip!(site, "a_daemon_that_a_person_has_started_meanwhile");
    let agent = crate::roles::clone_of(cluster.agent());
    cluster.start(&agent);
    ends(&agent.action("promote"), 0);
    cluster.shows(&[instance("node1", "Promoted", ""), instance("node2", "Unpromoted", "")]);
    cluster.grow_old();
    let watcher = site.async_monitors()[0];
    std::fs::write(site.path("held"), "").unwrap();
    site.kill_main();
    wait_until("the score is told", LONG, || cluster.notes().contains("--update=1\n"));
    signal(watcher, Signal::SIGSTOP);
    std::fs::remove_file(site.path("held")).unwrap();
    start_by_hand(site);
    signal(watcher, Signal::SIGCONT);
    cluster.wait_over();
    assert_eq!(cluster.told(), 0, "{}", cluster.notes());
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();
}

/// A daemon that crashes again and again is restarted no faster than by the recurring monitor.
#[test]
fn the_death_of_a_young_daemon_is_left_to_the_next_monitor() {
    testnet::root_or_skip!();
    every_daemon("the_death_of_a_young_daemon", |site| {
        let cluster = &cluster_or_skip!(site, "the_death_of_a_young_daemon");
        let agent = cluster.agent();
        loop {
            cluster.start(&agent);
            let main = site.main();
            signal(main, Signal::SIGSTOP);
            let born = age(main);
            let begun = std::time::Instant::now();
            cluster.kill_main();
            let asked = cluster.notes();
            ends(&agent.action("stop"), 0);
            // A machine that has stalled for seconds proves nothing.
            if born + begun.elapsed() < Duration::from_secs(4) {
                assert_eq!(asked, "");
                break;
            }
        }
        site.nothing_is_left();
    });
}

#[test]
fn a_monitor_starts_it_again() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let agent = on_node1(site.agent());
    ends(&agent.action("start"), 0);
    let kill = || {
        for pid in site.async_monitors() {
            signal(pid, Signal::SIGKILL);
        }
        wait_until("it is gone", LONG, || site.async_monitors().is_empty());
    };
    assert_eq!(site.async_monitors().len(), 1);
    kill();
    // A probe has no effects.
    ends(&agent.action("monitor"), 0);
    assert_eq!(site.async_monitors(), [0; 0]);
    ends(&recurring(&agent.clone().param("async_monitor", "no")), 0);
    assert_eq!(site.async_monitors(), [0; 0]);
    ends(&recurring(&agent), 0);
    let there = site.async_monitors();
    assert_eq!(there.len(), 1);
    ends(&recurring(&agent), 0);
    assert_eq!(site.async_monitors(), there);
    // New values for its parameters.
    ends(&agent.action("reload-agent"), 0);
    assert_eq!(site.async_monitors(), [0; 0]);
    ends(&recurring(&agent), 0);
    assert_eq!(site.async_monitors().len(), 1);
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();

    ends(&agent.clone().param("async_monitor", "no").action("start"), 0);
    assert_eq!(site.async_monitors(), [0; 0]);
    ends(&agent.action("stop"), 0);
    // By hand there is no resource that could have failed.
    let by_hand = agent.env("OCF_RESOURCE_INSTANCE", "");
    ends(&by_hand.action("start"), 0);
    assert_eq!(site.async_monitors(), [0; 0]);
    ends(&by_hand.action("stop"), 0);
}

/// What Pacemaker does because of another failure comes while crm_resource is running: nothing arrives later.
#[test]
fn an_action_ends_what_is_being_told() {
    testnet::root_or_skip!();
    for action in ["stop", "start", "monitor"] {
        let site = &Site::stand_in();
        let cluster = &cluster_or_skip!(site, "an_action_ends_what_is_being_told");
        let agent = cluster.agent();
        cluster.start(&agent);
        cluster.grow_old();
        let stuck = site.path("stuck");
        std::fs::write(&stuck, "").unwrap();
        site.kill_main();
        let telling = || std::fs::read_to_string(&stuck).unwrap().trim().parse::<i32>().ok();
        wait_until("crm_resource is running", LONG, || telling().is_some());
        let program = telling().unwrap();
        std::fs::remove_file(&stuck).unwrap();
        match action {
            "monitor" => fails(&recurring(&agent), 1, "orphans of OpenSIPS are alive"),
            action => ends(&agent.action(action), 0),
        }
        wait_until("crm_resource is killed", LONG, || !is_alive(program));
        let watched = usize::from(action == "start");
        assert_eq!(site.async_monitors().len(), watched, "{action}");
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    }
}

/// A file system without room has no record of the process that holds the lock.
#[test]
fn a_monitor_starts_no_second_one() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let agent = on_node1(site.agent());
    ends(&agent.action("start"), 0);
    let there = site.async_monitors();
    assert_eq!(there.len(), 1);
    site.on_host(|| std::fs::write("/run/smartvox/opensips-sip.async-monitor", "").unwrap());
    let log = site.path("log");
    std::fs::write(&log, "").unwrap();
    ends(&recurring(&agent.clone().env("HA_LOGFILE", &log)), 0);
    let logged = std::fs::read_to_string(&log).unwrap();
    assert!(!logged.contains("no asynchronous monitor"), "{logged}");
    assert_eq!(site.async_monitors(), there);
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();
}

/// A cluster that does not answer must not keep the failure from Pacemaker.
#[test]
fn a_failure_does_not_wait_for_a_cluster_that_does_not_answer() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let cluster = &cluster_or_skip!(site, "a_failure_does_not_wait");
    let agent = crate::roles::clone_of(cluster.agent()).param("async_monitor", "no");
    ends(&agent.action("start"), 0);
    ends(&agent.action("promote"), 0);
    std::fs::remove_file(site.path("status")).unwrap();
    nix::unistd::mkfifo(&site.path("status"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    site.kill_main();
    let outcome = recurring(&agent);
    fails(&outcome, 9, "orphans of OpenSIPS are alive");
    assert!(cluster.notes().contains("crm_mon"), "{}", cluster.notes());
    // As long as any program of Pacemaker may take otherwise.
    assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();
}

#[test]
fn diagnose_names_it() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let agent = on_node1(site.agent());
    let shown = || {
        let outcome = agent.clone().args(["--format", "json"]).action("diagnose");
        let told: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        told["async_monitor"].clone()
    };
    assert!(shown().is_null());
    ends(&agent.action("start"), 0);
    assert_eq!(shown(), format!("process {}", site.async_monitors()[0]));
    ends(&agent.action("stop"), 0);
    assert!(shown().is_null());
}

#[test]
fn it_keeps_nothing_of_its_caller() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    ends(&on_node1(site.agent()).action("start"), 0);
    let pid = site.async_monitors()[0];
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let session: i32 = rest.split(' ').nth(3).unwrap().parse().unwrap();
    assert_eq!(session, pid);
    let null = Path::new("/dev/null");
    for descriptor in 0..3 {
        let path = format!("/proc/{pid}/fd/{descriptor}");
        assert_eq!(std::fs::read_link(path).unwrap(), null);
    }
    site.stop();
}
