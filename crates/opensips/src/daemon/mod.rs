//! The OpenSIPS daemon: what it needs on the host, how its configuration is checked, how it is
//! executed, and what it prints.

pub(crate) mod account;
pub(crate) mod advice;
pub(crate) mod check;
pub(crate) mod config_digest;
pub(crate) mod config_text;
pub(crate) mod crash;
pub(crate) mod defaults;
pub(crate) mod directories;
mod environment;
mod error;
pub(crate) mod fifo;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod journal;
mod json_log;
pub(crate) mod launch;
pub(crate) mod management;
pub(crate) mod prerequisites;
pub(crate) mod release;
pub(crate) mod standing;
pub(crate) mod systemd_unit;
pub(crate) mod words;

pub(crate) use error::{Ended, Error, Result, Seconds};
