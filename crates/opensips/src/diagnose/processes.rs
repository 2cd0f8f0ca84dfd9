//! The processes of the instance, by `/proc` and by the daemon's own word.

use hostproc::{Stat, State};
use ocf::{Diagnosis, Value};

use super::interface::Told;
use crate::process::survey::Survey;
use hostproc::Result;

/// All of them, with what they do as far as the MI tells.
pub(super) fn shown(survey: &Result<Survey>, told: &Told<'_>) -> Value {
    let survey = match survey {
        Ok(survey) => survey,
        Err(error) => return Value::Unknown(error.to_string()),
    };
    let process = |stat: &Stat| {
        let listed = told.processes.iter().find(|one| one.pid == Some(stat.process.pid));
        let role = match listed {
            Some(listed) => listed.role.clone(),
            None => role_of(survey, stat).to_owned(),
        };
        let busy = listed.and_then(|one| one.busy(&told.statistics));
        Diagnosis::default()
            .with("pid", i64::from(stat.process.pid.get()))
            .with("role", role)
            .with("state", state(stat.state))
            .with("busy_percent", busy.and_then(|percent| i64::try_from(percent).ok()))
    };
    survey.members.iter().map(process).collect::<Vec<_>>().into()
}

fn role_of(survey: &Survey, stat: &Stat) -> &'static str {
    match survey.main {
        Some(main) if main.process == stat.process => "main process",
        Some(_) => "worker",
        None => "orphan",
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Alive => "alive",
        State::Uninterruptible => "waits, can't be interrupted",
        State::Stopped => "stopped (SIGSTOP)",
        State::Ended => "ended",
    }
}

/// The pid file that the instance was started with, where it was not this resource's.
pub(super) fn elsewhere(survey: &Result<Survey>) -> Value {
    let elsewhere = survey.as_ref().ok().and_then(|survey| survey.elsewhere.as_ref());
    elsewhere
        .map(|(pid, pidfile)| {
            Diagnosis::default()
                .with("pid", i64::from(pid.get()))
                .with("pid_file", pidfile.display().to_string())
        })
        .map_or(Value::None, Value::from)
}
