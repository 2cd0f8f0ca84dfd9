//! The parameters as typed values. Pure: nothing here looks at the host.

mod account;
mod names;
mod parse;
mod sharing_tag;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ocf::{Findings, InstanceName, Reader, Values};

use crate::description as table;
use crate::mi::Endpoint;
use crate::process::command_line::{Invocation, parse_extra_options};
use crate::sip::probe::Patience;
use crate::sip::question::Question;
use crate::sip::target::Target;
use crate::sockets::listener::{self, Listener};

pub(crate) use crate::sockets::nonlocal_bind::NonlocalBind;
pub(crate) use account::Account;
pub(crate) use names::Names;
pub(crate) use parse::{MEMORY_LIMIT, absolute_path};
pub(crate) use sharing_tag::SharingTag;

/// What the administrator wants, complete and valid in form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Params {
    pub(crate) binary: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) pidfile: PathBuf,
    pub(crate) user: Account,
    pub(crate) group: Account,
    /// In MB; `None` leaves it to OpenSIPS.
    pub(crate) shm_memory: Option<u32>,
    /// In MB and per process; `None` leaves it to OpenSIPS.
    pub(crate) pkg_memory: Option<u32>,
    /// RLIMIT_NOFILE.
    pub(crate) open_files: u64,
    pub(crate) extra_options: Vec<String>,
    /// With variables for the daemon.
    pub(crate) environment_file: Option<PathBuf>,
    pub(crate) vips: Vec<IpAddr>,
    pub(crate) nonlocal_bind: NonlocalBind,
    /// The sockets that must be open besides those that the configuration declares.
    pub(crate) listeners: Vec<Listener>,
    pub(crate) probe: Probe,
    pub(crate) mi: Option<Endpoint>,
    /// No FIFO; none without `mi`.
    pub(crate) mi_fallback: Option<Endpoint>,
    pub(crate) mi_reply_dir: PathBuf,
    /// For one answer of the MI.
    pub(crate) mi_timeout: Duration,
    /// None without `mi`.
    pub(crate) sharing_tags: Vec<SharingTag>,
    pub(crate) demote: Demote,
    /// None without `mi`.
    pub(crate) routes_version: Option<String>,
    /// In percent of shared memory.
    pub(crate) shm_limit: u32,
    /// In percent of shared memory: no transaction can be created.
    pub(crate) shm_fail: u32,
    /// Whether modules that are not ready are told.
    pub(crate) check_readiness: bool,
    pub(crate) compare_routes: bool,
    pub(crate) start_check: bool,
    /// Pacemaker is told at once when the main process ends.
    pub(crate) async_monitor: bool,
    pub(crate) stop_grace: Option<Duration>,
    /// `None` where no unit is to be looked for.
    pub(crate) systemd_unit: Option<String>,
}

/// What demote does about a sharing tag that is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demote {
    /// It stays active until another node activates it.
    Keep,
    /// The daemon is restarted and returns as backup.
    Restart,
}

/// How SIP is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Probe {
    pub(crate) target: ProbeTarget,
    pub(crate) question: Question,
    pub(crate) patience: Patience,
    /// How long monitor waits for a daemon that makes no progress.
    pub(crate) stall_limit: Duration,
}

/// Where OPTIONS is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeTarget {
    /// To one of the instance's own sockets on an address of this host, over UDP if it has that.
    Auto,
    /// There, while the address is on this host.
    At(Target),
    Nowhere,
}

impl Params {
    /// Reads the parameters.
    ///
    /// # Errors
    /// Every finding; all of them are wrong on every node.
    pub(crate) fn read(values: &Values, instance: &InstanceName) -> Result<Self, Findings> {
        let mut reader = Reader::new(values);
        let complete = Self::collect(&mut reader, values, instance);
        reader.finish(complete)
    }

    /// Goes on after a finding, so that the reader has all of them.
    fn collect(reader: &mut Reader<'_>, values: &Values, instance: &InstanceName) -> Option<Self> {
        let binary = reader.parsed(&table::BINARY, absolute_path);
        let config = reader.parsed(&table::CONFIG, absolute_path);
        let pidfile = parse::pidfile(reader, values, instance);
        let user = reader.parsed(&table::USER, str::parse);
        let group = reader.parsed(&table::GROUP, str::parse);
        let shm_memory = parse::megabytes(reader, &table::SHM_MEMORY);
        let pkg_memory = parse::megabytes(reader, &table::PKG_MEMORY);
        // The kernel allows fs.nr_open to be raised to nearly 2^31, not further.
        let open_files = reader.integer(&table::OPEN_FILES, 256..=2_147_483_584);
        let extra_options = reader.parsed(&table::EXTRA_OPTIONS, parse_extra_options);
        let environment_file = reader.parsed(&table::ENVIRONMENT_FILE, absolute_path);
        let vips = reader.parsed(&table::VIP, parse::addresses);
        let nonlocal_bind = parse::nonlocal_bind(reader);
        let listeners = reader.parsed(&table::LISTENERS, listener::parse_list);
        let probe = parse::probe(reader);
        let mi = reader.parsed(&table::MI, str::parse);
        let mi_fallback = parse::mi_fallback(reader, values);
        let mi_reply_dir = reader.parsed(&table::MI_REPLY_DIR, parse::directory);
        let mi_timeout = parse::mi_timeout(reader);
        let sharing_tags = parse::sharing_tags(reader, values);
        let demote = parse::demote(reader, values);
        let routes_version = parse::routes_version(reader, values);
        let shm_limit = reader.integer(&table::SHM_LIMIT, 1..=100);
        let shm_fail = reader.integer(&table::SHM_FAIL, 1..=100);
        let check_readiness = reader.boolean(&table::CHECK_READINESS);
        let compare_routes = reader.boolean(&table::COMPARE_ROUTES);
        let start_check = reader.boolean(&table::START_CHECK);
        let async_monitor = reader.boolean(&table::ASYNC_MONITOR);
        let stop_grace = parse::stop_grace(reader);
        let systemd_unit = reader.parsed(&table::SYSTEMD_UNIT, parse::systemd_unit);
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
            environment_file,
            vips: vips.unwrap_or_default(),
            nonlocal_bind: nonlocal_bind?,
            listeners: listeners.unwrap_or_default(),
            probe: probe?,
            mi,
            mi_fallback,
            mi_reply_dir: mi_reply_dir?,
            mi_timeout: mi_timeout?,
            sharing_tags: sharing_tags.unwrap_or_default(),
            demote: demote?,
            routes_version,
            shm_limit: u32::try_from(shm_limit?).ok()?,
            shm_fail: u32::try_from(shm_fail?).ok()?,
            check_readiness,
            compare_routes,
            start_check,
            async_monitor,
            stop_grace,
            systemd_unit: systemd_unit?,
        })
    }

    /// The virtual addresses that leave this host while the instance stays.
    pub(crate) fn leaving_vips(&self, promotable: bool) -> &[IpAddr] {
        if promotable { &self.vips } else { &[] }
    }

    /// The endpoints of the MI, the first one first.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.mi.iter().chain(&self.mi_fallback)
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

#[cfg(test)]
mod tests;
