//! The pipeline from the command line to the exit code and the exit reason.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use crate::command_line::{self, Call, Reply};
use crate::logging::{self, Destination};
use crate::second_attempt::SecondAttempt;
use crate::{
    Action, Agent, Description, Environment, Exit, Finding, Findings, Format, LogLine, Request,
    Verdict, cause, meta_data, shown,
};

/// The whole of an agent's `main`: performs the action that the arguments and the environment of
/// this process ask for, and returns the exit code.
pub fn run(agent: &impl Agent) -> ExitCode {
    let started = Instant::now();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let inputs = Inputs { arguments: &arguments, started, again: SecondAttempt::of };
    let exit = run_with(agent, &inputs, std::env::vars_os(), &mut out, &mut err);
    ExitCode::from(exit.code())
}

/// Runs the work of a background process of an agent, which has the variables of
/// [`Request::variables`]: makes the request of a recurring monitor and installs the logger. The
/// request's deadline is that of a monitor that begins now.
pub fn in_background<T>(description: &'static Description, work: impl FnOnce(Request) -> T) -> T {
    let environment = Environment::read(std::env::vars_os());
    let request = Request::new(description, Action::Monitor, &environment, Instant::now());
    logging::install(description.name, &request.instance, request.action, &environment);
    install_panic_hook(Action::Monitor, &environment.exit_reason_prefix, None);
    work(request)
}

/// What a call is, beside its environment.
struct Inputs<'a> {
    /// Without the program's name.
    arguments: &'a [OsString],
    started: Instant,
    /// Whether this process may be replaced by another attempt.
    again: fn(&Request, Instant) -> Option<SecondAttempt>,
}

/// [`run`] with its inputs and outputs as arguments.
fn run_with(
    agent: &impl Agent,
    inputs: &Inputs<'_>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Exit {
    let description = agent.description();
    let Inputs { arguments, started, again } = *inputs;
    let Call { action, options } = match command_line::read(description, arguments) {
        Ok(call) => call,
        Err(reply) => return reply.print(out, err),
    };
    // Before the environment is read: meta-data works for any user and in any environment.
    if action == Action::MetaData.name() {
        return Reply { exit: Exit::Success, text: meta_data(description) }.print(out, err);
    }
    let format = options.format;
    let environment = Environment::read(environment).overridden_by(options);
    let prefix = environment.exit_reason_prefix.as_os_str();
    let Some(action) = description.offered(&action) else {
        return report(err, prefix, not_implemented(&action));
    };
    let request = Request::new(description, action, &environment, started);
    let destination = logging::install(description.name, &request.instance, action, &environment);
    if environment.trace {
        log_call(description, &request);
    }
    let again = again(&request, started);
    install_panic_hook(action, prefix, again);
    warn_about_unknown_parameters(description, &request);
    let verdict = perform(agent, &request, format, again, out, err);
    if let Some(again) = again.filter(|_| verdict.exit != Exit::Success) {
        again.make_stop(&one_line(verdict.reason.as_deref().unwrap_or_default()));
    }
    log_verdict(action, &verdict, started, destination, environment.trace);
    report(err, prefix, verdict)
}

fn not_implemented(action: &OsStr) -> Verdict {
    let action = shown(action.as_encoded_bytes());
    Verdict::failed(Exit::Unimplemented, format!("action {action} is not implemented"))
}

/// Makes a panic an ordinary failure. A process that dies of SIGABRT looks like a fault of the host,
/// and a stop that dies gets the node fenced without a reason.
fn install_panic_hook(action: Action, prefix: &OsStr, again: Option<SecondAttempt>) {
    let prefix = prefix.to_owned();
    std::panic::set_hook(Box::new(move |panic| {
        log::error!("{}", LogLine::of(action).note(format_args!("internal error: {panic}")));
        // The release profile does not unwind: the process ends here.
        if cfg!(panic = "abort") {
            if let Some(again) = again {
                again.make("internal error");
            }
            let exit = report(&mut std::io::stderr(), &prefix, internal_error());
            std::process::exit(exit.code().into());
        }
    }));
}

fn internal_error() -> Verdict {
    Verdict::failed(Exit::Generic, "internal error of the agent: see the system log")
}

/// pcs refuses a parameter that is not in the meta-data, unless it is forced; other tools do not
/// check. A misspelt parameter must not be ignored silently.
fn warn_about_unknown_parameters(description: &Description, request: &Request) {
    if !matches!(request.action, Action::Start | Action::ValidateAll) {
        return;
    }
    for (name, _) in request.values.iter() {
        if description.parameter(name).is_none() {
            let line = LogLine::of(request.action).field("parameter", shown(name.as_bytes()));
            let agent = description.name;
            log::warn!("{}", line.note(format_args!("unknown to {agent}: it has no effect")));
        }
    }
}

