//! What the daemon tells of itself through its Management Interface.

use std::time::Duration;

use deadline::Deadline;
use ocf::{Diagnosis, Value as Shown};

use super::known;
use crate::error::Result;
use crate::host;
use crate::mi::answers::{DaemonProcess, LOAD, ListedTag, SHARED_MEMORY, Statistics, busiest};
use crate::mi::{Client, Endpoint};
use crate::params::Params;
use crate::promotion::sharing_tag::{TagState, state_in};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(2);

/// The answers; nothing where it was not asked.
pub(super) struct Told<'a> {
    endpoint: Option<&'a Endpoint>,
    up_time: Result<Option<Duration>>,
    pub(super) statistics: Statistics,
    pub(super) processes: Vec<DaemonProcess>,
    tags: Result<Vec<ListedTag>>,
}

impl<'a> Told<'a> {
    /// Asks whatever there is to be asked. Who does not answer the first question is not asked the
    /// others.
    pub(super) fn ask(params: &'a Params, deadline: Deadline) -> Self {
        let mut told = Self {
            endpoint: params.mi.as_ref(),
            up_time: Ok(None),
            statistics: Statistics::default(),
            processes: Vec::new(),
            tags: Ok(Vec::new()),
        };
        let Some(endpoint) = told.endpoint else { return told };
        let within = || deadline.within(ANSWER);
        let user = host::user_of(&params.user, within());
        let client = user.map(|(daemon, _)| Client {
            endpoint,
            reply_directory: &params.mi_reply_dir,
            daemon,
        });
        let client = match client {
            Ok(client) => client,
            Err(error) => return Self { up_time: Err(error), ..told },
        };
        told.up_time = client.up_time(within()).map_err(Into::into);
        if told.up_time.is_err() {
            return told;
        }
        // What is missing here is missing in what is shown.
        let statistics = client.statistics(&[SHARED_MEMORY, LOAD], within());
        told.statistics = statistics.unwrap_or_default();
        told.processes = client.processes(within()).unwrap_or_default();
        if !params.sharing_tags.is_empty() {
            told.tags = client.sharing_tags(within()).map_err(Into::into);
        }
        told
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
        let crew = busiest(&self.processes, &self.statistics);
        diagnosis
            .with("up_seconds", up)
            .with("shared_memory_mb", megabytes(self.statistics.shared_memory_total))
            .with("shared_memory_used_mb", megabytes(self.statistics.shared_memory_used))
            .with("busiest", crew.map(|crew| format!("{} ({}%)", crew.role, crew.busy)))
            .into()
    }

    /// The state of each tag of the parameters.
    pub(super) fn tags(&self, params: &Params) -> Shown {
        let tag = |tag| {
            let state = match (&self.up_time, &self.tags) {
                (Err(error), _) | (_, Err(error)) => Shown::Unknown(error.to_string()),
                (Ok(_), Ok(list)) => known(state_in(list, tag).map(|state| match state {
                    TagState::Active => "active",
                    TagState::Backup => "backup",
                })),
            };
            Diagnosis::default().with("tag", tag.to_string()).with("state", state)
        };
        params.sharing_tags.iter().map(tag).collect::<Vec<_>>().into()
    }
}
