//! The directories in which the daemon or the agent makes files.

use deadline::Deadline;
use hostfs::create_directory_for;

use crate::daemon::{Result, account};
use crate::mi::Endpoint;
use crate::params::Params;

/// Creates the directory of the pid file, owned by the daemon's user: the daemon creates its FIFO
/// there, and removes its pid file when it ends. A directory that exists stays as it is.
///
/// # Errors
/// [`Error::File`](crate::daemon::Error::File), and those about user and group
pub(crate) fn create_pid_directory(params: &Params, deadline: Deadline) -> Result<()> {
    let Some(directory) = params.pidfile.parent().filter(|directory| !directory.exists()) else {
        return Ok(());
    };
    let (uid, _) = account::user(&params.user, deadline)?;
    let gid = account::group(&params.group, deadline)?;
    Ok(create_directory_for(directory, 0o755, Some(uid), gid)?)
}

/// Creates the directory of the MI's replies: only root creates files in it, and only root and the
/// daemon's group enter it. A directory that exists stays as it is.
///
/// # Errors
/// [`Error::File`](crate::daemon::Error::File), and those about the group
pub(crate) fn create_reply_directory(params: &Params, deadline: Deadline) -> Result<()> {
    let directory = &params.mi_reply_dir;
    if !matches!(params.mi, Some(Endpoint::Fifo(_))) || directory.exists() {
        return Ok(());
    }
    let gid = account::group(&params.group, deadline)?;
    Ok(create_directory_for(directory, 0o710, None, gid)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{Gid, Uid};
    use ocf::InstanceName;
    use std::ffi::OsStr;
    use std::time::Duration;

    #[test]
    fn the_pid_directory_is_created_once() {
        let directory = tempfile::tempdir().unwrap();
        let pidfile = directory.path().join("a/b/x.pid");
        let (user, group) = (Uid::current().to_string(), Gid::current().to_string());
        let pairs = [("pidfile", pidfile.to_str().unwrap()), ("user", &*user), ("group", &*group)];
        let values = pairs.into_iter().collect();
        let params = Params::read(&values, &InstanceName::new(OsStr::new("x"))).unwrap();
        for _ in 0..2 {
            let deadline = Deadline::after(Duration::from_secs(600));
            create_pid_directory(&params, deadline).unwrap();
            assert!(pidfile.parent().unwrap().is_dir());
        }
    }
}
