//! A client that asks at a steady pace and keeps a record of what was answered when.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sched::{CloneFlags, setns};
use nix::sys::time::TimeSpec;

use crate::{icmp, sip};

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub enum Question {
    /// OPTIONS over UDP.
    Sip(SocketAddr),
    /// ICMP echo.
    Echo(Ipv4Addr),
}

/// One question and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// When it was asked.
    pub asked: Instant,
    /// When the answer came, if one did.
    pub answered: Option<Instant>,
}

/// Everything that was asked, in order.
#[derive(Clone, Debug, Default)]
pub struct Record(Vec<Exchange>);

/// A time without answers.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// When the first unanswered question was asked.
    pub from: Instant,
    /// When the next answered one was asked; its answer shows that the service was back.
    pub to: Instant,
}

impl Outage {
    /// How long it was.
    pub fn length(&self) -> Duration {
        self.to - self.from
    }
}

impl Record {
    /// The exchanges.
    pub fn exchanges(&self) -> &[Exchange] {
        &self.0
    }

    /// The longest run of unanswered questions that an answered one followed.
    pub fn longest_outage(&self) -> Option<Outage> {
        let mut longest: Option<Outage> = None;
        let mut from: Option<Instant> = None;
        for exchange in &self.0 {
            match (exchange.answered, from) {
                (None, None) => from = Some(exchange.asked),
                (Some(_), Some(begun)) => {
                    let outage = Outage { from: begun, to: exchange.asked };
                    if longest.is_none_or(|known| known.length() < outage.length()) {
                        longest = Some(outage);
                    }
                    from = None;
                }
                _ => {}
            }
        }
        longest
    }

    /// All runs of at least `least` unanswered questions that an answered one followed, from `since`
    /// on.
    pub fn outages(&self, since: Instant, least: usize) -> Vec<Outage> {
        let mut outages = Vec::new();
        let mut run: Option<(Instant, usize)> = None;
        for exchange in self.0.iter().filter(|exchange| exchange.asked >= since) {
            if exchange.answered.is_none() {
                let (from, questions) = run.unwrap_or((exchange.asked, 0));
                run = Some((from, questions + 1));
            } else if let Some((from, questions)) = run.take()
                && questions >= least
            {
                outages.push(Outage { from, to: exchange.asked });
            }
        }
        outages
    }

    /// Whether every question of the last `span` was answered, but for the newest, whose answers may
    /// be on their way for `late`.
    pub fn steady(&self, span: Duration, late: Duration) -> bool {
        let Some(newest) = self.0.last().map(|exchange| exchange.asked) else { return false };
        let age = |exchange: &Exchange| newest.saturating_duration_since(exchange.asked);
        let mut judged = self.0.iter().filter(|e| age(e) <= span && age(e) > late).peekable();
        judged.peek().is_some() && judged.all(|exchange| exchange.answered.is_some())
    }

    /// When the first answer to a question asked at or after `since` came.
    pub fn first_answer_since(&self, since: Instant) -> Option<Instant> {
        self.0.iter().filter(|e| e.asked >= since).find_map(|e| e.answered)
    }
}

/// A running client.
#[derive(Debug)]
pub struct Prober {
    stop: Arc<AtomicBool>,
    record: Arc<Mutex<Record>>,
    thread: JoinHandle<io::Result<()>>,
}

