//! What an announcer does, in its arguments.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use hostnet::{Link, LinkIndex, MacAddress, NamespaceName, Network};

use crate::decide::carrier::AttributeName;
use crate::decide::controls::Control;
use crate::params::{Form, Schedule};
use crate::wire::announcement::Announcement;

/// The word for [`Job::probe_first`].
const PROBE_FIRST: &str = "probe-first";

/// The work of one announcer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) announcement: Announcement,
    pub(crate) schedule: Schedule,
    /// The entry of the schedule to begin with.
    pub(crate) next: usize,
    /// How long another host has to answer a probe for the VIP; `None`: it is never probed for.
    pub(crate) probe_timeout: Option<Duration>,
    /// Probe before the first announcement: no probe was possible yet.
    pub(crate) probe_first: bool,
    /// The time since boot at which it was begun: a pause can come before the announcer runs.
    pub(crate) begun: Duration,
    /// The node attribute to publish when the carrier comes; `None` without a cluster.
    pub(crate) attribute: Option<AttributeName>,
    /// Neighbours that are known to answer and have not answered start: the link may not forward yet.
    pub(crate) silent_controls: Vec<Control>,
    /// `network_namespace`
    pub(crate) namespace: Option<NamespaceName>,
    /// The link as the action saw it last: the carrier can be lost before the announcer looks.
    pub(crate) link: LinkState,
    /// The lock file that it holds.
    pub(crate) lock: PathBuf,
}

/// What of a link makes a burst begin again when it has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkState {
    pub(crate) mac: Option<MacAddress>,
    pub(crate) carrier_losses: u32,
}

impl LinkState {
    pub(crate) const fn of(link: &Link) -> Self {
        Self { mac: link.mac, carrier_losses: link.carrier_losses }
    }

    /// `2@02:00:00:00:00:01`: the losses, and the MAC address if there is one.
    fn written(self) -> String {
        let mac = self.mac.map_or_else(String::new, |mac| mac.to_string());
        format!("{}@{mac}", self.carrier_losses)
    }

    fn parse(text: &str) -> Option<Self> {
        let (losses, mac) = text.split_once('@')?;
        let mac = if mac.is_empty() { None } else { Some(mac.parse().ok()?) };
        Some(Self { mac, carrier_losses: losses.parse().ok()? })
    }
}

impl Job {
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        let Announcement { ip, prefix, link, form, targets } = &self.announcement;
        let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
        vec![
            format!("{ip}/{prefix}").into(),
            link.to_string().into(),
            form.name().into(),
            self.schedule.to_string().into(),
            self.next.to_string().into(),
            targets.join(",").into(),
            self.probe_timeout
                .map_or_else(String::new, |timeout| timeout.as_millis().to_string())
                .into(),
            if self.probe_first { PROBE_FIRST } else { "" }.into(),
            self.begun.as_millis().to_string().into(),
            self.attribute.as_ref().map_or("", AttributeName::as_str).into(),
            self.silent_controls.iter().map(written).collect::<Vec<_>>().join(",").into(),
            self.namespace.as_ref().map_or("", NamespaceName::as_str).into(),
            self.link.written().into(),
            self.lock.clone().into(),
        ]
    }

    pub(super) fn from_arguments(arguments: &[OsString]) -> Option<Self> {
        let [
            address,
            link,
            form,
            schedule,
            next,
            targets,
            timeout,
            first,
            begun,
            attribute,
            silent,
            namespace,
            link_state,
            lock,
        ] = arguments
        else {
            return None;
        };
        let address = address.to_str()?;
        let (ip, _) = address.split_once('/')?;
        Some(Self {
            announcement: Announcement {
                ip: ip.parse().ok()?,
                prefix: address.parse::<Network>().ok()?.prefix(),
                link: LinkIndex::new(link.to_str()?.parse().ok()?)?,
                form: Form::from_name(form.to_str()?)?,
                targets: targets
                    .to_str()?
                    .split(',')
                    .filter(|text| !text.is_empty())
                    .map(|text| text.parse().ok())
                    .collect::<Option<_>>()?,
            },
            schedule: Schedule::parse_any(schedule.to_str()?).ok()?,
            next: next.to_str()?.parse().ok()?,
            probe_timeout: match optional(timeout)? {
                Some(text) => Some(Duration::from_millis(text.parse().ok()?)),
                None => None,
            },
            probe_first: optional(first)? == Some(PROBE_FIRST),
            begun: Duration::from_millis(begun.to_str()?.parse().ok()?),
            attribute: optional(attribute)?.map(AttributeName::from_argument),
            silent_controls: match optional(silent)? {
                Some(text) => text.split(',').map(control).collect::<Option<_>>()?,
                None => Vec::new(),
            },
            namespace: match optional(namespace)? {
                Some(name) => Some(name.parse().ok()?),
                None => None,
            },
            link: LinkState::parse(link_state.to_str()?)?,
            lock: lock.into(),
        })
    }
}

/// `192.0.2.99@192.0.2.1`; without the second address if it is asked without one.
fn written(control: &Control) -> String {
    let own = control.asked_from.map_or_else(String::new, |own| own.to_string());
    format!("{}@{own}", control.ip)
}

fn control(text: &str) -> Option<Control> {
    let (ip, own) = text.split_once('@')?;
    let asked_from = if own.is_empty() { None } else { Some(own.parse().ok()?) };
    Some(Control { ip: ip.parse().ok()?, asked_from })
}

/// An argument that can be empty; `None` if it is not UTF-8.
fn optional(text: &OsStr) -> Option<Option<&str>> {
    text.to_str().map(|text| Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostnet::{Family, Prefix};

    #[test]
    fn a_job_survives_the_command_line() {
        let job = Job {
            announcement: Announcement {
                ip: "192.0.2.10".parse().unwrap(),
                prefix: Prefix::new(Family::V4, 24).unwrap(),
                targets: vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()],
                link: LinkIndex::new(7).unwrap(),
                form: Form::Both,
            },
            schedule: "0,50,250".parse().unwrap(),
            next: 1,
            probe_timeout: Some(Duration::from_millis(50)),
            probe_first: true,
            begun: Duration::from_millis(123_456),
            attribute: Some(AttributeName::from_argument("smartvox-link-vip")),
            silent_controls: vec![
                Control { ip: "192.0.2.1".parse().unwrap(), asked_from: None },
                Control {
                    ip: "192.0.2.2".parse().unwrap(),
                    asked_from: Some("192.0.2.5".parse().unwrap()),
                },
            ],
            namespace: Some("sip".parse().unwrap()),
            link: LinkState { mac: Some(MacAddress([2, 0, 0, 0, 0, 1])), carrier_losses: 2 },
            lock: "/run/smartvox/announcer-192.0.2.10@4026531840.lock".into(),
        };
        let arguments = job.to_arguments();
        assert_eq!(Job::from_arguments(&arguments), Some(job.clone()));
        let ipv6 = Job {
            announcement: Announcement {
                ip: "2001:db8::10".parse().unwrap(),
                prefix: Prefix::new(Family::V6, 64).unwrap(),
                targets: Vec::new(),
                ..job.announcement.clone()
            },
            probe_timeout: None,
            probe_first: false,
            attribute: None,
            silent_controls: Vec::new(),
            namespace: None,
            link: LinkState { mac: None, carrier_losses: 0 },
            ..job
        };
        assert_eq!(Job::from_arguments(&ipv6.to_arguments()), Some(ipv6));
        for missing in 0..arguments.len() {
            assert_eq!(Job::from_arguments(&arguments[..missing]), None);
        }
    }
}
