//! The table of sockets against sockets that the test opens, in network namespaces.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used)]

mod common;

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use common::soon;
use deadline::Deadline;
use hostnet::{BoundSocket, Error, Family, Protocol, Result, SockDiag};
use testnet::Host;

fn bound_sockets(protocol: Protocol, until: Deadline) -> Result<Vec<BoundSocket>> {
    SockDiag::open()?.bound_sockets(protocol, Family::V4, until)
}

fn inode(socket: &impl AsRawFd) -> u32 {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
    let link = link.to_str().unwrap();
    link.strip_prefix("socket:[").unwrap().strip_suffix(']').unwrap().parse().unwrap()
}

fn at(found: &[BoundSocket], local: SocketAddr) -> Vec<u32> {
    found.iter().filter(|socket| socket.local == local).map(|socket| socket.inode).collect()
}

#[test]
fn bound_udp_sockets() {
    testnet::root_or_skip!();
    Host::new("a").run(|| {
        let bound = UdpSocket::bind("127.0.0.1:0").unwrap();
        let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
        connected.connect(bound.local_addr().unwrap()).unwrap();
        let found = bound_sockets(Protocol::Udp, soon()).unwrap();
        for socket in [&bound, &connected] {
            assert_eq!(at(&found, socket.local_addr().unwrap()), [inode(socket)]);
        }
        let uid = nix::unistd::geteuid().as_raw();
        assert!(found.iter().any(|socket| socket.inode == inode(&bound) && socket.uid == uid));
        let local = bound.local_addr().unwrap();
        drop(bound);
        let found = bound_sockets(Protocol::Udp, soon()).unwrap();
        assert_eq!(at(&found, local), [0_u32; 0]);
    });
}

#[test]
fn listening_tcp_sockets_only() {
    testnet::root_or_skip!();
    Host::new("a").run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        let client = TcpStream::connect(local).unwrap();
        let (server, _) = listener.accept().unwrap();
        let found = bound_sockets(Protocol::Tcp, soon()).unwrap();
        assert_eq!(at(&found, local), [inode(&listener)]);
        let inodes = [inode(&client), inode(&server)];
        assert!(!found.iter().any(|socket| inodes.contains(&socket.inode)));
    });
}

#[test]
fn ipv6_and_the_unspecified_address() {
    testnet::root_or_skip!();
    Host::new("a").run(|| {
        let loopback = UdpSocket::bind("[::1]:0").unwrap();
        let all = TcpListener::bind("[::]:0").unwrap();
        // Both over one connection.
        let kernel = SockDiag::open().unwrap();
        let udp = kernel.bound_sockets(Protocol::Udp, Family::V6, soon()).unwrap();
        assert_eq!(at(&udp, loopback.local_addr().unwrap()), [inode(&loopback)]);
        let tcp = kernel.bound_sockets(Protocol::Tcp, Family::V6, soon()).unwrap();
        assert_eq!(at(&tcp, all.local_addr().unwrap()), [inode(&all)]);
    });
}

#[test]
fn a_dump_of_many_datagrams_is_complete() {
    testnet::root_or_skip!();
    Host::new("a").run(|| {
        let bind = |_| UdpSocket::bind("127.0.0.1:0").unwrap();
        let many: Vec<UdpSocket> = (0..700).map(bind).collect();
        let found = bound_sockets(Protocol::Udp, soon()).unwrap();
        for socket in &many {
            assert_eq!(at(&found, socket.local_addr().unwrap()), [inode(socket)]);
        }
    });
}

#[test]
fn nothing_is_read_after_the_deadline() {
    let late = bound_sockets(Protocol::Udp, Deadline::now());
    assert!(matches!(late, Err(Error::DeadlinePassed { .. })), "{late:?}");
}
