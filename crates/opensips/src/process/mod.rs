//! The processes of one instance: which they are, what is remembered of them, how they end.

pub mod command_line;
pub mod instance;
pub mod state;
pub mod survey;
pub(crate) mod terminate;
