//! What the suites, the demonstration and the benchmarks share: probes that run in a namespace and
//! keep a record, and the witness of the machine's own stalls.

pub mod icmp;
pub mod probe;
pub mod sip;
pub mod witness;
