//! The one way through an agent: dispatch, and the one place where an error becomes an exit code.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use crate::command_line::{self, CommandLine};
use crate::{
    Action, Description, Diagnosis, Environment, Exit, Finding, Findings, InstanceName, Request,
    Verdict, logging, meta_data,
};

/// An OCF resource agent.
pub trait Agent {
    /// Why an action failed; it knows its exit code and its sentence.
    type Error: Into<Verdict>;

    /// What the agent says about itself.
    fn description(&self) -> &'static Description;

    /// Judges the parameters alone (level 0) or also the host (from 10): every finding.
    fn validate(&self, request: &Request) -> Vec<Finding>;

    /// What is known of the resource on this host, if the agent offers [`Action::Diagnose`]. What
    /// can't be known says why, in its place.
    fn diagnose(&self, _request: &Request) -> Diagnosis {
        Diagnosis::default()
    }

    /// Does an action other than validate-all, diagnose and meta-data.
    ///
    /// # Errors
    /// Whatever kept the action from doing what it says.
    fn perform(&self, request: &Request) -> Result<Verdict, Self::Error>;
}

/// The whole of an agent's `main`: reads the process's arguments and environment, acts, and gives
/// the exit code.
pub fn run(agent: &impl Agent) -> ExitCode {
    let started = Instant::now();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let exit = run_with(agent, &arguments, std::env::vars_os(), started, &mut out, &mut err);
    ExitCode::from(exit.code())
}

