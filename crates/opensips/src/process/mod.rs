//! Processes of OpenSIPS: their command line, what `/proc` shows of them, which of them are alive,
//! how they are ended. A leaf room: it knows neither parameters nor what is remembered.

pub(crate) mod command_line;
mod error;
pub(crate) mod inspect;
pub(crate) mod survey;
pub(crate) mod terminate;

pub(crate) use error::{Error, Result};