impl Prober {
    /// Starts a client in the network namespace at `netns` that asks once per `interval`, whether
    /// or not the last question was answered.
    ///
    /// # Errors
    /// The namespace can't be entered or the socket can't be opened.
    pub fn start(netns: &Path, question: Question, interval: Duration) -> io::Result<Self> {
        let namespace = File::open(netns)?;
        let stop = Arc::new(AtomicBool::new(false));
        let record = Arc::new(Mutex::new(Record::default()));
        let (ready, opened) = std::sync::mpsc::channel();
        let (flag, shared) = (Arc::clone(&stop), Arc::clone(&record));
        let thread = std::thread::spawn(move || {
            let socket = setns(namespace, CloneFlags::CLONE_NEWNET)
                .map_err(io::Error::from)
                .and_then(|()| match question {
                    Question::Sip(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
                    Question::Echo(_) => icmp::open(),
                });
            match socket {
                Ok(socket) => {
                    let _ = ready.send(Ok(()));
                    ask(&socket, question, interval, &flag, &shared)
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                    Ok(())
                }
            }
        });
        opened.recv().map_err(io::Error::other)??;
        Ok(Self { stop, record, thread })
    }

    /// What has been seen so far.
    pub fn so_far(&self) -> Record {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a question asked at or after `since` has been answered.
    pub fn answered_since(&self, since: Instant) -> bool {
        self.record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .first_answer_since(since)
            .is_some()
    }

    /// Ends the client and gives its record.
    pub fn finish(self) -> Record {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn ask(
    socket: &UdpSocket,
    question: Question,
    interval: Duration,
    stop: &AtomicBool,
    record: &Mutex<Record>,
) -> io::Result<()> {
    let local = socket.local_addr()?;
    socket.set_nonblocking(true)?;
    let mut buffer = [0_u8; 4096];
    let mut next = Instant::now();
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        if now >= next {
            record
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .0
                .push(Exchange { asked: now, answered: None });
            // Refused by a host that is going away: an unanswered question like any other.
            let _ = match question {
                Question::Sip(target) => {
                    socket.send_to(&sip::options(target, local, number), target)
                }
                Question::Echo(target) => {
                    socket.send_to(&icmp::echo_request(number), icmp::target(target))
                }
            };
            number += 1;
            // After a stall the pace goes on from now: a burst of late questions is no steady pace.
            next = (next + interval).max(now);
        }
        let wait = next.saturating_duration_since(Instant::now()).max(Duration::from_micros(50));
        wait_for_answer(socket, wait)?;
        let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
        let answered = Instant::now();
        let datagram = buffer.get(..length).unwrap_or_default();
        let answers = match question {
            Question::Sip(_) => sip::response(datagram).map(|(_, number)| number),
            Question::Echo(_) => icmp::echo_reply(datagram),
        };
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(exchange) = answers
            .and_then(|number| usize::try_from(number).ok())
            .and_then(|number| record.0.get_mut(number))
        {
            exchange.answered.get_or_insert(answered);
        }
    }
    Ok(())
}

/// Waits until something has arrived, or `wait` is over. The timer of ppoll is exact (`hrtimer`); that of a
/// socket's own timeout counts ticks of the kernel (`SO_RCVTIMEO`, `sk_rcvtimeo` in jiffies): 4 ms at 250 Hz.
///
/// # Errors
/// The socket can't be waited for.
pub fn wait_for_answer(socket: &UdpSocket, wait: Duration) -> io::Result<()> {
    let mut files = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    match ppoll(&mut files, Some(TimeSpec::from_duration(wait)), None) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_outage_counts_between_questions() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let exchange = |ms, answered| Exchange { asked: at(ms), answered };
        let record = Record(vec![
            exchange(0, Some(at(1))),
            exchange(10, None),
            exchange(20, Some(at(21))),
            exchange(30, None),
            exchange(40, None),
            exchange(50, Some(at(51))),
            exchange(60, None),
        ]);
        let outage = record.longest_outage().unwrap();
        assert_eq!((outage.from, outage.to), (at(30), at(50)));
        assert_eq!(record.first_answer_since(at(25)), Some(at(51)));
        assert!(Record::default().longest_outage().is_none());
        let all = |since, least| -> Vec<_> {
            let outages = record.outages(at(since), least);
            outages.iter().map(|outage| (outage.from, outage.to)).collect()
        };
        assert_eq!(all(0, 1), [(at(10), at(20)), (at(30), at(50))]);
        assert_eq!(all(0, 2), [(at(30), at(50))]);
        assert_eq!(all(40, 1), [(at(40), at(50))]);
        let ms = Duration::from_millis;
        assert!(record.steady(ms(10), ms(5)) && !record.steady(ms(20), ms(5)));
        assert!(!record.steady(ms(5), ms(5)) && !Record::default().steady(ms(1), ms(0)));
    }
}
