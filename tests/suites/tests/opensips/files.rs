//! Files and file systems that change under an instance.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, chown, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use testnet::{Agent, wait_until};

use crate::identity::second;
use crate::site::{PIDFILE, STATE, recurring, signal, stand_in_alone};
use crate::{LONG, Site, ends, every_daemon, every_daemon_with_mi, fails};

const ROLE: &str = "/run/smartvox/opensips-sip.role";

/// An empty file system over a directory of the host, with these options of tmpfs(5).
fn mount_over(site: &Site, directory: &str, options: &str) {
    site.on_host(|| {
        std::fs::create_dir_all(directory).unwrap();
        mount(Some("test"), directory, Some("tmpfs"), MsFlags::empty(), Some(options)).unwrap();
    });
}

#[test]
fn run_is_mounted_anew_under_a_running_instance() {
    testnet::root_or_skip!();
    every_daemon("run_is_mounted_anew_under_a_running_instance", |site| {
        site.start();
        let processes = site.processes();
        // Pid file, memory, lock and output are out of sight.
        mount_over(site, "/run", "mode=0755");
        ends(&site.agent().action("monitor"), 0);
        ends(&site.monitor(), 0);
        site.start();
        assert_eq!(site.processes(), processes, "executed twice");
        mount_over(site, "/run", "mode=0755");
        site.stop_without_need_of_a_deadline();
        ends(&site.monitor(), 7);
        // A directory that came with the new file system, or none.
        site.start();
        site.stop();
    });
}

#[test]
fn orphans_below_a_run_that_is_mounted_anew() {
    testnet::root_or_skip!();
    every_daemon("orphans_below_a_run_that_is_mounted_anew", |site| {
        site.start();
        site.kill_main();
        mount_over(site, "/run", "mode=0755");
        fails(&site.monitor(), 1, "orphans of OpenSIPS are alive");
        site.stop_without_need_of_a_deadline();
        ends(&site.monitor(), 7);
    });
}

/// Leaves not a byte of a file system.
fn fill(site: &Site, directory: &str) {
    site.on_host(|| {
        let mut file = File::create(format!("{directory}/filler")).unwrap();
        let block = [0; 4096];
        while file.write_all(&block).is_ok() {}
    });
}

#[test]
fn a_full_disk_under_the_pid_file() {
    testnet::root_or_skip!();
    every_daemon("a_full_disk_under_the_pid_file", |site| {
        mount_over(site, "/run/opensips", "mode=0755,size=16k");
        fill(site, "/run/opensips");
        let log = site.path("agent.log");
        std::fs::write(&log, "").unwrap();
        // The daemon leaves an empty pid file, and serves.
        ends(&site.agent().env("HA_LOGFILE", &log).action("start"), 0);
        assert_eq!(site.on_host(|| std::fs::read(PIDFILE).unwrap()), b"");
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("is the file system full?"), "{log}");
        let processes = site.processes();
        ends(&site.monitor(), 0);
        site.start();
        assert_eq!(site.processes(), processes, "executed twice");
        ends(&site.agent().action("stop"), 0);
        assert_eq!(site.processes(), [0; 0]);
        assert_eq!(site.files("/run/opensips"), ["filler"]);
        ends(&site.monitor(), 7);
    });
}

#[test]
fn a_full_disk_under_everything() {
    testnet::root_or_skip!();
    every_daemon("a_full_disk_under_everything", |site| {
        mount_over(site, "/run", "mode=0755,size=16k");
        fill(site, "/run");
        // It serves, and is found without what could not be written.
        ends(&site.agent().action("start"), 0);
        ends(&site.monitor(), 0);
        ends(&site.agent().action("stop"), 0);
        site.nothing_is_left();
        ends(&site.monitor(), 7);
        // It fills up while the instance runs, and the memory of it is lost.
        site.on_host(|| std::fs::remove_file("/run/filler").unwrap());
        site.start();
        site.on_host(|| std::fs::write(STATE, "").unwrap());
        fill(site, "/run");
        ends(&site.monitor(), 0);
        assert!(!site.files("/run/smartvox").iter().any(|name| name.ends_with(".new")));
        ends(&site.agent().action("stop"), 0);
        site.nothing_is_left();
        ends(&site.monitor(), 7);
    });
}