/// [`run`] with everything from outside given as values.
pub fn run_with(
    agent: &impl Agent,
    arguments: &[OsString],
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    started: Instant,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Exit {
    let description = agent.description();
    let (action, command_line) = match command_line::read(description, arguments) {
        CommandLine::Print(text) => {
            let _ = write!(out, "{text}");
            return Exit::Success;
        }
        CommandLine::Wrong(text) => {
            let _ = write!(err, "{text}");
            return Exit::Args;
        }
        CommandLine::NoAction(text) => {
            let _ = write!(err, "{text}");
            return Exit::Unimplemented;
        }
        CommandLine::Act { action, values, instance, check_level, timeout, verbose, format } => {
            (action, (values, instance, check_level, timeout, verbose, format))
        }
    };
    let known = action.to_str().and_then(Action::from_name);
    // Answered before anything of the process is looked at: any user, empty environment.
    if known == Some(Action::MetaData) {
        let _ = out.write_all(meta_data(description).as_bytes());
        return Exit::Success;
    }
    let mut environment = Environment::read(environment);
    let Some(action) = known.filter(|action| description.offers(*action)) else {
        let verdict = Verdict::failed(
            Exit::Unimplemented,
            format!("action {} is not implemented", crate::request::shown_value(&action)),
        );
        return conclude(err, &environment.exit_reason_prefix, verdict);
    };
    let (values, instance, check_level, timeout, verbose, format) = command_line;
    for (name, value) in values.iter() {
        environment.values.set(name, value);
    }
    environment.debug |= verbose;
    let timeout = timeout.or(environment.timeout).unwrap_or_else(|| description.timeout(action));
    let instance = instance.or_else(|| environment.instance.clone());
    let request = Request {
        action,
        instance: InstanceName::new(instance.as_deref().unwrap_or(description.name.as_ref())),
        values: std::mem::take(&mut environment.values),
        deadline: crate::action_deadline(started, timeout),
        timeout,
        probe: action == Action::Monitor && environment.interval.unwrap_or_default().is_zero(),
        promotable: environment.promotable,
        check_level: check_level.or(environment.check_level).unwrap_or(0),
    };
    let destination = logging::install(description.name, &request.instance, &environment);

    if matches!(action, Action::Start | Action::ValidateAll) {
        warn_of_unknown(description, &request);
    }

    let prefix = environment.exit_reason_prefix.clone();
    std::panic::set_hook(Box::new(move |panic| {
        log::error!("internal error: {panic}");
        // As it is shipped there is no unwinding, and nothing comes after this.
        if cfg!(panic = "abort") {
            let exit = conclude(&mut std::io::stderr(), &prefix, internal_error());
            std::process::exit(exit.code().into());
        }
    }));
    let verdict = catch_unwind(AssertUnwindSafe(|| {
        if action == Action::Diagnose {
            // Whoever reads it has gone: no fault of the resource.
            let _ = out.write_all(agent.diagnose(&request).written(format).as_bytes());
            Verdict::success()
        } else if action == Action::ValidateAll {
            let findings = agent.validate(&request);
            tell(err, &findings);
            Findings::from_vec(findings).map_or_else(Verdict::success, Verdict::from)
        } else {
            agent.perform(&request).unwrap_or_else(Into::into)
        }
    }))
    .unwrap_or_else(|_| internal_error());
    let took_ms = started.elapsed().as_millis();
    // A degraded resource may stay so for days, and Pacemaker logs the reason when it changes.
    let degraded = matches!(verdict.exit, Exit::Degraded | Exit::DegradedPromoted);
    if verdict.reason.is_some() && !degraded && destination == logging::Destination::Cluster {
        log::error!(
            "action={action} rc={} ({}) reason=\"{}\" took_ms={took_ms}",
            verdict.exit.code(),
            verdict.exit.name(),
            verdict.reason.as_deref().unwrap_or("")
        );
    } else {
        log::debug!("action={action} rc={} took_ms={took_ms}", verdict.exit.code());
    }
    conclude(err, &environment.exit_reason_prefix, verdict)
}

/// A panic is a fault of ours; as a signal death it would look like one of the host's, and in stop it
/// would fence a node without a reason.
fn internal_error() -> Verdict {
    Verdict::failed(Exit::Generic, "internal error of the agent, see the system's log")
}

/// pcs refuses a parameter that isn't in the meta-data, but can be forced, and other tools don't
/// look: a misspelt one would do nothing, in silence.
fn warn_of_unknown(description: &Description, request: &Request) {
    for (name, _) in request.values.iter() {
        if description.parameter(name).is_none() {
            let (name, agent) = (crate::shown(name.as_bytes()), description.name);
            log::warn!("{name} is no parameter of {agent}: it has no effect");
        }
    }
}

/// One line per finding where there are several: the exit reason is a single line.
fn tell(err: &mut impl Write, findings: &[Finding]) {
    if findings.len() > 1 {
        for finding in findings {
            let _ = writeln!(err, "{} ({})", finding.sentence, finding.exit.name());
        }
    }
}

/// The exit reason goes out last: Pacemaker shows the last one of an action's output. It is one
/// line, which no terminal takes for a command, whatever is quoted in it.
fn conclude(err: &mut impl Write, prefix: &OsStr, verdict: Verdict) -> Exit {
    if let Some(reason) = verdict.reason {
        let line = reason.replace(char::is_control, " ");
        let mut bytes = prefix.as_encoded_bytes().to_vec();
        bytes.extend_from_slice(line.trim_end().as_bytes());
        bytes.push(b'\n');
        let _ = err.write_all(&bytes);
    }
    verdict.exit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ActionDescription, Parameter};

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

    /// Answers with what it was asked, as a reason.
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
            assert!(ip != "panic", "asked for");
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
        let exit = run_with(&Echo, &words, environment, Instant::now(), &mut out, &mut err);
        (exit, String::from_utf8_lossy(&out).into(), String::from_utf8_lossy(&err).into())
    }

    #[test]
    fn diagnose_is_for_people() {
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
    fn an_interval_makes_the_difference_between_monitor_and_probe() {
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
    fn every_finding_is_told_and_the_first_gives_the_code() {
        let (exit, _, err) = call(&["validate-all"], &[("OCF_EXIT_REASON_PREFIX", "why:")]);
        assert_eq!(exit, Exit::Configured);
        assert!(err.ends_with("why:ip is missing; no binary\n"), "{err}");
        assert_eq!(call(&["validate-all", "--ip=x"], &[]).0, Exit::Success);
    }

    #[test]
    fn an_exit_reason_is_one_line_for_any_terminal() {
        let reason = "a\u{1b}[2Jb\tc\r\nd\u{9b}e\u{7f}";
        let mut out = Vec::new();
        conclude(&mut out, OsStr::new("why:"), Verdict::failed(Exit::Generic, reason));
        assert_eq!(String::from_utf8(out).unwrap(), "why:a [2Jb c  d e\n");
    }

    #[test]
    fn a_panic_is_a_generic_error_with_a_reason() {
        let (exit, _, err) = call(&["start"], &[("OCF_RESKEY_ip", "panic")]);
        assert_eq!(exit, Exit::Generic);
        assert!(err.contains("ocf-exit-reason:internal error"), "{err}");
    }
}
