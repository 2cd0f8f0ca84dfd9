//! The parameters that tell which instance is meant.

use std::path::PathBuf;
use std::time::Duration;

use ocf::{InstanceName, Reader, Values};

use super::parse::{self, absolute_path};
use super::{Account, Params};
use crate::description as table;
use crate::mi::Endpoint;

/// What of the parameters names the instance, as far as it is valid in form: stop needs no more,
/// and must not fail because another parameter is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) binary: Option<PathBuf>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) pidfile: Option<PathBuf>,
    pub(crate) user: Option<Account>,
    pub(crate) mi: Option<Endpoint>,
    pub(crate) stop_grace: Option<Duration>,
    /// `None` where no unit is to be looked for.
    pub(crate) systemd_unit: Option<String>,
}

impl Names {
    /// Reads them; what is wrong in form is `None`.
    pub(crate) fn read(values: &Values, instance: &InstanceName) -> Self {
        let mut reader = Reader::new(values);
        Self {
            binary: reader.parsed(&table::BINARY, absolute_path),
            config: reader.parsed(&table::CONFIG, absolute_path),
            pidfile: parse::pidfile(&mut reader, values, instance),
            user: reader.parsed(&table::USER, str::parse),
            mi: reader.parsed(&table::MI, str::parse),
            stop_grace: parse::stop_grace(&mut reader),
            // With an invalid name, what the default unit runs is left alone.
            systemd_unit: reader
                .parsed(&table::SYSTEMD_UNIT, parse::systemd_unit)
                .unwrap_or_else(|| table::SYSTEMD_UNIT.default.map(str::to_owned)),
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
            systemd_unit: params.systemd_unit.clone(),
        }
    }
}
