//! `smartvox`, the command of an administrator.
//!
//! `smartvox diagnose` runs the action diagnose of the installed agents with the parameters that the
//! cluster has for a resource. `smartvox check` compares the configuration of the cluster and this node
//! with what a pair needs, and with what the other nodes have. `smartvox metrics` writes what monitoring can't
//! read elsewhere. None of them changes anything on the host or in the configuration; what check has seen of this
//! node is left for check on the other nodes, in the memory of Pacemaker.

mod agents;
mod cib;
mod command_line;
mod error;
mod host;
mod meta_data;
mod metrics;
mod nodes;
mod report;
mod rules;
mod source;
mod tasks;

use std::io::Write;
use std::process::ExitCode;

use command_line::Call;
use error::{Error, Result};

pub use command_line::command;
pub use metrics::{METRICS, Metric};
pub use rules::{RULES, Rule, Severity};

/// The whole of `main`: prints what the arguments of this process ask for, and returns the exit code.
pub fn run() -> ExitCode {
    let call = match command_line::read(std::env::args_os()) {
        Ok(call) => call,
        Err(error) => {
            // --help and --version are errors to clap.
            let wrong = error.use_stderr();
            // A reader that has closed the pipe is no mistake of the caller.
            let _ = error.print();
            return ExitCode::from(if wrong { tasks::FAILED } else { 0 });
        }
    };
    match tasks::perform(&call).and_then(|(text, code)| write(&call, &text).map(|()| code)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "smartvox: {error}");
            ExitCode::from(tasks::FAILED)
        }
    }
}

fn write(call: &Call, text: &str) -> Result<()> {
    match &call.output {
        Some(path) => hostfs::replace(path, text.as_bytes()).map_err(Error::NotWritten),
        None => {
            // A reader that has closed the pipe is no mistake of the caller.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(())
        }
    }
}
