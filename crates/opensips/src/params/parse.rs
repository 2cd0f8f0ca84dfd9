//! Single values: from the text of a parameter to its type.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ocf::{InstanceName, Parameter, Reader, Values};

use super::{Demote, NonlocalBind, Probe, ProbeTarget, SharingTag, sharing_tag};
use crate::description as table;
use crate::mi::Endpoint;
use crate::sip::probe::Patience;
use crate::sip::question::{self, Question};
use crate::sip::target::Target;
use crate::sockets::listener::Listener;

/// The largest `shm_memory` and `pkg_memory`, in MB. A terabyte is more than any host has today, and
/// less than the arithmetic of OpenSIPS can hold.
pub(crate) const MEMORY_LIMIT: u32 = 1_048_576;

/// An absolute path of a file.
pub(crate) fn absolute_path(text: &str) -> Result<PathBuf, &'static str> {
    // PATH_MAX, with its terminating zero.
    if text.len() >= 4096 {
        return Err("too long for a path");
    }
    if text.contains(char::is_control) {
        return Err("a path must not contain control characters");
    }
    if !text.starts_with('/') || text.ends_with('/') {
        return Err("not the absolute path of a file");
    }
    Ok(PathBuf::from(text))
}

/// With or without a slash at its end, which OpenSIPS's own parameter needs.
pub(super) fn directory(text: &str) -> Result<PathBuf, &'static str> {
    absolute_path(text.strip_suffix('/').filter(|text| !text.is_empty()).unwrap_or(text))
}

/// The default is one file for each resource.
pub(super) fn pidfile(
    reader: &mut Reader<'_>,
    values: &Values,
    instance: &InstanceName,
) -> Option<PathBuf> {
    if values.get(table::PIDFILE.name).is_some() {
        return reader.parsed(&table::PIDFILE, absolute_path);
    }
    Some(
        Path::new("/run/opensips")
            .join(format!("{}.pid", instance.without_clone_number().as_file_name())),
    )
}

pub(super) fn megabytes(reader: &mut Reader<'_>, parameter: &Parameter) -> Option<u32> {
    reader.integer(parameter, 1..=MEMORY_LIMIT.into()).and_then(|number| u32::try_from(number).ok())
}

pub(super) fn addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    let words = text.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    words
        .map(|word| match word.parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() || ip.is_multicast() => {
                Err(format!("{ip} is not the address of a host"))
            }
            Ok(ip) => Ok(ip),
            Err(_) => {
                Err(format!("{} is not an IPv4 or IPv6 address", ocf::shown(word.as_bytes())))
            }
        })
        .collect()
}

pub(super) fn nonlocal_bind(reader: &mut Reader<'_>) -> Option<NonlocalBind> {
    Some(match reader.select(&table::NONLOCAL_BIND)? {
        "ensure" => NonlocalBind::Ensure,
        "ignore" => NonlocalBind::Ignore,
        _ => NonlocalBind::Check,
    })
}

pub(super) fn probe(reader: &mut Reader<'_>) -> Option<Probe> {
    let target = reader.parsed(&table::SIP_PROBE, str::parse);
    let codes = reader.parsed(&table::SIP_PROBE_CODES, str::parse);
    let uri = reader.parsed(&table::SIP_PROBE_URI, question::parse_uri);
    let from = reader.parsed(&table::SIP_PROBE_FROM, question::parse_uri);
    let headers = reader.parsed(&table::SIP_PROBE_HEADERS, question::parse_headers);
    let (shortest, longest) = (Duration::from_millis(10), Duration::from_secs(600));
    let timeout = reader.duration(&table::SIP_PROBE_TIMEOUT, shortest..=longest);
    let attempts = reader.integer(&table::SIP_PROBE_ATTEMPTS, 1..=100);
    Some(Probe {
        target: target?,
        question: Question { codes: codes?, uri, from, headers: headers.unwrap_or_default() },
        stall_limit: reader
            .duration(&table::STALL_LIMIT, Duration::ZERO..=Duration::from_secs(3600))?,
        patience: Patience { attempts: u32::try_from(attempts?).ok()?, timeout: timeout? },
    })
}

