//! What it means that a request could not be sent. Pure.

use std::io;

use nix::errno::Errno;

/// Whether it may go out a moment later: a packet filter or a full conntrack table (`EPERM`), a rule
/// of routing (`EACCES`), no memory for it, no port for our own end (`EADDRINUSE` of a bind(2) to port
/// 0: the host's clients have them all), or no route.
///
/// No route is also what a source has whose address is gone, where `ip_nonlocal_bind` is set: only
/// an address that is still here waits for one.
pub(super) fn passes(error: &io::Error, is_here: impl FnOnce() -> bool) -> bool {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(
            Errno::EPERM
            | Errno::EACCES
            | Errno::ENOBUFS
            | Errno::ENOMEM
            | Errno::EAGAIN
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
    fn what_may_go_out_a_moment_later() {
        let passes = |errno: Errno, here| passes(&io::Error::from(errno), || here);
        for errno in [
            Errno::EPERM,
            Errno::EACCES,
            Errno::ENOBUFS,
            Errno::ENOMEM,
            Errno::EAGAIN,
            Errno::EADDRINUSE,
        ] {
            assert!(passes(errno, true) && passes(errno, false), "{errno}");
        }
        for errno in [Errno::ENETUNREACH, Errno::EHOSTUNREACH, Errno::ENETDOWN] {
            assert!(passes(errno, true) && !passes(errno, false), "{errno}");
        }
        for errno in [Errno::EADDRNOTAVAIL, Errno::EINVAL, Errno::EBADF, Errno::EMFILE] {
            assert!(!passes(errno, true), "{errno}");
        }
        assert!(!super::passes(&io::Error::other("it panicked"), || true));
    }
}
