//! OpenSIPS as a promotable clone, alone on a host.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::mount::{MsFlags, mount};
use opensips_stand_in::{ConfigFile, Version, module_path};
use testnet::{Agent, Host, agent};

use super::subject::{Case, State, Subject, cases};
use crate::daemon::Daemon;

/// A resource of opensips.
pub struct Service {
    node: Host,
    program: PathBuf,
    /// The daemon's executable, under a name that nobody else's has.
    binary: PathBuf,
    config: PathBuf,
    routes_versions: AtomicUsize,
}

impl Service {
    /// With the agent of this directory; `directory` takes the configuration.
    ///
    /// # Errors
    /// If the files can't be written.
    pub fn new(agents: &Path, daemon: &Daemon, directory: &Path) -> Result<Self, String> {
        let said = |error: std::io::Error| format!("{}: {error}", directory.display());
        let node = Host::new("node");
        let modules = module_path(&daemon.binary);
        let binary = match &modules {
            Some(_) => daemon.binary.clone(),
            None => directory.join("opensips"),
        };
        if modules.is_none() {
            testnet::copy_program(&daemon.binary, &binary);
        }
        let config = directory.join("opensips.cfg");
        let file = ConfigFile {
            version: Version::parse(&daemon.version).unwrap_or_default(),
            sockets: ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "bin:127.0.0.1:5566"]
                .map(str::to_owned)
                .into(),
            module_path: modules,
            mi_datagram: Some("udp:127.0.0.1:8080".into()),
            more: "loadmodule \"proto_bin.so\"\nloadmodule \"clusterer.so\"\n\
                   modparam(\"clusterer\", \"db_mode\", 0)\n\
                   modparam(\"clusterer\", \"my_node_id\", 1)\n\
                   modparam(\"clusterer\", \"my_node_info\", \"cluster_id=1, url=bin:127.0.0.1:5566\")\n\
                   modparam(\"clusterer\", \"sharing_tag\", \"vip/1=backup\")\n"
                .into(),
            ..ConfigFile::default()
        };
        std::fs::write(&config, file.text()).map_err(said)?;
        // There is no cluster that could take a score.
        let (none, place) = (None::<&str>, "/usr/sbin/crm_attribute");
        if Path::new(place).exists() {
            node.run(|| mount(Some("/bin/true"), place, none, MsFlags::MS_BIND, none))
                .map_err(|error| format!("{place}: {error}"))?;
        }
        let (program, routes_versions) = (agents.join("opensips"), AtomicUsize::new(1));
        Ok(Self { node, program, binary, config, routes_versions })
    }
}

impl Subject for Service {
    fn name(&self) -> &'static str {
        "opensips"
    }

    fn host(&self) -> &Host {
        &self.node
    }

    fn agent(&self) -> Agent {
        agent(&self.node, &self.program)
            .under_pacemaker("sip")
            .env("PCMK_service", "pacemaker-execd")
            .env("OCF_RESKEY_CRM_meta_promoted_max", "1")
            .param("binary", &self.binary)
            .param("config", &self.config)
            .param("user", "nobody")
            .param("group", "nogroup")
            .param("mi", "datagram:127.0.0.1:8080")
            .param("sharing_tag", "vip/1")
    }

    /// reload-agent has OpenSIPS load its routes when `routes_version` is another one than before.
    fn in_particular(&self, case: Case, agent: Agent) -> Agent {
        if case.action != "reload-agent" {
            return agent;
        }
        let version = self.routes_versions.fetch_add(1, Ordering::Relaxed);
        agent.param("routes_version", version.to_string())
    }

    fn is_alive(&self) -> bool {
        let executable = |pid: &i32| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        let ours = self.binary.canonicalize().ok();
        self.node.processes().iter().any(|pid| executable(pid).is_some_and(|it| Some(it) == ours))
    }

    fn left(&self) -> Vec<String> {
        let processes = self.node.processes().into_iter().map(|pid| format!("process {pid}"));
        let files = self.node.run(|| {
            let directories = ["/run/smartvox", "/run/opensips"];
            let entries = directories.iter().flat_map(std::fs::read_dir).flatten().flatten();
            let paths = entries.map(|entry| entry.path().display().to_string());
            // A lock stays where somebody may be waiting for it; the directory of MI replies stays.
            paths
                .filter(|path| !path.ends_with(".lock") && !path.ends_with("/mi"))
                .collect::<Vec<_>>()
        });
        processes.chain(files).collect()
    }

    fn cases(&self) -> Vec<Case> {
        let mut all = cases(
            State::Stopped,
            &[("start", "0"), ("monitor", "0"), ("stop", "0"), ("validate-all", "10")],
        );
        all.extend(cases(
            State::Started,
            &[
                ("stop", "0"),
                ("monitor", "0"),
                ("monitor", "10"),
                ("monitor", "20"),
                ("start", "0"),
                ("promote", "0"),
                ("reload-agent", "0"),
                ("validate-all", "10"),
            ],
        ));
        all.extend(cases(
            State::Promoted,
            &[
                ("demote", "0"),
                ("promote", "0"),
                ("monitor", "0"),
                ("monitor", "10"),
                ("monitor", "20"),
                ("reload-agent", "0"),
                ("stop", "0"),
            ],
        ));
        all
    }
}
