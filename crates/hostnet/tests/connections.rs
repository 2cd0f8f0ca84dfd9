//! TCP connections of an address that are closed when it is removed, between hosts.

// Helper functions are test code, too.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};

use common::{LONG, drop_capabilities, soon, wait_until_local};
use hostnet::{Capability, Error, destroy_tcp_connections};
use testnet::{Cable, Host};

fn two_hosts() -> (Host, Host, Cable) {
    let (a, b, cable) = common::two_hosts();
    for ip in ["192.0.2.1/24", "192.0.2.10/24", "2001:db8::1/64 nodad", "2001:db8::10/64 nodad"] {
        a.ip(&format!("addr add {ip} dev eth0"));
    }
    b.ip("addr add 192.0.2.2/24 dev eth0");
    b.ip("addr add 2001:db8::2/64 dev eth0 nodad");
    for (host, ip) in [(&a, "2001:db8::1"), (&a, "2001:db8::10"), (&b, "2001:db8::2")] {
        wait_until_local(host, ip);
    }
    (a, b, cable)
}

/// A connection from `b` to `ip` on `a`: the client's and the server's end.
fn connect(b: &Host, ip: &str, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let to = (ip.parse::<IpAddr>().unwrap(), listener.local_addr().unwrap().port());
    let client = b.run(|| TcpStream::connect_timeout(&to.into(), LONG)).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    (client, listener.accept().unwrap().0)
}

fn is_reset(stream: &mut TcpStream) -> bool {
    let ended = |kind| matches!(kind, ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted);
    stream.read_exact(&mut [0]).is_err_and(|error| ended(error.kind()))
}

fn lives((client, server): &mut (TcpStream, TcpStream)) -> bool {
    client.write_all(b"x").unwrap();
    server.read_exact(&mut [0]).is_ok()
}

#[test]
fn connections_of_one_address_are_reset_and_no_others() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    // It accepts IPv4 as well, as IPv4-mapped addresses.
    let all = a.run(|| TcpListener::bind("[::]:0")).unwrap();
    let vip4 = a.run(|| TcpListener::bind("192.0.2.10:0")).unwrap();
    for (vip, other, listener) in [
        ("192.0.2.10", "192.0.2.1", &all),
        ("192.0.2.10", "192.0.2.1", &vip4),
        ("2001:db8::10", "2001:db8::1", &all),
    ] {
        let ip = vip.parse().unwrap();
        let mut closed = [connect(&b, vip, listener), connect(&b, vip, listener)];
        let mut other_connection = connect(&b, other, &all);
        assert_eq!(a.run(|| destroy_tcp_connections(ip, soon())).unwrap(), closed.len());
        for (client, server) in &mut closed {
            assert!(is_reset(server) && is_reset(client), "{vip}");
        }
        assert!(lives(&mut other_connection));
        // The listener still accepts.
        let mut again = connect(&b, vip, listener);
        assert!(lives(&mut again));
        assert_eq!(a.run(|| destroy_tcp_connections(ip, soon())).unwrap(), 1);
        assert_eq!(a.run(|| destroy_tcp_connections(ip, soon())).unwrap(), 0);
    }
}

#[test]
fn connections_that_this_host_made() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    let listener = b.run(|| TcpListener::bind("192.0.2.2:0")).unwrap();
    let to = listener.local_addr().unwrap();
    let mut client = a.run(|| TcpStream::connect_timeout(&to, LONG)).unwrap();
    let ip = client.local_addr().unwrap().ip();
    let (mut server, _) = listener.accept().unwrap();
    assert_eq!(a.run(|| destroy_tcp_connections(ip, soon())).unwrap(), 1);
    assert!(is_reset(&mut client) && is_reset(&mut server));
}

#[test]
fn without_the_privilege() {
    testnet::root_or_skip!();
    let (a, b, _cable) = two_hosts();
    let listener = a.run(|| TcpListener::bind("192.0.2.10:0")).unwrap();
    let mut connection = connect(&b, "192.0.2.10", &listener);
    a.run(|| {
        drop_capabilities();
        let refused = destroy_tcp_connections("192.0.2.10".parse().unwrap(), soon()).unwrap_err();
        let Error::PermissionDenied { capability, .. } = &refused else { panic!("{refused:?}") };
        assert_eq!(*capability, Capability::NetAdmin);
    });
    assert!(lives(&mut connection));
}
