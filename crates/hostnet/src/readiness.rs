//! Waiting for a descriptor until a deadline.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use deadline::Deadline;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Pause before a wait for which the kernel had no memory begins again.
const NO_MEMORY: Duration = Duration::from_millis(5);

/// Waits until there is something to read from `fd`, or an error; `false` if there is neither by the
/// deadline. Looks at least once.
pub(crate) fn wait_readable(fd: impl AsFd, until: Deadline) -> io::Result<bool> {
    loop {
        let left = until.remaining();
        // Rounded up to the milliseconds of poll(2): rounded down, the last one is a busy loop.
        let timeout = left.as_micros().div_ceil(1000);
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            // No memory for a moment.
            Err(Errno::ENOMEM | Errno::EAGAIN) if until.sleep(NO_MEMORY) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
