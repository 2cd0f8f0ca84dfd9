//! Processes, typed and small: identity, trees, pidfds, locks; the accounts they run as.
//!
//! A pid alone names nobody: it may be used again at any time. What identifies a process here
//! is the pid together with the time it started ([`Process`]), and what acts on one is a
//! [`PidFd`], which can't hit its successor.

mod accounts;
mod action_lock;
mod child;
mod detach;
mod error;
mod lock;
mod output;
mod pidfd;
mod process;
mod procfs;
mod run_directory;
mod snapshot;
#[cfg(test)]
mod testing;
mod token;

pub use accounts::{Accounts, Reach, UserAccount};
pub use action_lock::{Acquisition, ActionLock, ActionLockFiles, OwnActions};
pub use child::{kill_tree, wait};
pub use detach::detach;
pub use error::{Error, Result};
pub use lock::LockFile;
pub use nix::sys::signal::Signal;
pub use output::{Output, OutputFile, output, text_of};
pub use pidfd::PidFd;
pub use process::{InvalidPid, Pid, Process};
pub use procfs::{ControlGroup, Executable, Namespaces, ProcFs, Stat, State};
pub use run_directory::RunDirectory;
pub use snapshot::Snapshot;
pub use token::token;
