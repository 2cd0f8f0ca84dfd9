//! OPTIONS over UDP: retransmitted until it is answered.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::sip::message::{Options, Response};
use crate::sip::probe::{Answer, Attempt, Silence};
use crate::sip::question::Question;
use crate::sip::target::Target;
use deadline::Deadline;

/// T1 and T2 of RFC 3261, 17.1.2.2: a request over UDP is retransmitted after T1, then each time
/// after twice the interval, T2 at most.
pub(super) const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);

/// One socket for all attempts, because a late answer to an earlier one proves as much.
pub(super) struct Client {
    /// Not connected, because OpenSIPS may answer from another of its sockets.
    socket: UdpSocket,
    template: Options,
    /// All requests so far.
    open: Vec<Options>,
}

impl Client {
    pub(super) fn open(target: Target, question: &Question) -> io::Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(target.address.ip(), 0))?;
        let local = socket.local_addr()?;
        let template = Options {
            target,
            local,
            token: hostproc::token(),
            sequence: 0,
            question: question.clone(),
        };
        Ok(Self { socket, template, open: Vec::new() })
    }

    /// One transaction. Returns the answer that ends it, or else the last provisional one. A request
    /// that can't be sent is retransmitted if the error is `temporary`. It is returned otherwise, and
    /// if the last request can't be sent either and there is no answer.
    pub(super) fn ask(
        &mut self,
        sequence: u32,
        until: Deadline,
        temporary: impl Fn(&io::Error) -> bool,
    ) -> io::Result<Attempt> {
        let request = Options { sequence, ..self.template.clone() };
        let bytes = request.to_bytes();
        self.open.push(request);
        let mut provisional = None;
        let mut interval = T1;
        loop {
            let sent = self.socket.send_to(&bytes, self.template.target.address);
            let sent = match sent {
                Ok(_) => Ok(Attempt::Silent(Silence::NoAnswer)),
                Err(error) if temporary(&error) => Err(error),
                Err(error) => return Err(error),
            };
            let again = until.within(interval);
            interval = (interval * 2).min(T2);
            while let Some(answer) = self.receive(again)? {
                if answer.ends(&self.template.question.codes) {
                    return Ok(Attempt::Answered(answer));
                }
                provisional = Some(answer);
            }
            if until.has_passed() {
                return match provisional {
                    Some(answer) => Ok(Attempt::Answered(answer)),
                    None => sent,
                };
            }
        }
    }

    /// The next answer to one of the requests; `None` at the deadline.
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

/// The deadline (which the loop checks), a signal, or an ICMP error for an earlier datagram. None of
/// them ends the transaction.
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
    /// Where another thread has to do something.
    const LONG: Patience = Patience { attempts: 1, timeout: Duration::from_secs(30) };

    fn asked(target: SocketAddr, codes: &str, patience: Patience) -> Outcome {
        let target = Target { transport: Transport::Udp, address: target };
        let until = Deadline::after(Duration::from_secs(60));
        let question = Question { codes: codes.parse().unwrap(), ..Question::default() };
        ask(target, &question, patience, until).unwrap()
    }

    /// A server that sends the datagrams of `answers` for each request.
    fn serve(answers: impl Fn(usize, &str) -> Vec<String> + Send + 'static) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
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
        let outcome = asked(server, "any", LONG);
        assert!(matches!(outcome, Outcome::Alive { code: Some(484), .. }), "{outcome:?}");
    }

    #[test]
    fn a_lost_request_is_retransmitted() {
        let server = serve(|count, request| match count {
            0 => vec![],
            _ => vec![answered(request, "200 OK")],
        });
        let outcome = asked(server, "any", LONG);
        assert!(matches!(outcome, Outcome::Alive { code: Some(200), .. }), "{outcome:?}");
    }

    #[test]
    fn foreign_datagrams_are_ignored() {
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
    fn an_unexpected_code_is_reported() {
        let server = serve(|_, request| vec![answered(request, "503 Service Unavailable")]);
        let reason = "Service Unavailable".to_owned();
        let expected = Outcome::Unexpected { code: 503, reason };
        assert_eq!(asked(server, "200,484", LONG), expected);
    }

    #[test]
    fn a_final_answer_ends_the_transaction() {
        // Another request of the attempt would be answered with a code that counts. One that was sent
        // while the first answer was on its way may be.
        let server = serve(|count, request| match count {
            0 => vec![answered(request, "503 Service Unavailable")],
            _ => vec![answered(request, "200 OK")],
        });
        let outcome = asked(server, "200", LONG);
        assert!(matches!(outcome, Outcome::Unexpected { code: 503, .. }), "{outcome:?}");
    }

    #[test]
    fn a_provisional_answer_is_not_the_final_one() {
        let server =
            serve(|_, request| vec![answered(request, "100 Trying"), answered(request, "200 OK")]);
        let outcome = asked(server, "200", LONG);
        assert!(matches!(outcome, Outcome::Alive { code: Some(200), .. }), "{outcome:?}");
    }
}
