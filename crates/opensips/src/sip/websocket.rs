//! A WebSocket (RFC 6455) with SIP in it (RFC 7118), around a connection to this host's own listener.
//!
//! As much of it as one OPTIONS needs. The key of the handshake keeps out caches and servers that know no
//! WebSocket: nothing of the kind is between an address of this host and the same address, so that the
//! answer to the key is not verified.

use std::fmt;
use std::io::{self, Read, Write};

use crate::sip::framing::NotSip;
use crate::sip::target::Target;

/// The longest answer to the handshake, in bytes.
const HEAD_LIMIT: usize = 16 * 1024;
/// The longest frame, in bytes: as the longest SIP message.
const FRAME_LIMIT: u64 = 65_535;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;

/// The server speaks HTTP and does not change to WebSocket: one of its processes is alive.
#[derive(Clone, Copy, Debug)]
struct UpgradeRefused;

impl fmt::Display for UpgradeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the upgrade to WebSocket is refused")
    }
}

impl std::error::Error for UpgradeRefused {}

pub(super) fn is_refusal(error: &io::Error) -> bool {
    error.get_ref().and_then(|source| source.downcast_ref::<UpgradeRefused>()).is_some()
}

/// An open WebSocket. What is written at once is one message.
#[derive(Debug)]
pub(super) struct WebSocket<S> {
    stream: S,
    /// The part of a message that is not read yet.
    payload: Vec<u8>,
    /// Each frame of a client is masked (RFC 6455, 5.3).
    mask: [u8; 4],
}

impl<S: Read + Write> WebSocket<S> {
    /// Makes the handshake. An origin is given because module proto_ws demands one (`require_origin`).
    pub(super) fn open(mut stream: S, target: Target, token: &str) -> io::Result<Self> {
        let host = target.address;
        // 16 bytes in base64, of which each letter and digit is one.
        let key = format!("{token:A<21.21}A==");
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Origin: http://{host}\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: sip\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        stream.flush()?;
        let head = read_head(&mut stream)?;
        if head.starts_with(b"HTTP/1.1 101") {
            let mask = token.bytes().chain([0; 4]).collect::<Vec<u8>>();
            let mask = mask.first_chunk::<4>().copied().unwrap_or_default();
            Ok(Self { stream, payload: Vec::new(), mask })
        } else if head.starts_with(b"HTTP/") {
            Err(io::Error::new(io::ErrorKind::InvalidData, UpgradeRefused))
        } else {
            Err(NotSip.into())
        }
    }

    /// Closes it as RFC 6455, 5.5.1 wants it, and returns the stream below.
    pub(super) fn close(mut self) -> S {
        let _ = self.send(CLOSE, &[]);
        self.stream
    }

    fn send(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let mut frame = vec![FINAL | opcode];
        match u16::try_from(payload.len()).map_err(|_| io::ErrorKind::InvalidInput)? {
            short @ 0..=125 => frame.push(MASKED | u8::try_from(short).unwrap_or_default()),
            length => {
                frame.push(MASKED | 126);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend(self.mask);
        let masked = payload.iter().zip(self.mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        frame.extend(masked);
        self.stream.write_all(&frame)?;
        self.stream.flush()
    }

    /// The next frame: its opcode and payload. A server masks none (RFC 6455, 5.1).
    fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let [first, second] = self.bytes()?;
        let length = match second {
            126 => u64::from(u16::from_be_bytes(self.bytes()?)),
            127 => u64::from_be_bytes(self.bytes()?),
            short @ 0..=125 => u64::from(short),
            _ => return Err(NotSip.into()),
        };
        let length = Some(length).filter(|length| *length <= FRAME_LIMIT).ok_or(NotSip)?;
        let mut payload = vec![0; usize::try_from(length).map_err(|_| NotSip)?];
        self.stream.read_exact(&mut payload)?;
        Ok((first & 0x0f, payload))
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

impl<S: Read + Write> Read for WebSocket<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.payload.is_empty() {
            match self.receive()? {
                // 0: what follows the first frame of a message.
                (0 | TEXT | BINARY, payload) => self.payload = payload,
                (CLOSE, _) => return Ok(0),
                // A ping: the connection does not live long enough to need a pong.
                _ => {}
            }
        }
        let length = self.payload.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(self.payload.drain(..length)) {
            *to = from;
        }
        Ok(length)
    }
}

impl<S: Read + Write> Write for WebSocket<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(TEXT, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Byte by byte: what follows the head belongs to the first frame.
fn read_head(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
        if head.len() > HEAD_LIMIT {
            return Err(NotSip.into());
        }
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::target::Transport;
    use std::collections::VecDeque;

    /// A server that has said all of this before it is asked.
    #[derive(Debug, Default)]
    struct Server {
        says: VecDeque<u8>,
        heard: Vec<u8>,
    }

    impl Read for Server {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.says.read(buffer)
        }
    }

    impl Write for Server {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.heard.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn open(says: &[u8]) -> io::Result<WebSocket<Server>> {
        let target = Target { transport: Transport::Ws, address: "192.0.2.1:80".parse().unwrap() };
        let server = Server { says: says.iter().copied().collect(), heard: Vec::new() };
        WebSocket::open(server, target, "0123456789abcdef")
    }

    const CHANGED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

    #[test]
    fn messages_go_in_frames() {
        // A ping, a message in two frames, the end.
        let frames = [&[0x89, 0][..], &[0x01, 2], b"SI", &[0x80, 126, 0, 1], b"P", &[0x88, 0]];
        let mut socket = open(&[CHANGED, &frames.concat()].concat()).unwrap();
        let mut read = String::new();
        socket.read_to_string(&mut read).unwrap();
        assert_eq!(read, "SIP");
        socket.stream.heard.clear();
        socket.write_all(b"OPTIONS").unwrap();
        let mask = *b"0123";
        let sent: Vec<u8> =
            b"OPTIONS".iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect();
        assert_eq!(socket.stream.heard, [&[0x81, 0x80 | 7][..], &mask, &sent].concat());
        socket.stream.heard.clear();
        socket.write_all(&[b'x'; 300]).unwrap();
        assert_eq!(socket.stream.heard[..4], [0x81, 0x80 | 126, 1, 44]);
        assert_eq!(socket.stream.heard.len(), 8 + 300);
        assert_eq!(socket.close().heard[308..310], [0x88, 0x80]);
    }

    #[test]
    fn the_handshake() {
        let socket = open(CHANGED).unwrap();
        let asked = String::from_utf8(socket.stream.heard).unwrap();
        assert!(asked.starts_with("GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n"), "{asked}");
        assert!(asked.contains("\r\nSec-WebSocket-Key: 0123456789abcdefAAAAAA==\r\n"), "{asked}");
        let refused = open(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap_err();
        assert!(is_refusal(&refused));
        let other = open(b"SIP/2.0 400 Bad\r\n\r\n").unwrap_err();
        assert!(!is_refusal(&other) && other.kind() == io::ErrorKind::InvalidData);
        assert_eq!(open(b"HTTP/1.1 1").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_frame_that_is_none() {
        for frame in [&[0x81, 127, 1, 0, 0, 0, 0, 0, 0, 0][..], &[0x81, 0x81, 0]] {
            let mut socket = open(&[CHANGED, frame].concat()).unwrap();
            let error = socket.read(&mut [0; 10]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }
}
