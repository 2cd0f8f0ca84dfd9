use super::*;
use proptest::prelude::*;

const fn us(microseconds: u64) -> Duration {
    Duration::from_micros(microseconds)
}

const fn ms(milliseconds: u64) -> Duration {
    us(1000 * milliseconds)
}

const TIMEOUT: Duration = ms(50);
const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);

#[test]
fn a_longer_silence_has_more_probes_but_never_many_in_a_second() {
    for (silence, probes) in [
        (10, 2),
        (50, 2),
        (199, 2),
        (200, 2),
        (500, 5),
        (550, 5),
        (1000, 10),
        (2000, 14),
        (10_000, 46),
    ] {
        let pauses = pauses(ms(silence));
        assert_eq!((pauses.len(), pauses.iter().sum()), (probes, ms(silence)), "{silence}");
        let mut times = vec![Duration::ZERO];
        for pause in &pauses {
            times.push(*times.last().unwrap() + *pause);
        }
        for (at, time) in times.iter().enumerate() {
            let in_a_second = times[at..].iter().take_while(|it| **it - *time < ms(1000));
            assert!(in_a_second.count() <= 10, "{silence}");
        }
    }
}

#[test]
fn the_first_ten_probes_are_frequent() {
    let expected = [vec![ms(100); 10], vec![ms(250); 2]].concat();
    assert_eq!(pauses(ms(1500)), expected);
}

/// What the link does with one request and its answer; `None`: one of both is lost.
type Way = Option<Duration>;

/// A LAN in simulated time: how the owner and each of the controls answer the first, the second, ... request.
#[derive(Clone, Debug, Default)]
struct Lan {
    owner: Vec<Way>,
    controls: Vec<Vec<Way>>,
}

/// How a check of a LAN has ended.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    /// The owner was heard.
    found: bool,
    at: Duration,
    /// When the probes were sent.
    probes: Vec<Duration>,
    /// How many requests were sent to controls.
    requests: usize,
}

/// The owner (`None`) or a control answers at that time.
type Arrival = (Duration, Option<usize>);

impl Lan {
    fn check(&self, mut silence: Silence) -> Ended {
        let mut now = Duration::ZERO;
        let (mut probes, mut requests) = (Vec::new(), 0);
        let mut asked = vec![0; self.controls.len()];
        let mut arrivals: Vec<Arrival> = Vec::new();
        while let Some(controls) = silence.next() {
            let way = self.owner.get(probes.len()).copied().flatten();
            arrivals.extend(way.map(|delay| (now + delay, None)));
            probes.push(now);
            for (at, ways) in self.controls.iter().enumerate() {
                if controls == Controls::All || controls == Controls::One(at) {
                    let way = ways.get(asked[at]).copied().flatten();
                    arrivals.extend(way.map(|delay| (now + delay, Some(at))));
                    asked[at] += 1;
                    requests += 1;
                }
            }
            silence.sent(now);
            arrivals.sort();
            while arrivals.first().is_some_and(|(at, _)| *at <= silence.end().max(now)) {
                let (at, who) = arrivals.remove(0);
                now = now.max(at);
                match who {
                    None => return Ended { found: true, at: now, probes, requests },
                    Some(control) => silence.answered(control, MAC, now),
                }
            }
            now = now.max(silence.end());
        }
        Ended { found: false, at: now, probes, requests }
    }
}

fn one_control(delay: Duration) -> Lan {
    Lan { owner: Vec::new(), controls: vec![vec![Some(delay); 2]] }
}

#[test]
fn a_control_that_answers_at_once_makes_it_short() {
    let ended = one_control(us(200)).check(Silence::calibrated(TIMEOUT));
    let expected = Ended { found: false, at: us(4400), probes: vec![us(0), us(200)], requests: 2 };
    assert_eq!(ended, expected);
    // Three times the delay of a slower one, from the last probe on.
    assert_eq!(one_control(ms(5)).check(Silence::calibrated(TIMEOUT)).at, ms(20));
    // Never longer than the whole time.
    assert_eq!(one_control(ms(20)).check(Silence::calibrated(TIMEOUT)).at, TIMEOUT);
    assert_eq!(one_control(ms(60)).check(Silence::calibrated(TIMEOUT)).at, TIMEOUT);
    assert_eq!(one_control(us(200)).check(Silence::whole(TIMEOUT)).at, TIMEOUT);
    assert_eq!(one_control(us(200)).check(Silence::of_one_probe(TIMEOUT)).probes, [us(0)]);
}

