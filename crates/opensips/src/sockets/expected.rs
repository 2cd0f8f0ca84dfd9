//! The sockets that must be open while the instance runs, and whether its processes hold them.

use std::collections::HashSet;
use std::fmt;

use deadline::Deadline;
use hostnet::BoundSocket;
use hostproc::{Pid, ProcFs};

use crate::sockets::listener::Listener;
use crate::sockets::owner::{Owner, inodes_of_all};
use crate::sockets::table::SocketTable;
use crate::sockets::{Error, Result};

/// A listener, and the inode of its socket.
pub(crate) type Expected = (Listener, u32);

/// A listener for which the instance holds no socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    listener: Listener,
    /// A socket of another program at the same address.
    foreign: Option<BoundSocket>,
}

impl Missing {
    /// The failure of the instance with this main process.
    pub(crate) fn into_error(self, proc: &ProcFs, main: Pid) -> Error {
        let Self { listener, foreign } = self;
        match foreign {
            None => Error::Closed { main, listener },
            Some(socket) => Error::NotOwn { listener, owner: Owner::of(proc, &socket) },
        }
    }
}

/// Whether processes hold the sockets of some listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Held {
    /// They hold one for each listener.
    All(Vec<Expected>),
    /// They hold none for this listener, the first of those.
    Missing(Missing),
}

impl Held {
    /// # Errors
    /// [`Error::Closed`], [`Error::NotOwn`]
    pub(crate) fn all_or_error(self, proc: &ProcFs, main: Pid) -> Result<Vec<Expected>> {
        match self {
            Self::All(sockets) => Ok(sockets),
            Self::Missing(missing) => Err(missing.into_error(proc, main)),
        }
    }
}

/// A socket of the instance at whose address another program has opened one too: UDP with
/// `SO_REUSEADDR` on both sides, where the kernel delivers a datagram to the socket that was bound
/// last, or TCP with `SO_REUSEPORT`, where it spreads the connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(crate) listener: Listener,
    pub(crate) owner: Owner,
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listener, owner } = self;
        write!(f, "{listener} is shared with {owner}, which takes requests away: stop that program")
    }
}

/// Looks which of these listeners the processes serve. Leaves out transports that the kernel can't
/// list.
///
/// # Errors
/// [`Error::Network`]
pub(crate) fn held<'a>(
    proc: &ProcFs,
    listeners: impl IntoIterator<Item = &'a Listener> + Clone,
    pids: impl IntoIterator<Item = Pid>,
    until: Deadline,
) -> Result<Held> {
    let table = SocketTable::of(listeners.clone(), until)?;
    let own = inodes_of_all(proc, pids);
    let mut sockets = Vec::new();
    for listener in listeners.into_iter().filter(|listener| table.knows(listener.transport)) {
        match table.at(listener).find(|socket| own.contains(&socket.inode)) {
            Some(socket) => sockets.push((listener.clone(), socket.inode)),
            None => {
                let foreign = table.at(listener).next().cloned();
                return Ok(Held::Missing(Missing { listener: listener.clone(), foreign }));
            }
        }
    }
    Ok(Held::All(sockets))
}

/// Adds the sockets of the demanded listeners that are not yet among the expected ones.
///
/// # Errors
/// [`Error::Closed`], [`Error::NotOwn`], [`Error::Network`]
pub(crate) fn demand(
    proc: &ProcFs,
    main: Pid,
    pids: &[Pid],
    demanded: &[Listener],
    expected: &mut Vec<Expected>,
    until: Deadline,
) -> Result<()> {
    // The protocol of a socket that no configuration has declared is known from the demand alone.
    for (known, _) in expected.iter_mut().filter(|(known, _)| known.is_of_unknown_protocol()) {
        if let Some(named) = demanded.iter().find(|one| known.is_also(one)) {
            known.protocol = named.protocol;
        }
    }
    let is_new = |one: &&Listener| !expected.iter().any(|(known, _)| known.is_also(one));
    let new: Vec<&Listener> = demanded.iter().filter(is_new).collect();
    if !new.is_empty() {
        expected.extend(held(proc, new, pids.iter().copied(), until)?.all_or_error(proc, main)?);
    }
    Ok(())
}

