//! Frames: announcements of the VIP, and questions about it.

pub(crate) mod announcement;
pub(crate) mod announcer;
pub(crate) mod conflict_probe;
pub(crate) mod neighbours;
