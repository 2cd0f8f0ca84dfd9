//! Asking OPTIONS over UDP, until a deadline.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::sip::message::{ExpectedCodes, Options, Response};

/// T1 and T2 of RFC 3261, 17.1.2.2: a request over UDP is sent again after T1, then after twice
/// the time each, T2 at most.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);

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
        /// Status code.
        code: u16,
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
        /// As it was really asked: less than wished where the deadline was near.
        patience: Patience,
    },
}

/// Asks OPTIONS at an address of *this host* until an answer counts, the patience ends or the
/// deadline comes.
///
/// The socket is bound to the asked address itself: on this host that is a valid source whatever
/// the routes say, and should the address move away in this very moment, the answer of its new
/// owner goes to the new owner and proves nothing here. It is not connected: OpenSIPS may answer
/// from another of its sockets. An answer that belongs to none of our requests is ignored.
///
/// # Errors
/// The socket can't be opened or does not send, as when the address has just gone
/// (`EADDRNOTAVAIL`) or a packet filter forbids it (`EPERM`).
pub fn ask(
    target: SocketAddr,
    codes: &ExpectedCodes,
    wished: Patience,
    until: Instant,
) -> io::Result<Outcome> {
    let started = Instant::now();
    let patience = wished.within(until.saturating_duration_since(started));
    let socket = UdpSocket::bind(SocketAddr::new(target.ip(), 0))?;
    let local = socket.local_addr()?;
    let token = token();
    let requests: Vec<Options> = (1..=patience.attempts)
        .map(|sequence| Options { target, local, token: token.clone(), sequence })
        .collect();

    let mut unexpected = None;
    for (asked, request) in requests.iter().enumerate() {
        // A late answer to an earlier attempt is as good a sign of life.
        let open = requests.get(..=asked).unwrap_or_default();
        let attempt = Attempt { socket: &socket, request, open };
        match attempt.make(codes, Instant::now() + patience.timeout)? {
            Some(Answer { code, .. }) if codes.contain(code) => {
                return Ok(Outcome::Alive { code, took: started.elapsed() });
            }
            answer => unexpected = answer.or(unexpected),
        }
    }
    Ok(match unexpected {
        Some(Answer { code, reason }) => Outcome::Unexpected { code, reason },
        None => Outcome::Silent { patience },
    })
}

impl Patience {
    /// The same number of attempts, each shorter if all together would take too long.
    fn within(self, available: Duration) -> Self {
        let attempts = self.attempts.max(1);
        Self { attempts, timeout: self.timeout.min(available / attempts) }
    }
}

struct Answer {
    code: u16,
    reason: String,
}

struct Attempt<'a> {
    socket: &'a UdpSocket,
    request: &'a Options,
    /// Every request so far, this one included.
    open: &'a [Options],
}

impl Attempt<'_> {
    /// One transaction. The answer that counts, or the last one that does not.
    fn make(&self, codes: &ExpectedCodes, until: Instant) -> io::Result<Option<Answer>> {
        let bytes = self.request.to_bytes();
        let mut unexpected = None;
        let mut interval = T1;
        loop {
            self.socket.send_to(&bytes, self.request.target)?;
            let again = until.min(Instant::now() + interval);
            interval = (interval * 2).min(T2);
            while let Some(answer) = self.receive(again)? {
                if codes.contain(answer.code) {
                    return Ok(Some(answer));
                }
                unexpected = Some(answer);
            }
            if Instant::now() >= until {
                return Ok(unexpected);
            }
        }
    }

    /// The next answer to one of our requests; `None` when the time has come.
    fn receive(&self, until: Instant) -> io::Result<Option<Answer>> {
        let mut datagram = [0; 4096];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left))?;
            let length = match self.socket.recv(&mut datagram) {
                Ok(length) => length,
                Err(error) if is_no_answer(&error) => continue,
                Err(error) => return Err(error),
            };
            let response = datagram.get(..length).and_then(Response::parse);
            if let Some(response) = response
                && self.open.iter().any(|request| request.is_answered_by(&response))
            {
                return Ok(Some(Answer { code: response.code, reason: response.reason }));
            }
        }
    }
}

