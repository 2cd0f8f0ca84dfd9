//! What a process inherits of the importance of its parent.

use std::io;

/// The file with the value that choose_oom_victim() of the kernel (mm/oom_kill.c) adds to the badness of this process.
const OOM_SCORE_ADJUSTMENT: &str = "/proc/self/oom_score_adj";

/// Gives the calling thread, and the children that it starts, nice value 0 (setpriority(2)). A lower one than
/// now needs CAP_SYS_NICE.
///
/// # Errors
/// EACCES, EPERM
pub fn reset_nice() -> io::Result<()> {
    Ok(rustix::process::setpriority_process(None, 0)?)
}

/// Gives this process, and the children that it starts, the chance of any other one to be killed where the host
/// has no memory left (proc_pid_oom_score_adj(5)). A lower one than now needs CAP_SYS_RESOURCE.
///
/// # Errors
/// EACCES, EPERM
pub fn reset_oom_score_adjustment() -> io::Result<()> {
    let is_zero =
        std::fs::read_to_string(OOM_SCORE_ADJUSTMENT).is_ok_and(|text| text.trim() == "0");
    if is_zero { Ok(()) } else { std::fs::write(OOM_SCORE_ADJUSTMENT, "0") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_normal_stays_so() {
        // The machine of the test may have other values, and no right to change them.
        if rustix::process::getpriority_process(None).unwrap() == 0 {
            reset_nice().unwrap();
        }
        if std::fs::read_to_string(OOM_SCORE_ADJUSTMENT).unwrap().trim() == "0" {
            reset_oom_score_adjustment().unwrap();
        }
    }
}
