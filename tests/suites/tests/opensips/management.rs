//! Management is not service: whatever the MI does, calls go on, and so does the role.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use testnet::{Agent, Outcome};

use crate::mi::{FIFO, configure_fifo, deep, with_mi};
use crate::mi_faults::Over;
use crate::roles::{FIRST, clone_of, standby};
use crate::site::recurring;
use crate::{LONG, Site, ends, every_daemon_with_mi, fails};

#[test]
fn an_mi_elsewhere_ends_no_service() {
    testnet::root_or_skip!();
    every_daemon_with_mi("an_mi_elsewhere_ends_no_service", |site| {
        site.write(&FIRST.text(site, "backup"));
        let agent = standby(site, FIRST);
        let elsewhere = agent.clone().param("mi", "datagram:127.0.0.1:9");
        ends(&elsewhere.action("start"), 0);
        let main = site.main();
        ends(&recurring(&elsewhere), 0);
        fails(&deep(&elsewhere), 190, "Connection refused");
        ends(&elsewhere.action("promote"), 0);
        assert!(!FIRST.is_active(site));
        fails(&recurring(&elsewhere), 191, "Connection refused");
        fails(&deep(&elsewhere), 191, "Connection refused");
        // As soon as the parameter is right, the tag is.
        fails(&recurring(&agent), 191, "has been activated again");
        assert!(FIRST.is_active(site));
        ends(&deep(&agent), 8);
        fails(&deep(&elsewhere), 191, "Connection refused");
        ends(&elsewhere.action("demote"), 0);
        ends(&recurring(&elsewhere), 0);
        assert_eq!(site.main(), main, "it was restarted");
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

/// The modules have less to say than the role.
#[test]
fn a_tag_is_activated_again_although_the_modules_tell_nothing() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let silent = "# OPENSIPS_STAND_IN_MI_SILENT_COMMAND=sr_list_status\n";
    site.write(&format!("{silent}{}", FIRST.text(site, "backup")));
    let agent = standby(site, FIRST).param("mi_timeout", "1");
    let elsewhere = agent.clone().param("mi", "datagram:127.0.0.1:9");
    ends(&agent.action("start"), 0);
    // Promoted, and without its tag.
    ends(&elsewhere.action("promote"), 0);
    assert!(!FIRST.is_active(site));
    ends(&deep(&agent), 191);
    assert!(FIRST.is_active(site));
    ends(&agent.action("stop"), 0);
    site.nothing_is_left();
}

#[test]
fn another_mi_answers_where_the_first_one_does_not() {
    testnet::root_or_skip!();
    every_daemon_with_mi("another_mi_answers_where_the_first_one_does_not", |site| {
        site.write(&FIRST.text(site, "backup"));
        let port = format!("datagram:127.0.0.1:{}", FIRST.port);
        let agent = standby(site, FIRST).param("mi", "datagram:127.0.0.1:9");
        let agent = agent.param("mi_fallback", port);
        ends(&agent.action("start"), 0);
        fails(&deep(&agent), 190, "datagram:127.0.0.1:9 can't be reached (Connection refused)");
        ends(&agent.action("promote"), 0);
        assert!(FIRST.is_active(site));
        fails(&recurring(&agent), 191, "datagram:127.0.0.1:9 can't be reached");
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn another_mi_has_time_to_answer_where_the_first_one_hangs() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    site.write(&FIRST.text(site, "backup"));
    let agent = standby(site, FIRST);
    ends(&agent.action("start"), 0);
    let silent = site.on_host(|| UdpSocket::bind("127.0.0.1:8099").unwrap());
    let hung = agent.clone().param("mi", "datagram:127.0.0.1:8099").param("mi_timeout", "600s");
    let hung = hung.param("mi_fallback", FIRST.mi()).param("shm_limit", "1");
    let outcome = deep(&hung.env("OCF_RESKEY_CRM_meta_timeout", "30000"));
    fails(&outcome, 190, "gave no complete answer within");
    fails(&outcome, 190, " MB used, over shm_limit=1%");
    drop(silent);
    ends(&agent.action("stop"), 0);
}

#[test]
fn a_tag_that_does_not_exist_is_refused_by_validation_and_ends_no_service() {
    testnet::root_or_skip!();
    every_daemon_with_mi("a_tag_that_does_not_exist", |site| {
        site.write(&FIRST.text(site, "backup"));
        let agent = standby(site, FIRST);
        let unknown = agent.clone().param("sharing_tag", "vip/7");
        let validate = unknown.clone().env("OCF_CHECK_LEVEL", "10").action("validate-all");
        ends(&validate, 2);
        assert!(validate.stderr.contains("declare vip/7=backup"), "{}", validate.stderr);
        // Refused by both nodes after a crash, it would end the service.
        ends(&unknown.action("start"), 0);
        ends(&recurring(&unknown), 0);
        fails(&deep(&unknown), 190, "has no such sharing tag: declare vip/7=backup");
        ends(&unknown.action("promote"), 0);
        fails(&recurring(&unknown), 191, "Cluster ID not found");
        fails(&deep(&unknown), 191, "Cluster ID not found");
        // In a cluster that it knows, the daemon makes the tag; that is said as long as it is so.
        let made = agent.clone().param("sharing_tag", "vip/1,other/1");
        ends(&made.action("promote"), 0);
        ends(&recurring(&made), 8);
        for _ in 0..2 {
            fails(&deep(&made), 191, "sharing_tag=other/1: OpenSIPS has no such sharing tag");
        }
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

/// What may be declared in a file that can't be read is not known, and no fault of the parameter.
#[test]
fn a_tag_in_a_file_that_cannot_be_read_is_not_called_undeclared() {
    testnet::root_or_skip!();
    every_daemon_with_mi("a_tag_in_a_file_that_cannot_be_read", |site| {
        let all = FIRST.text(site, "backup");
        let (tags, rest): (Vec<&str>, Vec<&str>) =
            all.lines().partition(|line| line.contains("sharing_tag"));
        // At the end of the settings, before the routes.
        let modules = rest.iter().rposition(|line| line.starts_with("modparam")).unwrap() + 1;
        let (before, after) = rest.split_at(modules);
        let tags_file = site.path("tags.cfg");
        std::fs::write(&tags_file, tags.join("\n") + "\n").unwrap();
        let include = format!("include_file \"{}\"", tags_file.display());
        site.write(&format!("{}\n{include}\n{}\n", before.join("\n"), after.join("\n")));
        let agent = standby(site, FIRST);
        let host = agent.clone().env("OCF_CHECK_LEVEL", "10");
        ends(&host.action("validate-all"), 0);
        ends(&agent.action("start"), 0);
        ends(&agent.action("promote"), 0);
        ends(&deep(&agent), 8);
        // As root, no mode makes a file unreadable.
        std::fs::remove_file(&tags_file).unwrap();
        std::fs::create_dir(&tags_file).unwrap();
        let unread = format!(
            "{} can't be read (Is a directory) and may declare sharing tag vip/1",
            tags_file.display()
        );
        // The daemon's own check fails, and that bars no node.
        // As a person calls it: what is logged goes to stderr.
        let validate = host.env("PCMK_service", "").action("validate-all");
        fails(&validate, 1, "configuration check failed");
        assert!(!validate.stderr.contains("no such sharing tag"), "{}", validate.stderr);
        assert!(validate.stderr.contains(&unread), "{}", validate.stderr);
        fails(&deep(&agent), 191, &unread);
        std::fs::remove_dir(&tags_file).unwrap();
        std::fs::write(&tags_file, tags.join("\n") + "\n").unwrap();
        ends(&deep(&agent), 8);
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}

#[test]
fn an_mi_fifo_that_is_removed_ends_no_service() {
    testnet::root_or_skip!();
    every_daemon_with_mi("an_mi_fifo_that_is_removed_ends_no_service", |site| {
        configure_fifo(site);
        let promotable = clone_of(with_mi(site, &format!("fifo:{FIFO}")));
        ends(&promotable.action("start"), 0);
        let main = site.main();
        ends(&promotable.action("promote"), 0);
        ends(&deep(&promotable), 8);
        site.on_host(|| std::fs::remove_file(FIFO).unwrap());
        ends(&recurring(&promotable), 8);
        fails(&deep(&promotable), 191, "No such file or directory");
        ends(&promotable.action("demote"), 0);
        fails(&deep(&promotable), 190, "No such file or directory");
        ends(&promotable.action("promote"), 0);
        assert_eq!(site.main(), main);
        // The next start has its FIFO again.
        ends(&promotable.action("stop"), 0);
        ends(&promotable.action("start"), 0);
        ends(&deep(&promotable), 0);
        ends(&promotable.action("stop"), 0);
    });
}

#[test]
fn an_mi_that_hangs_has_a_verdict_in_time_in_every_role() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    site.write(&FIRST.text(site, "backup"));
    let agent = standby(site, FIRST);
    ends(&agent.action("start"), 0);
    let silent = site.on_host(|| UdpSocket::bind("127.0.0.1:8099").unwrap());
    let hung = agent.clone().param("mi", "datagram:127.0.0.1:8099");
    let hung = hung.env("OCF_RESKEY_CRM_meta_timeout", "20000");
    let in_time = |outcome: &Outcome| {
        assert!(outcome.took < Duration::from_secs(18), "{:?}", outcome.took);
    };
    fails(&deep(&hung), 190, "gave no complete answer within");
    let promoted = hung.action("promote");
    ends(&promoted, 0);
    in_time(&promoted);
    assert!(!FIRST.is_active(site));
    for outcome in [recurring(&hung), deep(&hung)] {
        fails(&outcome, 191, "gave no complete answer within");
        in_time(&outcome);
    }
    // What can't be asked need not be asked to become unpromoted.
    ends(&hung.action("demote"), 0);
    ends(&recurring(&agent), 0);
    drop(silent);
    ends(&agent.action("stop"), 0);
}

/// Stands between the agent and the daemon's MI as a command that keeps the daemon's MI process busy
/// does: for `busy`, nothing is answered; then everything is.
fn with_busy_mi(site: &Site, busy: Duration, test: impl FnOnce(&str)) {
    let (front, back) = site.on_host(|| {
        let (front, back) = (UdpSocket::bind("127.0.0.1:8099"), UdpSocket::bind("127.0.0.1:0"));
        (front.unwrap(), back.unwrap())
    });
    back.connect(("127.0.0.1", FIRST.port)).unwrap();
    back.set_read_timeout(Some(LONG)).unwrap();
    let over = AtomicBool::new(false);
    front.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = vec![0; 65_536];
            let mut is_busy = true;
            while !over.load(Ordering::Relaxed) {
                let Ok((length, peer)) = front.recv_from(&mut buffer) else { continue };
                if std::mem::take(&mut is_busy) {
                    std::thread::sleep(busy);
                }
                back.send(&buffer[..length]).unwrap();
                let Ok(length) = back.recv(&mut buffer) else { continue };
                let _ = front.send_to(&buffer[..length], peer);
            }
        });
        let _over = Over(&over);
        test("datagram:127.0.0.1:8099");
    });
}

/// Longer than one answer may take, and shorter than half of the time of promote.
const BUSY: Duration = Duration::from_secs(7);

fn patient(agent: Agent) -> Agent {
    agent.env("OCF_RESKEY_CRM_meta_timeout", "120000")
}

#[test]
fn promote_waits_for_a_busy_mi() {
    testnet::root_or_skip!();
    every_daemon_with_mi("promote_waits_for_a_busy_mi", |site| {
        site.write(&FIRST.text(site, "backup"));
        let agent = standby(site, FIRST);
        ends(&agent.action("start"), 0);
        with_busy_mi(site, BUSY, |mi| {
            let busy = patient(agent.clone().param("mi", mi));
            ends(&busy.action("promote"), 0);
            assert!(FIRST.is_active(site));
            ends(&deep(&busy), 8);
        });
        with_busy_mi(site, BUSY, |mi| {
            let busy = patient(agent.clone().param("mi", mi));
            let hasty = busy.clone().param("mi_timeout", "200ms");
            fails(&deep(&hasty), 191, "gave no complete answer within");
            // It has the time for more than one look.
            let longer = busy.param("mi_timeout", "60s");
            ends(&deep(&longer), 8);
        });
        ends(&agent.action("stop"), 0);
        site.nothing_is_left();
    });
}