/// The time is up (the loop looks at the clock), a signal came, or an ICMP error for an earlier
/// datagram: none is an answer, and none ends the waiting.
fn is_no_answer(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::WouldBlock | Kind::TimedOut | Kind::Interrupted | Kind::ConnectionRefused
    )
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
    use std::thread;

    const QUICK: Patience = Patience { attempts: 2, timeout: Duration::from_millis(700) };

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    /// A server that does with each request what `answer` says: datagrams to send back.
    fn serve(answers: impl Fn(usize, &str) -> Vec<String> + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            for count in 0.. {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { return };
                let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                for answer in answers(count, &request) {
                    // From another socket, as OpenSIPS may.
                    other.send_to(answer.as_bytes(), from).unwrap();
                }
            }
        });
        address
    }

    fn answered(request: &str, status: &str) -> String {
        request.replacen(request.lines().next().unwrap(), &format!("SIP/2.0 {status}"), 1)
    }

    #[test]
    fn an_answer_from_anywhere_counts() {
        let server = serve(|_, request| vec![answered(request, "484 Address Incomplete")]);
        let outcome = ask(server, &ExpectedCodes::Any, QUICK, later()).unwrap();
        assert!(matches!(outcome, Outcome::Alive { code: 484, .. }), "{outcome:?}");
    }

    #[test]
    fn a_lost_request_is_sent_again() {
        let server = serve(|count, request| match count {
            0 => vec![],
            _ => vec![answered(request, "200 OK")],
        });
        let once = Patience { attempts: 1, timeout: Duration::from_secs(30) };
        let outcome = ask(server, &ExpectedCodes::Any, once, later()).unwrap();
        assert!(matches!(outcome, Outcome::Alive { code: 200, .. }), "{outcome:?}");
    }

    #[test]
    fn what_is_not_ours_is_ignored() {
        let server = serve(|_, request| {
            vec![
                "nonsense".into(),
                String::new(),
                answered(&request.replace("z9hG4bK", "z9hG4bKx"), "200 OK"),
                answered(&request.replace("Call-ID: ", "Call-ID: x"), "200 OK"),
                answered(&request.replace("CSeq: ", "CSeq: 1"), "200 OK"),
                request.into(),
            ]
        });
        let outcome = ask(server, &ExpectedCodes::Any, QUICK, later()).unwrap();
        assert_eq!(outcome, Outcome::Silent { patience: QUICK });
    }

    #[test]
    fn a_code_that_does_not_count_is_told() {
        let server = serve(|_, request| vec![answered(request, "503 Service Unavailable")]);
        let codes = "200,484".parse().unwrap();
        let outcome = ask(server, &codes, QUICK, later()).unwrap();
        let reason = "Service Unavailable".to_owned();
        assert_eq!(outcome, Outcome::Unexpected { code: 503, reason });
    }

    #[test]
    fn a_provisional_answer_is_not_the_final_one() {
        let server =
            serve(|_, request| vec![answered(request, "100 Trying"), answered(request, "200 OK")]);
        let outcome = ask(server, &"200".parse().unwrap(), QUICK, later()).unwrap();
        assert!(matches!(outcome, Outcome::Alive { code: 200, .. }), "{outcome:?}");
    }

    #[test]
    fn the_deadline_shortens_every_attempt() {
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let patience = Patience { attempts: 3, timeout: Duration::from_secs(600) };
        let until = Instant::now() + Duration::from_millis(150);
        let outcome =
            ask(silent.local_addr().unwrap(), &ExpectedCodes::Any, patience, until).unwrap();
        let Outcome::Silent { patience } = outcome else { panic!("{outcome:?}") };
        assert_eq!(patience.attempts, 3);
        assert!(patience.timeout <= Duration::from_millis(50));
    }

    #[test]
    fn an_address_of_another_host_is_an_error() {
        let outcome = ask("192.0.2.1:5060".parse().unwrap(), &ExpectedCodes::Any, QUICK, later());
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
