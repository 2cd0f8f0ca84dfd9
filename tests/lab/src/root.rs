//! Nodes that run another system than the machine's: another Debian in a directory.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::{chdir, pivot_root},
};
use serde_json::json;

use crate::{
    Lab,
    error::{Error, Result, call},
};

/// Where a node with a root of its own finds the machine's until everything is mounted; any Debian has
/// this directory.
const MACHINE: &str = "/mnt";

/// The root directory of another system, such as debootstrap(8) makes one, in place of the machine's
/// own: for one node, or for every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The node, or `None`: all of them.
    pub node: Option<String>,
    /// The directory; `/` is the machine's own system.
    pub directory: PathBuf,
}

impl FromStr for Root {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (node, directory) = match text.split_once('=') {
            Some((node, directory)) if !node.contains('/') => (Some(node.to_owned()), directory),
            _ => (None, text),
        };
        if directory.is_empty() || node.as_ref().is_some_and(String::is_empty) {
            return Err(Error::RootSpecification(text.to_owned()));
        }
        Ok(Self { node, directory: directory.into() })
    }
}

impl Lab {
    /// Gives a node that is off another system, from which it boots from now on: this root directory, or
    /// the machine's (`/`). What it has written to its disk stays: /etc with the cluster's files, /var.
    ///
    /// # Errors
    /// [`Error::BindSource`]: no such directory; [`Error::Refused`]: no such node, it is on, or the root
    /// lacks programs.
    pub fn reinstall(&self, node: &str, root: &Path) -> Result<()> {
        let root = resolved(root)?;
        self.ask(&json!({"do": "reinstall", "host": node, "root": root})).map(drop)
    }
}

/// The directory's absolute path.
pub(crate) fn resolved(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path)
        .map_err(|source| Error::BindSource { path: path.to_owned(), source })
}

/// Makes this directory the root of the calling process's mount namespace; setns(2) leads later processes
/// to it, too, which it would not after chroot(2). Returns where the machine's root is until [`leave_machine`].
pub(crate) fn enter(root: &Path) -> Result<&'static Path> {
    let bind = MsFlags::MS_BIND;
    let (none, all) = (None::<&str>, bind | MsFlags::MS_REC);
    let step = |what: &str| call(format!("{what} ({})", root.display()));
    // pivot_root(2) takes mount points only. Read-only: what a node writes goes to layers of its own.
    mount(Some(root), root, none, bind, none).map_err(step("mount the root"))?;
    let read_only = bind | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(none, root, none, read_only, none).map_err(step("mount the root read-only"))?;
    mount(Some("/dev"), &below(root, Path::new("/dev")), none, all, none)
        .map_err(step("mount /dev in the root"))?;
    let machine = Path::new(MACHINE);
    pivot_root(root, &below(root, machine)).map_err(step("pivot_root"))?;
    chdir("/").map_err(step("chdir"))?;
    Ok(machine)
}

/// Takes the machine's root away; what was mounted from it stays.
pub(crate) fn leave_machine() -> Result<()> {
    umount2(MACHINE, MntFlags::MNT_DETACH).map_err(call("umount(the machine's root)"))
}

/// The name that the absolute path `path` of a root has where that root is the directory `top`.
pub(crate) fn below(top: &Path, path: &Path) -> PathBuf {
    top.join(path.strip_prefix("/").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_node_s_and_every_node_s() {
        let root = |node: Option<&str>, directory: &str| Root {
            node: node.map(str::to_owned),
            directory: directory.into(),
        };
        for (text, expected) in [
            ("/debian13", root(None, "/debian13")),
            ("node2=/debian13", root(Some("node2"), "/debian13")),
            ("node2=debian13", root(Some("node2"), "debian13")),
            ("/a=b", root(None, "/a=b")),
            ("/", root(None, "/")),
        ] {
            assert_eq!(text.parse::<Root>().unwrap(), expected, "{text}");
        }
        for text in ["", "node1=", "=/debian13"] {
            assert!(matches!(text.parse::<Root>(), Err(Error::RootSpecification(_))), "{text}");
        }
    }

    #[test]
    fn paths_in_a_root() {
        assert_eq!(below(Path::new("/mnt"), Path::new("/run/x")), Path::new("/mnt/run/x"));
        assert_eq!(below(Path::new("/"), Path::new("/run/x")), Path::new("/run/x"));
    }
}
