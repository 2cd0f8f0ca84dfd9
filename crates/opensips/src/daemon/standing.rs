//! What the daemon must not inherit from the caller of the agent, which may be Pacemaker, systemd or a root
//! shell: supplementary groups, umask, scheduling policy, nice value, OOM score. This process takes on those of a
//! service, because the daemon inherits them; the agent needs none of the caller's.

use std::process::Command;
use std::time::Duration;

use deadline::Deadline;
use hostproc::{Accounts, Pid, ProcFs, Reach, output, reset_nice, reset_oom_score_adjustment};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, setgroups};
use ocf::LogLine;

use super::{Result, account};
use crate::params::Params;

/// How long the name service may take to tell the groups of the user.
const NAME_SERVICE: Duration = Duration::from_secs(2);

/// Where util-linux, which every distribution has, installs chrt(1).
const CHRT: &str = "/usr/bin/chrt";

/// How long chrt may take, and the part of its message that is logged, in bytes.
const SCHEDULING: Duration = Duration::from_secs(2);
const MESSAGE_LIMIT: usize = 4096;

/// SCHED_OTHER (sched(7)).
const NORMAL: u32 = 0;

/// Gives this process the umask and the groups of the daemon's user, as a systemd unit with `User=` and
/// `Group=` has them: the daemon changes user and group and leaves the other groups as they are (`do_suid()`
/// in daemonize.c), so that it can't read a key that only one of its groups may read, and keeps those of
/// root.
///
/// # Errors
/// Those about user and group.
pub(crate) fn take_on(params: &Params, deadline: Deadline) -> Result<()> {
    umask(Mode::from_bits_truncate(0o022));
    let group = account::group(&params.group, deadline)?;
    let user = params.user.as_str();
    // A name service that hangs must not keep the daemon from its start.
    let patience = deadline.within(NAME_SERVICE);
    let (accounts, reach) = (Accounts::default(), Reach::NameService(patience));
    let found = accounts.supplementary_groups(user, reach).or_else(|error| {
        log::warn!("{}", LogLine::new().field("user", user).note(error));
        accounts.supplementary_groups(user, Reach::Files)
    });
    let mut groups = vec![group];
    groups.extend(found.unwrap_or_default().into_iter().map(Gid::from_raw));
    groups.dedup();
    take_on_importance();
    take_on_scheduling(deadline);
    if let Err(error) = hostfs::retry(|| Ok(setgroups(&groups)?)) {
        let line = LogLine::new().field("user", user);
        log::warn!("{}", line.note(format!("its groups can't be set: {}", ocf::cause(&error))));
    }
    Ok(())
}

/// That of a service: a daemon that somebody has started under nice(1) would be late for calls for months, and
/// one that has the protection of the cluster's own processes would have the others of the host killed.
fn take_on_importance() {
    let nice = reset_nice().map_err(|error| ("nice", error));
    let oom = reset_oom_score_adjustment().map_err(|error| ("oom_score_adj", error));
    for (what, error) in [nice, oom].into_iter().filter_map(std::result::Result::err) {
        let line = LogLine::new().field("inherited", what);
        log::warn!("{}", line.note(format!("can't be set to 0: {}", ocf::cause(&error))));
    }
}

/// A daemon with real-time priority can starve the host, and a batch job (SCHED_IDLE) is starved. This process
/// changes itself, and not the daemon: where that is not permitted, as from SCHED_IDLE without CAP_SYS_NICE, the
/// daemon is executed all the same.
fn take_on_scheduling(deadline: Deadline) {
    let policy = ProcFs::default().scheduling_policy(Pid::own()).ok().flatten();
    let Some(policy) = policy.filter(|policy| *policy != NORMAL) else { return };
    let mut command = Command::new(CHRT);
    command.args(["--other", "--pid", "0"]).arg(Pid::own().to_string());
    let why = match output(&mut command, MESSAGE_LIMIT, deadline.within(SCHEDULING)) {
        Ok(Some(ended)) if ended.status.success() => return,
        Ok(Some(ended)) => ocf::shown(ended.stderr.trim().as_bytes()),
        Ok(None) => format!("{CHRT} did not end in time"),
        Err(error) => format!("{CHRT} can't be executed: {}", ocf::cause(&error)),
    };
    let line = LogLine::new().field("policy", policy);
    log::warn!(
        "{}",
        line.note(format!("OpenSIPS keeps the scheduling policy of the caller: {why}"))
    );
}
