//! What a SIP server answers as targets of a fuzzer (tests/fuzz).

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use super::framing::{Framing, NotSip};
use super::message::{Options, Response};
use super::question::Question;
use super::target::{Target, Transport};
use super::websocket::WebSocket;

/// The longest SIP message over UDP.
const LONGEST: u64 = 65_535;

/// A datagram.
pub(crate) fn answer(datagram: &[u8]) {
    let Some(response) = Response::parse(datagram) else { return };
    assert!((100..700).contains(&response.code), "{response:?}");
    assert!(!response.reason.contains(char::is_control), "{response:?}");
    assert!(response.reason.chars().count() <= 40, "{response:?}");
    let Ok(address) = "192.0.2.10:5060".parse() else { return };
    let target = Target { transport: Transport::Udp, address };
    let (token, question) = ("a1b2".to_owned(), Question::default());
    let request = Options { target, local: address, token, sequence: 2, question };
    let is_ours = response.branch == "z9hG4bKa1b22" && response.sequence == 2;
    assert!(is_ours || !request.is_answered_by(&response), "{response:?}");
}

/// A stream, in pieces whose length the first byte gives: how it is cut makes no difference.
pub(crate) fn stream(bytes: &[u8]) {
    let Some((length, bytes)) = bytes.split_first() else { return };
    let pieces = bytes.chunks(usize::from(*length).max(1));
    let cut = messages(pieces);
    assert_eq!(cut, messages(std::iter::once(bytes)));
    for message in cut.iter().flatten() {
        answer(message);
    }
}

fn messages<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, NotSip> {
    let mut framing = Framing::default();
    let mut found = Vec::new();
    for piece in pieces {
        framing.push(piece);
        while let Some(message) = framing.next()? {
            found.push(message);
        }
    }
    Ok(found)
}

/// A server that has said all of this before it is asked.
#[derive(Debug)]
struct Server(VecDeque<u8>);

impl Read for Server {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Server {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The answer to the handshake, and the frames after it.
pub(crate) fn websocket(bytes: &[u8]) {
    let Ok(address) = "192.0.2.10:80".parse() else { return };
    let target = Target { transport: Transport::Ws, address };
    let server = Server(bytes.iter().copied().collect());
    let Ok(mut socket) = WebSocket::open(server, target, "0123456789abcdef") else { return };
    let mut read = Vec::new();
    let _ = Read::by_ref(&mut socket).take(LONGEST).read_to_end(&mut read);
    assert!(read.len() <= bytes.len());
    stream(&read);
    socket.close();
}
