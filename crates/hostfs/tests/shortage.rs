//! A process has one deadline, and a call that meets a shortage outlives it by a moment at most. In a file of its own,
//! because the deadline is that of the whole process.

use std::io;

use deadline::Deadline;

#[test]
fn a_shortage_is_waited_for_a_moment_at_most_when_the_time_of_the_process_is_over() {
    hostfs::retry_no_longer_than(Deadline::now());
    // The first one counts.
    hostfs::retry_no_longer_than(Deadline::after(std::time::Duration::from_secs(600)));
    let mut attempts = 0;
    let ended = hostfs::retry(|| {
        attempts += 1;
        Err::<(), _>(io::Error::from_raw_os_error(nix::libc::EMFILE))
    });
    assert_eq!(ended.unwrap_err().raw_os_error(), Some(nix::libc::EMFILE));
    // After 5, 10, 20, 40 and 25 ms; on a busy host they are fewer.
    assert!((2..=6).contains(&attempts), "{attempts}");
}
