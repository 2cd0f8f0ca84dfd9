//! ocf:smartvox:opensips-vip, the virtual IP address of a SIP cluster.
