//! OPTIONS over UDP: sent again until it is answered.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::sip::message::{ExpectedCodes, Options, Response};
use crate::sip::probe::{Answer, Silence, token};
use crate::sip::target::Target;
use deadline::Deadline;

/// T1 and T2 of RFC 3261, 17.1.2.2: a request over UDP is sent again after T1, then after twice
/// the time each, T2 at most.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);

/// One socket for all attempts: a late answer to an earlier one is as good a sign of life.
pub(super) struct Asker {
    /// Not connected: OpenSIPS may answer from another of its sockets.
    socket: UdpSocket,
    template: Options,
    /// Every request so far.
    open: Vec<Options>,
}

impl Asker {
    pub(super) fn open(target: Target) -> io::Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(target.address.ip(), 0))?;
        let local = socket.local_addr()?;
        let template = Options { target, local, token: token(), sequence: 0 };
        Ok(Self { socket, template, open: Vec::new() })
    }

    /// One transaction: the answer that ends it, else the last provisional one. A request that could
    /// not be sent is sent again in its time where that `passes`; else, and where the last one could
    /// not be sent either and nothing was answered, it is the error.
    pub(super) fn ask(
        &mut self,
        sequence: u32,
        codes: &ExpectedCodes,
        until: Deadline,
        passes: impl Fn(&io::Error) -> bool,
    ) -> io::Result<Result<Answer, Silence>> {
        let request = Options { sequence, ..self.template.clone() };
        let bytes = request.to_bytes();
        self.open.push(request);
        let mut provisional = None;
        let mut interval = T1;
        loop {
            let sent = self.socket.send_to(&bytes, self.template.target.address);
            let sent = match sent {
                Ok(_) => Ok(Err(Silence::NoAnswer)),
                Err(error) if passes(&error) => Err(error),
                Err(error) => return Err(error),
            };
            let again = until.within(interval);
            interval = (interval * 2).min(T2);
            while let Some(answer) = self.receive(again)? {
                if answer.ends(codes) {
                    return Ok(Ok(answer));
                }
                provisional = Some(answer);
            }
            if until.has_passed() {
                return match provisional {
                    Some(answer) => Ok(Ok(answer)),
                    None => sent,
                };
            }
        }
    }

    /// The next answer to one of our requests; `None` when the time has come.
    fn receive(&self, until: Deadline) -> io::Result<Option<Answer>> {
        let mut datagram = [0; 4096];
        loop {
            let left = until.remaining();
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
                return Ok(Some(response.into()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::probe::{Outcome, Patience, ask};
    use crate::sip::target::Transport;
    use std::thread;

    const QUICK: Patience = Patience { attempts: 2, timeout: Duration::from_millis(700) };

    fn asked(target: SocketAddr, codes: &str, patience: Patience) -> Outcome {
        let target = Target { transport: Transport::Udp, address: target };
        let until = Deadline::after(Duration::from_secs(60));
        ask(target, &codes.parse().unwrap(), patience, until).unwrap()
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
        let outcome = asked(server, "any", QUICK);
        assert!(matches!(outcome, Outcome::Alive { code: Some(484), .. }), "{outcome:?}");
    }

    #[test]
    fn a_lost_request_is_sent_again() {
        let server = serve(|count, request| match count {
            0 => vec![],
            _ => vec![answered(request, "200 OK")],
        });
        let once = Patience { attempts: 1, timeout: Duration::from_secs(30) };
        let outcome = asked(server, "any", once);
        assert!(matches!(outcome, Outcome::Alive { code: Some(200), .. }), "{outcome:?}");
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
        let (silence, patience) = (Silence::NoAnswer, QUICK);
        assert_eq!(asked(server, "any", QUICK), Outcome::Silent { silence, patience });
    }

    #[test]
    fn a_code_that_does_not_count_is_told() {
        let server = serve(|_, request| vec![answered(request, "503 Service Unavailable")]);
        let reason = "Service Unavailable".to_owned();
        let expected = Outcome::Unexpected { code: 503, reason };
        assert_eq!(asked(server, "200,484", QUICK), expected);
    }

    #[test]
    fn a_final_answer_ends_the_transaction() {
        // Sent once: a second request of the attempt would be answered with a code that counts.
        let server = serve(|count, request| match count {
            0 => vec![answered(request, "503 Service Unavailable")],
            _ => vec![answered(request, "200 OK")],
        });
        let once = Patience { attempts: 1, timeout: Duration::from_secs(2) };
        let outcome = asked(server, "200", once);
        assert!(matches!(outcome, Outcome::Unexpected { code: 503, .. }), "{outcome:?}");
    }

    #[test]
    fn a_provisional_answer_is_not_the_final_one() {
        let server =
            serve(|_, request| vec![answered(request, "100 Trying"), answered(request, "200 OK")]);
        let outcome = asked(server, "200", QUICK);
        assert!(matches!(outcome, Outcome::Alive { code: Some(200), .. }), "{outcome:?}");
    }
}
