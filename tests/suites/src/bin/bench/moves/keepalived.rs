//! keepalived, as Debian packages it: VRRP on the public network, the address and nothing else.

use std::net::Ipv4Addr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use lab::{Cluster, Lab, Options, Place};
use suites::scenario;

use super::{Contender, PATIENCE, Watch};

const PROGRAM: &str = "/usr/sbin/keepalived";
const NODES: [&str; 2] = ["node1", "node2"];

/// A pair of keepalived with one address.
struct Pair {
    lab: Rc<Lab>,
    name: &'static str,
    /// `advert_int`, in seconds.
    interval: &'static str,
    address: Ipv4Addr,
}

/// With the usual interval of a second, and with a tenth; nothing where keepalived is not installed.
pub(super) fn contenders() -> Result<Vec<Box<dyn Contender>>, String> {
    if !Path::new(PROGRAM).exists() {
        return Ok(Vec::new());
    }
    let options = Options {
        place: Place::named("bench-vrrp").map_err(|error| error.to_string())?,
        cluster: Cluster::None,
        ..Options::default()
    };
    let lab = Rc::new(Lab::up(&options).map_err(|error| error.to_string())?);
    let all =
        [("keepalived, `advert_int 1`", "1", 30), ("keepalived, `advert_int 0.1`", "0.1", 31)];
    let pair = |(name, interval, last)| -> Box<dyn Contender> {
        let address = Ipv4Addr::new(192, 0, 2, last);
        Box::new(Pair { lab: Rc::clone(&lab), name, interval, address })
    };
    Ok(all.map(pair).into())
}

impl Contender for Pair {
    fn name(&self) -> &str {
        self.name
    }

    /// The master is ended in order: it tells the other one so (priority 0, RFC 5798, section 6.4.3).
    fn round(&mut self) -> Result<Option<Duration>, String> {
        for node in NODES {
            self.start(node)?;
        }
        let result = self.strike();
        for node in NODES {
            self.end(node)?;
        }
        result
    }
}

impl Pair {
    fn strike(&self) -> Result<Option<Duration>, String> {
        let master = self.master(|_| true)?;
        // Past the second round of announcements of a new master (garp_master_delay, 5 s by default)
        // nothing but advertisements is going on.
        let watch = Watch::start(&self.lab, self.address)?;
        std::thread::sleep(Duration::from_secs(6));
        self.end(&master)?;
        self.master(|node| node != master)?;
        watch.finish()
    }

    fn start(&self, node: &str) -> Result<(), String> {
        let Self { interval, address, .. } = self;
        let last = address.octets()[3];
        let config = format!(
            "global_defs {{\n router_id {node}\n vrrp_version 3\n}}\nvrrp_instance sip {{\n state BACKUP\n nopreempt\n \
             interface eth0\n virtual_router_id {last}\n priority 100\n advert_int {interval}\n \
             virtual_ipaddress {{\n {address}/24 dev eth0\n }}\n}}\n"
        );
        let begin = format!(
            "printf %s \"$1\" > /run/keepalived.conf; {PROGRAM} -f /run/keepalived.conf \
             -p /run/keepalived.pid -r /run/vrrp.pid --vrrp >/dev/null 2>&1 </dev/null"
        );
        scenario::run(&self.lab, node, &["sh", "-c", &begin, "sh", &config]).map(drop)
    }

    /// Ends it, if it runs; returns when it is gone.
    fn end(&self, node: &str) -> Result<(), String> {
        let end = "p=$(cat /run/keepalived.pid 2>/dev/null) || exit 0; kill $p; \
                   while [ -e /proc/$p ]; do sleep 0.05; done";
        scenario::run(&self.lab, node, &["sh", "-c", end]).map(drop)
    }

    /// Waits until a node that fits has the address.
    fn master(&self, fits: impl Fn(&str) -> bool) -> Result<String, String> {
        let begun = Instant::now();
        let to = self.address.to_string();
        loop {
            for node in NODES.into_iter().filter(|node| fits(node)) {
                let shown = ["ip", "-o", "address", "show", "to", &to];
                if !scenario::run(&self.lab, node, &shown)?.is_empty() {
                    return Ok(node.to_owned());
                }
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("keepalived: nobody has {to}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
