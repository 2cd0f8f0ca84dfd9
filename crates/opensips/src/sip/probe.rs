//! A probe sends OPTIONS until an answer counts, the attempts are used up or the deadline passes.

use std::fmt;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::sip::message::Response;
use crate::sip::question::{ExpectedCodes, Question};
use crate::sip::target::{Target, Transport};
use crate::sip::udp::T1;
use crate::sip::{stream, udp, unsent};
use deadline::Deadline;

/// The number of attempts and the timeout of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// Transactions in sequence; at least one.
    pub(crate) attempts: u32,
    /// Of each attempt.
    pub(crate) timeout: Duration,
}

/// The outcome of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer with a code that counts.
    Alive {
        /// Status code; `None` for a TLS alert or a refused upgrade where any answer counts.
        code: Option<u16>,
        /// From the first request to the answer.
        took: Duration,
    },
    /// Answers, but none with a code that counts.
    Unexpected { code: u16, reason: String },
    /// No answer.
    Silent {
        /// Of the last attempt.
        silence: Silence,
        /// As used: shorter timeouts than wished where the deadline was near.
        patience: Patience,
    },
}

/// How an answer failed to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Over TCP the kernel's backlog may have taken the connection, while no process accepts it.
    NoAnswer,
    /// No process listens.
    Refused,
    /// The connection was closed before the answer.
    Closed,
    /// The peer sent something that is not SIP, or not TLS.
    NotSip,
    /// A TLS alert: a process of the daemon is alive, but there is no status code.
    TlsRefused,
    /// HTTP that is not changed to WebSocket: a process of the daemon is alive, but there is no status code.
    UpgradeRefused,
}

impl Silence {
    /// Whether a process of the daemon has said no to the probe's transport.
    pub(crate) fn is_refusal_of_transport(self) -> bool {
        matches!(self, Self::TlsRefused | Self::UpgradeRefused)
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "no answer to OPTIONS",
            Self::Refused => "connection refused",
            Self::Closed => "connection closed before an answer to OPTIONS",
            Self::NotSip => "no SIP in the answer to OPTIONS",
            Self::TlsRefused => "TLS refused (a client certificate?), so no code",
            Self::UpgradeRefused => "upgrade to WebSocket refused, so no code",
        })
    }
}

/// Sends OPTIONS to an address of *this host* until an answer counts, the attempts are used up or the
/// deadline passes.
///
/// The socket is bound to the probed address itself. On this host that is a valid source whatever
/// the routes are; and if the address moves to another host at this moment, the answer of that host
/// stays there and proves nothing here. Answers to other requests are ignored.
///
/// # Errors
/// The socket can't be opened, or can't send. An address that has just left the host
/// (`EADDRNOTAVAIL`; with `ip_nonlocal_bind` no route for the source) ends the probe. A temporary
/// error (`EPERM` of a packet filter, a full queue) is returned only where the last request met it
/// and there was no answer.
pub(crate) fn ask(
    target: Target,
    question: &Question,
    wished: Patience,
    until: Deadline,
) -> io::Result<Outcome> {
    let patience = wished.within(until.remaining());
    let temporary = |error: &io::Error| unsent::is_temporary(error, || target.is_here(until));
    match target.transport {
        Transport::Udp => {
            let mut client = None;
            follow(patience, &question.codes, temporary, |sequence, end| {
                let client = match &mut client {
                    Some(open) => open,
                    none => none.insert(udp::Client::open(target, question)?),
                };
                client.ask(sequence, end, temporary)
            })
        }
        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
            let token = hostproc::token();
            follow(patience, &question.codes, temporary, |sequence, end| {
                loop {
                    match stream::ask(target, &token, sequence, question, end) {
                        // As over UDP, where the request is sent again.
                        Err(error) if temporary(&error) && end.sleep(T1) => {}
                        asked => return asked,
                    }
                }
            })
        }
    }
}

/// Probes all of them at the same time, so that a dead one does not use up the time of the others.
/// Returns the outcomes in the same order. The first target needs no thread.
pub(crate) fn ask_each(
    targets: &[Target],
    question: &Question,
    patience: Patience,
    until: Deadline,
) -> Vec<io::Result<Outcome>> {
    let Some((first, others)) = targets.split_first() else { return Vec::new() };
    thread::scope(|scope| {
        let asking: Vec<_> = others
            .iter()
            .map(|target| {
                let ask = move || ask(*target, question, patience, until);
                thread::Builder::new().spawn_scoped(scope, ask)
            })
            .collect();
        let outcome = |thread: io::Result<thread::ScopedJoinHandle<'_, _>>| {
            thread?.join().unwrap_or_else(|_| Err(io::Error::other("the probe panicked")))
        };
        let first = ask(*first, question, patience, until);
        std::iter::once(first).chain(asking.into_iter().map(outcome)).collect()
    })
}

