//! The command line: an action for Pacemaker; every parameter as an option for people.
//! The owner of clap.

use std::ffi::{OsStr, OsString};

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, Command};

use crate::{Action, Description, Format, Kind, Parameter, Values};

/// The option of [`Action::Diagnose`].
const FORMAT: &str = "format";

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CommandLine {
    /// Do an action.
    Act {
        action: OsString,
        values: Values,
        instance: Option<OsString>,
        check_level: Option<u32>,
        timeout: Option<std::time::Duration>,
        verbose: bool,
        format: Format,
    },
    /// Print this on stdout and end with success.
    Print(String),
    /// Print this on stderr; the call was wrong.
    Wrong(String),
    /// No action was given: print the usage on stderr.
    NoAction(String),
}

/// Reads the arguments behind the program's name.
pub(crate) fn read(description: &'static Description, arguments: &[OsString]) -> CommandLine {
    match arguments {
        [] => CommandLine::NoAction(usage(description)),
        // Pacemaker's call: one word. Building the parser would cost more than the rest.
        [action] if !action.as_encoded_bytes().starts_with(b"-") && !is_help(action) => {
            CommandLine::Act {
                action: action.clone(),
                values: Values::default(),
                instance: None,
                check_level: None,
                timeout: None,
                verbose: false,
                format: Format::Text,
            }
        }
        [word] if is_help(word) => CommandLine::Print(usage(description)),
        _ => parse(description, arguments),
    }
}

fn is_help(word: &OsStr) -> bool {
    word == "usage" || word == "help"
}

fn usage(description: &'static Description) -> String {
    command(description).render_long_help().to_string()
}

fn command(description: &'static Description) -> Command {
    let actions: Vec<&str> = description.actions.iter().map(|a| a.action.name()).collect();
    let mut unique = Vec::new();
    for action in actions {
        if !unique.contains(&action) {
            unique.push(action);
        }
    }
    let command = Command::new(description.name)
        .version(description.version)
        .about(description.shortdesc)
        .long_about(description.longdesc)
        .disable_help_subcommand(true)
        .after_help(
            "Each parameter can also be given as OCF_RESKEY_<name> in the environment; an option \
             wins.\nExit codes are those of the OCF Resource Agent API 1.1.",
        )
        .arg(
            Arg::new("ACTION")
                .required(true)
                .value_parser(OsStringValueParser::new())
                .help(format!("One of {}", unique.join(", "))),
        )
        .next_help_heading("Call")
        .arg(
            Arg::new("instance")
                .long("instance")
                .value_name("NAME")
                .value_parser(OsStringValueParser::new())
                .help("Name of the resource in the cluster [default: OCF_RESOURCE_INSTANCE]"),
        )
        .arg(
            Arg::new("check-level")
                .long("check-level")
                .value_name("N")
                .value_parser(clap::value_parser!(u32))
                .help("How deep to look: 0, 10 or 20 [default: OCF_CHECK_LEVEL or 0]"),
        )
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("TIME")
                .value_parser(|text: &str| crate::parse_duration(text))
                .help("Time the action may take [default: as advertised in the meta-data]"),
        )
        .arg(
            Arg::new("verbose")
                .long("verbose")
                .short('v')
                .action(ArgAction::SetTrue)
                .help("Tell each step"),
        )
        .arg(
            Arg::new(FORMAT)
                .long(FORMAT)
                .value_parser(["text", "json"])
                .default_value("text")
                .hide(!description.offers(Action::Diagnose))
                .help("diagnose: a table for people, or JSON for machines"),
        )
        .next_help_heading("Parameters");
    description.parameters.iter().fold(command, |command, parameter| command.arg(option(parameter)))
}

fn option(parameter: &'static Parameter) -> Arg {
    let mut help = parameter.shortdesc.to_owned();
    if let Kind::Select(options) = parameter.kind {
        help.push_str(&format!(": {}", options.join(", ")));
    }
    if parameter.required {
        help.push_str(" [required]");
    }
    if let Some(default) = parameter.default {
        help.push_str(&format!(" [default: {default}]"));
    }
    Arg::new(parameter.name)
        .long(parameter.name)
        .value_name("VALUE")
        .value_parser(OsStringValueParser::new())
        .allow_hyphen_values(true)
        .help(help)
}

fn parse(description: &'static Description, arguments: &[OsString]) -> CommandLine {
    let program = std::iter::once(OsString::from(description.name));
    let matches =
        match command(description).try_get_matches_from(program.chain(arguments.iter().cloned())) {
            Ok(matches) => matches,
            Err(error) if error.use_stderr() => return CommandLine::Wrong(error.to_string()),
            Err(error) => return CommandLine::Print(error.to_string()),
        };
    let values = description
        .parameters
        .iter()
        .filter_map(|p| Some((p.name, matches.get_one::<OsString>(p.name)?.clone())))
        .collect();
    CommandLine::Act {
        action: matches.get_one::<OsString>("ACTION").cloned().unwrap_or_default(),
        values,
        instance: matches.get_one::<OsString>("instance").cloned(),
        check_level: matches.get_one::<u32>("check-level").copied(),
        timeout: matches.get_one::<std::time::Duration>("timeout").copied(),
        verbose: matches.get_flag("verbose"),
        format: match matches.get_one::<String>(FORMAT).map(String::as_str) {
            Some("json") => Format::Json,
            _ => Format::Text,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, ActionDescription};

    static IP: Parameter = Parameter {
        name: "ip",
        required: true,
        shortdesc: "Address",
        longdesc: "The address.",
        ..Parameter::TEMPLATE
    };
    static DESCRIPTION: Description = Description {
        name: "agent",
        version: "1",
        shortdesc: "An agent",
        longdesc: "An agent.",
        parameters: &[&IP],
        actions: &[ActionDescription::new(Action::Start, 20)],
    };

    fn read_words(words: &[&str]) -> CommandLine {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        read(&DESCRIPTION, &words)
    }

    #[test]
    fn one_word_is_an_action() {
        let CommandLine::Act { action, .. } = read_words(&["start"]) else { panic!() };
        assert_eq!(action, "start");
        let CommandLine::Act { action, .. } = read_words(&["no such action"]) else { panic!() };
        assert_eq!(action, "no such action");
    }

    #[test]
    fn options_for_people() {
        let CommandLine::Act { values, instance, timeout, .. } =
            read_words(&["start", "--ip", "-1", "--instance=vip", "--timeout", "5s"])
        else {
            panic!()
        };
        assert_eq!(values, [("ip", "-1")].into_iter().collect());
        assert_eq!(instance, Some("vip".into()));
        assert_eq!(timeout, Some(std::time::Duration::from_secs(5)));
    }

    #[test]
    fn help_names_every_parameter_and_action() {
        for words in [&["--help"][..], &["help"], &["usage"], &["-h"], &["start", "--help"]] {
            let CommandLine::Print(text) = read_words(words) else { panic!("{words:?}") };
            assert!(text.contains("--ip") && text.contains("One of start"), "{text}");
        }
        assert!(matches!(read_words(&[]), CommandLine::NoAction(_)));
        assert!(matches!(read_words(&["start", "--nonsense"]), CommandLine::Wrong(_)));
        assert!(matches!(read_words(&["start", "twice"]), CommandLine::Wrong(_)));
    }
}
