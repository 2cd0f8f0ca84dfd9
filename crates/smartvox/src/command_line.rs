//! The command line. The owner of the crate clap.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) task: Task,
    pub(crate) json: bool,
    /// A saved configuration in place of the cluster's.
    pub(crate) cib: Option<PathBuf>,
}

/// The subcommand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Of one resource, group or clone; of all without one.
    Diagnose {
        resource: Option<String>,
    },
    Check,
}

/// Reads the arguments of this process, the program name included.
///
/// # Errors
/// A wrong argument, or the text of `--help` and `--version`.
pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Call, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let (task, options) = match matches.subcommand() {
        Some(("diagnose", options)) => {
            let resource = options.get_one::<String>("RESOURCE").cloned();
            (Task::Diagnose { resource }, options)
        }
        Some((_, options)) => (Task::Check, options),
        None => (Task::Check, &matches),
    };
    Ok(Call { task, json: is_json(options), cib: options.get_one::<PathBuf>("cib").cloned() })
}

fn is_json(options: &ArgMatches) -> bool {
    options.get_one::<String>("format").is_some_and(|format| format == "json")
}

/// The command with its options, for completions and the manual page.
pub fn command() -> Command {
    Command::new("smartvox")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Diagnose the resources of ocf:smartvox on this node, and check the whole pair")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(
            Command::new("diagnose")
                .about("Show everything that is known of a resource on this node")
                .long_about(
                    "Runs the action diagnose of the installed agent with the parameters that the \
                     cluster has for the resource on this node. It changes nothing.",
                )
                .arg(
                    Arg::new("RESOURCE")
                        .help("A resource, group or clone [default: every one of ocf:smartvox]"),
                )
                .args(options()),
        )
        .subcommand(
            Command::new("check")
                .about("Look for mistakes in the configuration of the cluster and on this node")
                .long_about(
                    "Compares the configuration of the cluster and this node with what a pair \
                     needs, and the versions of the agents and the configuration file of OpenSIPS \
                     with those of the other nodes on which it has run. Each finding has the \
                     command that ends it. It changes nothing but the private node attribute \
                     smartvox-check, which is in the memory of Pacemaker alone. Exit status: 0 \
                     without errors and warnings, 1 with some, 2 if it could not look.",
                )
                .args(options()),
        )
}

fn options() -> [Arg; 2] {
    [
        Arg::new("format")
            .long("format")
            .value_name("FORMAT")
            .value_parser(["text", "json"])
            .default_value("text")
            .help("Text for people, or JSON for programs"),
        Arg::new("cib")
            .long("cib")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("A saved configuration (pcs cluster cib FILE) in place of the cluster's"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_words(words: &[&str]) -> Result<Call, clap::Error> {
        read(["smartvox"].iter().chain(words).map(OsString::from))
    }

    #[test]
    fn tasks_and_options() {
        let call = read_words(&["diagnose", "vip", "--format=json"]).unwrap();
        let task = Task::Diagnose { resource: Some("vip".to_owned()) };
        assert_eq!(call, Call { task, json: true, cib: None });
        let call = read_words(&["check", "--cib", "/x"]).unwrap();
        assert_eq!(call, Call { task: Task::Check, json: false, cib: Some("/x".into()) });
        assert!(read_words(&["check", "vip"]).unwrap_err().use_stderr());
        assert!(read_words(&[]).is_err());
        assert!(!read_words(&["check", "--help"]).unwrap_err().use_stderr());
        command().debug_assert();
    }
}