/// Makes the attempts in sequence. An attempt that fails immediately still takes the full timeout,
/// because three connections that are refused within a millisecond prove no more than one. A
/// `temporary` error is a failed attempt.
fn follow(
    patience: Patience,
    codes: &ExpectedCodes,
    temporary: impl Fn(&io::Error) -> bool,
    mut attempt: impl FnMut(u32, Deadline) -> io::Result<Attempt>,
) -> io::Result<Outcome> {
    let started = Instant::now();
    let mut unexpected = None;
    let mut failure = Ok(Silence::NoAnswer);
    for sequence in 1..=patience.attempts {
        let end = Deadline::after(patience.timeout);
        match attempt(sequence, end) {
            Ok(Attempt::Answered(Answer { code, .. })) if codes.contain(code) => {
                return Ok(Outcome::Alive { code: Some(code), took: started.elapsed() });
            }
            Ok(Attempt::Answered(answer)) => unexpected = Some(answer),
            Ok(Attempt::Silent(silence))
                if silence.is_refusal_of_transport() && codes.any_counts() =>
            {
                return Ok(Outcome::Alive { code: None, took: started.elapsed() });
            }
            Ok(Attempt::Silent(silence)) => failure = Ok(silence),
            Err(error) if temporary(&error) => failure = Err(error),
            Err(error) => return Err(error),
        }
        if sequence < patience.attempts {
            thread::sleep(end.remaining());
        }
    }
    Ok(match unexpected {
        Some(Answer { code, reason }) => Outcome::Unexpected { code, reason },
        None => Outcome::Silent { silence: failure?, patience },
    })
}

impl Patience {
    /// All attempts together.
    pub(crate) fn longest(self) -> Duration {
        self.timeout.saturating_mul(self.attempts)
    }

    /// The same number of attempts, with shorter timeouts where the time does not suffice.
    fn within(self, available: Duration) -> Self {
        let attempts = self.attempts.max(1);
        Self { attempts, timeout: self.timeout.min(available / attempts) }
    }
}

/// The outcome of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Answered(Answer),
    Silent(Silence),
}

/// An answer to one of the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) reason: String,
}

impl Answer {
    /// Whether it ends the transaction: it counts, or it is final (RFC 3261, 7.2).
    pub(super) fn ends(&self, codes: &ExpectedCodes) -> bool {
        codes.contain(self.code) || self.code >= 200
    }
}

