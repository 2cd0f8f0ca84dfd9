//! What the daemon tells of itself through its Management Interface.

use std::time::Duration;

use deadline::Deadline;
use ocf::{Diagnosis, Value as Shown};
use serde_json::Value;

use super::known;
use crate::error::Result;
use crate::host;
use crate::mi::command::{GET_STATISTICS, LIST_SHARING_TAGS, PROCESSES, UPTIME};
use crate::mi::health::up_time;
use crate::mi::processes::{DaemonProcess, busiest, listed};
use crate::mi::{Client, Endpoint};
use crate::params::Params;
use crate::promotion::sharing_tag::{TagState, state_in};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(2);

/// The answers; nothing where it was not asked.
pub(super) struct Told<'a> {
    endpoint: Option<&'a Endpoint>,
    uptime: Result<Value>,
    pub(super) statistics: Value,
    pub(super) processes: Vec<DaemonProcess>,
    tags: Result<Value>,
}

impl<'a> Told<'a> {
    /// Asks whatever there is to be asked. Who does not answer the first question is not asked the
    /// others.
    pub(super) fn ask(params: &'a Params, deadline: Deadline) -> Self {
        let mut told = Self {
            endpoint: params.mi.as_ref(),
            uptime: Ok(Value::Null),
            statistics: Value::Null,
            processes: Vec::new(),
            tags: Ok(Value::Null),
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
            Err(error) => return Self { uptime: Err(error), ..told },
        };
        told.uptime = client.call(UPTIME, &[], within()).map_err(Into::into);
        if told.uptime.is_err() {
            return told;
        }
        // What is missing here is missing in what is shown.
        told.statistics = client
            .call(GET_STATISTICS, &[Value::from(["shmem:", "load:"])], within())
            .unwrap_or_default();
        let processes = client.call(PROCESSES, &[], within()).unwrap_or_default();
        told.processes = listed(&processes);
        if !params.sharing_tags.is_empty() {
            told.tags = client.call(LIST_SHARING_TAGS, &[], within()).map_err(Into::into);
        }
        told
    }

    pub(super) fn shown(&self) -> Shown {
        let Some(endpoint) = self.endpoint else { return Shown::None };
        let diagnosis = Diagnosis::default().with("endpoint", endpoint.to_string());
        let uptime = match &self.uptime {
            Ok(uptime) => uptime,
            Err(error) => {
                return diagnosis.with("answer", Shown::Unknown(error.to_string())).into();
            }
        };
        let up = up_time(uptime).and_then(|up| i64::try_from(up.as_secs()).ok());
        let megabytes = |name| {
            let bytes = self.statistics.get(name).and_then(Value::as_u64)?;
            i64::try_from(bytes.div_ceil(1024 * 1024)).ok()
        };
        let crew = busiest(&self.processes, &self.statistics);
        diagnosis
            .with("up_seconds", up)
            .with("shared_memory_mb", megabytes("shmem:total_size"))
            .with("shared_memory_used_mb", megabytes("shmem:real_used_size"))
            .with("busiest", crew.map(|crew| format!("{} ({}%)", crew.role, crew.busy)))
            .into()
    }

    /// The state of each tag of the parameters.
    pub(super) fn tags(&self, params: &Params) -> Shown {
        let tag = |tag| {
            let state = match (&self.uptime, &self.tags) {
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
