//! The parameters, typed. Pure: nothing here looks at the host.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ocf::{Findings, InstanceName, Parameter, Reader, Values};

use crate::description as table;
use crate::host::systemd_unit;
use crate::mi::Endpoint;
use crate::process::command_line::{Invocation, parse_extra_options};
use crate::promotion::sharing_tag::{SharingTag, parse_list};
use crate::sip::message::ExpectedCodes;
use crate::sip::probe::Patience;
use crate::sip::target::Target;
use crate::sockets::listener::{self, Listener};
pub use crate::sockets::nonlocal_bind::NonlocalBind;

/// What the administrator wants, complete and right in form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// The daemon's executable.
    pub binary: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    /// Its pid file.
    pub pidfile: PathBuf,
    /// Its user.
    pub user: Account,
    /// Its group.
    pub group: Account,
    /// Shared memory in MB.
    pub shm_memory: Option<u32>,
    /// Private memory per process in MB.
    pub pkg_memory: Option<u32>,
    /// RLIMIT_NOFILE.
    pub open_files: u64,
    /// More words for its command line.
    pub extra_options: Vec<String>,
    /// The virtual addresses that it serves.
    pub vips: Vec<IpAddr>,
    /// What to do about sockets on absent addresses.
    pub nonlocal_bind: NonlocalBind,
    /// The sockets that must be open, beside those that the daemon declares.
    pub listeners: Vec<Listener>,
    /// How SIP is asked.
    pub probe: Probe,
    /// The Management Interface.
    pub mi: Option<Endpoint>,
    /// Where the daemon looks for the FIFOs of its replies.
    pub mi_reply_dir: PathBuf,
    /// The tags that the promoted instance holds. None without `mi`.
    pub sharing_tags: Vec<SharingTag>,
    /// What demote does about an active tag.
    pub demote: Demote,
    /// Percent of shared memory.
    pub shm_limit: u32,
    /// Whether start checks the configuration first.
    pub start_check: bool,
    /// Time between SIGTERM and SIGKILL.
    pub stop_grace: Option<Duration>,
    /// The unit that must not be enabled beside Pacemaker.
    pub systemd_unit: Option<String>,
}

/// What demote does about a sharing tag that is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demote {
    /// It stays until another node takes it.
    Keep,
    /// The daemon is restarted, and comes back without it.
    Restart,
}

/// How SIP is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Where.
    pub target: ProbeTarget,
    /// Which status codes count.
    pub codes: ExpectedCodes,
    /// How often and how long.
    pub patience: Patience,
}

/// Where SIP is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeTarget {
    /// At one of the instance's own sockets on an address of this host, over UDP if it has that.
    Auto,
    /// Here, while the address is on this host.
    At(Target),
    /// Nowhere.
    Nowhere,
}

/// A user or group, by name or number; a word that is safe on a command line and in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account(String);

impl Account {
    /// As given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its number, where it was given as one.
    pub fn number(&self) -> Option<u32> {
        self.0.parse().ok()
    }
}

impl Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Account {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // useradd(8) allows 32 characters; directories of Windows domains more, and `\` and `@`.
        let odd = |c: char| c.is_whitespace() || c.is_control() || ":/,;'\"`$*?&|<>()".contains(c);
        if text.starts_with('-') || text.len() > 256 || text.contains(odd) {
            return Err("not a name or number");
        }
        Ok(Self(text.to_owned()))
    }
}

impl Params {
    /// Reads them.
    ///
    /// # Errors
    /// Every finding; all of them are wrong on every node.
    pub fn read(values: &Values, instance: &InstanceName) -> Result<Self, Findings> {
        let mut reader = Reader::new(values);
        let complete = Self::collect(&mut reader, values, instance);
        reader.finish(complete)
    }

