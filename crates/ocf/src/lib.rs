//! OCF Resource Agent API 1.1: actions, parameters, meta-data, exit codes, logging.
//!
//! The crate knows nothing of networks or SIP. An agent has one table ([`Description`]) behind
//! parsing, `--help`, meta-data and manual page; it implements [`Agent`], and its `main` is one call
//! of [`run`].
//!
//! Sources: "OCF Resource Agent API 1.1" (ClusterLabs/OCF-spec, ra/1.1) and "Pacemaker
//! Administration", chapter "Resource Agents".

mod action;
mod action_deadline;
mod agent;
mod cause;
mod command_line;
mod description;
mod diagnosis;
mod duration;
mod environment;
mod exit;
mod finding;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod local_time;
mod log_line;
mod logging;
mod membership;
mod metadata;
mod reader;
mod request;
mod run;
mod second_attempt;
mod shown;
mod trace;
mod values;
mod verdict;

pub use action::Action;
pub use action_deadline::{action_deadline, action_margin};
pub use agent::Agent;
pub use cause::cause;
pub use description::{ActionDescription, Deprecated, Description, Kind, Parameter};
pub use diagnosis::{Diagnosis, Value};
pub use duration::{ParseDurationError, parse_duration};
pub use exit::Exit;
pub use finding::{Finding, Findings};
pub use log_line::LogLine;
pub use membership::{Membership, UNCERTAIN};
pub use reader::Reader;
pub use request::{InstanceName, Request};
pub use run::{in_background, run};
pub use shown::shown;
pub use values::Values;
pub use verdict::Verdict;

pub(crate) use diagnosis::Format;
pub(crate) use environment::Environment;
pub(crate) use metadata::meta_data;