/// Judges the sockets of an instance, and returns those that it shares. The kernel's table alone
/// suffices as long as it shows the known socket for each listener and no other.
///
/// # Errors
/// [`Error::Closed`], [`Error::NotOwn`], [`Error::Network`]
pub(crate) fn judge(
    proc: &ProcFs,
    main: Pid,
    pids: &[Pid],
    expected: &[Expected],
    until: Deadline,
) -> Result<Vec<Shared>> {
    let table = SocketTable::of(expected.iter().map(|(listener, _)| listener), until)?;
    let mut own: Option<HashSet<u32>> = None;
    let mut shared = Vec::new();
    for (listener, inode) in expected.iter().filter(|(listener, _)| table.knows(listener.transport))
    {
        let found: Vec<&BoundSocket> = table.at(listener).collect();
        if found.iter().all(|socket| socket.inode == *inode) && !found.is_empty() {
            continue;
        }
        // An unknown socket at this address: the daemon has reopened it, or another program has
        // it, alone or as well. Only now reading the descriptors of all processes is worth its cost.
        let own = own.get_or_insert_with(|| inodes_of_all(proc, pids.iter().copied()));
        let is_foreign = |socket: &&&BoundSocket| !own.contains(&socket.inode);
        let foreign = found.iter().find(is_foreign).copied().cloned();
        if found.iter().all(|socket| !own.contains(&socket.inode)) {
            return Err(Missing { listener: listener.clone(), foreign }.into_error(proc, main));
        }
        shared.extend(foreign.map(|socket| {
            let owner = Owner::of(proc, &socket);
            Shared { listener: listener.clone(), owner }
        }));
    }
    Ok(shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};
    use std::time::Duration;

    fn later() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    fn listener(protocol: &str, local: std::net::SocketAddr) -> Listener {
        format!("{protocol}:{local}").parse().unwrap()
    }

    #[test]
    fn a_held_socket_is_known_by_its_inode() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tls = TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = [
            listener("udp", udp.local_addr().unwrap()),
            listener("tls", tls.local_addr().unwrap()),
        ];
        let (proc, main) = (ProcFs::default(), Pid::own());
        let own = held(&proc, &listeners, [main], later()).unwrap();
        let expected = own.all_or_error(&proc, main).unwrap();
        assert_eq!(judge(&proc, main, &[main], &expected, later()).unwrap(), []);

        // Reopened.
        let other: Vec<Expected> =
            expected.iter().map(|(listener, inode)| (listener.clone(), inode + 1)).collect();
        assert_eq!(judge(&proc, main, &[main], &other, later()).unwrap(), []);

        // Held by another program.
        let taken = judge(&proc, main, &[], &other, later()).unwrap_err();
        assert!(matches!(&taken, Error::NotOwn { .. }), "{taken}");
        assert!(taken.to_string().contains(&format!("(pid {main})")), "{taken}");
        let none = held(&proc, &listeners, [], later()).unwrap().all_or_error(&proc, main);
        assert!(matches!(none, Err(Error::NotOwn { .. })));

        // A demanded socket is found once, and only if the instance holds it.
        let mut more = expected[..1].to_vec();
        demand(&proc, main, &[main], &listeners, &mut more, later()).unwrap();
        assert_eq!(more, expected);
        let mut unknown = vec![(listeners[1].clone().of_unknown_protocol(), expected[1].1)];
        demand(&proc, main, &[], &listeners[1..], &mut unknown, later()).unwrap();
        assert_eq!(unknown, expected[1..]);
        let foreign = demand(&proc, main, &[], &listeners, &mut expected[..1].to_vec(), later());
        assert!(matches!(foreign, Err(Error::NotOwn { .. })));
        demand(&proc, main, &[], &listeners, &mut more, later()).unwrap();

        drop(tls);
        // A child that another test is starting has the socket open until it executes its program.
        let sentence = format!("OpenSIPS (pid {main}) does not listen on {}", listeners[1]);
        testnet::wait_until("the socket is closed", Duration::from_secs(60), || {
            let judged = judge(&proc, main, &[main], &expected, later());
            judged.is_err_and(|error| error.to_string() == sentence)
        });
        let rest = held(&proc, &listeners, [main], later()).unwrap().all_or_error(&proc, main);
        assert!(matches!(rest, Err(Error::Closed { .. })));
    }

    #[test]
    fn an_unlisted_transport_is_not_missed() {
        if hostnet::supports_sctp(hostnet::Family::V4).unwrap() {
            testnet::skipped("an_unlisted_transport_is_not_missed", "this kernel has SCTP");
            return;
        }
        let sctp: Listener = "sctp:127.0.0.1:5060".parse().unwrap();
        assert_eq!(held(&ProcFs::default(), [&sctp], [], later()).unwrap(), Held::All(vec![]));
        let (proc, main) = (ProcFs::default(), Pid::own());
        assert_eq!(judge(&proc, main, &[], &[(sctp, 1)], later()).unwrap(), []);
    }
}
