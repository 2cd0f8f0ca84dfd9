//! A program that behaves towards its supervisor as OpenSIPS does, for machines that lack the
//! daemon: command line, configuration check, process tree, pid file, signals, sockets, and just
//! enough SIP and Management Interface to be probed. It routes nothing.
//!
//! What it imitates was observed on OpenSIPS 3.6.8 and 4.0.1; `tests/contract*.rs` hold the same
//! assertions against this program and against every real daemon that they find. Where versions
//! differ, the stand-in is 3.6. README.md says which test shows what.
//!
//! # What it does not do
//! - Route blocks are skipped, not run; whatever they say, the answers are those that
//!   [`ConfigFile`] asks of a real daemon: `OPTIONS`, `INVITE`, `BYE`: 200 (the `INVITE` without
//!   SDP: enough for a SIPp call); `ACK`: swallowed; `Max-Forwards: 0`: 483; else without a user in
//!   the Request-URI 484, with one 404. Neither functions nor module parameters are checked.
//! - Modules are names: nothing is loaded, `mpath` is ignored.
//! - Its messages to syslog have one priority, and a pid also in a check.
//! - Sharing tags live in this one process tree.
//! - `bin:` sockets are plain TCP sockets that accept and stay silent, as are `tls:` and `wss:` ones
//!   without a certificate in the parameters of module tls_mgm; `sctp:` ones listen where the kernel
//!   has SCTP.
//! - TCP connections are served by "TCP main" itself; the "TCP receivers" only exist.
//! - Times in the log are UTC.
//!
//! # Fault switches
//! Read from the environment, or, for supervisors that clean the environment, from comment lines of
//! the configuration (`# OPENSIPS_STAND_IN_SIP_ANSWER=none`), where a real daemon ignores them. The
//! environment wins. A name or value that does not exist is an error at start.
//!
//! | switch | value | effect |
//! |---|---|---|
//! | `OPENSIPS_STAND_IN_SIP_ANSWER` | `none`, or a status code | requests are swallowed, or all answered with that code |
//! | `OPENSIPS_STAND_IN_SIP_SILENT_PORT` | a port | requests at this port are swallowed, as by a script |
//! | `OPENSIPS_STAND_IN_SIP_DELAY_MS` | milliseconds | each SIP answer comes that much later |
//! | `OPENSIPS_STAND_IN_MI_ANSWER` | `none` | MI requests are read and not answered |
//! | `OPENSIPS_STAND_IN_MI_SILENT_COMMAND` | a name | requests of that MI command are not answered |
//! | `OPENSIPS_STAND_IN_SHMEM_USED_PERCENT` | 0 to 100 | what `get_statistics` says of shared memory |
//! | `OPENSIPS_STAND_IN_LOAD_PERCENT` | 0 to 100 | what `get_statistics` says of the load of every SIP receiver |
//! | `OPENSIPS_STAND_IN_CHECK_DELAY_MS` | milliseconds | `-c` and `-C` take that long |
//! | `OPENSIPS_STAND_IN_START_DELAY_MS` | milliseconds | the start command returns that much later (module initialisation, the pid file is there) |
//! | `OPENSIPS_STAND_IN_STOP_DELAY_MS` | milliseconds | a clean stop takes that much longer, the workers being gone |
//! | `OPENSIPS_STAND_IN_KILL_GRACE_MS` | milliseconds, default 5000 | how long the attendant waits for its workers before SIGKILL |
//! | `OPENSIPS_STAND_IN_LOSE_TERMS` | count | that many SIGTERMs (or SIGINTs) are lost, as by the daemon's race before `pause()` |
//! | `OPENSIPS_STAND_IN_IGNORE_TERM` | `yes` | the attendant ignores SIGTERM and SIGINT for good |
//! | `OPENSIPS_STAND_IN_DIE_AFTER_MS` | milliseconds | the first worker dies that long after its start, and so the instance |
//! | `OPENSIPS_STAND_IN_RETIRE_AFTER_MS` | milliseconds | the first worker ends that long after its start as one that auto-scaling retires: with status 0, reaped a second later, and the instance goes on |
//! | `OPENSIPS_STAND_IN_LISTENING` | `elsewhere` | the list of sockets is printed under another heading, as a version to come may do |
//! | `OPENSIPS_STAND_IN_UNREADY` | a name | `sr_list_status` says of that module that it has no data |
//! | `OPENSIPS_STAND_IN_LINK` | `up` | `clusterer_list` says of every other node that the link to it is up |
//! | `OPENSIPS_STAND_IN_UP_BEFORE_MS` | milliseconds | `uptime` says that much more |
//! | `OPENSIPS_STAND_IN_LATE_FAILURE` | `seen` | a TCP port or FIFO that can't be had fails the start (255) *and leaves the other workers running*; seen on 3.6.8 and 4.0.1, where it is a race |

mod answer;
mod attendant;
mod command_line;
mod config;
mod config_file;
mod config_text;
mod daemonize;
mod error;
mod faults;
mod inheritance;
mod keywords;
mod listener;
mod log;
mod mi;
mod mi_commands;
mod pid_file;
mod scanner;
mod shared;
mod sip;
mod tcp;
mod tls;
mod version;
mod websocket;
mod worker;

pub use config_file::{ConfigFile, module_path};
pub use version::Version;

/// What `-V`, the `Server` header and MI's `version` say.
pub const VERSION: &str = "3.6.8 (stand-in; not OpenSIPS)";

/// Runs the process that the arguments and the environment describe: the command itself, or, when
/// it has executed itself again, a process of its tree. Returns the exit code.
pub fn run() -> u8 {
    let arguments: Vec<_> = std::env::args_os().collect();
    match inheritance::Inheritance::from_environment() {
        Ok(None) => daemonize::command(&arguments),
        Ok(Some(inheritance)) => match inheritance.role {
            inheritance::Role::Session => daemonize::session(&inheritance, &arguments),
            inheritance::Role::Attendant => attendant::daemon(&inheritance, &arguments),
            inheritance::Role::Worker(role) => worker::run(&inheritance, role, &arguments),
        },
        Err(error) => {
            log::error(&error);
            255
        }
    }
}
