//! Where the configuration comes from: the running cluster, its file, or a file that is named.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use deadline::Deadline;
use hostproc::output;

use crate::agents;
use crate::error::{Error, Result};

/// Where Pacemaker keeps the configuration, also while it is not running.
pub(crate) const CIB_FILE: &str = "/var/lib/pacemaker/cib/cib.xml";

/// How long the cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The exit code of cibadmin where the cluster does not answer in its own time (`CRM_EX_TIMEOUT`).
const TIMEOUT: i32 = 124;

/// A large cluster's CIB has some hundred kilobytes.
const LIMIT: usize = 64 * 1024 * 1024;

/// The XML of the configuration.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) xml: String,
    pub(crate) origin: Origin,
}

/// Where it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The running cluster.
    Cluster,
    /// The file that Pacemaker has left: the cluster is not running on this node.
    Saved,
    /// A file that was named.
    Named,
}

impl Origin {
    /// The word for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Saved => "saved",
            Self::Named => "file",
        }
    }
}

impl Source {
    /// Reads the file that is named, else asks the cluster, else reads what it has saved.
    pub(crate) fn read(named: Option<&Path>) -> Result<Self> {
        if let Some(path) = named {
            return Ok(Self { xml: text(path)?, origin: Origin::Named });
        }
        let asked = output(
            agents::tool("cibadmin").args(["--query", "--local"]),
            LIMIT,
            Deadline::after(PATIENCE),
        );
        match &asked {
            Ok(Some(answer)) if answer.status.success() => {
                return Ok(Self { xml: answer.stdout.clone(), origin: Origin::Cluster });
            }
            // A cluster that is too busy to answer runs.
            Ok(None) => return Err(Error::Late),
            Ok(Some(answer)) if answer.status.code() == Some(TIMEOUT) => return Err(Error::Late),
            _ => {}
        }
        let saved = Path::new(CIB_FILE);
        match std::fs::read_to_string(saved) {
            Ok(xml) => Ok(Self { xml, origin: Origin::Saved }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let file = CIB_FILE;
                Err(if asked.is_err() {
                    Error::NoCluster { file }
                } else {
                    Error::NotRunning { file }
                })
            }
            // Its directory belongs to Pacemaker's user.
            Err(_) => {
                let said = asked.ok().flatten().map(|answer| answer.stderr);
                let said = said.as_deref().and_then(|text| text.lines().last());
                let why = said.unwrap_or("cibadmin does not answer").trim().to_owned();
                Err(Error::NotAllowed { why })
            }
        }
    }
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let why = if error.kind() == ErrorKind::NotFound {
            "there is no such file".to_owned()
        } else {
            error.kind().to_string()
        };
        Error::Unreadable { path: path.to_owned(), why }
    })
}

/// The name of this node in the cluster; without a running cluster that of the host.
pub(crate) fn node_name() -> String {
    let asked = output(agents::tool("crm_node").arg("--name"), LIMIT, Deadline::after(PATIENCE));
    let named = asked.ok().flatten().filter(|answer| answer.status.success());
    let named = named.map(|answer| answer.stdout.trim().to_owned());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| {
        let host = std::fs::read_to_string(PathBuf::from("/proc/sys/kernel/hostname"));
        host.unwrap_or_default().trim().to_owned()
    })
}
