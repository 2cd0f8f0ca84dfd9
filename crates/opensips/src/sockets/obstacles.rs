//! What keeps the daemon from opening its sockets, found out before it tries, or after it failed.

use std::collections::HashSet;
use std::net::{TcpListener, UdpSocket};

use deadline::Deadline;
use hostnet::{Family, supports_sctp, try_sctp_bind};
use hostproc::ProcFs;

use crate::error::{Error, Result};
use crate::sockets::listener::{Listener, Transport};
use crate::sockets::owner::Owner;
use crate::sockets::table::SocketTable;

/// Fails if a socket of somebody else is where the daemon wants to listen. Nothing of the
/// instance may be alive, or it would find its own.
///
/// # Errors
/// [`Error::ForeignSocket`], [`Error::Network`]
pub fn refuse_foreign(proc: &ProcFs, listeners: &[Listener], until: Deadline) -> Result<()> {
    let none = HashSet::new();
    foreign(proc, listeners, &none, until)?.into_iter().next().map_or(Ok(()), Err)
}

/// Everything of somebody else that is where the daemon wants to listen; `own` are the inodes of
/// the instance's sockets.
///
/// # Errors
/// [`Error::Network`]
pub fn foreign(
    proc: &ProcFs,
    listeners: &[Listener],
    own: &HashSet<u32>,
    until: Deadline,
) -> Result<Vec<Error>> {
    let table = SocketTable::around(listeners, until)?;
    let found = table.find(listeners, |listener, socket| {
        listener.clashes_with(socket) && !own.contains(&socket.inode)
    });
    let refused = found.map(|(listener, socket)| Error::ForeignSocket {
        listener: listener.clone(),
        owner: Owner::of(proc, socket),
    });
    Ok(refused.collect())
}

/// The listeners for which this kernel lacks the transport. All have UDP and TCP; SCTP is a module,
/// which not every distribution installs with the kernel and some lock away. Where that can't be
/// known, it counts as there.
pub fn unsupported(listeners: &[Listener]) -> Vec<Error> {
    let sctp = listeners.iter().filter(|listener| listener.transport == Transport::Sctp);
    let lacking = sctp.filter(|listener| {
        // Another trouble is the daemon's to tell.
        !supports_sctp(Family::of(listener.local.ip())).unwrap_or(true)
    });
    lacking.map(|listener| Error::NoSctp { listener: listener.clone() }).collect()
}

/// Why a listener can't be opened, from our own trial; `None` if it can.
pub fn why_not_opened(listener: &Listener) -> Option<std::io::Error> {
    match listener.transport {
        Transport::Udp => UdpSocket::bind(listener.local).err(),
        // std sets SO_REUSEADDR, as OpenSIPS does.
        Transport::Tcp => TcpListener::bind(listener.local).err(),
        Transport::Sctp => try_sctp_bind(listener.local).err(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockets::owner::inodes_of_all;
    use hostproc::Pid;

    fn listener(text: &str) -> Listener {
        text.parse().unwrap()
    }

    fn later() -> Deadline {
        Deadline::after(std::time::Duration::from_secs(60))
    }

    #[test]
    fn a_socket_is_found_with_its_owner() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        for listener in [
            listener(&format!("udp:{}", udp.local_addr().unwrap())),
            listener(&format!("tcp:{}", tcp.local_addr().unwrap())),
        ] {
            let table = SocketTable::of([&listener], later()).unwrap();
            let found: Vec<_> = table.at(&listener).collect();
            assert_eq!(found.len(), 1, "{listener}");
            assert!(inodes_of_all([Pid::own()]).contains(&found[0].inode));
            let proc = ProcFs::default();
            let wanted = std::slice::from_ref(&listener);
            let error = refuse_foreign(&proc, wanted, later()).unwrap_err();
            let expected = format!("(pid {})", Pid::own());
            assert!(error.to_string().contains(&expected), "{error}");
            let own = HashSet::from([found[0].inode]);
            assert!(foreign(&proc, wanted, &own, later()).unwrap().is_empty());
            assert!(why_not_opened(&listener).is_some());
        }
    }

    #[test]
    fn every_foreign_socket_is_told() {
        let held = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let wanted =
            held.each_ref().map(|one| listener(&format!("tcp:{}", one.local_addr().unwrap())));
        let told = foreign(&ProcFs::default(), &wanted, &HashSet::new(), later()).unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn a_free_port_is_nobodys() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = listener(&format!("tcp:{free}"));
        refuse_foreign(&ProcFs::default(), std::slice::from_ref(&listener), later()).unwrap();
        assert!(why_not_opened(&listener).is_none());
    }

    #[test]
    fn absent_addresses_can_not_be_opened() {
        let error = why_not_opened(&listener("udp:192.0.2.1:5060")).unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn what_the_kernel_lacks_can_not_be_opened_either() {
        let wanted = [listener("udp:127.0.0.1:5060"), listener("sctp:127.0.0.1:5060")];
        let lacking = unsupported(&wanted);
        assert_eq!(lacking.is_empty(), why_not_opened(&wanted[1]).is_none());
        assert!(lacking.iter().all(|error| error.to_string().starts_with("sctp:127.0.0.1:5060 ")));
    }
}
