use super::*;
use crate::params::Names;
use crate::sip::probe::Patience;
use crate::sockets::owner::Owner;
use hostproc::State;
use nix::errno::Errno;
use ocf::{Action, InstanceName, Request};
use std::time::Duration;

fn request(action: Action, stall_limit: &str) -> Request {
    Request {
        action,
        instance: InstanceName::new("no-instance-of-this-host".as_ref()),
        values: [("sip_probe", "auto"), ("stall_limit", stall_limit)].into_iter().collect(),
        deadline: Deadline::after(Duration::from_secs(600)),
        timeout: Duration::from_secs(600),
        probe: false,
        interval: Duration::from_secs(2),
        in_cluster: true,
        node: None,
        expects_stopped: false,
        expects_promoted: false,
        by_cluster: false,
        promotable: true,
        check_level: 0,
    }
}

/// What becomes of failed probes of an instance with one worker.
fn weighed_of(request: &Request, reach: Reach, asked: Asked, worker: State) -> (Asked, bool) {
    let params = Params::read(&request.values, &request.instance).unwrap();
    let instance = Instance::load_unprivileged(request, &Names::from(&params));
    let process = Process { pid: Pid::own(), start_time: 1 };
    let main = Stat { process, state: State::Alive, parent: None, group: 1, session: 1 };
    let workers = [Stat { state: worker, ..main }];
    let silent = Silent {
        instance: &instance,
        params: &params,
        main: &main,
        workers: &workers,
        sockets: &[],
        others_answer: asked.one_answers,
        deadline: request.deadline,
        mi_is_silent: Cell::default(),
    };
    weigh_all(&silent, &[], reach, asked)
}

fn target() -> Target {
    Target::of(&"udp:127.0.0.1:5060".parse().unwrap()).unwrap()
}

/// What is told of a request that this host did not send.
fn weighed(action: Action, reach: Reach, one_answers: bool, worker: State) -> (Asked, bool) {
    let failures = vec![Error::Unasked { target: target(), source: Errno::EPERM.into() }];
    let asked = Asked { remarks: Vec::new(), failures, best_answers: false, one_answers };
    weighed_of(&request(action, "0"), reach, asked, worker)
}

fn silence() -> Error {
    let patience = Patience { attempts: 1, timeout: Duration::from_secs(1) };
    Error::Silent { main: Pid::own(), target: target(), silence: Silence::NoAnswer, patience }
}

/// Of a socket that does not answer: the number of failures and of remarks, and whether it counts as unanswered.
fn silent(
    stall_limit: &str,
    reach: Reach,
    best_answers: bool,
    worker: State,
) -> (usize, usize, bool) {
    let request = request(Action::Monitor, stall_limit);
    let failures = vec![silence()];
    let asked = Asked { remarks: Vec::new(), failures, best_answers, one_answers: best_answers };
    let (asked, unanswered) = weighed_of(&request, reach, asked, worker);
    (asked.failures.len(), asked.remarks.len(), unanswered)
}

#[test]
fn a_silent_socket_beside_the_best_one_ends_no_service() {
    let (groups, every) = (Reach::Groups, Reach::Every);
    assert_eq!(silent("0", groups, true, State::Alive), (0, 1, false));
    // The best one itself, and from the level on that asks every socket.
    assert_eq!(silent("0", groups, false, State::Alive), (1, 0, false));
    assert_eq!(silent("0", every, true, State::Alive), (1, 0, false));
    // It is no failure before stall_limit, and shown.
    assert_eq!(silent("60", groups, false, State::Alive), (0, 1, true));
    // What a signal has stopped, a restart heals.
    for best_answers in [false, true] {
        assert_eq!(silent("60", groups, best_answers, State::Stopped), (1, 0, false));
    }
}

#[test]
fn the_silence_of_a_socket_that_another_program_has_is_not_the_instances() {
    let shared = |listener: &str| {
        let listener: Listener = listener.parse().unwrap();
        let owner = Owner { local: listener.local, process: None };
        [Shared { listener, owner }]
    };
    let taken = unless_taken(silence(), &shared("udp:127.0.0.1:5060"));
    assert!(matches!(taken, Error::Taken { .. }), "{taken}");
    let own = unless_taken(silence(), &shared("udp:127.0.0.1:5062"));
    assert!(matches!(own, Error::Silent { .. }), "{own}");
}

/// Not in monitor, whatever stall_limit is, nor in a start that finds it running, which would replace it.
#[test]
fn what_could_not_be_asked_ends_no_service() {
    for action in [Action::Monitor, Action::Start] {
        for reach in [Reach::Groups, Reach::Every] {
            for one_answers in [false, true] {
                let (asked, unanswered) = weighed(action, reach, one_answers, State::Alive);
                assert!(asked.failures.is_empty(), "{action:?} {reach:?}: {asked:?}");
                assert!(asked.remarks.concat().contains("OPTIONS can't be sent"), "{asked:?}");
                // It was not silent.
                assert!(!unanswered);
            }
        }
    }
}

#[test]
fn a_stopped_worker_is_known_without_an_answer() {
    let (asked, _) = weighed(Action::Monitor, Reach::Groups, false, State::Stopped);
    assert_eq!(asked.failures.len(), 1);
}
