//! Behaves as OpenSIPS does towards its supervisor, for machines that lack the daemon.
