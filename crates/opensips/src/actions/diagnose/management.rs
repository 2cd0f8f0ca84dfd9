//! What the daemon answers through its Management Interface.

use std::time::Duration;

use deadline::Deadline;
use ocf::{Diagnosis, Value as Shown};

use super::known;
use crate::actions::budgets::for_answer;
use crate::daemon::management::client_of_any;
use crate::error::Result;
use crate::mi::Endpoint;
use crate::mi::answers::{DaemonProcess, LOAD, ListedTag, SHARED_MEMORY, Statistics, busiest};
use crate::params::Params;
use crate::promotion::tags::{TagState, state_in};

/// The answers; empty if nothing was asked.
pub(super) struct Answers<'a> {
    endpoint: Option<&'a Endpoint>,
    up_time: Result<Option<Duration>>,
    pub(super) statistics: Statistics,
    pub(super) processes: Vec<DaemonProcess>,
    tags: Result<Vec<ListedTag>>,
}

impl<'a> Answers<'a> {
    /// Asks everything. A daemon that does not answer the first question is not asked the others.
    pub(super) fn ask(params: &'a Params, deadline: Deadline) -> Self {
        let mut answers = Self {
            endpoint: params.mi.as_ref(),
            up_time: Ok(None),
            statistics: Statistics::default(),
            processes: Vec::new(),
            tags: Ok(Vec::new()),
        };
        let client = match client_of_any(params, for_answer(deadline)) {
            Ok(Some(client)) => client,
            Ok(None) => return answers,
            Err(error) => return Self { up_time: Err(error.into()), ..answers },
        };
        answers.up_time = client.up_time(for_answer(deadline)).map_err(Into::into);
        if answers.up_time.is_err() {
            return answers;
        }
        // A value without an answer is missing in what is shown.
        let statistics = client.statistics(&[SHARED_MEMORY, LOAD], for_answer(deadline));
        answers.statistics = statistics.unwrap_or_default();
        answers.processes = client.processes(for_answer(deadline)).unwrap_or_default();
        if !params.sharing_tags.is_empty() {
            answers.tags = client.sharing_tags(for_answer(deadline)).map_err(Into::into);
        }
        answers
    }

    pub(super) fn shown(&self) -> Shown {
        let Some(endpoint) = self.endpoint else { return Shown::None };
        let diagnosis = Diagnosis::default().with("endpoint", endpoint.to_string());
        let up_time = match &self.up_time {
            Ok(up_time) => *up_time,
            Err(error) => {
                return diagnosis.with("answer", Shown::Unknown(error.to_string())).into();
            }
        };
        let up = up_time.and_then(|up| i64::try_from(up.as_secs()).ok());
        let megabytes = |bytes: Option<u64>| i64::try_from(bytes?.div_ceil(1024 * 1024)).ok();
        let busiest = busiest(&self.processes, &self.statistics).map(|crew| {
            let parts = Diagnosis::default()
                .with("role", crew.role.clone())
                .with("busy_percent", i64::try_from(crew.busy).ok());
            Shown::told(format!("{} ({}%)", crew.role, crew.busy), parts)
        });
        diagnosis
            .with("up_seconds", up)
            .with("shared_memory_mb", megabytes(self.statistics.shared_memory_total))
            .with("shared_memory_used_mb", megabytes(self.statistics.shared_memory_used))
            .with("busiest", busiest)
            .into()
    }

    /// The state of each tag of the parameters.
    pub(super) fn tags(&self, params: &Params) -> Shown {
        let tag = |tag| {
            let state = match (&self.up_time, &self.tags) {
                (Err(error), _) | (_, Err(error)) => Shown::Unknown(error.to_string()),
                (Ok(_), Ok(list)) => known(state_in(list, tag).map(|state| match state {
                    Some(TagState::Active) => "active",
                    Some(TagState::Backup) => "backup",
                    None => "not declared",
                })),
            };
            Diagnosis::default().with("tag", tag.to_string()).with("state", state)
        };
        params.sharing_tags.iter().map(tag).collect::<Vec<_>>().into()
    }
}
