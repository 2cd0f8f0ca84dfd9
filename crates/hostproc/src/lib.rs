//! Linux processes, typed and small: identity, trees, pidfds, locks.
