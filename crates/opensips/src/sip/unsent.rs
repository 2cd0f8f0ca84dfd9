//! What an error of sending a request means. Pure.

use std::io;

use nix::errno::Errno;

/// Whether the request may succeed a moment later: after a packet filter or a full conntrack table
/// (`EPERM`), a routing rule (`EACCES`), a lack of memory, of descriptors (`ENFILE` is that of the whole host) or of
/// local ports (`EADDRINUSE` of a bind(2) to port 0), or without a route.
///
/// With `ip_nonlocal_bind` there is also no route from an address that has left the host, so that
/// the lack of a route is temporary only while the address is present.
pub(super) fn is_temporary(error: &io::Error, is_here: impl FnOnce() -> bool) -> bool {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(
            Errno::EPERM
            | Errno::EACCES
            | Errno::ENOBUFS
            | Errno::ENOMEM
            | Errno::EMFILE
            | Errno::ENFILE
            | Errno::EAGAIN
            | Errno::EINTR
            | Errno::EADDRINUSE,
        ) => true,
        Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::ENETDOWN) => is_here(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_errors() {
        let temporary = |errno: Errno, here| is_temporary(&io::Error::from(errno), || here);
        for errno in [
            Errno::EPERM,
            Errno::EACCES,
            Errno::ENOBUFS,
            Errno::ENOMEM,
            Errno::EMFILE,
            Errno::ENFILE,
            Errno::EAGAIN,
            Errno::EINTR,
            Errno::EADDRINUSE,
        ] {
            assert!(temporary(errno, true) && temporary(errno, false), "{errno}");
        }
        for errno in [Errno::ENETUNREACH, Errno::EHOSTUNREACH, Errno::ENETDOWN] {
            assert!(temporary(errno, true) && !temporary(errno, false), "{errno}");
        }
        for errno in [Errno::EADDRNOTAVAIL, Errno::EINVAL, Errno::EBADF] {
            assert!(!temporary(errno, true), "{errno}");
        }
        assert!(!is_temporary(&io::Error::other("the probe panicked"), || true));
    }
}