/// The end after these answers: each of a control at a time, or the request that is sent again (`None`).
fn end_after(events: &[(Option<usize>, u64)]) -> Duration {
    let mut silence = Silence::calibrated(TIMEOUT);
    assert_eq!(silence.next(), Some(Controls::All));
    silence.sent(Duration::ZERO);
    for (event, at) in events {
        match event {
            Some(control) => silence.answered(*control, MAC, ms(*at)),
            None => {
                assert_eq!(silence.next(), Some(Controls::One(0)));
                silence.sent(ms(*at));
            }
        }
    }
    silence.end()
}

#[test]
fn the_slowest_first_answer_counts_and_no_second_one() {
    let (first, second, again) = (Some(0), Some(1), None);
    // An answer that is later than the pause shortens nothing.
    assert_eq!(end_after(&[(first, 26)]), ms(25));
    assert_eq!(end_after(&[(first, 25)]), Duration::ZERO);
    assert_eq!(end_after(&[(first, 2), (again, 2), (first, 3)]), ms(7));
    // A duplicate says nothing of the delay, whenever it comes.
    assert_eq!(end_after(&[(first, 2), (first, 10), (again, 10), (first, 11)]), ms(15));
    assert_eq!(end_after(&[(first, 2), (again, 2), (first, 3), (first, 6)]), ms(7));
    // A slower control does, before and after the second request, and after its answer.
    assert_eq!(end_after(&[(first, 2), (second, 6), (again, 6), (first, 7)]), ms(19));
    assert_eq!(end_after(&[(first, 2), (again, 2), (second, 6), (first, 7)]), ms(19));
    assert_eq!(end_after(&[(first, 2), (again, 2), (first, 3), (second, 6)]), ms(18));
}

#[test]
fn without_an_answer_of_a_control_it_is_as_without_a_control() {
    for controls in [vec![], vec![vec![]], vec![vec![None; 2]; 3]] {
        for timeout in [ms(10), ms(50), ms(1000)] {
            let lan = Lan { owner: Vec::new(), controls: controls.clone() };
            let Ended { found, at, probes, .. } = lan.check(Silence::calibrated(timeout));
            let whole = lan.check(Silence::whole(timeout));
            assert_eq!((found, at, &probes), (false, timeout, &whole.probes));
        }
    }
}

#[test]
fn a_control_that_answers_once_shortens_nothing() {
    let lan = Lan { controls: vec![vec![Some(us(200)), None]], ..Lan::default() };
    let ended = lan.check(Silence::calibrated(TIMEOUT));
    assert_eq!((ended.at, ended.probes), (TIMEOUT, vec![us(0), us(200), ms(25)]));
    // The late answer of another control to the first request is none to the second.
    let late = vec![Some(us(300))];
    let lan = Lan { controls: vec![vec![Some(us(200)), None], late], ..Lan::default() };
    assert_eq!(lan.check(Silence::calibrated(TIMEOUT)).at, TIMEOUT);
}

/// The gateway answers at once, and the node that had the address is under load.
#[test]
fn the_slowest_control_that_answers_counts() {
    let gateway = || vec![Some(us(200)); 2];
    for (node, end) in [(us(100), us(4200)), (us(300), us(4400)), (ms(4), ms(12))] {
        let lan = Lan { owner: Vec::new(), controls: vec![gateway(), vec![Some(node); 2]] };
        assert_eq!(lan.check(Silence::calibrated(TIMEOUT)).at, end, "{node:?}");
    }
    let lan = Lan { owner: vec![Some(ms(9)); 2], controls: vec![gateway(), vec![Some(ms(4))]] };
    assert!(lan.check(Silence::calibrated(TIMEOUT)).found);
    // One that is silent, or that answers after the end, makes it no longer.
    for node in [None, Some(ms(20))] {
        let lan = Lan { owner: Vec::new(), controls: vec![gateway(), vec![node]] };
        assert_eq!(lan.check(Silence::calibrated(TIMEOUT)).at, us(4400));
    }
}

