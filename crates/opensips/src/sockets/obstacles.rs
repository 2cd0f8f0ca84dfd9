//! What keeps the daemon from opening its sockets, found before it tries or after it failed.

use std::collections::HashSet;
use std::net::{TcpListener, UdpSocket};

use deadline::Deadline;
use hostnet::{Family, supports_sctp, try_sctp_bind};
use hostproc::ProcFs;

use crate::sockets::listener::{Listener, Transport};
use crate::sockets::owner::Owner;
use crate::sockets::table::SocketTable;
use crate::sockets::{Error, Result};

/// Fails if another program's socket is where the daemon is going to listen. No process of the
/// instance may be alive, or its own sockets are found.
///
/// # Errors
/// [`Error::ForeignSocket`] for each of them, [`Error::Network`]
pub(crate) fn refuse_foreign(proc: &ProcFs, listeners: &[Listener], until: Deadline) -> Result<()> {
    let none = HashSet::new();
    Error::all(foreign(proc, listeners, &none, until)?)
}

/// The sockets of other programs where the daemon is going to listen, as errors; `own` are the
/// inodes of the instance's sockets.
///
/// # Errors
/// [`Error::Network`]
pub(crate) fn foreign(
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

/// The listeners whose transport this kernel does not have, as errors. UDP and TCP are always
/// there; SCTP is a module, which not every distribution installs with the kernel and some
/// blacklist. It counts as present where that can't be found out.
pub(crate) fn unsupported(listeners: &[Listener]) -> Vec<Error> {
    let sctp = listeners.iter().filter(|listener| listener.transport == Transport::Sctp);
    let lacking = sctp.filter(|listener| {
        // The daemon reports any other trouble.
        !supports_sctp(Family::of(listener.local.ip())).unwrap_or(true)
    });
    lacking.map(|listener| Error::NoSctp { listener: listener.clone() }).collect()
}

/// Tries to open a listener, and returns why that fails.
pub(crate) fn why_not_opened(listener: &Listener) -> Option<std::io::Error> {
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
    use std::time::Duration;

    fn listener(text: &str) -> Listener {
        text.parse().unwrap()
    }

    fn later() -> Deadline {
        Deadline::after(Duration::from_secs(60))
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
            assert!(inodes_of_all(&ProcFs::default(), [Pid::own()]).contains(&found[0].inode));
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
    fn every_foreign_socket_is_reported() {
        let held = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let wanted =
            held.each_ref().map(|one| listener(&format!("tcp:{}", one.local_addr().unwrap())));
        let found = foreign(&ProcFs::default(), &wanted, &HashSet::new(), later()).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        let told = refuse_foreign(&ProcFs::default(), &wanted, later()).unwrap_err().to_string();
        assert!(wanted.iter().all(|one| told.contains(&one.to_string())), "{told}");
    }

    #[test]
    fn a_free_port_is_no_obstacle() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = listener(&format!("tcp:{free}"));
        // A child that another test is starting has the socket open until it executes its program.
        testnet::wait_until("the port is free", Duration::from_secs(60), || {
            let wanted = std::slice::from_ref(&listener);
            refuse_foreign(&ProcFs::default(), wanted, later()).is_ok()
                && why_not_opened(&listener).is_none()
        });
    }

    #[test]
    fn absent_addresses_can_not_be_opened() {
        let error = why_not_opened(&listener("udp:192.0.2.1:5060")).unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn a_transport_that_the_kernel_lacks_can_not_be_opened() {
        let wanted = [listener("udp:127.0.0.1:5060"), listener("sctp:127.0.0.1:5060")];
        let lacking = unsupported(&wanted);
        assert_eq!(lacking.is_empty(), why_not_opened(&wanted[1]).is_none());
        assert!(lacking.iter().all(|error| error.to_string().starts_with("sctp:127.0.0.1:5060 ")));
    }
}
