//! The first fields of every log line: the action, the VIP and, as soon as it is known, its interface.
//!
//! They belong to the process, as the log does: a process is one action on one VIP.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Mutex;

use hostnet::LinkName;
use ocf::{Action, LogLine, Request};

use crate::description;
use crate::params::parse_vip;

/// What the lines of this process are about.
#[derive(Clone, Debug)]
struct Subject {
    action: Action,
    vip: Option<String>,
    nic: Option<String>,
}

static SUBJECT: Mutex<Option<Subject>> = Mutex::new(None);

/// Sets what the lines of this process are about; the interface is that of `nic` until
/// [`set_link`].
pub(crate) fn begin(request: &Request) {
    let given = |name| request.values.get(name).map(OsStr::as_bytes).map(ocf::shown);
    // In the spelling of the kernel, if it is an address.
    let ip = request.values.text(description::IP.name).and_then(|text| parse_vip(text).ok());
    let subject = Subject {
        action: request.action,
        vip: ip.map(|ip| ip.to_string()).or_else(|| given(description::IP.name)),
        nic: given(description::NIC.name),
    };
    if let Ok(mut current) = SUBJECT.lock() {
        *current = Some(subject);
    }
}

/// Sets the interface of the lines that follow.
pub(crate) fn set_link(name: &LinkName) {
    if let Ok(mut current) = SUBJECT.lock()
        && let Some(subject) = current.as_mut()
    {
        subject.nic = Some(name.to_string());
    }
}

/// A new line with the first fields.
pub(crate) fn line() -> LogLine {
    let Some(subject) = SUBJECT.lock().ok().and_then(|current| current.clone()) else {
        return LogLine::new();
    };
    let mut line = LogLine::of(subject.action);
    if let Some(vip) = subject.vip {
        line = line.field("vip", vip);
    }
    if let Some(nic) = subject.nic {
        line = line.field("nic", nic);
    }
    line
}

/// A new line with the first fields and an error.
pub(crate) fn failure(error: &impl std::fmt::Display) -> LogLine {
    line().field("error", ocf::cause(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use deadline::Deadline;
    use ocf::InstanceName;

    #[test]
    fn every_line_begins_with_the_same_fields() {
        begin(&Request {
            action: Action::Start,
            instance: InstanceName::new(OsStr::new("vip")),
            values: [("ip", "2001:DB8::10")].into_iter().collect(),
            deadline: Deadline::after(Duration::from_secs(20)),
            timeout: Duration::from_secs(20),
            probe: false,
            interval: Duration::ZERO,
            in_cluster: false,
            node: None,
            expects_stopped: false,
            expects_promoted: false,
            by_cluster: false,
            promotable: false,
            check_level: 0,
        });
        assert_eq!(line().note("x").to_string(), "action=start vip=2001:db8::10 note=\"x\"");
        set_link(&"eth0".parse().unwrap());
        assert_eq!(line().to_string(), "action=start vip=2001:db8::10 nic=eth0");
    }
}
