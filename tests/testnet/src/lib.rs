//! Hosts for tests: network namespaces held by a thread, virtual cables, packet capture.