#[test]
fn a_host_that_probes_at_the_same_time_makes_it_long() {
    let mut silence = Silence::calibrated(TIMEOUT);
    assert_eq!(silence.next(), Some(Controls::All));
    silence.sent(us(0));
    silence.answered(0, MAC, us(200));
    assert_eq!(silence.next(), Some(Controls::One(0)));
    silence.sent(us(200));
    silence.answered(0, MAC, us(400));
    assert_eq!(silence.end(), us(4400));
    silence.has_another_prober();
    assert_eq!((silence.end(), silence.next()), (ms(25), Some(Controls::None)));
    silence.sent(ms(25));
    assert_eq!((silence.end(), silence.next()), (ms(50), None));
}

#[test]
fn an_answer_of_another_interface_of_the_control_is_not_the_second_one() {
    let mut silence = Silence::calibrated(TIMEOUT);
    silence.next();
    silence.sent(us(0));
    silence.answered(0, MAC, us(200));
    silence.next();
    silence.sent(us(200));
    silence.answered(0, MacAddress([2, 0, 0, 0, 0, 2]), us(210));
    assert_eq!(silence.end(), ms(25));
}

fn way() -> impl Strategy<Value = Way> {
    prop_oneof![
        1 => Just(None),
        4 => (50_u64..3_000).prop_map(|delay| Some(us(delay))),
        2 => (50_u64..60_000).prop_map(|delay| Some(us(delay))),
    ]
}

/// The ways to some hosts, and the answers of each to some requests.
fn hosts(most: usize) -> impl Strategy<Value = Vec<Vec<Way>>> {
    prop::collection::vec(prop::collection::vec(way(), 2), 0..=most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Where nothing is lost, an owner that answers as fast as the control is found.
    #[test]
    fn an_owner_that_answers_as_fast_as_the_control_is_found(
        controls in prop::collection::vec((50_u64..60_000, 50_u64..60_000), 1..=3),
        shares in (0_u64..=100, 0_u64..=100),
        timeout in 10_u64..500,
    ) {
        let ways = |(first, second): &(u64, u64)| vec![Some(us(*first)), Some(us(*second))];
        let fastest = |which: fn(&(u64, u64)) -> u64| controls.iter().map(which).min().unwrap();
        let owner = vec![
            Some(us(fastest(|it| it.0) * shares.0 / 100)),
            Some(us(fastest(|it| it.1) * shares.1 / 100)),
        ];
        // Whatever answers later than that is not found without a control either.
        prop_assume!(owner.iter().flatten().all(|delay| *delay <= ms(timeout) / 2));
        let lan = Lan { owner, controls: controls.iter().map(ways).collect() };
        let ended = lan.check(Silence::calibrated(ms(timeout)));
        prop_assert!(ended.found, "{ended:?}");
    }

    /// Whatever is lost or late: a silence ends before its time only where one control has answered twice,
    /// and then an answer to the second probe would have been heard for three of its delays, and for 4 ms.
    #[test]
    fn a_short_silence_has_two_answers_of_a_control(
        owner in prop::collection::vec(way(), 6), controls in hosts(3), timeout in 10_u64..500,
    ) {
        let lan = Lan { owner, controls };
        let timeout = ms(timeout);
        let ended = lan.check(Silence::calibrated(timeout));
        prop_assert!(ended.at <= timeout, "{ended:?}");
        prop_assert!(ended.probes.len() <= pauses(timeout).len() + 1);
        prop_assert!(ended.requests <= lan.controls.len() + 1);
        if !ended.found && ended.at < timeout {
            prop_assert_eq!(ended.probes.len(), 2);
            let second = ended.probes[1];
            let proof = lan.controls.iter().any(|ways| {
                let &[Some(first), Some(again)] = &ways[..] else { return false };
                let heard = ended.at - second;
                first == second && heard >= again + SHORTEST.max(DELAYS * first.max(again))
            });
            prop_assert!(proof, "{ended:?} {lan:?}");
            for (probe, way) in ended.probes.iter().zip(&lan.owner) {
                prop_assert!(way.is_none_or(|delay| *probe + delay > ended.at), "{ended:?}");
            }
        }
    }

    /// Whatever is lost: an owner that is as fast as hosts are is found if the same two probes find it without
    /// a control.
    #[test]
    fn where_frames_are_lost_it_misses_no_more_than_two_probes_do(
        owner in prop::collection::vec(prop::option::of((50_u64..4_000).prop_map(us)), 6),
        controls in hosts(3),
    ) {
        let lan = Lan { owner, controls };
        let found_without = lan.check(Silence::whole(TIMEOUT)).found;
        prop_assert!(lan.check(Silence::calibrated(TIMEOUT)).found || !found_without);
    }
}
