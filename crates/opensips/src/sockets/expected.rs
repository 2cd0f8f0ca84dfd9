//! The sockets that must be open while the instance runs, and whether they are, in its own hands.

use std::collections::HashSet;
use std::fmt;

use deadline::Deadline;
use hostnet::BoundSocket;
use hostproc::{Pid, ProcFs};

use crate::error::{Error, Result};
use crate::sockets::listener::Listener;
use crate::sockets::owner::{Owner, inodes_of_all};
use crate::sockets::table::SocketTable;

/// A listener, and the inode of its socket.
pub(crate) type Expected = (Listener, u32);

/// A listener that no socket of the instance serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unserved {
    pub(crate) listener: Listener,
    /// What is there instead.
    foreign: Option<BoundSocket>,
}

impl Unserved {
    /// As a failure of the instance with this main process.
    pub(crate) fn into_error(self, proc: &ProcFs, main: Pid) -> Error {
        let Self { listener, foreign } = self;
        match foreign {
            None => Error::Closed { main, listener },
            Some(socket) => Error::NotOwn { main, listener, owner: Owner::of(proc, &socket) },
        }
    }
}

/// A socket of the instance beside which somebody else has opened another one: UDP with
/// `SO_REUSEADDR` on both sides, of which the kernel gives a datagram to the one that was bound
/// last, or TCP with `SO_REUSEPORT`, among which it spreads the connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(crate) listener: Listener,
    pub(crate) owner: Owner,
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listener, owner } = self;
        write!(f, "{listener} is shared with {owner}, which takes requests away: end it")
    }
}

/// The sockets of these listeners that these processes hold, or the first listener of which they
/// hold none. Transports that the kernel can't list are left out.
///
/// # Errors
/// [`Error::Network`]
pub(crate) fn held<'a>(
    listeners: impl IntoIterator<Item = &'a Listener> + Clone,
    pids: impl IntoIterator<Item = Pid>,
    until: Deadline,
) -> Result<std::result::Result<Vec<Expected>, Unserved>> {
    let table = SocketTable::of(listeners.clone(), until)?;
    let own = inodes_of_all(pids);
    let listed = listeners.into_iter().filter(|listener| table.knows(listener.transport));
    Ok(listed
        .map(|listener| match table.at(listener).find(|socket| own.contains(&socket.inode)) {
            Some(socket) => Ok((listener.clone(), socket.inode)),
            None => {
                let foreign = table.at(listener).next().cloned();
                Err(Unserved { listener: listener.clone(), foreign })
            }
        })
        .collect())
}

/// Adds to what is expected the listeners that are demanded of it beside, with the sockets that
/// this instance has there.
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
    // Where nobody has declared a socket, its protocol is known from here alone.
    for (known, _) in expected.iter_mut().filter(|(known, _)| known.is_of_unknown_protocol()) {
        if let Some(named) = demanded.iter().find(|one| known.is_also(one)) {
            known.protocol = named.protocol;
        }
    }
    let is_new = |one: &&Listener| !expected.iter().any(|(known, _)| known.is_also(one));
    let new: Vec<&Listener> = demanded.iter().filter(is_new).collect();
    if new.is_empty() {
        return Ok(());
    }
    match held(new, pids.iter().copied(), until)? {
        Ok(found) => expected.extend(found),
        Err(unserved) => return Err(unserved.into_error(proc, main)),
    }
    Ok(())
}

/// Judges the sockets of an instance by the kernel's table alone, as long as that shows for each
/// the one that is known and no other. Gives those that it shares.
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
        // Another socket at the same address: the daemon may have opened it again, or somebody
        // else has it, or has it too. Only now the descriptors of all processes are worth a look.
        let own = own.get_or_insert_with(|| inodes_of_all(pids.iter().copied()));
        let is_foreign = |socket: &&&BoundSocket| !own.contains(&socket.inode);
        let foreign = found.iter().find(is_foreign).copied().cloned();
        if found.iter().all(|socket| !own.contains(&socket.inode)) {
            return Err(Unserved { listener: listener.clone(), foreign }.into_error(proc, main));
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

    fn later() -> Deadline {
        Deadline::after(std::time::Duration::from_secs(60))
    }

    fn listener(protocol: &str, local: std::net::SocketAddr) -> Listener {
        format!("{protocol}:{local}").parse().unwrap()
    }

    #[test]
    fn what_is_held_is_known_by_its_inode() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tls = TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = [
            listener("udp", udp.local_addr().unwrap()),
            listener("tls", tls.local_addr().unwrap()),
        ];
        let (proc, main) = (ProcFs::default(), Pid::own());
        let expected = held(&listeners, [main], later()).unwrap().unwrap();
        assert_eq!(judge(&proc, main, &[main], &expected, later()).unwrap(), []);

        // Opened again.
        let other: Vec<Expected> =
            expected.iter().map(|(listener, inode)| (listener.clone(), inode + 1)).collect();
        assert_eq!(judge(&proc, main, &[main], &other, later()).unwrap(), []);

        // Held by nobody of the instance.
        let taken = judge(&proc, main, &[], &other, later()).unwrap_err();
        assert!(matches!(&taken, Error::NotOwn { .. }), "{taken}");
        assert!(taken.to_string().contains(&format!("(pid {main})")), "{taken}");
        let unserved = held(&listeners, [], later()).unwrap().unwrap_err();
        assert!(matches!(unserved.into_error(&proc, main), Error::NotOwn { .. }));

        // What is demanded beside is found once, and only in the own hands.
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
        let closed = judge(&proc, main, &[main], &expected, later()).unwrap_err();
        assert_eq!(
            closed.to_string(),
            format!("main process {main} alive, {} is not open", listeners[1])
        );
        let unserved = held(&listeners, [main], later()).unwrap().unwrap_err();
        assert!(matches!(unserved.into_error(&proc, main), Error::Closed { .. }));
    }

    #[test]
    fn what_the_kernel_can_not_list_is_not_missed() {
        if hostnet::supports_sctp(hostnet::Family::V4).unwrap() {
            testnet::skipped("what_the_kernel_can_not_list_is_not_missed", "this kernel has SCTP");
            return;
        }
        let sctp: Listener = "sctp:127.0.0.1:5060".parse().unwrap();
        assert_eq!(held([&sctp], [], later()).unwrap(), Ok(vec![]));
        let (proc, main) = (ProcFs::default(), Pid::own());
        assert_eq!(judge(&proc, main, &[], &[(sctp, 1)], later()).unwrap(), []);
    }
}
