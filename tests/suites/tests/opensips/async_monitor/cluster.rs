//! The cluster as its programs show it to the asynchronous monitor.

use std::path::PathBuf;
use std::time::Duration;

use testnet::{Agent, wait_until};

use crate::cluster_programs::{instance, on_node1, replace, shown};
use crate::{LONG, Site, ends};

/// What a daemon must have lived for, so that its death is told at once, and a little more.
pub(super) const OLD: Duration = Duration::from_millis(5_500);

/// The death is told.
pub(super) const TOLD: &str = "crm_resource --fail --resource sip --node node1";

/// The cluster as its programs show it.
pub(super) struct Cluster<'a> {
    pub(super) site: &'a Site,
}

impl<'a> Cluster<'a> {
    /// `None` where Pacemaker's programs are not installed: there is no place for others.
    pub(super) fn new(site: &'a Site) -> Option<Self> {
        let file = |name: &str| site.path(name).display().to_string();
        let (stuck, held) = (file("stuck"), file("held"));
        let programs = [
            ("crm_mon", format!("cat '{}'", file("status"))),
            // Something is configured as asked, or not.
            (
                "cibadmin",
                format!(
                    "while read -r part; do case \"$*\" in *\"$part\"*) exit 0; esac; done < '{}'; exit 105",
                    file("configured")
                ),
            ),
            (
                "crm_resource",
                format!("[ ! -e '{stuck}' ] || {{ echo $$ > '{stuck}'; exec sleep 600; }}"),
            ),
            ("crm_attribute", format!("while [ -e '{held}' ]; do sleep 0.1; done")),
            ("crm_node", "echo node1".to_owned()),
        ];
        if !replace(site, &programs) {
            return None;
        }
        let cluster = Self { site };
        cluster.is_configured("");
        cluster.shows(&[instance("node1", "Started", "")]);
        Some(cluster)
    }

    pub(super) fn notes_file(&self) -> PathBuf {
        self.site.path("notes")
    }

    pub(super) fn notes(&self) -> String {
        std::fs::read_to_string(self.notes_file()).unwrap()
    }

    /// How often the death was told.
    pub(super) fn told(&self) -> usize {
        self.notes().lines().filter(|line| *line == TOLD).count()
    }

    /// What crm_mon shows from now on.
    pub(super) fn shows(&self, instances: &[String]) {
        self.shows_version("2.1.5-a3f44794f94", instances);
    }

    pub(super) fn shows_version(&self, version: &str, instances: &[String]) {
        self.replace_file("status", &shown(version, instances));
    }

    /// What the configuration has, by a part of the question for it.
    pub(super) fn is_configured(&self, part: &str) {
        let line = if part.is_empty() { String::new() } else { format!("{part}\n") };
        self.replace_file("configured", &line);
    }

    /// At once: a program can be reading it.
    fn replace_file(&self, name: &str, content: &str) {
        let new = self.site.path("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, self.site.path(name)).unwrap();
    }

    /// The agent as the executor of node1 calls it.
    pub(super) fn agent(&self) -> Agent {
        on_node1(self.site.agent())
    }

    #[track_caller]
    pub(super) fn start(&self, agent: &Agent) {
        ends(&agent.action("start"), 0);
        assert_eq!(self.site.async_monitors().len(), 1);
    }

    /// Until a death is told at once.
    pub(super) fn grow_old(&self) {
        let main = self.site.main();
        wait_until("the daemon is old enough", LONG, || age(main) > OLD);
    }

    /// Kills the main process and waits until the asynchronous monitor has ended by itself.
    pub(super) fn kill_main(&self) -> i32 {
        let main = self.site.kill_main();
        self.wait_over();
        main
    }

    pub(super) fn wait_over(&self) {
        wait_until("the asynchronous monitor has ended", LONG, || {
            self.site.async_monitors().is_empty()
        });
    }
}

/// How long a process has lived, by the clock of the kernel.
pub(super) fn age(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = rest.split(' ').nth(19).unwrap().parse().unwrap();
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    Duration::from_secs_f64(uptime).saturating_sub(Duration::from_millis(ticks * 10))
}
