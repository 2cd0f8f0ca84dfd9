//! What is known of an instance whose processes or sockets can't be looked at: whether it answers.

use deadline::Deadline;
use hostproc::Process;

use super::probe::Probing;
use super::{Error, Reach, Result, Serving};
use crate::params::Params;
use crate::sockets::expected::Expected;
use crate::sockets::listener::Listener;

/// Judges an instance that is alive by OPTIONS alone. Who can't look has no reason to end a service that may be well,
/// and a restart gives nobody his sight back. Where nobody can be asked either, nothing speaks against the instance.
///
/// # Errors
/// The failure of the best socket, if none answers.
pub(crate) fn answers(
    params: &Params,
    main: Process,
    sockets: Vec<Expected>,
    reach: Reach,
    deadline: Deadline,
) -> Result<Serving> {
    let listeners: Vec<Listener> = sockets.iter().map(|(listener, _)| listener.clone()).collect();
    let probing = Probing { params, main: main.pid, listeners: &listeners, reach };
    // Without them only loopback addresses are asked.
    let local = probing.addresses(deadline).unwrap_or_default();
    let asked = probing.ask(&local, params.probe.patience, deadline);
    let (remarks, answers) = (asked.remarks.clone(), asked.one_answers);
    match asked.first_failure() {
        Some(error) if !answers && !matches!(error, Error::Unasked { .. }) => Err(error),
        _ => Ok(Serving { remarks, sockets, unanswered: false, last_check: None }),
    }
}
