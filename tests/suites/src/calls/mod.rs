//! Calls through a pair of SIP servers while something happens to it. SIPp calls from the
//! neighbour at a steady rate, through the virtual IP, to a SIPp that answers there; what came of
//! the calls is read from SIPp's own files.

pub mod case;
pub mod fault;
pub mod outcome;
pub mod parts;
pub mod phones;
pub mod sipp;
pub mod tcp;
