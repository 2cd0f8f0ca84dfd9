use super::*;
use crate::params::Names;
use hostproc::Pid;
use ocf::{Action, InstanceName, Request};

const TAGS: [(&str, &str); 2] = [("sharing_tag", "vip/1"), ("mi", "fifo:/nonexistent/fifo")];

fn main_process() -> Process {
    Process { pid: Pid::own(), start_time: 1 }
}

/// The role that is recalled of a main process by a monitor with the role that Pacemaker expects.
fn recalled(
    given: &[(&str, &str)],
    known: Option<Role>,
    expects_promoted: bool,
    promotable: bool,
) -> (Role, Certainty) {
    let request = Request {
        action: Action::Monitor,
        instance: InstanceName::new("no-instance-of-this-host".as_ref()),
        values: given.iter().copied().collect(),
        deadline: Deadline::after(Duration::from_secs(6)),
        timeout: Duration::from_secs(6),
        probe: false,
        interval: Duration::from_secs(2),
        in_cluster: true,
        node: None,
        expects_stopped: false,
        expects_promoted,
        by_cluster: false,
        promotable,
        check_level: 0,
    };
    let params = Params::read(&request.values, &request.instance).unwrap();
    let instance = Instance::load_unprivileged(&request, &Names::from(&params));
    let known = known.map(|role| Record { role, ..Record::unpromoted(main_process()) });
    let (record, certainty) = recall(&instance, &params, known, main_process());
    assert_eq!(record.main, main_process());
    (record.role, certainty)
}

/// The last rows of the table in docs/development.md.
#[test]
fn a_role_whose_record_is_lost() {
    let (promoted, unpromoted) = (Role::Promoted, Role::Unpromoted);
    for given in [&[][..], &TAGS] {
        assert_eq!(recalled(given, None, true, true), (promoted, Certainty::Known));
        // A record counts before what Pacemaker expects, and nothing is asked.
        for expects_promoted in [false, true] {
            for role in [promoted, unpromoted] {
                let found = recalled(given, Some(role), expects_promoted, true);
                assert_eq!(found, (role, Certainty::Known));
            }
        }
        assert_eq!(recalled(given, None, false, false), (unpromoted, Certainty::Known));
    }
    assert_eq!(recalled(&[], None, false, true), (unpromoted, Certainty::Known));
    // Their tags can't be asked for.
    assert_eq!(recalled(&TAGS, None, false, true), (unpromoted, Certainty::Guessed));
}

/// An MI that can't be reached is asked again until the deadline, any other answer counts at once.
#[test]
fn what_can_not_be_reached_is_asked_again() {
    let out_of_reach = || mi::Error::Unreachable {
        endpoint: "fifo:/nonexistent/fifo".parse().unwrap(),
        source: std::io::ErrorKind::NotFound.into(),
    };
    let asked = |seconds, answer_of: &dyn Fn(u32) -> Result<u32>| {
        let mut count = 0;
        let answer = once_reachable(Deadline::after(Duration::from_secs(seconds)), || {
            count += 1;
            answer_of(count)
        });
        (answer.ok(), count)
    };
    let third = |count| if count < 3 { Err(out_of_reach().into()) } else { Ok(count) };
    assert_eq!(asked(600, &third), (Some(3), 3));
    // No time is left.
    assert_eq!(asked(0, &third), (None, 1));
    let refused = |_| Err(Error::TagLost { tag: "vip/1".parse().unwrap() });
    assert_eq!(asked(600, &refused), (None, 1));
}