impl From<Response<'_>> for Answer {
    fn from(Response { code, reason, .. }: Response<'_>) -> Self {
        Self { code, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn answer(code: u16) -> Answer {
        Answer { code, reason: "x".into() }
    }

    #[test]
    fn every_attempt_is_made_before_the_verdict() {
        let patience = Patience { attempts: 3, timeout: Duration::from_millis(1) };
        let ask = |codes: &str, script: &[Result<u16, Silence>]| {
            let asked = Cell::new(0);
            let outcome = follow(
                patience,
                &codes.parse().unwrap(),
                |_| false,
                |sequence, _| {
                    asked.set(asked.get() + 1);
                    assert_eq!(sequence, asked.get());
                    Ok(match script[asked.get() as usize - 1] {
                        Ok(code) => Attempt::Answered(answer(code)),
                        Err(silence) => Attempt::Silent(silence),
                    })
                },
            );
            (asked.get(), outcome.unwrap())
        };
        let alive = |code| move |found: &Outcome| matches!(found, Outcome::Alive { code: c, .. } if *c == code);
        let (asked, outcome) = ask("200", &[Err(Silence::Refused), Ok(503), Ok(200)]);
        assert!(asked == 3 && alive(Some(200))(&outcome), "{outcome:?}");
        let (asked, outcome) = ask("any", &[Ok(503)]);
        assert!(asked == 1 && alive(Some(503))(&outcome), "{outcome:?}");
        // One answer is enough to be not silent.
        let (asked, outcome) = ask("200", &[Ok(503), Err(Silence::Closed), Err(Silence::Closed)]);
        assert!(asked == 3 && matches!(outcome, Outcome::Unexpected { code: 503, .. }));
        let (asked, outcome) =
            ask("any", &[Err(Silence::NoAnswer), Err(Silence::NoAnswer), Err(Silence::Refused)]);
        assert_eq!((asked, outcome), (3, Outcome::Silent { silence: Silence::Refused, patience }));
        // An alert is an answer without a code.
        let (asked, outcome) = ask("any", &[Err(Silence::TlsRefused)]);
        assert!(asked == 1 && alive(None)(&outcome), "{outcome:?}");
        let (asked, outcome) = ask("200", &[Err(Silence::TlsRefused); 3]);
        let silence = Silence::TlsRefused;
        assert_eq!((asked, outcome), (3, Outcome::Silent { silence, patience }));
    }

    #[test]
    fn a_failed_attempt_lasts_its_time_but_for_the_last() {
        let patience = Patience { attempts: 2, timeout: Duration::from_millis(50) };
        let mut asked = Vec::new();
        let started = Instant::now();
        follow(
            patience,
            &ExpectedCodes::Any,
            |_| false,
            |_, _| {
                asked.push(started.elapsed());
                Ok(Attempt::Silent(Silence::Refused))
            },
        )
        .unwrap();
        assert!(asked[1] >= patience.timeout, "{asked:?}");
        let endless = Patience { attempts: 1, timeout: Duration::from_secs(3600) };
        // The last attempt does not wait, else this test never ends.
        follow(
            endless,
            &ExpectedCodes::Any,
            |_| false,
            |_, _| Ok(Attempt::Silent(Silence::Refused)),
        )
        .unwrap();
    }

    #[test]
    fn a_temporary_error_is_a_failed_attempt() {
        use io::ErrorKind as Kind;
        let patience = Patience { attempts: 3, timeout: Duration::from_millis(1) };
        let filtered = || Err(io::Error::from(Kind::PermissionDenied));
        let gone = || Err(io::Error::from(Kind::AddrNotAvailable));
        let asked = |script: Vec<io::Result<Attempt>>| {
            let mut script = script.into_iter();
            let temporary = |error: &io::Error| error.kind() == Kind::PermissionDenied;
            let outcome =
                follow(patience, &"200".parse().unwrap(), temporary, |_, _| script.next().unwrap());
            (outcome.map_err(|error| error.kind()), script.len())
        };
        let (outcome, left) =
            asked(vec![filtered(), filtered(), Ok(Attempt::Answered(answer(200)))]);
        assert!(matches!(outcome, Ok(Outcome::Alive { code: Some(200), .. })) && left == 0);
        let no_answer = || Ok(Attempt::Silent(Silence::NoAnswer));
        assert_eq!(
            asked(vec![no_answer(), no_answer(), filtered()]).0,
            Err(Kind::PermissionDenied)
        );
        let silent = Outcome::Silent { silence: Silence::NoAnswer, patience };
        assert_eq!(asked(vec![filtered(), filtered(), no_answer()]).0, Ok(silent));
        let (outcome, _) = asked(vec![filtered(), Ok(Attempt::Answered(answer(503))), filtered()]);
        assert!(matches!(outcome, Ok(Outcome::Unexpected { code: 503, .. })));
        // More attempts do not help.
        assert_eq!(asked(vec![filtered(), gone(), filtered()]), (Err(Kind::AddrNotAvailable), 1));
    }

    #[test]
    fn the_deadline_shortens_every_attempt() {
        let wished = Patience { attempts: 3, timeout: Duration::from_secs(600) };
        let within = |milliseconds| wished.within(Duration::from_millis(milliseconds));
        assert_eq!(within(150), Patience { attempts: 3, timeout: Duration::from_millis(50) });
        assert_eq!(within(0).timeout, Duration::ZERO);
        assert_eq!(within(3_600_000), wished);
    }

    #[test]
    fn each_target_has_an_outcome() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let refusing = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let targets = [
            Target { transport: Transport::Udp, address: silent.local_addr().unwrap() },
            Target { transport: Transport::Tcp, address: refusing },
            Target { transport: Transport::Udp, address: "192.0.2.1:5060".parse().unwrap() },
        ];
        let patience = Patience { attempts: 1, timeout: Duration::from_millis(50) };
        let until = Deadline::after(Duration::from_secs(60));
        let outcomes = ask_each(&targets, &Question::default(), patience, until);
        let silence = |outcome: &io::Result<Outcome>| match outcome {
            Ok(Outcome::Silent { silence, .. }) => Ok(*silence),
            Err(error) => Err(error.kind()),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            outcomes.iter().map(silence).collect::<Vec<_>>(),
            [Ok(Silence::NoAnswer), Ok(Silence::Refused), Err(io::ErrorKind::AddrNotAvailable)]
        );
    }
}
