//! The shell script of many guides, on each server in a loop of 15 seconds: ping the other server; when
//! it is silent add the address, announce it with arping, and start OpenSIPS.

use std::time::SystemTime;

use lab::Lab;
use suites::daemon::Daemon;
use suites::scenario::{VIP, peer};

use super::plain::{self, NODES, shell};
use super::{Contender, Fault, Parts};

struct Pair {
    lab: Lab,
}

pub(super) fn pair(daemon: &Daemon) -> Result<Box<dyn Contender>, String> {
    let pair = Pair { lab: plain::lab(daemon)? };
    pair.begin("node1")?;
    Ok(Box::new(pair))
}

const SCRIPT: &str = "#!/bin/sh
has() { ip -o address show to $VIP | grep -q .; }
while :; do
    sleep 15
    if ! has && ! ping -q -c 3 -i 0.3 -W 1 $PEER >/dev/null; then
        ip address add $VIP/24 dev eth0
        arping -q -U -c 3 -I eth0 $VIP &
        pkill -KILL -x opensips
        /usr/sbin/opensips -f /etc/opensips/opensips.cfg
    elif has && ! pidof opensips >/dev/null; then
        /usr/sbin/opensips -f /etc/opensips/opensips.cfg
    fi
done >/dev/null 2>&1
";

impl Pair {
    /// Both nodes from the beginning, with the service on one of them.
    fn begin(&self, active: &str) -> Result<(), String> {
        for node in NODES {
            shell(&self.lab, node, "pkill -x failover; pkill -KILL -x opensips; sleep 0.2; :")?;
            shell(&self.lab, node, &format!("ip address del {VIP}/24 dev eth0 2>/dev/null || :"))?;
            plain::write(&self.lab, node, "/run/bench/failover", "755", SCRIPT)?;
        }
        let serve = format!(
            "mkdir -p /run/opensips /run/smartvox/mi; ip address add {VIP}/24 dev eth0; \
             arping -q -U -c 1 -I eth0 {VIP}; /usr/sbin/opensips -f /etc/opensips/opensips.cfg \
             >/dev/null 2>&1 </dev/null"
        );
        shell(&self.lab, active, &serve)?;
        for (node, other) in [("node1", "192.0.2.12"), ("node2", "192.0.2.11")] {
            let run = format!(
                "mkdir -p /run/opensips /run/smartvox/mi; VIP={VIP} PEER={other} \
                 setsid /run/bench/failover </dev/null >/dev/null 2>&1 &"
            );
            shell(&self.lab, node, &run)?;
        }
        Ok(())
    }
}

impl Contender for Pair {
    fn name(&self) -> &'static str {
        "shell loop, every 15 s"
    }

    fn lab(&self) -> &Lab {
        &self.lab
    }

    fn ready(&self) -> Result<String, String> {
        plain::owner(&self.lab)
    }

    /// It has no hand-over: an administrator does all steps by hand.
    fn has(&self, fault: Fault) -> bool {
        fault != Fault::Standby
    }

    fn strike(&self, fault: Fault, active: &str) -> Result<(), String> {
        plain::strike(&self.lab, fault, active)
    }

    fn moments(&self, _: SystemTime, _: &str) -> Result<Parts, String> {
        Ok(Parts::default())
    }

    /// After a cable or a power cut both have the address, or the script does not run any more: an
    /// administrator has to repair it.
    fn mend(&self, fault: Fault, active: &str) -> Result<(), String> {
        plain::mend(&self.lab, fault, active)?;
        self.begin(peer(active))
    }
}