    /// Reads to the end also after a finding, so that all of them are told.
    fn collect(reader: &mut Reader<'_>, values: &Values, instance: &InstanceName) -> Option<Self> {
        let binary = reader.parsed(&table::BINARY, absolute_path);
        let config = reader.parsed(&table::CONFIG, absolute_path);
        let pidfile = pidfile(reader, values, instance);
        let user = reader.parsed(&table::USER, str::parse);
        let group = reader.parsed(&table::GROUP, str::parse);
        let shm_memory = megabytes(reader, &table::SHM_MEMORY);
        let pkg_memory = megabytes(reader, &table::PKG_MEMORY);
        // The kernel's own ceiling (fs.nr_open) may be raised to 2^31 less a bit, not further.
        let open_files = reader.integer(&table::OPEN_FILES, 256..=2_147_483_584);
        let extra_options = reader.parsed(&table::EXTRA_OPTIONS, parse_extra_options);
        let vips = reader.parsed(&table::VIP, addresses);
        let nonlocal_bind = reader.select(&table::NONLOCAL_BIND);
        let listeners = reader.parsed(&table::LISTENERS, listener::parse_list);
        let target = reader.parsed(&table::SIP_PROBE, str::parse);
        let codes = reader.parsed(&table::SIP_PROBE_CODES, str::parse);
        let (shortest, longest) = (Duration::from_millis(10), Duration::from_secs(600));
        let timeout = reader.duration(&table::SIP_PROBE_TIMEOUT, shortest..=longest);
        let attempts = reader.integer(&table::SIP_PROBE_ATTEMPTS, 1..=100);
        let mi = reader.parsed(&table::MI, str::parse);
        let mi_reply_dir = reader.parsed(&table::MI_REPLY_DIR, directory);
        let sharing_tags = sharing_tags(reader, values);
        let demote = demote(reader, values);
        let shm_limit = reader.integer(&table::SHM_LIMIT, 1..=100);
        let start_check = reader.boolean(&table::START_CHECK);
        let hour = Duration::from_secs(3600);
        let stop_grace = reader.duration(&table::STOP_GRACE, Duration::ZERO..=hour);
        let systemd_unit = reader.parsed(&table::SYSTEMD_UNIT, systemd_unit::parse);
        Some(Self {
            binary: binary?,
            config: config?,
            pidfile: pidfile?,
            user: user?,
            group: group?,
            shm_memory,
            pkg_memory,
            open_files: u64::try_from(open_files?).ok()?,
            extra_options: extra_options.unwrap_or_default(),
            vips: vips.unwrap_or_default(),
            nonlocal_bind: match nonlocal_bind? {
                "ensure" => NonlocalBind::Ensure,
                "ignore" => NonlocalBind::Ignore,
                _ => NonlocalBind::Check,
            },
            listeners: listeners.unwrap_or_default(),
            probe: Probe {
                target: target?,
                codes: codes?,
                patience: Patience { attempts: u32::try_from(attempts?).ok()?, timeout: timeout? },
            },
            mi,
            mi_reply_dir: mi_reply_dir?,
            sharing_tags: sharing_tags.unwrap_or_default(),
            demote: demote?,
            shm_limit: u32::try_from(shm_limit?).ok()?,
            start_check,
            stop_grace,
            systemd_unit: systemd_unit?,
        })
    }

    /// The virtual addresses that leave this host while the instance stays.
    pub(crate) fn leaving_vips(&self, promotable: bool) -> &[IpAddr] {
        if promotable { &self.vips } else { &[] }
    }

    /// The daemon's command line.
    pub(crate) fn invocation(&self) -> Invocation<'_> {
        Invocation {
            config: &self.config,
            shm_memory: self.shm_memory,
            pkg_memory: self.pkg_memory,
            extra: &self.extra_options,
        }
    }
}

/// What of the parameters names the instance, as far as it is right in form: stop needs no more,
/// and must not fail for the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The daemon's executable.
    pub binary: Option<PathBuf>,
    /// Its configuration.
    pub config: Option<PathBuf>,
    /// Its pid file.
    pub pidfile: Option<PathBuf>,
    /// Its user.
    pub user: Option<Account>,
    /// Its Management Interface.
    pub mi: Option<Endpoint>,
    /// How long the daemon may take to shut down.
    pub stop_grace: Option<Duration>,
}

