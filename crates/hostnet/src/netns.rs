//! Named network namespaces, as `ip netns` makes them: files under `/run/netns`.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, setns};

use crate::error::{Capability, Error, Result, is_transient};
use crate::retry::{WITHOUT_DEADLINE, retry_within};
use crate::text::shown;

/// The directory of iproute2 (`NETNS_RUN_DIR`; `/var/run` is `/run`).
const DIRECTORY: &str = "/run/netns";
/// `NAME_MAX` (linux/limits.h).
const LONGEST_NAME: usize = 255;

/// The name of a network namespace: one component of a path, as iproute2 demands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamespaceName(String);

impl NamespaceName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that can't be the name of a network namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not the name of a network namespace: {why}")]
pub struct InvalidNamespaceName {
    /// The text as given, shortened for display.
    pub name: String,
    /// The rule that it breaks.
    pub why: &'static str,
}

impl FromStr for NamespaceName {
    type Err = InvalidNamespaceName;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidNamespaceName> {
        let why = if text.is_empty() {
            "it is empty"
        } else if text.len() > LONGEST_NAME {
            "it is longer than 255 bytes"
        } else if text == "." || text == ".." {
            "\".\" and \"..\" are reserved"
        } else if text.contains(['/', '\0']) {
            "'/' is not allowed"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(InvalidNamespaceName { name: shown(text), why })
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An open network namespace. It stays the same one if its name is deleted or used again.
#[derive(Debug)]
pub struct NetworkNamespace {
    name: NamespaceName,
    path: PathBuf,
    file: File,
}

impl NetworkNamespace {
    /// Opens the namespace of that name. While the kernel has no memory or no descriptor left this
    /// tries again, for up to two seconds.
    ///
    /// # Errors
    /// [`Error::NoSuchNamespace`] if there is none, [`Error::PermissionDenied`],
    /// [`Error::Refused`]
    pub fn open(name: &NamespaceName) -> Result<Self> {
        let path = Path::new(DIRECTORY).join(name.as_str());
        let file = retry_within(WITHOUT_DEADLINE, || {
            // Without O_NONBLOCK the open of a FIFO in its place blocks.
            let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
            opened.map_err(|source| match source.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP) => {
                    let (name, path) = (name.to_string(), path.clone());
                    Error::NoSuchNamespace { name, path, source }
                }
                _ => {
                    let operation = format!("open network namespace {name}");
                    Error::refused(operation, Capability::SysAdmin, source)
                }
            })
        })?;
        Ok(Self { name: name.clone(), path, file })
    }

    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::PermissionDenied`], [`Error::Refused`]
    pub fn current() -> Result<Self> {
        let path = PathBuf::from("/proc/thread-self/ns/net");
        let file = retry_within(WITHOUT_DEADLINE, || {
            File::open(&path).map_err(|source| {
                let operation = "open the network namespace of this process";
                Error::refused(operation, Capability::SysAdmin, source)
            })
        })?;
        Ok(Self { name: NamespaceName("of this process".to_owned()), path, file })
    }

    /// Finds the namespace with that number (an inode of nsfs, namespaces(7)) by a process that is in
    /// it, for a namespace that lives on without its name. `None` if no process is in it. The kernel
    /// gives the number of a namespace that has ended to the next one.
    pub fn of_number(number: u64) -> Option<Self> {
        let look = || {
            Self::find(number).map_err(|source| {
                let operation = format!("look for network namespace net:[{number}]");
                Error::refused(operation, Capability::SysAdmin, source)
            })
        };
        retry_within(WITHOUT_DEADLINE, look).ok().flatten()
    }

    fn find(number: u64) -> io::Result<Option<Self>> {
        for entry in std::fs::read_dir("/proc")? {
            let entry = entry?;
            if entry.file_name().to_str().is_none_or(|name| name.parse::<u32>().is_err()) {
                continue;
            }
            let path = entry.path().join("ns/net");
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if is_transient(&error) => return Err(error),
                // It has ended, or it is a thread of the kernel.
                Err(_) => continue,
            };
            if file.metadata()?.ino() == number {
                return Ok(Some(Self {
                    name: NamespaceName(format!("net:[{number}]")),
                    path,
                    file,
                }));
            }
        }
        Ok(None)
    }

    /// Its number, as in `net:[4026531840]`.
    ///
    /// # Errors
    /// [`Error::Refused`]
    pub fn number(&self) -> Result<u64> {
        let refused = |source| {
            let operation = format!("examine network namespace {}", self.name);
            Error::refused(operation, Capability::SysAdmin, source)
        };
        self.file.metadata().map(|metadata| metadata.ino()).map_err(refused)
    }

    /// Moves the calling thread into it: sockets that the thread opens, programs that it starts and
    /// its `/proc/sys/net` belong to the namespace from then on. Other threads and sockets that are
    /// already open stay where they are, so a program should do this first.
    ///
    /// `/sys` still shows the namespace in which it was mounted, unlike after `ip netns exec`.
    ///
    /// # Errors
    /// [`Error::NoSuchNamespace`] if the file is not a network namespace: an empty file stays when
    /// the namespace is no longer mounted on it. [`Error::PermissionDenied`], [`Error::Refused`]
    pub fn enter(&self) -> Result<()> {
        let refused = |errno: Errno| {
            let source = errno.into();
            if errno == Errno::EINVAL {
                let (name, path) = (self.name.to_string(), self.path.clone());
                Error::NoSuchNamespace { name, path, source }
            } else {
                let operation = format!("enter network namespace {}", self.name);
                Error::refused(operation, Capability::SysAdmin, source)
            }
        };
        retry_within(WITHOUT_DEADLINE, || {
            setns(&self.file, CloneFlags::CLONE_NEWNET).map_err(refused)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_component_of_a_path() {
        let longest = "x".repeat(255);
        for good in ["sip", "blue-1", "...", "a b", longest.as_str()] {
            assert_eq!(good.parse::<NamespaceName>().unwrap().as_str(), good);
        }
        let too_long = "x".repeat(256);
        for bad in ["", ".", "..", "a/b", "/run/netns/sip", "../sip", "a\0", too_long.as_str()] {
            assert!(bad.parse::<NamespaceName>().is_err(), "{bad:?}");
        }
    }
}
