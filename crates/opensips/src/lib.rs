//! ocf:smartvox:opensips, OpenSIPS under Pacemaker.
