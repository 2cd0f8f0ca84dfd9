//! A real Corosync + Pacemaker cluster in namespaces on one machine.
