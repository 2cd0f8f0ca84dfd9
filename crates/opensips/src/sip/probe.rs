//! Asking OPTIONS, until an answer counts, the patience ends or the deadline comes.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::sip::message::{ExpectedCodes, Response};
use crate::sip::target::{Target, Transport};
use crate::sip::{stream, udp, unsent};
use deadline::Deadline;

/// How often and how long to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Transactions, one after the other; at least one.
    pub attempts: u32,
    /// Time for each.
    pub timeout: Duration,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody alive answered with a code that counts.
    Alive {
        /// Status code; `None` where TLS was refused by somebody alive, and any answer counts.
        code: Option<u16>,
        /// From the first request to the answer.
        took: Duration,
    },
    /// Somebody answered, but never with a code that counts.
    Unexpected {
        /// The last status code.
        code: u16,
        /// Its reason phrase.
        reason: String,
    },
    /// Nobody answered.
    Silent {
        /// What was there instead of an answer, in the last attempt.
        silence: Silence,
        /// As it was really asked: less than wished where the deadline was near.
        patience: Patience,
    },
}

/// What there was instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Nothing. Over TCP that may be a connection that only the kernel knows of: its backlog takes
    /// it, whoever should accept it.
    NoAnswer,
    /// No connection: nobody listens.
    Refused,
    /// A connection, and its end before the answer.
    Closed,
    /// Something that is no SIP, or no TLS.
    NotSip,
    /// An alert of TLS: somebody of the daemon lives who speaks it; no code tells more.
    TlsRefused,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "no answer to OPTIONS",
            Self::Refused => "connection refused",
            Self::Closed => "connection closed before an answer to OPTIONS",
            Self::NotSip => "no SIP in the answer to OPTIONS",
            Self::TlsRefused => "TLS refused (a client certificate?), so no code",
        })
    }
}

/// Asks OPTIONS at an address of *this host* until an answer counts, the patience ends or the
/// deadline comes.
///
/// The socket is bound to the asked address itself: on this host that is a valid source whatever
/// the routes say, and should the address move away in this very moment, the answer of its new
/// owner goes to the new owner and proves nothing here. An answer that belongs to none of our
/// requests is ignored.
///
/// # Errors
/// The socket can't be opened or does not send. Where the address has just gone (`EADDRNOTAVAIL`;
/// where `ip_nonlocal_bind` is set, no route for the source), that ends the asking; what may pass
/// (`EPERM` of a packet filter, a full queue) is only told where the last request met it and
/// nothing was answered.
pub fn ask(
    target: Target,
    codes: &ExpectedCodes,
    wished: Patience,
    until: Deadline,
) -> io::Result<Outcome> {
    let patience = wished.within(until.remaining());
    let passes = |error: &io::Error| unsent::passes(error, || target.is_here(until));
    match target.transport {
        Transport::Udp => {
            let mut dialogue = None;
            follow(patience, codes, passes, |sequence, end| {
                let dialogue = match &mut dialogue {
                    Some(open) => open,
                    none => none.insert(udp::Asker::open(target)?),
                };
                dialogue.ask(sequence, codes, end, passes)
            })
        }
        Transport::Tcp | Transport::Tls => {
            let token = token();
            follow(patience, codes, passes, |sequence, end| {
                stream::ask(target, &token, sequence, codes, end)
            })
        }
    }
}

/// Asks all of them at the same time, so that a dead one takes nothing from the others' time; the
/// outcomes in the same order. One alone costs no thread.
pub fn ask_each(
    targets: &[Target],
    codes: &ExpectedCodes,
    patience: Patience,
    until: Deadline,
) -> Vec<io::Result<Outcome>> {
    if let [target] = targets {
        return vec![ask(*target, codes, patience, until)];
    }
    thread::scope(|scope| {
        let asking: Vec<_> = targets
            .iter()
            .map(|target| {
                let ask = move || ask(*target, codes, patience, until);
                thread::Builder::new().spawn_scoped(scope, ask)
            })
            .collect();
        let outcome = |thread: io::Result<thread::ScopedJoinHandle<'_, _>>| {
            thread?.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")))
        };
        asking.into_iter().map(outcome).collect()
    })
}

