//! The host: what its tables show, and changes of them.

use std::time::Duration;

use deadline::Deadline;
use hostnet::{Error, Result};

pub(crate) mod boot_time;
pub(crate) mod cluster;
pub(crate) mod deletion;
pub(crate) mod ipv6;
pub(crate) mod local_route;
pub(crate) mod managers;
pub(crate) mod namespace;
pub(crate) mod own_address;
mod prefix_route;
pub(crate) mod renewal;
pub(crate) mod run_files;
pub(crate) mod source_routing;
pub(crate) mod tables;
pub(crate) mod take_over;
pub(crate) mod zone;

/// Pause before a table that has changed during the dump is read again.
const REREAD: Duration = Duration::from_millis(5);

/// Reads again while the table changes during the dump: an incomplete one proves nothing.
fn settled<T>(until: Deadline, read: impl Fn() -> Result<T>) -> Result<T> {
    loop {
        match read() {
            Err(Error::DumpInterrupted { .. }) if Deadline::after(REREAD) < until => {
                std::thread::sleep(REREAD);
            }
            read => return read,
        }
    }
}
