//! The processes of one instance: which they are, what /proc shows of them, how they end.

pub mod command_line;
pub(crate) mod inspect;
pub mod survey;
pub(crate) mod terminate;
