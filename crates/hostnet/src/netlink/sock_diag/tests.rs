use super::*;
use crate::error::Capability;
use crate::sctp::tests::storage;

#[test]
fn a_kernel_without_it_is_told_apart() {
    let refused = |errno| {
        let source = std::io::Error::from_raw_os_error(errno);
        not_supported(Error::refused("close", Capability::NetAdmin, source))
    };
    for errno in [libc::EOPNOTSUPP, libc::ENOENT] {
        assert!(matches!(refused(errno), Error::NotSupported { .. }));
        assert_eq!(refused(errno).errno(), Some(errno));
    }
    assert!(matches!(refused(libc::EPERM), Error::PermissionDenied { .. }));
    assert!(matches!(refused(libc::EINVAL), Error::Refused { .. }));
}

/// A payload as the kernel's SCTP makes it: `struct inet_diag_msg` (linux/inet_diag.h), and the
/// local addresses as the attribute
/// `INET_DIAG_LOCALS` (`inet_sctp_diag_fill()`, net/sctp/diag.c).
fn endpoint(family: i32, state: u8, port: u16, locals: &[Vec<u8>], inode: u32) -> Vec<u8> {
    let mut body = vec![u8::try_from(family).unwrap(), state, 0, 0];
    body.extend_from_slice(&port.to_be_bytes()); // idiag_sport
    body.extend_from_slice(&[0; 2]); // idiag_dport
    body.extend_from_slice(&[198, 51, 100, 7]); // idiag_src: the first word of four
    body.resize(4 + 4 + 16 + 16, 0); // idiag_src, idiag_dst
    body.extend_from_slice(&[0; 4 + 8]); // idiag_if, idiag_cookie
    body.extend_from_slice(&[0; 4]); // idiag_expires
    body.extend_from_slice(&[0, 0, 0, 0, 128, 0, 0, 0]); // idiag_rqueue, idiag_wqueue
    body.extend_from_slice(&65534_u32.to_ne_bytes()); // idiag_uid
    body.extend_from_slice(&inode.to_ne_bytes()); // idiag_inode
    assert_eq!(body.len(), 72);
    // INET_DIAG_SHUTDOWN, one byte and its padding: there by default, before the addresses.
    body.extend_from_slice(&[5, 0, 8, 0, 0, 0, 0, 0]);
    let value = locals.concat();
    let length = u16::try_from(4 + value.len()).unwrap();
    body.extend_from_slice(&length.to_ne_bytes());
    body.extend_from_slice(&12_u16.to_ne_bytes());
    body.extend_from_slice(&value);
    body
}

#[test]
fn sctp_endpoints_as_the_kernel_describes_them() {
    const LISTENING: u8 = 10;
    const ESTABLISHED: u8 = 1;
    let v4 = |last, port: u16| storage(libc::AF_INET, port.to_be_bytes(), &[192, 0, 2, last]);
    let v6: std::net::Ipv6Addr = "2001:db8::1".parse().unwrap();
    let v6 = storage(libc::AF_INET6, [0x13, 0xc4], &[&[0; 4][..], &v6.octets()].concat());
    let endpoints = [
        endpoint(libc::AF_INET, LISTENING, 5060, &[v4(1, 5060)], 7),
        endpoint(libc::AF_INET, LISTENING, 5061, &[v4(2, 5061), v4(3, 5061)], 8),
        endpoint(libc::AF_INET6, LISTENING, 5060, &[v6, v4(4, 5060)], 9),
        endpoint(libc::AF_INET, ESTABLISHED, 5060, &[v4(5, 5060)], 10),
        endpoint(libc::AF_INET, LISTENING, 5062, &[], 11),
    ];
    let found = endpoints.iter().map(|payload| DiagSocket::read(payload).unwrap().unwrap());
    let sockets: Vec<BoundSocket> =
        found.flat_map(|found| bound(Protocol::Sctp, Family::V4, &found)).collect();
    let shown: Vec<String> =
        sockets.iter().map(|socket| format!("{} {}", socket.local, socket.inode)).collect();
    assert_eq!(
        shown,
        [
            "192.0.2.1:5060 7",
            "192.0.2.2:5061 8",
            "192.0.2.3:5061 8",
            "[2001:db8::1]:5060 9",
            "192.0.2.4:5060 9",
            "198.51.100.7:5062 11",
        ]
    );
    assert!(sockets.iter().all(|one| one.protocol == Protocol::Sctp && one.uid == 65534));
}

#[test]
fn a_kernel_without_sctp_says_that_it_can_not_list() {
    let until = Deadline::after(std::time::Duration::from_secs(60));
    for family in [Family::V4, Family::V6] {
        let listed = SockDiag::open().unwrap().bound_sockets(Protocol::Sctp, family, until);
        match listed {
            Ok(_) => assert!(crate::sctp::supports_sctp(family).unwrap()),
            Err(error) => assert_eq!(error.errno(), Some(libc::ENOENT), "{error}"),
        }
    }
}
