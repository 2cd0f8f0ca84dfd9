//! The parameters, typed. Pure: nothing here looks at the host.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ocf::{Findings, InstanceName, Parameter, Reader, Values};

use crate::command_line::{Invocation, parse_extra_options};
use crate::description as table;
use crate::listener::Listener;
use crate::sip::ExpectedCodes;
use crate::sip_probe::Patience;

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
    /// How SIP is asked.
    pub probe: Probe,
    /// Whether start checks the configuration first.
    pub start_check: bool,
    /// Time between SIGTERM and SIGKILL.
    pub stop_grace: Option<Duration>,
}

/// What start does about sockets on addresses that this host does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonlocalBind {
    /// Fail where the kernel forbids it.
    Check,
    /// Make the kernel allow it.
    Ensure,
    /// Let the daemon try.
    Ignore,
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
    /// At one of the instance's own sockets on an address of this host.
    Auto,
    /// Here, while the address is on this host.
    At(SocketAddr),
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
        let target = reader.parsed(&table::SIP_PROBE, str::parse);
        let codes = reader.parsed(&table::SIP_PROBE_CODES, str::parse);
        let (shortest, longest) = (Duration::from_millis(10), Duration::from_secs(600));
        let timeout = reader.duration(&table::SIP_PROBE_TIMEOUT, shortest..=longest);
        let attempts = reader.integer(&table::SIP_PROBE_ATTEMPTS, 1..=100);
        let start_check = reader.boolean(&table::START_CHECK);
        let hour = Duration::from_secs(3600);
        let stop_grace = reader.duration(&table::STOP_GRACE, Duration::ZERO..=hour);
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
            probe: Probe {
                target: target?,
                codes: codes?,
                patience: Patience { attempts: u32::try_from(attempts?).ok()?, timeout: timeout? },
            },
            start_check,
            stop_grace,
        })
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

fn absolute_path(text: &str) -> Result<PathBuf, &'static str> {
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

/// A terabyte is more than any host has today, and less than what the daemon's arithmetic can do.
fn megabytes(reader: &mut Reader<'_>, parameter: &Parameter) -> Option<u32> {
    reader.integer(parameter, 1..=1_048_576).and_then(|number| u32::try_from(number).ok())
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
        match text.parse::<Listener>() {
            Ok(listener) if listener.is_sip_over_udp() => Ok(Self::At(listener.asked_at())),
            _ => Err("give auto, none or udp:ADDRESS:PORT"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn read(pairs: &[(&str, &str)]) -> Result<Params, String> {
        let values = pairs.iter().copied().collect();
        Params::read(&values, &InstanceName::new(OsStr::new("sip:0")))
            .map_err(|findings| findings.to_string())
    }

    #[test]
    fn defaults() {
        let params = read(&[]).unwrap();
        assert_eq!(params.binary, Path::new("/usr/sbin/opensips"));
        assert_eq!(params.pidfile, Path::new("/run/opensips/sip%3A0.pid"));
        assert_eq!(params.open_files, 262_144);
        assert_eq!(params.nonlocal_bind, NonlocalBind::Check);
        assert_eq!(params.probe.target, ProbeTarget::Auto);
        assert_eq!(params.probe.codes, ExpectedCodes::Any);
        let patience = Patience { attempts: 3, timeout: Duration::from_secs(2) };
        assert_eq!(params.probe.patience, patience);
        assert!(params.start_check && params.vips.is_empty() && params.stop_grace.is_none());
    }

    #[test]
    fn values() {
        let params = read(&[
            ("pidfile", "/run/x.pid"),
            ("user", "1000"),
            ("vip", "192.0.2.10, 2001:DB8:0::10"),
            ("sip_probe", "udp:[::1]:5070"),
            ("sip_probe_codes", "200"),
            ("extra_options", "-n 4"),
            ("stop_grace", "30s"),
            ("start_check", "no"),
        ])
        .unwrap();
        assert_eq!(params.pidfile, Path::new("/run/x.pid"));
        assert_eq!(params.user.number(), Some(1000));
        let vips: Vec<IpAddr> =
            vec!["192.0.2.10".parse().unwrap(), "2001:db8::10".parse().unwrap()];
        assert_eq!(params.vips, vips);
        assert_eq!(params.probe.target, ProbeTarget::At("[::1]:5070".parse().unwrap()));
        assert_eq!(params.extra_options, ["-n", "4"]);
        assert_eq!(params.stop_grace, Some(Duration::from_secs(30)));
        assert!(!params.start_check);
        let wildcard = read(&[("sip_probe", "udp:0.0.0.0:5060")]).unwrap();
        assert_eq!(wildcard.probe.target, ProbeTarget::At("127.0.0.1:5060".parse().unwrap()));
    }

    #[test]
    fn each_wrong_value_has_its_sentence() {
        for (name, value) in [
            ("binary", "opensips"),
            ("config", "/etc/opensips/"),
            ("config", "/etc/a\nocf-exit-reason:b"),
            ("pidfile", "x.pid"),
            ("user", "a b"),
            ("user", "-x"),
            ("group", "$(reboot)"),
            ("shm_memory", "0"),
            ("shm_memory", "64MB"),
            ("pkg_memory", "-1"),
            ("open_files", "none"),
            ("extra_options", "-f /etc/other.cfg"),
            ("extra_options", "'"),
            ("vip", "192.0.2.256"),
            ("vip", "0.0.0.0"),
            ("vip", "192.0.2.10/24"),
            ("nonlocal_bind", "yes"),
            ("sip_probe", "tcp:127.0.0.1:5060"),
            ("sip_probe", "127.0.0.1"),
            ("sip_probe_codes", "2xx"),
            ("sip_probe_timeout", "0"),
            ("sip_probe_timeout", "soon"),
            ("sip_probe_attempts", "0"),
            ("start_check", "maybe"),
            ("stop_grace", "2h"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.starts_with(&format!("{name}=")), "{name}={value}: {error}");
            assert!(!error.contains('\n') && !error.contains("; "), "{error}");
        }
        let long = "/".repeat(1 << 20);
        assert!(read(&[("config", &long)]).unwrap_err().len() < 200);
        let two = read(&[("vip", "x"), ("user", " ")]).unwrap_err();
        assert_eq!(two.split("; ").count(), 2, "{two}");
    }

    #[test]
    fn a_wrong_name_is_none_and_the_others_stay() {
        let values = [("config", "relative"), ("pidfile", "/run/x.pid"), ("vip", "x")];
        let values: Values = values.into_iter().collect();
        let names = Names::read(&values, &InstanceName::new(OsStr::new("sip")));
        assert_eq!(names.config, None);
        assert_eq!(names.pidfile.as_deref(), Some(Path::new("/run/x.pid")));
        assert_eq!(names.binary.as_deref(), Some(Path::new("/usr/sbin/opensips")));
        let values: Values = [("pidfile", "relative")].into_iter().collect();
        assert_eq!(Names::read(&values, &InstanceName::new(OsStr::new("sip"))).pidfile, None);
    }
}
