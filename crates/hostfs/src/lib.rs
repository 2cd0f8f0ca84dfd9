//! Files in directories that an untrusted user can modify.
//!
//! Both agents run as root and meet directories that belong to the daemon's user. In such a
//! directory a path can lead elsewhere at any moment, and what stands at its end can be a FIFO on
//! which an ordinary open(2) waits for ever. The functions here refuse what they must not touch and
//! never wait, except that what fails for want of memory or descriptors is tried again for up to two
//! seconds ([`retry`]).

mod directories;
mod error;
mod files;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod mounts;
mod shortage;

pub use directories::{
    Obstacle, create_directory, create_directory_for, is_writable_for, obstacle_to,
};
pub use error::{Error, Result, cause};
pub use files::{
    Links, names, open_regular, path_of, read_end, read_regular, remove, replace, unfinished,
};
pub use mounts::{Followed, Mounts};
pub use shortage::{retry, retry_briefly, retry_no_longer_than, retry_until};
