//! Whether systemd runs the daemon besides Pacemaker, now or after a boot. Links and control groups
//! tell; systemd itself is not asked.

use std::path::{Path, PathBuf};

use hostproc::{Pid, ProcFs};

use crate::daemon::{Error, Result};
use crate::instance::identity::Identity;
use crate::params::Params;
use crate::process::inspect::{is_process_of_unit, namespaces_of};

/// Where units and the links of enabled ones are, in the order of precedence (systemd.unit(5), "Unit
/// File Load Path"): `systemctl enable` writes into the first, `--runtime` into the second; the others
/// are those of generators (init scripts) and of packages.
const ROOTS: [&str; 6] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// Fails if systemd starts the daemon at boot, or with another unit.
///
/// # Errors
/// [`Error::UnitEnabled`]
pub(crate) fn refuse_enabled(params: &Params) -> Result<()> {
    let Some(unit) = &params.systemd_unit else { return Ok(()) };
    enabled_by(unit).map_or(Ok(()), |link| Err(Error::UnitEnabled { unit: unit.clone(), link }))
}

/// Fails if systemd runs the daemon's program in that unit now, whatever its configuration: it would
/// start again what the agent stops.
///
/// # Errors
/// [`Error::UnitActive`], [`Error::Processes`]
pub(crate) fn refuse_active(params: &Params, proc: &ProcFs, identity: &Identity) -> Result<()> {
    let Some(unit) = &params.systemd_unit else { return Ok(()) };
    let running = active_process(unit, proc, identity)?;
    running.map_or(Ok(()), |pid| Err(Error::UnitActive { unit: unit.clone(), pid }))
}

/// A process of the program in the unit's control group.
///
/// # Errors
/// [`Error::Processes`]
pub(crate) fn active_process(
    unit: &str,
    proc: &ProcFs,
    identity: &Identity,
) -> Result<Option<Pid>> {
    let own = namespaces_of(proc, Pid::own())?;
    for stat in proc.snapshot()?.alive() {
        let pid = stat.process.pid;
        // A container on this host may run a systemd of its own.
        if identity.may_be_the_daemon(proc, pid)?
            && namespaces_of(proc, pid)? == own
            && is_process_of_unit(unit, proc, pid)?
        {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

/// The link that has systemd start this unit with another, if there is one.
pub(crate) fn enabled_by(unit: &str) -> Option<PathBuf> {
    enabled_within(&ROOTS.map(PathBuf::from), unit)
}

fn enabled_within(roots: &[PathBuf], unit: &str) -> Option<PathBuf> {
    // A masked unit is never started, even if another unit wants it. The first file of its name
    // counts.
    let file =
        roots.iter().map(|root| root.join(unit)).find(|path| path.symlink_metadata().is_ok());
    if file.is_some_and(|file| is_mask(&file)) {
        return None;
    }
    roots.iter().find_map(|root| wanted_within(root, unit))
}

/// A link to /dev/null, or an empty file.
fn is_mask(file: &Path) -> bool {
    std::fs::read_link(file).is_ok_and(|target| target == Path::new("/dev/null"))
        || file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0)
}

fn wanted_within(root: &Path, unit: &str) -> Option<PathBuf> {
    let wanting = std::fs::read_dir(root).ok()?.flatten().filter(|entry| {
        let name = entry.file_name();
        let suffix = Path::new(&name).extension().map(ToOwned::to_owned);
        suffix
            .is_some_and(|suffix| suffix == "wants" || suffix == "requires" || suffix == "upholds")
    });
    let mut links: Vec<PathBuf> = wanting
        .map(|entry| entry.path().join(unit))
        // The link itself: its target may be missing, and still the unit is enabled.
        .filter(|link| link.symlink_metadata().is_ok())
        .collect();
    links.sort();
    links.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_enables_a_unit() {
        const UNIT: &str = "opensips.service";
        let directory = tempfile::tempdir().unwrap();
        let roots = ["etc", "run", "lib"].map(|name| directory.path().join(name));
        assert_eq!(enabled_within(&roots, UNIT), None);
        let [etc, run, lib] = &roots;
        let wants = run.join("multi-user.target.wants");
        std::fs::create_dir_all(&wants).unwrap();
        symlink("/lib/systemd/system/opensips.service", wants.join("other.service")).unwrap();
        assert_eq!(enabled_within(&roots, UNIT), None);
        symlink("/no/such/opensips.service", wants.join(UNIT)).unwrap();
        assert_eq!(enabled_within(&roots, UNIT), Some(wants.join(UNIT)));
        // A mask in a weaker place than the unit itself is none.
        std::fs::create_dir_all(etc).unwrap();
        std::fs::create_dir_all(lib).unwrap();
        symlink("/dev/null", lib.join(UNIT)).unwrap();
        std::fs::write(run.join(UNIT), "[Service]\n").unwrap();
        assert_eq!(enabled_within(&roots, UNIT), Some(wants.join(UNIT)));
        symlink("/dev/null", etc.join(UNIT)).unwrap();
        assert_eq!(enabled_within(&roots, UNIT), None);
        std::fs::remove_file(etc.join(UNIT)).unwrap();
        std::fs::write(run.join(UNIT), "").unwrap();
        assert_eq!(enabled_within(&roots, UNIT), None);
    }
}
