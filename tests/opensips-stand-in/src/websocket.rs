//! The server's side of a WebSocket (RFC 6455): the handshake, as module proto_ws asks for it, and whole
//! messages in single frames. `Sec-WebSocket-Accept` is not computed.

use std::io::{self, Read, Write};

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x8;

/// A connection that speaks WebSocket. What is written at once is one message.
pub(crate) struct WebSocket<S> {
    stream: S,
    unread: Vec<u8>,
}

impl<S: Read + Write> WebSocket<S> {
    /// Answers the handshake; without an origin or the protocol `sip` with 403.
    pub(crate) fn accept(mut stream: S) -> io::Result<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < 16_384 {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let has = |field: &str| head.contains(field);
        if !has("\r\norigin: ") || !has("\r\nsec-websocket-protocol: sip\r\n") {
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n")?;
            stream.flush()?;
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        stream.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: stand-in\r\nSec-WebSocket-Protocol: sip\r\n\r\n",
        )?;
        stream.flush()?;
        Ok(Self { stream, unread: Vec::new() })
    }
}

impl<S: Read + Write> Read for WebSocket<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head)?;
            let [first, second] = head;
            let mut length = u16::from(second & 0x7f);
            if length == 126 {
                let mut long = [0; 2];
                self.stream.read_exact(&mut long)?;
                length = u16::from_be_bytes(long);
            }
            let mut mask = [0; 4];
            self.stream.read_exact(&mut mask)?;
            let mut payload = vec![0; usize::from(length)];
            self.stream.read_exact(&mut payload)?;
            if first & 0xf == CLOSE {
                return Ok(0);
            }
            let unmasked = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
            self.unread = unmasked.collect();
        }
        let length = self.unread.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(self.unread.drain(..length)) {
            *to = from;
        }
        Ok(length)
    }
}

impl<S: Write> Write for WebSocket<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = u16::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut frame = vec![TEXT];
        match u8::try_from(length) {
            Ok(short @ ..=125) => frame.push(short),
            _ => {
                frame.push(126);
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend(bytes);
        self.stream.write_all(&frame)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
