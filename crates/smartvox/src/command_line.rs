//! The command line. The owner of the crate clap.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, value_parser};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) task: Task,
    pub(crate) format: Format,
    /// A saved configuration in place of the cluster's.
    pub(crate) cib: Option<PathBuf>,
    /// A file in place of stdout.
    pub(crate) output: Option<PathBuf>,
}

/// What is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    /// The text format of Prometheus.
    Prometheus,
}

/// The subcommand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Of one resource, group or clone; of all without one.
    Diagnose {
        resource: Option<String>,
    },
    Check,
    Metrics,
}

/// Reads the arguments of this process, the program name included.
///
/// # Errors
/// A wrong argument, or the text of `--help` and `--version`.
pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Call, clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let Some((task, options)) = matches.subcommand() else {
        return Err(command().error(ErrorKind::MissingSubcommand, "a subcommand is missing"));
    };
    let task = match task {
        "diagnose" => Task::Diagnose { resource: options.get_one("RESOURCE").cloned() },
        "metrics" => Task::Metrics,
        _ => Task::Check,
    };
    // Not every subcommand has them.
    let path = |name| options.try_get_one::<PathBuf>(name).ok().flatten().cloned();
    let format = options.try_get_one::<String>("format").ok().flatten();
    let format = match (&task, format.map(String::as_str)) {
        (Task::Metrics, _) | (_, Some("prometheus")) => Format::Prometheus,
        (_, Some("json")) => Format::Json,
        _ => Format::Text,
    };
    Ok(Call { task, format, cib: path("cib"), output: path("output") })
}

/// The command with its options, for completions and the manual page.
pub fn command() -> Command {
    Command::new("smartvox")
        .version(env!("CARGO_PKG_VERSION"))
        .about(
            "Diagnose the resources of ocf:smartvox on this node, check the whole pair, and write metrics",
        )
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
                .arg(format(
                    &["text", "json"],
                    "Text for people, or JSON for programs",
                ))
                .arg(cib()),
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
                .arg(format(
                    &["text", "json", "prometheus"],
                    "Text for people, JSON for programs, or metrics for Prometheus: the findings of \
                     each rule",
                ))
                .args([cib(), output()]),
        )
        .subcommand(
            Command::new("metrics")
                .about("Write metrics of the resources for Prometheus")
                .long_about(
                    "Writes what Pacemaker and its exporters do not show as metrics: what serves with \
                     a fault, promotion scores, carriers. It asks no agent and takes less than a \
                     tenth of a second, so it can run every minute. Exit status: 0, also while the \
                     cluster is not running on this node, which is a metric; 2 if it could not look.",
                )
                .arg(output()),
        )
}

fn format(values: &'static [&'static str], help: &'static str) -> Arg {
    let format = Arg::new("format").long("format").value_name("FORMAT").default_value("text");
    format.value_parser(PossibleValuesParser::new(values)).help(help)
}

fn cib() -> Arg {
    file("cib").help("A saved configuration (pcs cluster cib FILE) in place of the cluster's")
}

fn output() -> Arg {
    file("output").help("Write into FILE in one step, so that a reader never finds half of it")
}

fn file(name: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf))
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
        let plain = Call { task, format: Format::Json, cib: None, output: None };
        assert_eq!(call, plain);
        let call = read_words(&["check", "--cib", "/x"]).unwrap();
        let cib = Some("/x".into());
        assert_eq!(call, Call { task: Task::Check, format: Format::Text, cib, ..plain.clone() });
        let call = read_words(&["metrics", "--output", "/y"]).unwrap();
        let (format, output) = (Format::Prometheus, Some("/y".into()));
        assert_eq!(call, Call { task: Task::Metrics, format, output, ..plain });
        let call = read_words(&["check", "--format", "prometheus"]).unwrap();
        assert_eq!((call.task, call.format), (Task::Check, Format::Prometheus));
        assert!(read_words(&["diagnose", "--format", "prometheus"]).unwrap_err().use_stderr());
        assert!(read_words(&["diagnose", "--output", "/y"]).unwrap_err().use_stderr());
        // Whether the cluster is running is not in a file.
        assert!(read_words(&["metrics", "--cib", "/x"]).unwrap_err().use_stderr());
        assert!(read_words(&["check", "vip"]).unwrap_err().use_stderr());
        assert!(read_words(&[]).is_err());
        assert!(!read_words(&["check", "--help"]).unwrap_err().use_stderr());
        command().debug_assert();
    }
}
