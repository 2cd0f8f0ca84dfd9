//! The table of sockets against sockets that the test opens, on loopback.

// Functions beside the tests are test code, too.
#![allow(clippy::unwrap_used)]

use deadline::Deadline;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use hostnet::{BoundSocket, Error, Family, Protocol, SockDiag, bound_sockets};

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(60))
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
    let bound = UdpSocket::bind("127.0.0.1:0").unwrap();
    let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
    connected.connect(bound.local_addr().unwrap()).unwrap();
    let found = bound_sockets(Protocol::Udp, Family::V4, soon()).unwrap();
    for socket in [&bound, &connected] {
        assert_eq!(at(&found, socket.local_addr().unwrap()), [inode(socket)]);
    }
    let uid = nix::unistd::geteuid().as_raw();
    assert!(found.iter().any(|socket| socket.inode == inode(&bound) && socket.uid == uid));
    let local = bound.local_addr().unwrap();
    drop(bound);
    let found = bound_sockets(Protocol::Udp, Family::V4, soon()).unwrap();
    assert_eq!(at(&found, local), [0_u32; 0]);
}

#[test]
fn listening_tcp_sockets_only() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let local = listener.local_addr().unwrap();
    let client = TcpStream::connect(local).unwrap();
    let (server, _) = listener.accept().unwrap();
    let found = bound_sockets(Protocol::Tcp, Family::V4, soon()).unwrap();
    assert_eq!(at(&found, local), [inode(&listener)]);
    let inodes = [inode(&client), inode(&server)];
    assert!(!found.iter().any(|socket| inodes.contains(&socket.inode)));
    drop((server, client));
}

#[test]
fn ipv6_and_the_unspecified_address() {
    let Ok(loopback) = UdpSocket::bind("[::1]:0") else {
        testnet::skipped("ipv6_and_the_unspecified_address", "needs IPv6");
        return;
    };
    let all = TcpListener::bind("[::]:0").unwrap();
    // Both over one connection.
    let kernel = SockDiag::open().unwrap();
    let udp = kernel.bound_sockets(Protocol::Udp, Family::V6, soon()).unwrap();
    assert_eq!(at(&udp, loopback.local_addr().unwrap()), [inode(&loopback)]);
    let tcp = kernel.bound_sockets(Protocol::Tcp, Family::V6, soon()).unwrap();
    assert_eq!(at(&tcp, all.local_addr().unwrap()), [inode(&all)]);
}

#[test]
fn a_dump_of_many_datagrams_is_complete() {
    let many: Vec<UdpSocket> = (0..700).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let found = bound_sockets(Protocol::Udp, Family::V4, soon()).unwrap();
    for socket in &many {
        assert_eq!(at(&found, socket.local_addr().unwrap()), [inode(socket)]);
    }
}

#[test]
fn the_deadline_counts() {
    let late = bound_sockets(Protocol::Udp, Family::V4, Deadline::now());
    assert!(matches!(late, Err(Error::DeadlinePassed { .. })), "{late:?}");
}