#[test]
fn a_full_disk_keeps_no_survivor_from_taking_over() {
    testnet::root_or_skip!();
    every_daemon("a_full_disk_keeps_no_survivor_from_taking_over", |site| {
        let agent = site.agent().env("OCF_RESKEY_CRM_meta_promoted_max", "1");
        mount_over(site, "/run", "mode=0755,size=64k");
        ends(&agent.action("start"), 0);
        fill(site, "/run");
        ends(&agent.action("promote"), 0);
        ends(&recurring(&agent), 8);
        ends(&agent.action("demote"), 0);
        ends(&recurring(&agent), 0);
        ends(&agent.action("promote"), 0);
        // Where not even that can be overwritten, nothing is remembered, and both go on.
        site.on_host(|| std::fs::remove_file(ROLE).unwrap());
        fill(site, "/run");
        let log = site.path("agent.log");
        std::fs::write(&log, "").unwrap();
        ends(&agent.clone().env("HA_LOGFILE", &log).action("promote"), 0);
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("cannot write /run/smartvox/opensips-sip.role"), "{log}");
        ends(&recurring(&agent), 0);
        ends(&agent.action("demote"), 0);
        ends(&agent.action("stop"), 0);
        assert_eq!(site.processes(), [0; 0]);
    });
}

#[test]
fn a_log_that_nobody_reads_keeps_no_action_waiting() {
    testnet::root_or_skip!();
    every_daemon("a_log_that_nobody_reads_keeps_no_action_waiting", |site| {
        let fifo = site.path("log");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let agent = site.agent().env("HA_LOGFILE", &fifo).env("HA_debug", "1");
        ends(&recurring(&agent), 7);
        ends(&agent.action("start"), 0);
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

/// A file system whose server is dead: it does not even answer the first request. Alive again, in the
/// sense that every request fails, when the value is dropped.
fn dead_file_system(site: &Site, directory: &Path) -> std::io::Result<File> {
    site.on_host(|| {
        std::fs::create_dir_all(directory)?;
        let server = File::options().read(true).write(true).open("/dev/fuse")?;
        let descriptor = server.as_raw_fd();
        let options = format!("fd={descriptor},rootmode=40000,user_id=0,group_id=0");
        let kind = Some("fuse");
        mount(Some("dead"), directory, kind, MsFlags::empty(), Some(options.as_str()))?;
        Ok(server)
    })
}

#[test]
fn a_dead_file_system_keeps_neither_stop_nor_monitor_waiting() {
    testnet::root_or_skip!();
    every_daemon("a_dead_file_system_keeps_neither_stop_nor_monitor_waiting", |site| {
        let dead = site.path("dead");
        let _server = match dead_file_system(site, &dead) {
            Ok(server) => server,
            Err(error) => {
                return testnet::skipped(
                    "files::a_dead_file_system_keeps_neither_stop_nor_monitor_waiting",
                    &format!("needs FUSE: {error}"),
                );
            }
        };
        // By a link, too, and beside another OpenSIPS, with whose configuration ours is compared.
        symlink(&dead, site.path("link")).unwrap();
        let second = second(site);
        ends(&second.action("start"), 0);
        for (name, value) in [
            ("config", dead.join("opensips.cfg")),
            ("config", site.path("link").join("opensips.cfg")),
            ("binary", dead.join("sbin/opensips")),
        ] {
            let agent = site.agent().param(name, &value);
            ends(&recurring(&agent), 7);
            ends(&agent.action("stop"), 0);
        }
        ends(&recurring(&second), 0);
        ends(&second.action("stop"), 0);
        site.nothing_is_left();
    });
}

/// Reads the next request to a file system; the answer to the first, FUSE_INIT (linux/fuse.h), is that
/// all is well. Whoever waits for the answer to one that was read can't be killed.
fn serve(server: &mut File, is_first: bool) {
    let mut request = vec![0; 1 << 16];
    let length = server.read(&mut request).unwrap();
    assert!(length >= 40);
    if is_first {
        // fuse_out_header, then fuse_init_out: version 7.31, and zeros for whatever is the default.
        let mut answer = vec![0_u8; 80];
        answer[..4].copy_from_slice(&80_u32.to_ne_bytes());
        answer[8..16].copy_from_slice(&request[8..16]);
        answer[16..20].copy_from_slice(&7_u32.to_ne_bytes());
        answer[20..24].copy_from_slice(&31_u32.to_ne_bytes());
        answer[36..40].copy_from_slice(&4096_u32.to_ne_bytes());
        server.write_all(&answer).unwrap();
    }
}

#[test]
fn a_start_that_can_not_be_killed_does_not_make_stop_fail() {
    testnet::root_or_skip!();
    stand_in_alone("a_start_that_can_not_be_killed_does_not_make_stop_fail", |site| {
        let dead = site.path("dead");
        let mut server = match dead_file_system(site, &dead) {
            Ok(server) => server,
            Err(error) => {
                return testnet::skipped(
                    "files::a_start_that_can_not_be_killed_does_not_make_stop_fail",
                    &format!("needs FUSE: {error}"),
                );
            }
        };
        serve(&mut server, true);
        let config = dead.join("opensips.cfg");
        let mut start = site.command("start");
        start.env("OCF_RESKEY_config", &config);
        let mut start = site.host.spawn(&mut start);
        serve(&mut server, false);
        let stop = site.agent().param("config", &config);
        ends(&stop.env("OCF_RESKEY_CRM_meta_timeout", "6000").action("stop"), 0);
        assert!(start.try_wait().unwrap().is_none(), "it still waits for the dead server");
        drop(server);
        assert_eq!(start.wait().unwrap().signal(), Some(Signal::SIGKILL as i32));
        assert_eq!(site.processes(), [0; 0]);
    });
}

#[test]
fn a_directory_that_can_not_be_written() {
    testnet::root_or_skip!();
    every_daemon("a_directory_that_can_not_be_written", |site| {
        site.start();
        mount_over(site, "/run", "mode=0755");
        site.on_host(|| {
            let (none, read_only) = (None::<&str>, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY);
            mount(none, "/run", none, read_only, none).unwrap();
        });
        ends(&site.monitor(), 0);
        ends(&site.agent().action("stop"), 0);
        assert_eq!(site.processes(), [0; 0]);
        fails(&site.agent().action("start"), 1, "/run/smartvox");
        assert_eq!(site.processes(), [0; 0]);
    });
}

const FIFO: &str = "/run/opensips/fifo";

fn with_fifo(site: &Site) -> Agent {
    let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
    config.mi_fifo = Some(FIFO.into());
    site.write(&config.text());
    site.agent().param("mi", format!("fifo:{FIFO}"))
}

fn kind_of(site: &Site, path: &str) -> Option<&'static str> {
    let kind = site.on_host(|| std::fs::symlink_metadata(path)).ok()?.file_type();
    Some(match kind {
        kind if kind.is_fifo() => "FIFO",
        kind if kind.is_symlink() => "link",
        _ => "file",
    })
}

/// Starts an instance and kills it, so that it can't clean up.
fn start_and_kill(site: &Site, agent: &Agent) {
    ends(&agent.action("start"), 0);
    wait_until("the FIFO is there", LONG, || kind_of(site, FIFO) == Some("FIFO"));
    for pid in site.processes() {
        signal(pid, Signal::SIGKILL);
    }
    wait_until("nothing is left", LONG, || site.processes().is_empty());
    assert_eq!(kind_of(site, FIFO), Some("FIFO"));
}

#[test]
fn the_fifo_of_a_killed_instance() {
    testnet::root_or_skip!();
    every_daemon_with_mi("the_fifo_of_a_killed_instance", |site| {
        let agent = with_fifo(site);
        start_and_kill(site, &agent);
        ends(&agent.action("start"), 0);
        ends(&recurring(&agent), 0);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
        start_and_kill(site, &agent);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
        // A stranger's, by its owner: stop leaves it.
        start_and_kill(site, &agent);
        site.on_host(|| chown(FIFO, Some(4321), Some(4321)).unwrap());
        ends(&agent.action("stop"), 0);
        assert_eq!(kind_of(site, FIFO), Some("FIFO"));
        // Without the parameter nobody knows of it.
        site.on_host(|| chown(FIFO, Some(0), Some(0)).unwrap());
        ends(&site.agent().action("stop"), 0);
        assert_eq!(kind_of(site, FIFO), Some("FIFO"));
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn something_else_in_the_place_of_the_fifo() {
    testnet::root_or_skip!();
    every_daemon_with_mi("something_else_in_the_place_of_the_fifo", |site| {
        let agent = with_fifo(site);
        // The directory, as start makes it.
        ends(&agent.action("start"), 0);
        ends(&agent.action("stop"), 0);
        let victim = site.path("victim");
        std::fs::write(&victim, "precious").unwrap();
        for (kind, make) in [
            ("file", &(|| std::fs::write(FIFO, "x").unwrap()) as &(dyn Fn() + Sync)),
            ("link", &|| symlink(&victim, FIFO).unwrap()),
        ] {
            site.on_host(make);
            ends(&recurring(&agent), 7);
            ends(&agent.action("stop"), 0);
            assert_eq!(kind_of(site, FIFO), Some(kind), "removed by stop");
            // The daemon puts its own in the place.
            ends(&agent.action("start"), 0);
            wait_until("the FIFO is there", LONG, || kind_of(site, FIFO) == Some("FIFO"));
            site.on_host(|| {
                std::fs::remove_file(FIFO).unwrap();
                make();
            });
            // It serves all the same; who asks the MI is told.
            ends(&recurring(&agent), 0);
            ends(&agent.action("stop"), 0);
            assert_eq!(site.processes(), [0; 0]);
            assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
            site.on_host(|| {
                let _ = std::fs::remove_file(FIFO);
            });
        }
    });
}
