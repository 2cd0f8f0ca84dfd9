//! diagnose, for people: everything that is known of the instance on this host. Changes nothing.

mod listeners;
mod management;
mod processes;

use std::path::Path;

use hostfs::read_end;
use ocf::{Diagnosis, Exit, Request, Value, Verdict};

use super::{budgets, monitor};
use crate::daemon::Error;
use crate::daemon::check::{self, Checked};
use crate::daemon::crash::READ_END;
use crate::daemon::{defaults, systemd_unit, words};
use crate::instance::Instance;
use crate::instance::role::{Record, Role};
use crate::params::{Names, Params};
use crate::process::survey::PidFile;
use management::Answers;

/// How many lines of the end of the daemon's output are shown.
const LOG_LINES: usize = 10;

pub(crate) fn diagnose(request: &Request) -> Diagnosis {
    let diagnosis = Diagnosis::default().with("instance", request.instance.to_string());
    let mut params = match Params::read(&request.values, &request.instance) {
        Ok(params) => params,
        Err(findings) => {
            let sentences: Vec<String> =
                findings.iter().map(|finding| finding.sentence.clone()).collect();
            let verdict = Verdict::from(findings);
            return diagnosis.with("findings", sentences).with("verdict", sentence(&verdict));
        }
    };
    defaults::complete(&mut params);
    on_host(diagnosis, request, &params)
}

fn on_host(diagnosis: Diagnosis, request: &Request, params: &Params) -> Diagnosis {
    let instance = Instance::load_unprivileged(request, &Names::from(params));
    let root = nix::unistd::geteuid().is_root();
    let privileges = if root {
        Value::from("root")
    } else {
        Value::Unknown("not root: processes of other users are hidden".to_owned())
    };
    let survey = instance.survey();
    let main = survey.as_ref().ok().and_then(|survey| survey.main);
    let record = main.map(|main| instance.record_of(main.process));
    let answers = Answers::ask(params, request.deadline);
    let checked = check::config(params, budgets::for_config_check(request.deadline));
    let declared = checked.as_ref().map(|checked| checked.declared.listeners.as_slice());
    let listeners = listeners::known(
        params,
        &instance,
        survey.as_ref().ok(),
        declared.unwrap_or_default(),
        budgets::for_tables(request.deadline),
    );
    let version = check::version(&params.binary, budgets::for_tables(request.deadline));
    let diagnosis = diagnosis
        .with("privileges", privileges)
        .with("binary", params.binary.display().to_string())
        .with("version", known(version))
        .with("config", params.config.display().to_string())
        .with("config_check", config_check(&checked, params))
        .with("pid_file", pid_file(&params.pidfile))
        .with("role", record.filter(has_role).map(|record| role(record.role)))
        .with("promotion_score", record.and_then(|record| record.score).map(i64::from))
        .with("processes", processes::shown(&survey, &answers))
        .with("async_monitor", processes::async_monitor(&instance))
        .with("started_elsewhere", processes::elsewhere(&survey))
        .with("listeners", listeners.shown)
        .with("nonlocal_bind", listeners.nonlocal_bind)
        .with("mi", answers.shown())
        .with("sharing_tags", answers.tags(params))
        .with("systemd_unit", unit(params, &instance))
        .with("last_output", last_lines(&instance.files.output_path()));
    if !root {
        let why = "not root: monitor needs root".to_owned();
        return diagnosis.with("verdict", Value::Unknown(why));
    }
    let verdict = verdict(request, params);
    // For programs, and at the end of the screen for people.
    diagnosis.with("monitor", Diagnosis::from(&verdict)).with("verdict", sentence(&verdict))
}

/// What is known, or why it is not.
fn known<T: Into<Value>, E: std::fmt::Display>(answer: Result<T, E>) -> Value {
    answer.map_or_else(|error| Value::Unknown(error.to_string()), Into::into)
}

