//! The Management Interface of the daemons, and files that have taken its place.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::stat::Mode;
use nix::unistd::{User, mkfifo};
use testnet::{Agent, Outcome};

use crate::site::recurring;
use crate::{Site, ends, every_daemon_with_mi, fails};

pub(crate) const FIFO: &str = "/run/opensips/fifo";
pub(crate) const REPLIES: &str = "/run/smartvox/mi";
/// Where a test puts what pretends to be the daemon's.
pub(crate) const FAKE: &str = "/run/opensips/fake";

/// A recurring monitor that asks the MI.
pub(crate) fn deep(agent: &Agent) -> Outcome {
    recurring(&agent.clone().env("OCF_CHECK_LEVEL", "10"))
}

pub(crate) fn nobody() -> (u32, u32) {
    let user = User::from_name("nobody").unwrap().unwrap();
    (user.uid.as_raw(), user.gid.as_raw())
}

/// The site's configuration with module mi_fifo, replies in a directory of their own.
pub(crate) fn configure_fifo(site: &Site) {
    let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
    config.more = format!(
        "loadmodule \"mi_fifo.so\"\n\
         modparam(\"mi_fifo\", \"fifo_name\", \"{FIFO}\")\n\
         modparam(\"mi_fifo\", \"reply_dir\", \"{REPLIES}/\")\n"
    );
    site.write(&config.text());
}

pub(crate) fn with_mi(site: &Site, mi: &str) -> Agent {
    site.agent().param("mi", mi).param("mi_reply_dir", REPLIES)
}

/// What a monitor of a healthy instance says, whatever the transport.
#[track_caller]
fn works(agent: &Agent) {
    ends(&agent.action("start"), 0);
    ends(&recurring(agent), 0);
    ends(&deep(agent), 0);
    let outcome = deep(&agent.clone().param("shm_limit", "1"));
    fails(&outcome, 190, " MB used, over shm_limit=1%");
    ends(&agent.action("stop"), 0);
}

#[test]
fn over_a_fifo() {
    testnet::root_or_skip!();
    every_daemon_with_mi("over_a_fifo", |site| {
        configure_fifo(site);
        let agent = with_mi(site, &format!("fifo:{FIFO}"));
        works(&agent);
        assert_eq!(site.files(REPLIES), [""; 0], "a reply FIFO is left");
        let mode = site.on_host(|| std::fs::metadata(REPLIES).unwrap().mode());
        assert_eq!(mode & 0o7777, 0o710);
        // Nobody makes the directory in validation.
        ends(&agent.clone().env("OCF_CHECK_LEVEL", "10").action("validate-all"), 0);
    });
}

#[test]
fn over_datagrams() {
    testnet::root_or_skip!();
    every_daemon_with_mi("over_datagrams", |site| {
        for (name, mi) in [
            ("udp:127.0.0.1:8080", "datagram:127.0.0.1:8080"),
            ("/run/opensips/mi.socket", "datagram:/run/opensips/mi.socket"),
        ] {
            let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
            config.mi_datagram = Some(name.to_owned());
            site.write(&config.text());
            works(&site.agent().param("mi", mi));
        }
    });
}

#[test]
fn over_http() {
    testnet::root_or_skip!();
    let asked = AtomicBool::new(false);
    every_daemon_with_mi("over_http", |site| {
        // The stand-in has none.
        if !site.has_module("mi_http") {
            return;
        }
        let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
        config.more = "loadmodule \"httpd.so\"\n\
                       modparam(\"httpd\", \"ip\", \"127.0.0.1\")\n\
                       modparam(\"httpd\", \"port\", 8888)\n\
                       loadmodule \"mi_http.so\"\n"
            .to_owned();
        site.write(&config.text());
        works(&site.agent().param("mi", "http://127.0.0.1:8888/mi"));
        asked.store(true, Ordering::Relaxed);
    });
    if !asked.into_inner() {
        testnet::skipped("mi::over_http", "needs an OpenSIPS with module mi_http");
    }
}

#[test]
fn what_has_taken_the_place_of_the_fifo_is_not_written_to() {
    testnet::root_or_skip!();
    every_daemon_with_mi("what_has_taken_the_place_of_the_fifo_is_not_written_to", |site| {
        configure_fifo(site);
        let agent = with_mi(site, &format!("fifo:{FAKE}"));
        ends(&agent.action("start"), 0);
        fails(&deep(&agent), 190, "No such file or directory");

        site.on_host(|| std::fs::write(FAKE, "precious").unwrap());
        fails(&deep(&agent), 190, "is a regular file, not a FIFO");
        let validated = agent.clone().env("OCF_CHECK_LEVEL", "10").action("validate-all");
        assert!(validated.stderr.contains("is a regular file"), "{}", validated.stderr);
        assert_eq!(site.on_host(|| std::fs::read_to_string(FAKE).unwrap()), "precious");

        // A link to the daemon's own FIFO is a link all the same.
        site.on_host(|| {
            std::fs::remove_file(FAKE).unwrap();
            symlink(FIFO, FAKE).unwrap();
        });
        fails(&deep(&agent), 190, "is a symbolic link, not a FIFO");

        site.on_host(|| {
            std::fs::remove_file(FAKE).unwrap();
            make_fifo(FAKE, (4321, 4321));
        });
        fails(&deep(&agent), 190, "belongs to user 4321");
        site.on_host(|| chown(FAKE, Some(nobody().0), None).unwrap());
        fails(&deep(&agent), 190, "no process reads from it");
        // Calls are served: without the deep look all is well.
        ends(&recurring(&agent), 0);
        site.on_host(|| std::fs::remove_file(FAKE).unwrap());
        ends(&agent.action("stop"), 0);
    });
}

#[test]
fn replies_where_others_could_meddle_are_not_asked_for() {
    testnet::root_or_skip!();
    every_daemon_with_mi("replies_where_others_could_meddle_are_not_asked_for", |site| {
        configure_fifo(site);
        let agent = with_mi(site, &format!("fifo:{FIFO}"));
        ends(&agent.action("start"), 0);
        let set = |mode: u32, owner: u32| {
            site.on_host(|| {
                std::fs::set_permissions(REPLIES, Permissions::from_mode(mode)).unwrap();
                chown(REPLIES, Some(owner), None).unwrap();
            });
        };
        set(0o777, 0);
        fails(&deep(&agent), 190, "lacks the sticky bit");
        set(0o1777, 0);
        ends(&deep(&agent), 0);
        set(0o755, 4321);
        fails(&deep(&agent), 190, "belongs to user 4321");
        let long = format!("/run/{}", "x".repeat(120));
        fails(&deep(&agent.clone().param("mi_reply_dir", &long)), 190, "too long for OpenSIPS");
        set(0o710, 0);
        ends(&deep(&agent), 0);
        ends(&agent.action("stop"), 0);
    });
}

pub(crate) fn make_fifo(path: &str, (uid, gid): (u32, u32)) {
    mkfifo(path, Mode::from_bits_truncate(0o660)).unwrap();
    chown(path, Some(uid), Some(gid)).unwrap();
}