impl FromStr for ProbeTarget {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => return Ok(Self::Auto),
            "none" => return Ok(Self::Nowhere),
            _ => {}
        }
        let target = text.parse().ok().and_then(|listener: Listener| Target::of(&listener));
        target.map(Self::At).ok_or(
            "give auto, none, or PROTOCOL:ADDRESS:PORT with udp, tcp, tls, ws or wss, of one \
             host, not link-local",
        )
    }
}

/// A daemon has one FIFO at most, and the fallback is another module's.
pub(super) fn mi_fallback(reader: &mut Reader<'_>, values: &Values) -> Option<Endpoint> {
    let endpoint = reader.parsed(&table::MI_FALLBACK, str::parse)?;
    if matches!(endpoint, Endpoint::Fifo(_)) {
        let why = "is a FIFO: set mi to it, and mi_fallback to datagram: or http:";
        reader.reject(&table::MI_FALLBACK, why);
    } else if values.get(table::MI.name).is_none() {
        reader.reject(&table::MI_FALLBACK, "needs mi, which is asked first");
    }
    Some(endpoint)
}

pub(super) fn mi_timeout(reader: &mut Reader<'_>) -> Option<Duration> {
    reader.duration(&table::MI_TIMEOUT, Duration::from_millis(100)..=Duration::from_secs(600))
}

/// Tags need the interface through which they are activated.
pub(super) fn sharing_tags(reader: &mut Reader<'_>, values: &Values) -> Option<Vec<SharingTag>> {
    let tags = reader.parsed(&table::SHARING_TAG, sharing_tag::parse_list)?;
    if values.get(table::MI.name).is_none() {
        reader.reject(&table::SHARING_TAG, "needs mi, through which it is activated");
    }
    Some(tags)
}

/// In bytes.
const VERSION_LIMIT: usize = 100;

/// What the administrator calls the routes; they are loaded through the interface.
pub(super) fn routes_version(reader: &mut Reader<'_>, values: &Values) -> Option<String> {
    let version = reader.parsed(&table::ROUTES_VERSION, |text| {
        let fits = text.len() <= VERSION_LIMIT && !text.contains(char::is_control);
        if fits { Ok(text.to_owned()) } else { Err("not one line of up to 100 characters") }
    })?;
    if values.get(table::MI.name).is_none() {
        reader.reject(&table::ROUTES_VERSION, "needs mi, through which routes are loaded");
    }
    Some(version)
}

pub(super) fn demote(reader: &mut Reader<'_>, values: &Values) -> Option<Demote> {
    let restart = reader.select(&table::DEMOTE)? == "restart";
    if restart && values.get(table::SHARING_TAG.name).is_none() {
        reader.reject(&table::DEMOTE, "needs sharing_tag: without it there is nothing to give up");
    }
    Some(if restart { Demote::Restart } else { Demote::Keep })
}

pub(super) fn stop_grace(reader: &mut Reader<'_>) -> Option<Duration> {
    reader.duration(&table::STOP_GRACE, Duration::ZERO..=Duration::from_secs(3600))
}

/// The name of a unit (systemd.unit(5)), or `none`.
pub(super) fn systemd_unit(text: &str) -> Result<Option<String>, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    match text {
        "none" => Ok(None),
        _ if text.len() > 255 || !text.chars().all(fits) || !text.contains('.') => {
            Err("give the name of a unit, like opensips.service, or none")
        }
        _ => Ok(Some(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_units() {
        assert_eq!(systemd_unit("none"), Ok(None));
        assert_eq!(systemd_unit("opensips@a.service"), Ok(Some("opensips@a.service".into())));
        for wrong in ["", "opensips", "../x.service", "a b.service", "a.service\n"] {
            assert!(systemd_unit(wrong).is_err(), "{wrong:?}");
        }
    }
}