/// What a monitor of level 0 reports now.
fn verdict(request: &Request, params: &Params) -> Verdict {
    let deadline = budgets::for_judgement(request.deadline);
    let request = Request { deadline, check_level: 0, ..request.clone() };
    let instance = Instance::load_unprivileged(&request, &Names::from(params));
    monitor::verdict_now(&instance, params)
}

fn sentence(verdict: &Verdict) -> String {
    let reason = verdict.reason.as_deref().unwrap_or("no reason given");
    let judged = match verdict.exit {
        Exit::Success => "it serves".to_owned(),
        Exit::RunningPromoted => "it serves, promoted".to_owned(),
        Exit::NotRunning => "it is not running on this node".to_owned(),
        Exit::Degraded | Exit::DegradedPromoted => format!("it serves, but: {reason}"),
        _ => format!("it does not serve: {reason}"),
    };
    format!("{judged} (monitor: {} {})", verdict.exit.code(), verdict.exit.name())
}

/// Whether the daemon can run with its configuration, and opens all of its sockets.
fn config_check(checked: &Result<Checked, Error>, params: &Params) -> Value {
    let remarks = match checked {
        Ok(checked) => checked.remarks(params),
        Err(error @ (Error::ConfigFault { .. } | Error::CheckFailed { .. })) => {
            vec![error.to_string()]
        }
        Err(error) => return Value::Unknown(error.to_string()),
    };
    let text = if remarks.is_empty() { "good".to_owned() } else { remarks.join("; ") };
    Value::told(text, remarks)
}

/// An instance that is no clone has no role: nothing has a promotion score for it.
fn has_role(record: &Record) -> bool {
    record.role == Role::Promoted || record.score.is_some()
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Promoted => "promoted",
        Role::Unpromoted => "unpromoted",
    }
}

fn pid_file(path: &Path) -> Diagnosis {
    let content = match PidFile::read(path) {
        PidFile::Names(pid) => Value::Number(pid.get().into()),
        PidFile::Missing => Value::None,
        PidFile::Unreadable => Value::Unknown("no pid can be read".to_owned()),
    };
    Diagnosis::default().with("path", path.display().to_string()).with("pid", content)
}

fn unit(params: &Params, instance: &Instance<'_>) -> Value {
    let Some(unit) = &params.systemd_unit else { return Value::None };
    let active = systemd_unit::active_process(unit, &instance.proc, &instance.identity);
    Diagnosis::default()
        .with("name", unit.clone())
        .with("enabled_by", systemd_unit::enabled_by(unit).map(|link| link.display().to_string()))
        .with("running_pid", known(active.map(|pid| pid.map(|pid| i64::from(pid.get())))))
        .into()
}

/// The end of what the daemon has printed on stderr: nothing if its configuration logs to syslog alone.
fn last_lines(path: &Path) -> Value {
    match read_end(path, READ_END) {
        Ok(text) => {
            let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            let skipped = lines.len().saturating_sub(LOG_LINES);
            lines.into_iter().skip(skipped).map(words::shortened).collect::<Vec<_>>().into()
        }
        Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => Value::None,
        Err(error) => Value::Unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_people() {
        assert_eq!(sentence(&Verdict::success()), "it serves (monitor: 0 OCF_SUCCESS)");
        let degraded = Verdict::degraded("2 of 8 workers are stopped").of_promoted();
        assert_eq!(
            sentence(&degraded),
            "it serves, but: 2 of 8 workers are stopped (monitor: 191 OCF_DEGRADED_PROMOTED)"
        );
        let failed = Verdict::failed(Exit::Generic, "no answer");
        assert_eq!(sentence(&failed), "it does not serve: no answer (monitor: 1 OCF_ERR_GENERIC)");
    }

    #[test]
    fn the_end_of_a_long_log() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.out");
        assert_eq!(last_lines(&path), Value::None);
        let text: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
        std::fs::write(&path, text).unwrap();
        let Value::List(lines) = last_lines(&path) else { panic!() };
        assert_eq!(lines.len(), LOG_LINES);
        assert_eq!(lines.last(), Some(&Value::from("line 19999")));
        assert!(matches!(last_lines(directory.path()), Value::Unknown(_)));
    }
}
