//! The reason of a failed start: in the daemon's own words, wherever it has logged them, and with what to do.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;

use opensips_stand_in::{ConfigFile, Version};
use testnet::wait_until;

use crate::site::{every_daemon, every_daemon_that};
use crate::{LONG, Site, ends, fails};

/// The site's configuration, which also has module mi_fifo.
fn with_fifo(site: &Site, fifo: &str, replies: &str) -> ConfigFile {
    let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
    config.more = format!(
        "loadmodule \"mi_fifo.so\"\n\
         modparam(\"mi_fifo\", \"fifo_name\", \"{fifo}\")\n\
         modparam(\"mi_fifo\", \"reply_dir\", \"{replies}/\")\n"
    );
    config
}

/// A journal: what comes to /dev/log is in a file, and journalctl prints it.
struct Journal {
    path: PathBuf,
}

impl Journal {
    fn of(site: &Site) -> Self {
        let (path, program) = (site.path("journal"), site.path("journalctl"));
        let script = format!("#!/bin/sh\nexec sed 's/^<[0-9]*>//' {}\n", path.display());
        testnet::write_program(&program, script);
        std::fs::write(
            &path,
            "Nov 29 04:42:07 other[1]: ERROR:core:main: of a process that lives\n",
        )
        .unwrap();
        // A /dev of this host alone.
        let prepare = format!(
            "set -e; mkdir -p /run/log/journal; mount --bind {} /usr/bin/journalctl\n\
             mkdir -m 755 /run/dev; dev=/run/dev\n\
             for one in null zero full random urandom; do\n\
             touch $dev/$one; mount --bind /dev/$one $dev/$one; done\n\
             mount --rbind $dev /dev\n",
            program.display()
        );
        let prepared = site.host.output(Command::new("/bin/sh").args(["-c", &prepare]));
        assert!(prepared.status.success(), "{prepared:?}");
        let socket = site.on_host(|| {
            let socket = UnixDatagram::bind("/dev/log").unwrap();
            std::fs::set_permissions("/dev/log", Permissions::from_mode(0o666)).unwrap();
            socket
        });
        let file = path.clone();
        // Until the last process of the test, whose end closes the socket.
        std::thread::spawn(move || {
            use std::io::Write;
            let mut log = std::fs::OpenOptions::new().append(true).open(file).unwrap();
            let mut entry = vec![0; 65_536];
            while let Ok(length) = socket.recv(&mut entry) {
                let _ = log.write_all(&entry[..length]);
                if entry[..length].last() != Some(&b'\n') {
                    let _ = log.write_all(b"\n");
                }
            }
        });
        Self { path }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }
}

#[test]
fn what_the_daemon_has_logged_to_syslog_alone() {
    testnet::root_or_skip!();
    every_daemon_that(Version::has_json_mi, "what_the_daemon_has_logged_to_syslog_alone", |site| {
        let journal = Journal::of(site);
        let mut config = with_fifo(site, "/run/fifo", "/no/such/replies");
        config.stderror = false;
        let text = config.text().replace("syslog_enabled=no", "syslog_enabled=yes");
        for format in ["", "syslog_log_format=\"json\"\n", "syslog_log_format=\"json_cee\"\n"] {
            // The stand-in has one format.
            if !site.is_stand_in() || format.is_empty() {
                site.write(&format!("{format}{text}"));
                let start = site.agent().action("start");
                fails(&start, 1, "directory stat failed: No such file or directory");
                fails(&start, 1, "(from the journal): create the directory reply_dir");
                site.nothing_is_left();
            }
        }
        assert!(journal.text().contains("failed to initialize modules!"), "{}", journal.text());
        // A daemon that serves is not asked for, and logs to this host as ever.
        let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
        config.stderror = false;
        site.write(&config.text().replace("syslog_enabled=no", "syslog_enabled=yes"));
        std::fs::write(&journal.path, "").unwrap();
        let start = site.agent().action("start");
        assert_eq!(start.code, 0, "{}{}", start.stderr, journal.text());
        wait_until("the daemon logs", LONG, || !journal.text().is_empty());
        site.stop();
    });
}

#[test]
fn what_to_do_about_the_words_of_the_daemon() {
    testnet::root_or_skip!();
    every_daemon_that(Version::has_json_mi, "what_to_do_about_the_words_of_the_daemon", |site| {
        let good = site.config_with(&["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]).text();
        let validate = || site.agent().env("OCF_CHECK_LEVEL", "10").action("validate-all");
        site.write(&good.replace("loadmodule \"proto_tcp.so\"", ""));
        let module = "socket=tcp:... needs a transport module: add loadmodule \"proto_tcp.so\"";
        fails(&site.agent().action("start"), 2, module);
        fails(&validate(), 2, module);
        site.nothing_is_left();
        let directory = "install it in /no/such/modules/ or correct mpath";
        if let Some(modules) = &site.modules {
            let path = format!("mpath=\"{}/\"", modules.display());
            site.write(&good.replace(&path, "mpath=\"/no/such/modules/\""));
            fails(&site.agent().action("start"), 2, directory);
            fails(&validate(), 2, directory);
            site.nothing_is_left();
        }
        let replies = with_fifo(site, "/run/fifo", "/no/such/replies").text();
        site.write(&replies);
        fails(&site.agent().action("start"), 1, "create the directory reply_dir of module mi_fifo");
        site.nothing_is_left();
        site.write(&with_fifo(site, "/no/such/directory/fifo", "/run").text());
        fails(&site.agent().action("start"), 1, "create the FIFO fifo_name of module mi_fifo");
        site.nothing_is_left();
        site.write(&good);
        if !site.is_stand_in() {
            let chroot = site.agent().param("extra_options", "-t /no/such/directory");
            fails(&chroot.action("start"), 1, "correct -t in extra_options");
            site.nothing_is_left();
        }
        site.start();
        site.stop();
    });
}

#[test]
fn every_cause_is_told_at_once() {
    testnet::root_or_skip!();
    every_daemon("every_cause_is_told_at_once", |site| {
        site.configure(&["udp:192.0.2.10:5060", "tcp:192.0.2.10:5060", "udp:[2001:db8::10]:5060"]);
        for setting in ["net/ipv4/ip_nonlocal_bind", "net/ipv6/ip_nonlocal_bind"] {
            site.host.sysctl(setting, "0");
        }
        let start = site.agent().action("start");
        fails(&start, 1, "(net.ipv4.ip_nonlocal_bind=1)");
        fails(&start, 1, "(net.ipv6.ip_nonlocal_bind=1)");
        // One of each address.
        assert!(!start.stderr.contains("tcp:192.0.2.10:5060 is not"), "{}", start.stderr);
        site.configure(&["tcp:127.0.0.1:5060", "tcp:127.0.0.1:5061"]);
        let held = [5060, 5061]
            .map(|port| site.on_host(|| std::net::TcpListener::bind(("127.0.0.1", port)).unwrap()));
        let start = site.agent().action("start");
        fails(&start, 1, "tcp:127.0.0.1:5060 is in use by ");
        fails(&start, 1, "tcp:127.0.0.1:5061 is in use by ");
        drop(held);
        ends(&site.agent().action("stop"), 0);
        site.nothing_is_left();
    });
}
