//! A process that waits for the carrier on a node without the VIP. When the carrier has come, it takes
//! back the failure of a start that failed only for want of it, and publishes that this node has one.
//!
//! stop does not end it: after a start that has failed, Pacemaker runs stop at once. The next start does.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use deadline::Deadline;
use hostnet::{EventGroup, Events, LinkIndex, LinkName, Netlink};

use crate::decide::carrier::AttributeName;
use crate::decide::judge;
use crate::host::cluster;
use crate::host::run_files::RunFiles;

/// Pause between two looks where the kernel reports no events, and the longest wait for one.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long the carrier must be there before it is published. The node with the VIP publishes its own at
/// once: when a switch has been restarted, the VIP stays where it is.
const STEADY: Duration = Duration::from_secs(3);
/// How often, and at which interval, it tries to take a failure back.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_secs(1);
/// How long one call of the cluster manager may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a watcher waits for, and what it does then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    /// By name: the link can be made again meanwhile.
    pub(crate) link: LinkName,
    pub(crate) attribute: AttributeName,
    pub(crate) failure: Option<CarrierFailure>,
    /// The lock file that it holds.
    pub(crate) lock: PathBuf,
    /// The files of the VIP are named after it.
    pub(crate) ip: std::net::IpAddr,
}

/// A failure for want of a carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CarrierFailure {
    pub(crate) resource: String,
    pub(crate) node: String,
    /// start has failed.
    pub(crate) start: bool,
    /// The monitor with this interval has failed.
    pub(crate) monitor: Option<Duration>,
}

impl Watch {
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        let (resource, node, start, monitor) = match &self.failure {
            None => ("", "", "", String::new()),
            Some(CarrierFailure { resource, node, start, monitor }) => (
                resource.as_str(),
                node.as_str(),
                if *start { START } else { "" },
                monitor.map_or_else(String::new, |interval| interval.as_millis().to_string()),
            ),
        };
        vec![
            self.ip.to_string().into(),
            self.link.to_string().into(),
            self.attribute.as_str().into(),
            resource.into(),
            node.into(),
            start.into(),
            monitor.into(),
            self.lock.clone().into(),
        ]
    }

    pub(super) fn from_arguments(arguments: &[OsString]) -> Option<Self> {
        let [ip, link, attribute, resource, node, start, monitor, lock] = arguments else {
            return None;
        };
        let (resource, monitor) = (resource.to_str()?, monitor.to_str()?);
        let monitor = match monitor {
            "" => None,
            interval => Some(Duration::from_millis(interval.parse().ok()?)),
        };
        let failure = CarrierFailure {
            resource: resource.to_owned(),
            node: node.to_str()?.to_owned(),
            start: start == START,
            monitor,
        };
        Some(Self {
            ip: ip.to_str()?.parse().ok()?,
            link: link.to_str()?.parse().ok()?,
            attribute: AttributeName::from_argument(attribute.to_str()?),
            failure: Some(failure).filter(|_| !resource.is_empty()),
            lock: lock.into(),
        })
    }
}

/// The word for a failed start.
const START: &str = "start";

/// Waits for the carrier without an end: a cable can be out for days.
pub(super) fn run(watch: &Watch, netlink: &Netlink) {
    let mut events = Events::subscribe(&[EventGroup::Link]).ok();
    let mut failure = watch.failure.as_ref();
    let mut usable_since = None;
    loop {
        let now = usable(watch, netlink);
        if now.is_none() || now != usable_since.map(|(_, state)| state) {
            usable_since = now.map(|state| (Instant::now(), state));
            if let Some((link, _)) = now {
                // For the start that follows from it, and for those of other VIPs on the link.
                RunFiles::of(watch.ip, Some(link)).note_new_carrier(link);
            }
        }
        if let Some((since, (link, _))) = usable_since {
            let files = RunFiles::of(watch.ip, Some(link));
            if let Some(failed) = failure.take() {
                take_back(failed, &files);
            }
            if since.elapsed() >= STEADY {
                let until = Deadline::after(PATIENCE);
                cluster::publish(&watch.attribute, &files, true, until);
                return;
            }
        }
        let due = Deadline::after(LOOK_AGAIN);
        let changed = events.as_mut().map_or(Ok(false), |events| events.wait(due));
        if changed.is_err() {
            std::thread::sleep(due.remaining());
        }
    }
}

/// The link and the number of its carrier losses if it is usable.
fn usable(watch: &Watch, netlink: &Netlink) -> Option<(LinkIndex, u32)> {
    let link = netlink.link_by_name(&watch.link, Deadline::after(LOOK_AGAIN)).ok()??;
    judge::without_carrier(&link).is_none().then_some((link.index, link.carrier_losses))
}

fn take_back(failed: &CarrierFailure, files: &RunFiles) {
    let start = failed.start.then_some(("start", Duration::ZERO));
    let monitor = failed.monitor.map(|interval| ("monitor", interval));
    for operation in start.into_iter().chain(monitor) {
        for _ in 0..ATTEMPTS {
            let until = Deadline::after(PATIENCE);
            if cluster::clear_failure(&failed.resource, &failed.node, operation, until) {
                break;
            }
            std::thread::sleep(PAUSE);
        }
    }
    files.forget_failed_monitor();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_survives_the_command_line() {
        let watch = Watch {
            ip: "192.0.2.10".parse().unwrap(),
            link: "eth0".parse().unwrap(),
            attribute: AttributeName::from_argument("smartvox-link-vip"),
            failure: Some(CarrierFailure {
                resource: "vip".to_owned(),
                node: "node1".to_owned(),
                start: true,
                monitor: Some(Duration::from_secs(3)),
            }),
            lock: "/run/smartvox/watcher-192.0.2.10@4026531840.lock".into(),
        };
        let arguments = watch.to_arguments();
        assert_eq!(Watch::from_arguments(&arguments), Some(watch.clone()));
        let without = Watch { failure: None, ..watch };
        assert_eq!(Watch::from_arguments(&without.to_arguments()), Some(without));
        for missing in 0..arguments.len() {
            assert_eq!(Watch::from_arguments(&arguments[..missing]), None);
        }
    }
}
