//! Waiting for a descriptor until a deadline.

use std::io;
use std::os::fd::AsFd;

use deadline::Deadline;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Waits until there is something to read from `fd`, an error included; `false` if there is
/// not until `until`. Looks at least once.
pub(crate) fn wait_readable(fd: impl AsFd, until: Deadline) -> io::Result<bool> {
    loop {
        let left = until.remaining();
        // Rounded up to poll's milliseconds, so that the last one does not turn into a spin.
        let timeout = left.as_micros().div_ceil(1000);
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno.into()),
        }
    }
}