/// Attempt after attempt. Each lasts its time, also where it fails at once: three connections that
/// are refused within a millisecond are no more than one. What could not be sent, and `passes`, is no
/// more than a failed attempt.
fn follow(
    patience: Patience,
    codes: &ExpectedCodes,
    passes: impl Fn(&io::Error) -> bool,
    mut attempt: impl FnMut(u32, Deadline) -> io::Result<Result<Answer, Silence>>,
) -> io::Result<Outcome> {
    let started = Instant::now();
    let mut unexpected = None;
    let mut failure = Ok(Silence::NoAnswer);
    for sequence in 1..=patience.attempts {
        let end = Deadline::after(patience.timeout);
        match attempt(sequence, end) {
            Ok(Ok(Answer { code, .. })) if codes.contain(code) => {
                return Ok(Outcome::Alive { code: Some(code), took: started.elapsed() });
            }
            Ok(Ok(answer)) => unexpected = Some(answer),
            Ok(Err(Silence::TlsRefused)) if *codes == ExpectedCodes::Any => {
                return Ok(Outcome::Alive { code: None, took: started.elapsed() });
            }
            Ok(Err(found)) => failure = Ok(found),
            Err(error) if passes(&error) => failure = Err(error),
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
    /// The same number of attempts, each shorter if all together would take too long.
    fn within(self, available: Duration) -> Self {
        let attempts = self.attempts.max(1);
        Self { attempts, timeout: self.timeout.min(available / attempts) }
    }
}

/// An answer to one of our requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) reason: String,
}

impl Answer {
    /// Whether nothing better follows: it counts, or it is final (RFC 3261, 7.2).
    pub(super) fn ends(&self, codes: &ExpectedCodes) -> bool {
        codes.contain(self.code) || self.code >= 200
    }
}

impl From<Response<'_>> for Answer {
    fn from(Response { code, reason, .. }: Response<'_>) -> Self {
        Self { code, reason }
    }
}

/// 64 bits that nobody can guess from outside, from the keys that std draws with getrandom(2).
pub(crate) fn token() -> String {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    format!("{:016x}", hasher.finish())
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
                    Ok(script[asked.get() as usize - 1].map(answer))
                },
            );
            (asked.get(), outcome.unwrap())
        };
        let alive = |code| move |found: &Outcome| matches!(found, Outcome::Alive { code: c, .. } if *c == code);
        let (asked, outcome) = ask("200", &[Err(Silence::Refused), Ok(503), Ok(200)]);
        assert!(asked == 3 && alive(Some(200))(&outcome), "{outcome:?}");
        let (asked, outcome) = ask("any", &[Ok(503)]);
        assert!(asked == 1 && alive(Some(503))(&outcome), "{outcome:?}");
        // Whoever has answered once is not silent.
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
                Ok(Err(Silence::Refused))
            },
        )
        .unwrap();
        assert!(asked[1] >= patience.timeout, "{asked:?}");
        let endless = Patience { attempts: 1, timeout: Duration::from_secs(3600) };
        // The test would not end.
        follow(endless, &ExpectedCodes::Any, |_| false, |_, _| Ok(Err(Silence::Refused))).unwrap();
    }

    #[test]
    fn what_passes_is_no_more_than_a_failed_attempt() {
        use io::ErrorKind as Kind;
        let patience = Patience { attempts: 3, timeout: Duration::from_millis(1) };
        let filtered = || Err(io::Error::from(Kind::PermissionDenied));
        let gone = || Err(io::Error::from(Kind::AddrNotAvailable));
        let asked = |script: Vec<io::Result<Result<Answer, Silence>>>| {
            let mut script = script.into_iter();
            let passes = |error: &io::Error| error.kind() == Kind::PermissionDenied;
            let outcome =
                follow(patience, &"200".parse().unwrap(), passes, |_, _| script.next().unwrap());
            (outcome.map_err(|error| error.kind()), script.len())
        };
        let (outcome, left) = asked(vec![filtered(), filtered(), Ok(Ok(answer(200)))]);
        assert!(matches!(outcome, Ok(Outcome::Alive { code: Some(200), .. })) && left == 0);
        let no_answer = || Ok(Err(Silence::NoAnswer));
        assert_eq!(
            asked(vec![no_answer(), no_answer(), filtered()]).0,
            Err(Kind::PermissionDenied)
        );
        let silent = Outcome::Silent { silence: Silence::NoAnswer, patience };
        assert_eq!(asked(vec![filtered(), filtered(), no_answer()]).0, Ok(silent));
        let (outcome, _) = asked(vec![filtered(), Ok(Ok(answer(503))), filtered()]);
        assert!(matches!(outcome, Ok(Outcome::Unexpected { code: 503, .. })));
        // No patience helps.
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
    fn each_is_asked_by_itself() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let refusing = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let targets = [
            Target { transport: Transport::Udp, address: silent.local_addr().unwrap() },
            Target { transport: Transport::Tcp, address: refusing },
            Target { transport: Transport::Udp, address: "192.0.2.1:5060".parse().unwrap() },
        ];
        let patience = Patience { attempts: 1, timeout: Duration::from_millis(50) };
        let until = Deadline::after(Duration::from_secs(60));
        let outcomes = ask_each(&targets, &ExpectedCodes::Any, patience, until);
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
