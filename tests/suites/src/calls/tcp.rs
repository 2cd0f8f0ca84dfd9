//! Phones that are connected over TCP and refresh their registrations. SIPp does not come back when its
//! connection is reset; a phone does: what it sent is lost with the connection (RFC 3261, section 8.1.3.1:
//! as if the answer had been 503), so it connects and registers again.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

/// How often a phone registers: as the shortest keepalives do.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long it waits for an answer, or a connection, before it takes a new one.
const PATIENCE: Duration = Duration::from_secs(1);

/// What happened to phones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// REGISTERs that were sent.
    pub sent: u64,
    /// Those that were not answered, and sent again by a new connection.
    pub again: u64,
    /// Connections that ended, by a reset or in silence.
    pub ended: u64,
    /// Phones whose last REGISTER was not answered.
    pub failed: u64,
}

impl Counted {
    fn add(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            again: self.again + other.again,
            ended: self.ended + other.ended,
            failed: self.failed + other.failed,
        }
    }
}

/// Some phones, one connection each.
#[derive(Debug)]
pub struct Phones {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<std::io::Result<Counted>>>,
}

impl Phones {
    /// Connects them in the network namespace at `netns`.
    ///
    /// # Errors
    /// The namespace can't be opened.
    pub fn begin(netns: &Path, target: SocketAddr, phones: usize) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let begin = |number| {
            let (namespace, flag) = (File::open(netns)?, Arc::clone(&stop));
            let run = move || {
                setns(namespace, CloneFlags::CLONE_NEWNET)?;
                Ok(Phone::new(number, target).run(&flag))
            };
            Ok(std::thread::spawn(run))
        };
        let threads = (0..phones).map(begin).collect::<std::io::Result<_>>()?;
        Ok(Self { stop, threads })
    }

    /// Ends them and tells what happened.
    ///
    /// # Errors
    /// A phone could not be run.
    pub fn finish(mut self) -> std::io::Result<Counted> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Counted::default();
        for thread in std::mem::take(&mut self.threads) {
            let ended = thread.join().map_err(|_| std::io::Error::other("a phone panicked"))?;
            sum = sum.add(ended?);
        }
        Ok(sum)
    }
}

impl Drop for Phones {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Phone {
    number: usize,
    target: SocketAddr,
    connection: Option<TcpStream>,
    cseq: u64,
    counted: Counted,
}

impl Phone {
    fn new(number: usize, target: SocketAddr) -> Self {
        Self { number, target, connection: None, cseq: 0, counted: Counted::default() }
    }

    /// Registers until it is to stop; the last REGISTER is repeated as any other.
    fn run(mut self, stop: &AtomicBool) -> Counted {
        // Not all of them at once.
        std::thread::sleep(INTERVAL / 10 * u32::try_from(self.number % 10).unwrap_or_default());
        let mut missing = 0;
        loop {
            if self.register().is_ok() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                missing = 0;
                std::thread::sleep(INTERVAL);
            } else {
                missing += 1;
                let ended = u64::from(self.connection.take().is_some());
                self.counted.ended += ended;
                self.counted.again += ended;
                if stop.load(Ordering::Relaxed) && missing > 30 {
                    self.counted.failed = 1;
                    break;
                }
                // A connection that is refused, or a reset, comes at once.
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        self.counted
    }

    /// One REGISTER and its answer, by the connection that is there or a new one.
    fn register(&mut self) -> std::io::Result<()> {
        if self.connection.is_none() {
            let connection = TcpStream::connect_timeout(&self.target, PATIENCE)?;
            connection.set_read_timeout(Some(PATIENCE))?;
            connection.set_nodelay(true)?;
            self.connection = Some(connection);
        }
        let Some(connection) = &mut self.connection else {
            return Err(std::io::Error::other("none"));
        };
        self.cseq += 1;
        let (number, cseq, local) = (self.number, self.cseq, connection.local_addr()?);
        let (ip, me) = (self.target.ip(), format!("tcp{number}"));
        let request = format!(
            "REGISTER sip:{ip} SIP/2.0\r\nVia: SIP/2.0/TCP {local};rport;branch=z9hG4bK{me}x{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{me}@{ip}>;tag={me}\r\nTo: <sip:{me}@{ip}>\r\n\
             Call-ID: {me}@{local}\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <sip:{me}@{local};transport=tcp>\r\nExpires: 60\r\nContent-Length: 0\r\n\r\n"
        );
        self.counted.sent += 1;
        connection.write_all(request.as_bytes())?;
        answered(connection, &format!("CSeq: {cseq} REGISTER"))
    }
}

/// Waits for the 200 with that CSeq.
fn answered(connection: &mut TcpStream, cseq: &str) -> std::io::Result<()> {
    let begun = Instant::now();
    let (mut heard, mut buffer) = (String::new(), [0; 4096]);
    while begun.elapsed() < PATIENCE {
        match connection.read(&mut buffer)? {
            0 => return Err(std::io::Error::other("closed")),
            length => {
                heard.push_str(&String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()));
            }
        }
        let mut messages = heard.split("\r\n\r\n");
        if messages.any(|it| it.trim_start().starts_with("SIP/2.0 200 ") && it.contains(cseq)) {
            return Ok(());
        }
    }
    Err(std::io::Error::other("no answer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Answers one REGISTER for each connection, then resets it.
    #[test]
    fn a_phone_comes_back_and_registers_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut buffer = [0; 4096];
                let length = stream.read(&mut buffer).unwrap();
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let cseq = text.lines().find(|line| line.starts_with("CSeq")).unwrap().to_owned();
                write!(stream, "SIP/2.0 200 OK\r\n{cseq}\r\nContent-Length: 0\r\n\r\n").unwrap();
            }
        });
        let mut phone = Phone::new(3, target);
        phone.register().unwrap();
        // The server has closed it: written or read, an error.
        while phone.register().is_err() {
            phone.connection = None;
        }
        server.join().unwrap();
        assert!(phone.cseq >= 2 && phone.counted.sent == phone.cseq);
    }
}
