//! What the host must have before the daemon can run: program, configuration, user and group.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use deadline::Deadline;
use hostfs::{Links, open_regular};
use hostproc::{Pid, ProcFs};

use crate::daemon::environment::variables;
use crate::daemon::{Error, Result, account};
use crate::params::Params;

/// Everything that is missing, in the order of the parameters.
pub(crate) fn missing(params: &Params, deadline: Deadline) -> Vec<Error> {
    let checks = [
        check_binary(&params.binary),
        check_config(&params.config),
        account::user(&params.user, deadline).map(|_| ()),
        account::group(&params.group, deadline).map(|_| ()),
        variables(params).map(|_| ()),
        check_ptrace(params, deadline),
    ];
    checks.into_iter().filter_map(Result::err).collect()
}

/// # Errors
/// The first of [`missing`].
pub(crate) fn require(params: &Params, deadline: Deadline) -> Result<()> {
    missing(params, deadline).into_iter().next().map_or(Ok(()), Err)
}

fn check_binary(path: &Path) -> Result<()> {
    let missing = |path, source| Error::BinaryMissing { path, source };
    let metadata = hostfs::retry(|| std::fs::metadata(path));
    let metadata = metadata.map_err(|source| Error::of_file(path, source, missing))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(Error::BinaryNotExecutable { path: path.to_owned() });
    }
    if is_script(path) {
        return Err(Error::BinaryIsScript { path: path.to_owned() });
    }
    Ok(())
}

/// Whether the kernel executes another program for this file. A file that can't be read is none:
/// the interpreter could not read it either.
fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    let mut read = || std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    hostfs::retry(&mut read).is_ok() && start == *b"#!"
}

fn check_config(path: &Path) -> Result<()> {
    match open_regular(path, Links::Followed) {
        Ok(_) => Ok(()),
        Err(hostfs::Error { path, source, .. }) => {
            let unreadable = |path, source| Error::ConfigUnreadable { path, source };
            Err(Error::of_file(&path, source, unreadable))
        }
    }
}

/// The number of CAP_SYS_PTRACE (capabilities(7)).
const SYS_PTRACE: u32 = 19;

/// Whether this process may look at those of the daemon's user: before one is launched that could neither be
/// watched nor stopped. A process of another user needs the capability (`ptrace_may_access()` in
/// kernel/ptrace.c). A user that does not exist is a finding of its own.
fn check_ptrace(params: &Params, deadline: Deadline) -> Result<()> {
    let Ok((user, _)) = account::user(&params.user, deadline) else { return Ok(()) };
    let may = user == nix::unistd::geteuid()
        || !nix::unistd::geteuid().is_root()
        || ProcFs::default().is_capable(Pid::own(), SYS_PTRACE)?.unwrap_or(true);
    if may { Ok(()) } else { Err(Error::NoPtrace { user: params.user.to_string() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocf::InstanceName;
    use std::ffi::OsStr;
    use std::fs::Permissions;
    use std::time::Duration;

    fn told(pairs: &[(&str, &str)]) -> Vec<String> {
        let defaults = [("binary", "/bin/true"), ("config", "/etc/passwd")];
        let accounts = [("user", "root"), ("group", "root")];
        let all = defaults.iter().chain(&accounts).chain(pairs).copied();
        let params = Params::read(&all.collect(), &InstanceName::new(OsStr::new("x"))).unwrap();
        let deadline = Deadline::after(Duration::from_secs(600));
        missing(&params, deadline).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_complete_host() {
        assert_eq!(told(&[]), [""; 0]);
        assert_eq!(told(&[("user", "0"), ("group", "4294967")]), [""; 0]);
    }

    #[test]
    fn everything_that_is_missing_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        assert_eq!(
            told(&[("binary", "/no/opensips"), ("user", "no-such-user"), ("group", "no-such-one")]),
            [
                "/no/opensips is not installed (No such file or directory): install OpenSIPS or set \
                 binary",
                "user no-such-user does not exist on this node: create it or set user",
                "group no-such-one does not exist on this node: create it or set group",
            ]
        );
        let script_text = script.to_str().unwrap();
        assert!(told(&[("binary", script_text)])[0].contains("is not an executable file"));
        std::fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
        assert!(told(&[("binary", script_text)])[0].contains("is a script"));
        assert!(told(&[("config", "/etc")])[0].contains("Is a directory"));
        assert!(told(&[("config", "/no.cfg")])[0].contains("can't be read"));
    }
}
