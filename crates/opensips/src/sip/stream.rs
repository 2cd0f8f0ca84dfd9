//! OPTIONS over TCP, TLS and WebSocket: one connection and one request for each attempt, no retransmission
//! (RFC 3261, 17.1.2.2: a reliable transport).

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use deadline::Deadline;
use socket2::{Domain, Socket, Type};

use crate::sip::framing::{Framing, NotSip};
use crate::sip::message::{Options, Response};
use crate::sip::probe::{Answer, Attempt, Silence};
use crate::sip::question::Question;
use crate::sip::target::{Target, Transport};
use crate::sip::tls;
use crate::sip::websocket::{self, WebSocket};

/// One transaction. Returns the answer that ends it, or else the last provisional one.
pub(super) fn ask(
    target: Target,
    token: &str,
    sequence: u32,
    question: &Question,
    until: Deadline,
) -> io::Result<Attempt> {
    let answer = Connection::open(target.address, until).and_then(|mut connection| {
        let local = connection.socket.local_addr()?;
        let (token, question) = (token.to_owned(), question.clone());
        let request = Options { target, local, token, sequence, question };
        match target.transport {
            Transport::Tls => {
                let mut session = tls::Session::open(connection, target.address.ip())?;
                let answer = exchange(&mut session, &request)?;
                session.close();
                Ok(answer)
            }
            Transport::Ws => {
                let mut socket = WebSocket::open(connection, target, &request.token)?;
                let answer = exchange(&mut socket, &request)?;
                socket.close();
                Ok(answer)
            }
            Transport::Wss => {
                let session = tls::Session::open(connection, target.address.ip())?;
                let mut socket = WebSocket::open(session, target, &request.token)?;
                let answer = exchange(&mut socket, &request)?;
                socket.close().close();
                Ok(answer)
            }
            Transport::Udp | Transport::Tcp => exchange(&mut connection, &request),
        }
    });
    match answer {
        Ok(answer) => Ok(Attempt::Answered(answer)),
        Err(error) => silence(error).map(Attempt::Silent),
    }
}

/// Sends the request, and reads until the answer. Other messages, such as requests of the daemon,
/// are ignored.
fn exchange(stream: &mut (impl Read + Write), request: &Options) -> io::Result<Answer> {
    stream.write_all(&request.to_bytes())?;
    stream.flush()?;
    let mut framing = Framing::default();
    let mut chunk = [0; 4096];
    let mut provisional = None;
    loop {
        while let Some(message) = framing.next()? {
            let response = Response::parse(&message);
            let Some(response) = response.filter(|found| request.is_answered_by(found)) else {
                continue;
            };
            let answer = Answer::from(response);
            if answer.ends(&request.question.codes) {
                return Ok(answer);
            }
            provisional = Some(answer);
        }
        match stream.read(&mut chunk) {
            Ok(0) => return provisional.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => framing.push(chunk.get(..length).unwrap_or_default()),
            Err(error) => return provisional.ok_or(error),
        }
    }
}

impl From<NotSip> for io::Error {
    fn from(_: NotSip) -> Self {
        io::ErrorKind::InvalidData.into()
    }
}

/// Translates an error that the peer has caused; an error of this host stays one.
fn silence(error: io::Error) -> io::Result<Silence> {
    use io::ErrorKind as Kind;
    Ok(match error.kind() {
        Kind::WouldBlock | Kind::TimedOut => Silence::NoAnswer,
        Kind::ConnectionRefused => Silence::Refused,
        Kind::ConnectionReset
        | Kind::ConnectionAborted
        | Kind::BrokenPipe
        | Kind::UnexpectedEof => Silence::Closed,
        Kind::InvalidData if tls::is_alert(&error) => Silence::TlsRefused,
        Kind::InvalidData if websocket::is_refusal(&error) => Silence::UpgradeRefused,
        Kind::InvalidData => Silence::NotSip,
        _ => return Err(error),
    })
}

/// A connection from the probed address to itself, with a deadline for all reads and writes.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: TcpStream,
    until: Deadline,
}

impl Connection {
    pub(super) fn open(target: SocketAddr, until: Deadline) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(target.ip(), 0).into())?;
        socket.connect_timeout(&target.into(), left(until)?)?;
        let socket = TcpStream::from(socket);
        // A socket can connect to itself where no process listens at a port that the kernel also
        // assigns to clients (RFC 9293, 3.5: simultaneous open).
        if socket.local_addr()? == target {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(Self { socket, until })
    }
}

/// The time that is left, never zero, which sockets take as no limit.
fn left(until: Deadline) -> io::Result<Duration> {
    let left = until.remaining();
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.socket.set_read_timeout(Some(left(self.until)?))?;
            match self.socket.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(left(self.until)?))?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

#[cfg(test)]
pub(super) mod tests;