/// Performs the action. A panic counts as its failure where the profile unwinds.
fn perform(
    agent: &impl Agent,
    request: &Request,
    format: Format,
    again: Option<SecondAttempt>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Verdict {
    let performed = catch_unwind(AssertUnwindSafe(|| match request.action {
        Action::Diagnose => {
            // A reader that has closed the pipe is no fault of the resource.
            let _ = out.write_all(agent.diagnose(request).written(format).as_bytes());
            Verdict::success()
        }
        Action::ValidateAll => {
            let findings = agent.validate(request);
            print_findings(err, &findings);
            Findings::from_vec(findings).map_or_else(Verdict::success, Verdict::from)
        }
        _ => agent.perform(request).unwrap_or_else(Into::into),
    }));
    performed.unwrap_or_else(|_| {
        if let Some(again) = again {
            again.make("internal error");
        }
        internal_error()
    })
}

/// Prints several findings one per line, because the exit reason is a single line.
fn print_findings(err: &mut impl Write, findings: &[Finding]) {
    if findings.len() > 1 {
        for finding in findings {
            let _ = writeln!(err, "{} ({})", one_line(&finding.sentence), finding.exit.name());
        }
    }
}

/// The first line of a trace: everything that the action was given.
fn log_call(description: &Description, request: &Request) {
    let line = LogLine::of(request.action)
        .field("agent", format_args!("{} {}", description.name, description.version))
        .field("instance", &request.instance)
        .field("timeout_ms", request.timeout.as_millis())
        .field("check_level", request.check_level);
    let values = request.values.iter();
    log::debug!(
        "{}",
        values.fold(line, |line, (name, value)| {
            line.field(&format!("parameter_{name}"), shown(value.as_encoded_bytes()))
        })
    );
}

/// Logs a failure, unless stderr is the log: the exit reason is printed there anyway. A degraded
/// resource can stay degraded for days; Pacemaker logs its reason when it changes. A trace has every reason.
fn log_verdict(
    action: Action,
    verdict: &Verdict,
    started: Instant,
    destination: Destination,
    traced: bool,
) {
    let exit = verdict.exit;
    let degraded = matches!(exit, Exit::Degraded | Exit::DegradedPromoted);
    let line = LogLine::of(action)
        .field("rc", exit.code())
        .field("rc_name", exit.name())
        .field("took_ms", started.elapsed().as_millis());
    match &verdict.reason {
        Some(reason) if !degraded && destination == Destination::Cluster => {
            log::error!("{}", line.note(one_line(reason)));
        }
        Some(reason) if traced => log::debug!("{}", line.note(one_line(reason))),
        _ => log::debug!("{line}"),
    }
}

/// Prints the exit reason, after everything else: Pacemaker shows the last one of an action.
fn report(err: &mut impl Write, prefix: &OsStr, verdict: Verdict) -> Exit {
    if let Some(reason) = verdict.reason {
        let mut bytes = prefix.as_encoded_bytes().to_vec();
        bytes.extend_from_slice(one_line(&reason).as_bytes());
        bytes.push(b'\n');
        let _ = err.write_all(&bytes);
    }
    verdict.exit
}

/// A sentence as one line that no terminal takes for a command, without numbers of system errors,
/// whatever it quotes.
fn one_line(sentence: &str) -> String {
    cause(sentence).replace(char::is_control, " ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ActionDescription, Diagnosis, Parameter};

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
        actions: &[
            ActionDescription::new(Action::Start, 20),
            ActionDescription::new(Action::Monitor, 30),
            ActionDescription::new(Action::ValidateAll, 5),
            ActionDescription::new(Action::MetaData, 5),
            ActionDescription::new(Action::Diagnose, 5),
        ],
    };

    /// Returns the request as the exit reason.
    struct Echo;

    impl Agent for Echo {
        type Error = Verdict;

        fn description(&self) -> &'static Description {
            &DESCRIPTION
        }

        fn validate(&self, request: &Request) -> Vec<Finding> {
            if request.values.get("ip").is_some() {
                return Vec::new();
            }
            vec![
                Finding::new(Exit::Configured, "ip is missing"),
                Finding::new(Exit::Installed, "no\nbinary"),
            ]
        }

        fn diagnose(&self, request: &Request) -> Diagnosis {
            Diagnosis::default().with("ip", request.values.text("ip"))
        }

        #[allow(clippy::panic)]
        fn perform(&self, request: &Request) -> Result<Verdict, Verdict> {
            let ip = request.values.text("ip").unwrap_or("-");
            assert!(ip != "panic", "the test wants it");
            Err(Verdict::failed(
                Exit::Generic,
                format!(
                    "{} {} {ip} {} {:?} {}",
                    request.action,
                    request.instance,
                    request.probe,
                    request.timeout,
                    request.check_level
                ),
            ))
        }
    }

    fn call(words: &[&str], environment: &[(&str, &str)]) -> (Exit, String, String) {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let environment = environment.iter().map(|(n, v)| (OsString::from(n), OsString::from(v)));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        // A test is not to be replaced by another process.
        let inputs = Inputs { arguments: &words, started: Instant::now(), again: |_, _| None };
        let exit = run_with(&Echo, &inputs, environment, &mut out, &mut err);
        (exit, String::from_utf8_lossy(&out).into(), String::from_utf8_lossy(&err).into())
    }

    #[test]
    fn diagnose_has_a_text_and_a_json_format() {
        let (exit, out, err) = call(&["diagnose", "--ip", "192.0.2.10"], &[]);
        assert_eq!((exit, out.as_str(), err.as_str()), (Exit::Success, "ip  192.0.2.10\n", ""));
        let (exit, out, _) = call(&["diagnose", "--format=json"], &[]);
        assert_eq!((exit, out.as_str()), (Exit::Success, "{\"ip\":null}\n"));
        assert_eq!(call(&["diagnose", "--format", "xml"], &[]).0, Exit::Args);
        assert!(!meta_data(&DESCRIPTION).contains("diagnose"));
        assert!(call(&["--help"], &[]).1.contains("--format"));
    }

    #[test]
    fn meta_data_needs_nothing() {
        let (exit, out, err) = call(&["meta-data"], &[]);
        assert_eq!((exit, err.as_str()), (Exit::Success, ""));
        assert_eq!(out, meta_data(&DESCRIPTION));
    }

    #[test]
    fn unknown_and_unoffered_actions_are_unimplemented() {
        for word in ["status", "stop", "", "st\u{fffd}art"] {
            let (exit, out, err) = call(&[word], &[]);
            assert_eq!((exit, out.as_str()), (Exit::Unimplemented, ""));
            assert!(err.starts_with("ocf-exit-reason:action "), "{err}");
        }
        let (exit, _, err) = call(&[], &[]);
        assert_eq!(exit, Exit::Unimplemented);
        assert!(err.contains("Usage: agent"), "{err}");
    }

    #[test]
    fn a_monitor_without_an_interval_is_a_probe() {
        let by_hand = call(&["monitor"], &[("OCF_RESKEY_ip", "a")]).2;
        assert_eq!(by_hand, "ocf-exit-reason:monitor agent a true 30s 0\n");
        let recurring = call(
            &["monitor"],
            &[
                ("OCF_RESKEY_ip", "a"),
                ("OCF_RESOURCE_INSTANCE", "vip"),
                ("OCF_RESKEY_CRM_meta_interval", "10000"),
                ("OCF_RESKEY_CRM_meta_timeout", "7000"),
                ("OCF_CHECK_LEVEL", "10"),
            ],
        );
        assert_eq!(recurring.2, "ocf-exit-reason:monitor vip a false 7s 10\n");
    }

    #[test]
    fn an_option_wins_over_the_environment() {
        let (_, _, err) = call(&["start", "--ip", "b"], &[("OCF_RESKEY_ip", "a")]);
        assert!(err.contains("start agent b "), "{err}");
    }

    #[test]
    fn every_finding_is_printed_and_the_first_gives_the_code() {
        let (exit, _, err) = call(&["validate-all"], &[("OCF_EXIT_REASON_PREFIX", "why:")]);
        assert_eq!(exit, Exit::Configured);
        assert!(err.ends_with("why:ip is missing; no binary\n"), "{err}");
        assert_eq!(call(&["validate-all", "--ip=x"], &[]).0, Exit::Success);
    }

    #[test]
    fn an_exit_reason_is_one_line_for_any_terminal() {
        let reason = "a\u{1b}[2Jb\tc\r\nd\u{9b}e\u{7f}";
        let mut out = Vec::new();
        report(&mut out, OsStr::new("why:"), Verdict::failed(Exit::Generic, reason));
        assert_eq!(String::from_utf8(out).unwrap(), "why:a [2Jb c  d e\n");
    }

    #[test]
    fn an_exit_reason_has_no_numbers_of_system_errors() {
        let error = std::io::Error::from_raw_os_error(2);
        let mut out = Vec::new();
        let verdict = Verdict::failed(Exit::Generic, format!("/a: {error}: restore it"));
        report(&mut out, OsStr::new("why:"), verdict);
        let reason = "why:/a: No such file or directory: restore it\n";
        assert_eq!(String::from_utf8(out).unwrap(), reason);
    }

    #[test]
    fn a_panic_is_a_generic_error_with_a_reason() {
        let (exit, _, err) = call(&["start"], &[("OCF_RESKEY_ip", "panic")]);
        assert_eq!(exit, Exit::Generic);
        assert!(err.contains("ocf-exit-reason:internal error"), "{err}");
    }
}
