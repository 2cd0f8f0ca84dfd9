//! Why the command could not look.

use std::path::PathBuf;

/// What keeps `smartvox` from looking. The text is one sentence for the administrator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "there is no cluster on this node: neither cibadmin nor {file} is there: install \
         Pacemaker, or name a saved configuration with --cib"
    )]
    NoCluster { file: &'static str },
    #[error(
        "the cluster is not running on this node, and has left no configuration in {file}: start \
         it (pcs cluster start), or name a saved configuration with --cib"
    )]
    NotRunning { file: &'static str },
    #[error(
        "the cluster does not answer cibadmin: look at the load of this node and at its DC (crm_mon -1), \
         and try again"
    )]
    Late,
    #[error("the configuration of the cluster can't be read: {why}: run smartvox as root")]
    NotAllowed { why: String },
    #[error("{}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("the configuration of the cluster is not XML: {why}")]
    NotXml { why: String },
    #[error("the configuration of the cluster has no element {element}")]
    NoElement { element: &'static str },
    #[error("{id} is no resource of ocf:smartvox: the cluster has {}", or_none(known))]
    NoSuchResource { id: String, known: Vec<String> },
    #[error("the cluster has no resource of ocf:smartvox")]
    NoResource,
    #[error("{0}: name a file in a directory that exists, and run smartvox as root")]
    NotWritten(hostfs::Error),
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

fn or_none(names: &[String]) -> String {
    if names.is_empty() {
        "no resource of ocf:smartvox".to_owned()
    } else {
        format!("{} of ocf:smartvox", names.join(", "))
    }
}
