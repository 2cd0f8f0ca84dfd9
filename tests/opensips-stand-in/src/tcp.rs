//! "TCP main": binds after the start command has been told that all is well, as OpenSIPS 3.6 and 4.0
//! do, and serves each connection in a thread.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::ServerConfig;

use crate::answer::Answerer;
use crate::error::Error;
use crate::listener::{Listener, Protocol};
use crate::tls;
use crate::websocket::WebSocket;
use crate::worker::Never;

/// A message that is not complete within this much is dropped with its connection.
const MAXIMUM_MESSAGE: usize = 65_535;

/// All TCP sockets, or the first that can't be bound.
pub(crate) fn bind(listeners: &[Listener]) -> Result<Vec<(Protocol, TcpListener)>, Error> {
    listeners
        .iter()
        .filter(|listener| listener.protocol.is_over_tcp())
        .map(|&Listener { protocol, address, .. }| {
            let bound = TcpListener::bind(address);
            bound
                .map(|listener| (protocol, listener))
                .map_err(|source| Error::TcpBind { address, source })
        })
        .collect()
}

/// Serves them for good.
pub(crate) fn serve(
    bound: Vec<(Protocol, TcpListener)>,
    answerer: &Answerer<'_>,
    tls: Option<&Arc<ServerConfig>>,
) -> Result<Never, Error> {
    thread::scope(|scope| {
        for (protocol, listener) in bound {
            scope.spawn(move || {
                loop {
                    // Errors of accept() concern one connection (or the limit of descriptors).
                    let Ok((stream, _)) = listener.accept() else { continue };
                    scope.spawn(move || {
                        // The client went away, or sent what can't be SIP.
                        let _ = converse_over(protocol, stream, answerer, tls);
                    });
                }
            });
        }
    });
    Err(Error::Inheritance("no TCP listener"))
}

fn converse_over(
    protocol: Protocol,
    stream: TcpStream,
    answerer: &Answerer<'_>,
    tls: Option<&Arc<ServerConfig>>,
) -> io::Result<()> {
    let ends = (stream.peer_addr()?, stream.local_addr()?);
    match (protocol, tls) {
        (Protocol::Tcp, _) => converse(stream, ends, answerer),
        (Protocol::Ws, _) => converse(WebSocket::accept(stream)?, ends, answerer),
        (Protocol::Tls, Some(tls)) => converse(tls::session(stream, tls)?, ends, answerer),
        (Protocol::Wss, Some(tls)) => {
            converse(WebSocket::accept(tls::session(stream, tls)?)?, ends, answerer)
        }
        _ => swallow(stream),
    }
}

/// For what is not SIP, or has no certificate: connections are taken, and nothing is said.
fn swallow(mut stream: TcpStream) -> io::Result<()> {
    io::copy(&mut stream, &mut io::sink()).map(|_| ())
}

fn converse(
    mut stream: impl Read + Write,
    (peer, local): (SocketAddr, SocketAddr),
    answerer: &Answerer<'_>,
) -> io::Result<()> {
    let mut received = Vec::new();
    let mut chunk = vec![0; 4096];
    loop {
        while let Some(message) = take_message(&mut received) {
            if message == b"\r\n\r\n" {
                // Keep-alive (RFC 5626 section 3.5.1).
                stream.write_all(b"\r\n")?;
                stream.flush()?;
                continue;
            }
            if let Some((_, response)) = answerer.answer(&message, peer, local) {
                stream.write_all(response.as_bytes())?;
                stream.flush()?;
            }
        }
        let length = stream.read(&mut chunk)?;
        if length == 0 || received.len() > MAXIMUM_MESSAGE {
            return Ok(());
        }
        received.extend_from_slice(chunk.get(..length).unwrap_or_default());
    }
}

/// Takes a complete message, or a keep-alive, off the front: a stream is framed by Content-Length
/// (RFC 3261 section 18.3).
fn take_message(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    if received.starts_with(b"\r\n\r\n") {
        return Some(received.drain(..4).collect());
    }
    while received.starts_with(b"\r\n") && received.get(2).is_some_and(|byte| *byte != b'\r') {
        received.drain(..2);
    }
    let head = received.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(received.get(..head)?).to_ascii_lowercase();
    let body = text
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| matches!(name.trim(), "content-length" | "l"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .unwrap_or(0);
    let end = head.checked_add(body).filter(|end| *end <= received.len())?;
    Some(received.drain(..end).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_into_messages() {
        let mut received = b"\r\n\r\n\r\nA b SIP/2.0\r\nl: 3\r\n\r\nxyzB".to_vec();
        assert_eq!(take_message(&mut received).unwrap(), b"\r\n\r\n");
        assert_eq!(take_message(&mut received).unwrap(), b"A b SIP/2.0\r\nl: 3\r\n\r\nxyz");
        assert_eq!(take_message(&mut received), None);
        assert_eq!(received, b"B");
    }
}
