//! The directory of the pid file belongs to the daemon's user, who may put anything there.

use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::stat::Mode;

use crate::site::PIDFILE;
use crate::{Site, ends, every_daemon, fails};

/// Puts something in the place of the pid file.
fn replace(site: &Site, make: impl FnOnce(&Path) + Send) {
    site.on_host(|| {
        let path = Path::new(PIDFILE);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(path);
        make(path);
    });
}

fn is_there(site: &Site) -> bool {
    site.on_host(|| Path::new(PIDFILE).symlink_metadata().is_ok())
}

#[test]
fn what_is_no_regular_file_is_no_pid_file() {
    testnet::root_or_skip!();
    every_daemon("what_is_no_regular_file_is_no_pid_file", |site| {
        let fifo = |path: &Path| nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
        let endless = |path: &Path| symlink("/dev/zero", path).unwrap();
        for make in [&fifo as &(dyn Fn(&Path) + Sync), &endless] {
            replace(site, make);
            ends(&site.monitor(), 7);
            ends(&site.agent().action("stop"), 0);
            assert!(!is_there(site));
            replace(site, make);
            site.start();
            replace(site, make);
            ends(&site.monitor(), 0);
            site.stop();
        }
    });
}

#[test]
fn a_directory_in_its_place() {
    testnet::root_or_skip!();
    every_daemon("a_directory_in_its_place", |site| {
        replace(site, |path| std::fs::create_dir(path).unwrap());
        ends(&site.monitor(), 7);
        fails(&site.agent().action("start"), 1, &format!("{PIDFILE}: Is a directory"));
        assert_eq!(site.processes(), [0; 0]);
        ends(&site.agent().action("stop"), 0);
        // Whoever made it may have put something into it.
        assert!(is_there(site));
        site.on_host(|| std::fs::remove_dir(PIDFILE).unwrap());
        site.start();
        site.stop();
    });
}
