//! System calls that fail, one in each run, and actions that are killed at each of their calls.
//!
//! Whatever fails, these hold:
//! - no action ends by a signal;
//! - monitor never says 7 with something there, nor that it serves with nothing there; start never says 0 with
//!   nothing there, stop never with something;
//! - no failed call makes stop fail;
//! - no failed call makes a recurring monitor fail what serves;
//! - no shortage of one call (ENOMEM, EINTR, ENOBUFS, EMFILE, EAGAIN) makes a probe say anything but 7 where nothing is,
//!   or start, promote, demote or reload-agent fail;
//! - an action that is not stop ends nothing that runs;
//! - afterwards stop is 0 and leaves nothing, and start is 0.

mod address;
mod campaign;
mod fault;
mod service;
mod subject;

pub use address::Address;
pub use campaign::{Share, Tally, play};
pub use service::Service;
pub use subject::{Case, State, Subject};
