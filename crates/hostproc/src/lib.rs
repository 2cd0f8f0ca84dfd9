//! Linux processes, typed and small: identity, trees, pidfds, locks, children, accounts, and what the
//! kernel tells about them in `/proc`; the run directory and the action lock of both agents.
//!
//! A pid alone does not identify a process, since the kernel uses it again. A process is identified by
//! the pid together with the time at which it started ([`Process`]), and is signalled through a
//! [`PidFd`], which cannot hit its successor.
//!
//! That a process is gone is not an error anywhere here: it is `None` or `false`.

mod accounts;
mod action_lock;
pub mod background;
mod child;
mod detach;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod lock;
mod output;
mod pidfd;
mod priority;
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
pub use priority::{reset_nice, reset_oom_score_adjustment};
pub use process::{InvalidPid, Pid, Process};
pub use procfs::{ControlGroup, Executable, Namespaces, ProcFs, Stat, State};
pub use run_directory::RunDirectory;
pub use snapshot::Snapshot;
pub use token::token;