impl Names {
    /// Reads them; what is wrong in form is none.
    pub fn read(values: &Values, instance: &InstanceName) -> Self {
        let mut reader = Reader::new(values);
        let hour = Duration::from_secs(3600);
        Self {
            binary: reader.parsed(&table::BINARY, absolute_path),
            config: reader.parsed(&table::CONFIG, absolute_path),
            pidfile: pidfile(&mut reader, values, instance),
            user: reader.parsed(&table::USER, str::parse),
            mi: reader.parsed(&table::MI, str::parse),
            stop_grace: reader.duration(&table::STOP_GRACE, Duration::ZERO..=hour),
        }
    }
}

impl From<&Params> for Names {
    fn from(params: &Params) -> Self {
        Self {
            binary: Some(params.binary.clone()),
            config: Some(params.config.clone()),
            pidfile: Some(params.pidfile.clone()),
            user: Some(params.user.clone()),
            mi: params.mi.clone(),
            stop_grace: params.stop_grace,
        }
    }
}

/// Where there is none given: one per resource.
fn pidfile(reader: &mut Reader<'_>, values: &Values, instance: &InstanceName) -> Option<PathBuf> {
    if values.get(table::PIDFILE.name).is_some() {
        return reader.parsed(&table::PIDFILE, absolute_path);
    }
    Some(Path::new("/run/opensips").join(format!("{}.pid", instance.as_file_name())))
}

/// Tags need the interface through which they are activated.
fn sharing_tags(reader: &mut Reader<'_>, values: &Values) -> Option<Vec<SharingTag>> {
    let tags = reader.parsed(&table::SHARING_TAG, parse_list)?;
    if values.get(table::MI.name).is_none() {
        reader.reject(&table::SHARING_TAG, "needs mi, through which it is activated");
    }
    Some(tags)
}

fn demote(reader: &mut Reader<'_>, values: &Values) -> Option<Demote> {
    let restart = reader.select(&table::DEMOTE)? == "restart";
    if restart && values.get(table::SHARING_TAG.name).is_none() {
        reader.reject(&table::DEMOTE, "without sharing_tag there is nothing to give up");
    }
    Some(if restart { Demote::Restart } else { Demote::Keep })
}

/// With or without a slash at its end, which the daemon's own parameter needs.
fn directory(text: &str) -> Result<PathBuf, &'static str> {
    absolute_path(text.strip_suffix('/').filter(|text| !text.is_empty()).unwrap_or(text))
}

pub(crate) fn absolute_path(text: &str) -> Result<PathBuf, &'static str> {
    // PATH_MAX, with its terminating zero.
    if text.len() >= 4096 {
        return Err("too long for a path");
    }
    if text.contains(char::is_control) {
        return Err("a control character has no place in a path");
    }
    if !text.starts_with('/') || text.ends_with('/') {
        return Err("not the absolute path of a file");
    }
    Ok(PathBuf::from(text))
}

/// In MB. A terabyte is more than any host has today, and less than what the daemon's arithmetic can
/// do.
pub(crate) const MEMORY_LIMIT: u32 = 1_048_576;

fn megabytes(reader: &mut Reader<'_>, parameter: &Parameter) -> Option<u32> {
    reader.integer(parameter, 1..=MEMORY_LIMIT.into()).and_then(|number| u32::try_from(number).ok())
}

fn addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    let words = text.split([',', ' ', '\t']).filter(|word| !word.is_empty());
    words
        .map(|word| match word.parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() || ip.is_multicast() => {
                Err(format!("{ip} is not the address of a host"))
            }
            Ok(ip) => Ok(ip),
            Err(_) => {
                Err(format!("{} is neither IPv4 nor IPv6 address", ocf::shown(word.as_bytes())))
            }
        })
        .collect()
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
            "give auto, none, or udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT of one \
             host, not link-local",
        )
    }
}

#[cfg(test)]
mod tests;
