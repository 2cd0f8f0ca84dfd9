//! A configuration that the real OpenSIPS of a version, and the stand-in, accept.

use std::path::{Path, PathBuf};

use crate::Version;

const TEMPLATE: &str = include_str!("../configs/opensips.cfg");
const TEMPLATE_2_4: &str = include_str!("../configs/opensips-2.4.cfg");

/// A configuration for tests: stateless, `OPTIONS` (and `INVITE` and `BYE`, for SIPp) answered with
/// 200, and what else the crate's documentation says.
///
/// ```
/// let config = opensips_stand_in::ConfigFile {
///     sockets: vec!["udp:192.0.2.1:5060".into(), "tcp:192.0.2.1:5060".into()],
///     ..Default::default()
/// };
/// assert!(config.text().contains("socket=tcp:192.0.2.1:5060\n"));
/// ```
#[derive(Debug, Clone)]
pub struct ConfigFile {
    /// Whose language it is in; the default is the stand-in's.
    pub version: Version,
    /// `udp:ADDRESS:PORT`, `tcp:…` or `sctp:…`, IPv6 in brackets; other protocols need their
    /// modules in `more`.
    pub sockets: Vec<String>,
    /// Where the daemon's modules are ([`module_path()`]); without it the daemon looks in the working
    /// directory, which is right for the stand-in alone.
    pub module_path: Option<PathBuf>,
    /// Workers for each UDP socket, and for TCP.
    pub workers: usize,
    /// Messages to stderr; without it there are none, syslog being off.
    pub stderror: bool,
    /// Path of the MI FIFO; its directory also gets the replies.
    pub mi_fifo: Option<PathBuf>,
    /// `udp:ADDRESS:PORT` or a path.
    pub mi_datagram: Option<String>,
    /// Further lines before the script.
    pub more: String,
}

impl Default for ConfigFile {
    fn default() -> Self {
        Self {
            version: Version::default(),
            sockets: vec!["udp:127.0.0.1:5060".to_owned()],
            module_path: None,
            workers: 2,
            stderror: true,
            mi_fifo: None,
            mi_datagram: None,
            more: String::new(),
        }
    }
}

impl ConfigFile {
    /// The file's content: `configs/opensips.cfg` of this package, or the one of the version, with
    /// its words replaced.
    pub fn text(&self) -> String {
        // `listen` until 3.0; an alias of `socket` up to 3.6, an error in 4.0.
        let (template, socket) = match self.version {
            Version::V2_4 => (TEMPLATE_2_4, "listen"),
            _ => (TEMPLATE, "socket"),
        };
        let sockets: String =
            self.sockets.iter().map(|place| format!("{socket}={place}\n")).collect();
        let module_path = self
            .module_path
            .as_ref()
            .map_or(String::new(), |path| format!("mpath=\"{}/\"\n", path.display()));
        let has = |protocol: &str| self.sockets.iter().any(|socket| socket.starts_with(protocol));
        let mut modules = String::new();
        for (protocol, module) in
            [("udp:", "proto_udp"), ("tcp:", "proto_tcp"), ("sctp:", "proto_sctp")]
        {
            if has(protocol) {
                modules += &format!("loadmodule \"{module}.so\"\n");
            }
        }
        if let Some(fifo) = &self.mi_fifo {
            let directory = fifo.parent().unwrap_or(Path::new("/"));
            modules += &format!(
                "loadmodule \"mi_fifo.so\"\n\
                 modparam(\"mi_fifo\", \"fifo_name\", \"{}\")\n\
                 modparam(\"mi_fifo\", \"reply_dir\", \"{}/\")\n",
                fifo.display(),
                directory.display()
            );
        }
        if let Some(name) = &self.mi_datagram {
            modules += &format!(
                "loadmodule \"mi_datagram.so\"\n\
                 modparam(\"mi_datagram\", \"socket_name\", \"{name}\")\n"
            );
        }
        template
            .replace("@STDERROR@", if self.stderror { "yes" } else { "no" })
            .replace("@WORKERS@", &self.workers.to_string())
            .replace("@SOCKETS@\n", &sockets)
            .replace("@MODULE_PATH@\n", &module_path)
            .replace("@MODULES@\n", &modules)
            .replace("@MORE@\n", &self.more)
    }
}

/// The directory of the modules that belong to a daemon's binary: `../lib*/**/opensips/modules`
/// beside its `sbin`. None if there is none, as for the stand-in.
pub fn module_path(binary: &Path) -> Option<PathBuf> {
    let prefix = binary.canonicalize().ok()?.parent()?.parent()?.to_owned();
    ["lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib"]
        .into_iter()
        .map(|library| prefix.join(library).join("opensips/modules"))
        .find(|path| path.is_dir())
}
