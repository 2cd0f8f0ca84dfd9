//! keepalived, as Debian packages it, with a notify script that starts OpenSIPS where the address is,
//! and a script that looks for its process.

use std::path::Path;
use std::time::SystemTime;

use lab::Lab;
use suites::daemon::Daemon;
use suites::scenario::VIP;

use super::plain::{self, NODES, shell};
use super::{Contender, Fault, Parts};

const PROGRAM: &str = "/usr/sbin/keepalived";

struct Pair {
    name: String,
    /// `advert_int`, in seconds.
    interval: &'static str,
    lab: Lab,
}

/// Nothing where keepalived is not installed.
pub(super) fn pair(
    interval: &'static str,
    daemon: &Daemon,
) -> Result<Option<Box<dyn Contender>>, String> {
    if !Path::new(PROGRAM).exists() {
        return Ok(None);
    }
    let name = format!("keepalived, `advert_int {interval}`");
    let pair = Pair { name, interval, lab: plain::lab(daemon)? };
    for node in NODES {
        pair.start(node)?;
    }
    Ok(Some(Box::new(pair)))
}

/// keepalived gives it the state as its last word but one: INSTANCE name STATE priority.
const NOTIFY: &str = "#!/bin/sh
case $3 in
    MASTER)
        touch /run/serves
        pgrep -x opensips >/dev/null || /usr/sbin/opensips -f /etc/opensips/opensips.cfg
        ;;
    *)
        rm -f /run/serves
        pkill -x opensips
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            pgrep -x opensips >/dev/null || exit 0
            sleep 0.2
        done
        pkill -KILL -x opensips
        ;;
esac
";

impl Pair {
    fn start(&self, node: &str) -> Result<(), String> {
        let interval = self.interval;
        let config = format!(
            "global_defs {{\n router_id {node}\n vrrp_version 3\n script_user root\n enable_script_security\n}}\n\
             vrrp_script opensips {{\n script \"/run/bench/check\"\n interval 2\n fall 2\n rise 1\n}}\n\
             vrrp_instance sip {{\n state BACKUP\n nopreempt\n interface eth0\n virtual_router_id 51\n \
             priority 100\n advert_int {interval}\n virtual_ipaddress {{\n {VIP}/24 dev eth0\n }}\n \
             track_script {{\n opensips\n }}\n notify /run/bench/notify\n}}\n"
        );
        let check = "#!/bin/sh\n[ ! -e /run/serves ] || /usr/bin/pgrep -x opensips >/dev/null\n";
        for (path, mode, text) in [
            ("/run/bench/check", "755", check),
            ("/run/bench/notify", "755", NOTIFY),
            ("/run/bench/keepalived.conf", "644", config.as_str()),
        ] {
            plain::write(&self.lab, node, path, mode, text)?;
        }
        let begin = format!(
            "mkdir -p /run/opensips /run/smartvox/mi; {PROGRAM} -f /run/bench/keepalived.conf \
             -p /run/keepalived.pid -r /run/vrrp.pid --vrrp >/dev/null 2>&1 </dev/null"
        );
        shell(&self.lab, node, &begin).map(drop)
    }

    fn end(&self, node: &str) -> Result<(), String> {
        let end = "p=$(cat /run/keepalived.pid 2>/dev/null) || exit 0; kill $p; \
                   while [ -e /proc/$p ]; do sleep 0.05; done";
        shell(&self.lab, node, end).map(drop)
    }
}

impl Contender for Pair {
    fn name(&self) -> &str {
        &self.name
    }

    fn lab(&self) -> &Lab {
        &self.lab
    }

    fn ready(&self) -> Result<String, String> {
        // Past the second round of announcements of a new master (garp_master_delay, 5 s).
        std::thread::sleep(std::time::Duration::from_secs(6));
        plain::owner(&self.lab)
    }

    fn has(&self, _: Fault) -> bool {
        true
    }

    fn strike(&self, fault: Fault, active: &str) -> Result<(), String> {
        match fault {
            Fault::Standby => self.end(active),
            other => plain::strike(&self.lab, other, active),
        }
    }

    fn moments(&self, _: SystemTime, _: &str) -> Result<Parts, String> {
        Ok(Parts::default())
    }

    fn mend(&self, fault: Fault, active: &str) -> Result<(), String> {
        plain::mend(&self.lab, fault, active)?;
        match fault {
            Fault::Standby => {
                // It ended without calling its script.
                shell(&self.lab, active, "rm -f /run/serves; pkill -KILL -x opensips || :")?;
                self.start(active)
            }
            Fault::PowerCut => self.start(active),
            Fault::Cable | Fault::Kill => Ok(()),
        }
    }
}
