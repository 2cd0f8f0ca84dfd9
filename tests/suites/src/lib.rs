//! What the suites, the demonstration and the benchmarks share: probes that run in a namespace and
//! keep a record, and the witness of the machine's own stalls.

pub mod calls;
pub mod chaos;
pub mod compare;
pub mod continuity;
pub mod daemon;
pub mod document;
pub mod faults;
pub mod gateway;
pub mod icmp;
pub mod pair;
pub mod probe;
pub mod scenario;
pub mod schema;
pub mod sip;
pub mod site;
pub mod timeline;
pub mod witness;
