//! Links in error messages.

use std::fmt;

use nix::libc;
use nix::net::if_::if_indextoname;

use crate::error::Error;
use crate::link::LinkIndex;

/// A link as an operator knows it: by its name, never by its number, which says nothing once the link
/// does not exist any more. The name is looked up in the calling thread's network namespace when the message is
/// written.
#[derive(Clone, Copy)]
pub(super) struct Interface(pub(super) LinkIndex);

impl Interface {
    /// The name alone, or what can be said without one.
    pub(super) fn name(self) -> String {
        if_indextoname(self.0.get())
            .map_or_else(|_| "a deleted interface".to_owned(), |name| name.to_string_lossy().into())
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match if_indextoname(self.0.get()) {
            Ok(name) => write!(f, "interface {}", name.to_string_lossy()),
            Err(_) => f.write_str("the interface"),
        }
    }
}

/// Turns `ENODEV` into [`Error::NoSuchLink`] for the link that the request was about.
pub(super) fn no_such_link(error: Error, index: LinkIndex) -> Error {
    match error {
        Error::Refused { source, .. } if source.raw_os_error() == Some(libc::ENODEV) => {
            Error::NoSuchLink { link: Interface(index).to_string(), source }
        }
        other => other,
    }
}
