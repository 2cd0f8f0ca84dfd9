//! Why an instance can't have its role.

use std::io;
use std::path::PathBuf;

use crate::daemon;
use crate::mi;
use crate::params::SharingTag;

/// A result of this room.
pub(crate) type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("OpenSIPS is not running on this node: start it before promote")]
    NothingToPromote,
    /// This node can't keep a tag that its role demands.
    #[error(
        "sharing tag {tag} does not stay active on this node: check that every configuration \
         declares {tag}=backup"
    )]
    TagLost { tag: SharingTag },
    /// The daemon has no sharing tags.
    #[error(
        "sharing_tag={tag}: OpenSIPS has no clusterer module: load clusterer.so and declare \
         {tag}=backup"
    )]
    NoClusterer { tag: SharingTag },
    /// The daemon has module clusterer, and not the tag.
    #[error(
        "sharing_tag={tag}: OpenSIPS has no such sharing tag: declare {tag}=backup in its \
         configuration or correct sharing_tag"
    )]
    TagUndeclared { tag: SharingTag },
    /// A file of the configuration whose text is not known, and no other one declares the tag.
    #[error(
        "{} can't be read ({}) and may declare sharing tag {tag}: make it readable",
        path.display(),
        ocf::cause(source)
    )]
    DeclarationUnknown { tag: SharingTag, path: PathBuf, source: io::Error },
    /// The tag is active as soon as the daemon has started.
    #[error(
        "sharing tag {tag} is active after start, which takes it from the active node: declare \
         {tag}=backup"
    )]
    TagActive { tag: SharingTag },
    /// The same, before the daemon is started; `path` is the configuration or a file that it includes.
    #[error(
        "{} declares sharing tag {tag}=active, which would take the tag from the active node: use \
         {tag}=backup",
        path.display()
    )]
    TagDeclaredActive { tag: SharingTag, path: PathBuf },
    #[error(transparent)]
    Mi(#[from] mi::Error),
    #[error(transparent)]
    Daemon(#[from] daemon::Error),
}
