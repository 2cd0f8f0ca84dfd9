//! What is known of an instance whose processes or sockets can't be looked at: whether it answers.

use std::cell::Cell;

use deadline::Deadline;
use hostproc::Stat;

use super::probe::Probing;
use super::progress::Silent;
use super::{Error, Reach, Result, Serving};
use crate::instance::Instance;
use crate::params::Params;
use crate::sockets::expected::Expected;
use crate::sockets::listener::Listener;

/// Judges an instance whose main process is alive by OPTIONS alone. A failed look is no reason to end a service that may
/// be well, and a restart would not help. Where OPTIONS can't be sent either, nothing speaks against the instance. If no
/// socket answers, monitor is as patient as always.
///
/// # Errors
/// The failure of the best socket, if none answers.
pub(crate) fn answers(
    instance: &Instance<'_>,
    params: &Params,
    main: &Stat,
    sockets: Vec<Expected>,
    reach: Reach,
    deadline: Deadline,
) -> Result<Serving> {
    let listeners: Vec<Listener> = sockets.iter().map(|(listener, _)| listener.clone()).collect();
    let probing = Probing { params, main: main.process.pid, listeners: &listeners, reach };
    // Without them only loopback addresses are asked.
    let local = probing.addresses(deadline).unwrap_or_default();
    let asked = probing.ask(&local, params.probe.patience, deadline);
    let (mut remarks, one_answers) = (asked.remarks.clone(), asked.one_answers);
    let mut unanswered = false;
    match asked.first_failure() {
        None => {}
        Some(error) if one_answers || matches!(error, Error::Unasked { .. }) => {
            remarks.push(error.to_string());
        }
        Some(error) => {
            let (workers, mi_is_silent) = (&[], Cell::default());
            let (sockets, others_answer) = (&sockets, false);
            let silent = Silent {
                instance,
                params,
                main,
                workers,
                sockets,
                others_answer,
                deadline,
                mi_is_silent,
            };
            remarks.push(silent.weigh(error)?);
            unanswered = true;
        }
    }
    Ok(Serving { remarks, sockets, unanswered, last_check: None })
}
