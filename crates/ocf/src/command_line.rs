//! The command line: an action and, for people, every parameter as an option. The owner of the crate
//! clap.

use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

use clap::builder::OsStringValueParser;
use clap::{Arg, ArgAction, Command};

use crate::{Action, Description, Exit, Format, Kind, Parameter, Values};

/// The option of [`Action::Diagnose`].
const FORMAT: &str = "format";

/// An action to perform, with its options.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// The action as given, which may be unknown.
    pub(crate) action: OsString,
    pub(crate) options: Options,
}

/// The options; each wins over the environment variable of the same meaning.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) values: Values,
    pub(crate) instance: Option<OsString>,
    pub(crate) check_level: Option<u32>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) verbose: bool,
    /// Of [`Action::Diagnose`].
    pub(crate) format: Format,
}

/// Text that answers a call without an action.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) exit: Exit,
    pub(crate) text: String,
}

impl Reply {
    /// Prints the text on `out` if the exit is a success, else on `err`.
    pub(crate) fn print(&self, out: &mut impl Write, err: &mut impl Write) -> Exit {
        let _ = match self.exit {
            Exit::Success => out.write_all(self.text.as_bytes()),
            _ => err.write_all(self.text.as_bytes()),
        };
        self.exit
    }
}

/// Reads the arguments after the program name. A call for help, one without an action and one with
/// a wrong option get a reply.
pub(crate) fn read(
    description: &'static Description,
    arguments: &[OsString],
) -> Result<Call, Reply> {
    match arguments {
        [] => Err(Reply { exit: Exit::Unimplemented, text: usage(description) }),
        [word] if word == "usage" || word == "help" => {
            Err(Reply { exit: Exit::Success, text: usage(description) })
        }
        // The call of Pacemaker is one word. To build the parser costs more than everything else.
        [action] if !action.as_encoded_bytes().starts_with(b"-") => {
            Ok(Call { action: action.clone(), options: Options::default() })
        }
        _ => parse(description, arguments),
    }
}

fn usage(description: &'static Description) -> String {
    command(description).render_long_help().to_string()
}

fn command(description: &'static Description) -> Command {
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
                .help(format!("One of {}", description.action_names().join(", "))),
        )
        .next_help_heading("Call")
        .args(call_options(description))
        .next_help_heading("Parameters");
    description.parameters.iter().fold(command, |command, parameter| command.arg(option(parameter)))
}

/// The options that are no parameters.
fn call_options(description: &'static Description) -> [Arg; 5] {
    [
        Arg::new("instance")
            .long("instance")
            .value_name("NAME")
            .value_parser(OsStringValueParser::new())
            .help("Name of the resource in the cluster [default: OCF_RESOURCE_INSTANCE]"),
        Arg::new("check-level")
            .long("check-level")
            .value_name("N")
            .value_parser(clap::value_parser!(u32))
            .help("Depth of the checks: 0, 10 or 20 [default: OCF_CHECK_LEVEL or 0]"),
        Arg::new("timeout")
            .long("timeout")
            .value_name("TIME")
            .value_parser(|text: &str| crate::parse_duration(text))
            .help("Time the action may take [default: as advertised in the meta-data]"),
        Arg::new("verbose")
            .long("verbose")
            .short('v')
            .action(ArgAction::SetTrue)
            .help("Log each step"),
        Arg::new(FORMAT)
            .long(FORMAT)
            .value_parser(["text", "json"])
            .default_value("text")
            .hide(!description.offers(Action::Diagnose))
            .help("diagnose: a table for people, or JSON for machines"),
    ]
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

fn parse(description: &'static Description, arguments: &[OsString]) -> Result<Call, Reply> {
    let program = std::iter::once(OsString::from(description.name));
    let words = program.chain(arguments.iter().cloned());
    let matches = command(description).try_get_matches_from(words).map_err(|error| {
        // --help and --version are errors to clap.
        let exit = if error.use_stderr() { Exit::Args } else { Exit::Success };
        Reply { exit, text: error.to_string() }
    })?;
    let values = description
        .parameters
        .iter()
        .filter_map(|p| Some((p.name, matches.get_one::<OsString>(p.name)?.clone())))
        .collect();
    let options = Options {
        values,
        instance: matches.get_one::<OsString>("instance").cloned(),
        check_level: matches.get_one::<u32>("check-level").copied(),
        timeout: matches.get_one::<Duration>("timeout").copied(),
        verbose: matches.get_flag("verbose"),
        format: match matches.get_one::<String>(FORMAT).map(String::as_str) {
            Some("json") => Format::Json,
            _ => Format::Text,
        },
    };
    let action = matches.get_one::<OsString>("ACTION").cloned().unwrap_or_default();
    Ok(Call { action, options })
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

    fn read_words(words: &[&str]) -> Result<Call, Reply> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        read(&DESCRIPTION, &words)
    }

    #[test]
    fn one_word_is_an_action() {
        for word in ["start", "no such action"] {
            let call = Call { action: word.into(), options: Options::default() };
            assert_eq!(read_words(&[word]), Ok(call));
        }
    }

    #[test]
    fn options_for_people() {
        let call =
            read_words(&["start", "--ip", "-1", "--instance=vip", "--timeout", "5s"]).unwrap();
        assert_eq!(call.action, "start");
        let options = Options {
            values: [("ip", "-1")].into_iter().collect(),
            instance: Some("vip".into()),
            timeout: Some(Duration::from_secs(5)),
            ..Options::default()
        };
        assert_eq!(call.options, options);
    }

    #[test]
    fn help_names_every_parameter_and_action() {
        for words in [&["--help"][..], &["help"], &["usage"], &["-h"], &["start", "--help"]] {
            let reply = read_words(words).unwrap_err();
            assert_eq!(reply.exit, Exit::Success, "{words:?}");
            let text = reply.text;
            assert!(text.contains("--ip") && text.contains("One of start"), "{text}");
        }
        let exit = |words| read_words(words).unwrap_err().exit;
        assert_eq!(exit(&[]), Exit::Unimplemented);
        assert_eq!(exit(&["start", "--nonsense"]), Exit::Args);
        assert_eq!(exit(&["start", "twice"]), Exit::Args);
    }
}
