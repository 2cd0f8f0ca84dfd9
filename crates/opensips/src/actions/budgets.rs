//! How an action divides its time: each step that must leave time for the next one has a deadline of
//! its own, made from the action's.

use std::time::Duration;

use deadline::Deadline;
use ocf::{Action, Request};

/// What SIGKILL and the last look of a stop need.
const KILL: Duration = Duration::from_secs(5);

/// start: until it serves or fails. The rest is for the roll back, which needs no more than SIGKILL.
pub(super) fn for_coming_up(deadline: Deadline) -> Deadline {
    let roll_back = Duration::from_secs(3);
    deadline.less(roll_back.min(deadline.remaining() / 5))
}

/// start: the configuration check of an instance that is already running. The other half is for the
/// verdict.
pub(super) fn for_adoption(deadline: Deadline) -> Deadline {
    deadline.share(2)
}

/// start: until the name server must know the names of the sockets. The daemon needs the rest.
pub(super) fn for_names(deadline: Deadline) -> Deadline {
    deadline.share(3)
}

/// start: until an instance that does not serve must have shut itself down. The rest is for SIGKILL and
/// for the new one.
pub(super) fn for_replaced_instance(deadline: Deadline) -> Deadline {
    deadline.share(3)
}

/// start: until the MI must answer. It comes up with the daemon's last processes; one that is
/// configured elsewhere never does, and calls need not wait for it.
pub(super) fn for_first_answer(deadline: Deadline) -> Deadline {
    deadline.within(Duration::from_secs(5))
}

/// promote: until the sharing tags must be active. The virtual address follows the promotion, so that
/// callers wait as long; the rest is for telling Pacemaker the score.
pub(super) fn for_sharing_tags(deadline: Deadline) -> Deadline {
    deadline.share(2)
}

/// stop: until another action must have ended by itself.
pub(super) fn for_other_action(deadline: Deadline) -> Deadline {
    deadline.share(3)
}

/// reload-agent: until another action must have ended.
pub(super) fn for_lock(deadline: Deadline) -> Deadline {
    deadline.share(3)
}

/// stop: until the lock must have been taken over, or the daemon must have shut itself down. The rest
/// is for SIGKILL.
pub(super) fn before_kill(deadline: Deadline) -> Deadline {
    deadline.less(KILL.min(deadline.remaining() / 2))
}

/// stop: until the processes that still hold a socket must have closed it.
pub(super) fn for_stale_sockets(deadline: Deadline) -> Deadline {
    deadline.within(KILL)
}

/// monitor: until the instance must have been judged. In a promotable clone, the rest is for telling
/// Pacemaker the score of a failure that has taken all of that time.
pub(super) fn for_observation(request: &Request) -> Deadline {
    let score = Duration::from_secs(2);
    if request.promotable {
        request.deadline.less(score.min(request.deadline.remaining() / 10))
    } else {
        request.deadline
    }
}

/// Until routes must have been loaded: OpenSIPS answers when every worker has them, which a busy one can delay for
/// 20 s. A monitor must still have the time to see that calls are served.
pub(super) fn for_routes(request: &Request) -> Deadline {
    match request.action {
        Action::Monitor => request.deadline.share(2),
        _ => request.deadline,
    }
}

/// demote: until it must be known which tags are active, and until the prerequisites of a start must
/// have been checked. reload-agent: until the configuration must have been checked.
pub(super) fn for_decision(deadline: Deadline) -> Deadline {
    deadline.share(3)
}

/// demote: until the daemon must have been stopped. The other half is for starting it.
pub(super) fn for_stop_of_restart(deadline: Deadline) -> Deadline {
    deadline.share(2)
}

/// diagnose: each question has a small time of its own, so that one without an answer hides no other.
/// This is for the tables of the kernel and the version of the daemon.
pub(super) fn for_tables(deadline: Deadline) -> Deadline {
    deadline.within(Duration::from_secs(3))
}

/// diagnose: the configuration check.
pub(super) fn for_config_check(deadline: Deadline) -> Deadline {
    deadline.within(Duration::from_secs(5))
}

/// diagnose: what monitor would report, the probe included.
pub(super) fn for_judgement(deadline: Deadline) -> Deadline {
    deadline.within(Duration::from_secs(10))
}

/// diagnose: one answer of the MI.
pub(super) fn for_answer(deadline: Deadline) -> Deadline {
    deadline.within(Duration::from_secs(2))
}
