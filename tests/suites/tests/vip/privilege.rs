//! Fewer privileges than root has.

use std::path::{Path, PathBuf};
use std::process::Command;

use testnet::{Agent, Host, agent};

use super::{Site, VIP, announcer, ends, instances, program, recurring};

/// The agent through setpriv(1).
fn with_setpriv(host: &Host, options: &[&str], program: &Path, words: &[&str]) -> Agent {
    let program = program.to_str().unwrap();
    let arguments = options.iter().chain([&program]).chain(words);
    agent(host, "/usr/bin/setpriv").args(arguments)
}

/// The first word, which is an action for testnet, is an option of setpriv's.
fn run(agent: &Agent) -> testnet::Outcome {
    agent.action("--no-new-privs")
}

/// A copy where everybody may read it: a checkout may lie in a home directory.
fn public_copy() -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = directory.path().join("opensips-vip");
    testnet::copy_program(program(), &copy);
    (directory, copy)
}

const NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

#[test]
fn meta_data_and_validation_for_everybody() {
    testnet::root_or_skip!();
    let host = Host::new("host");
    let (_directory, copy) = public_copy();
    let nobody = |words: &[&str]| run(&with_setpriv(&host, &NOBODY, &copy, words));
    let outcome = nobody(&["meta-data"]);
    ends(&outcome, 0);
    assert_eq!(outcome.stderr, "");
    assert_eq!(outcome.stdout, agent(&host, program()).action("meta-data").stdout);
    ends(&nobody(&["validate-all", "--ip", VIP]), 0);
    ends(&nobody(&["monitor", "--ip", VIP]), 7);
    ends(&nobody(&["stop", "--ip", VIP]), 0);
    ends(&nobody(&["--help"]), 0);
}

#[test]
fn changes_need_cap_net_admin_and_say_so() {
    testnet::root_or_skip!();
    let site = Site::new();
    let (_directory, copy) = public_copy();
    let nobody = |words: &[&str]| run(&with_setpriv(&site.a, &NOBODY, &copy, words));
    let reason = |outcome: &testnet::Outcome| outcome.exit_reason.clone().unwrap();
    let silent = ["start", "--ip", VIP, "--duplicate_check=no", "--announce=none"];
    let refused = nobody(&silent);
    ends(&refused, 4);
    assert!(reason(&refused).contains("CAP_NET_ADMIN is needed"), "{}", refused.stderr);
    assert!(instances(&site.a).is_empty());
    ends(&site.vip().action("start"), 0);
    ends(&nobody(&["monitor", "--ip", VIP]), 0);
    let refused = nobody(&["stop", "--ip", VIP]);
    ends(&refused, 1);
    assert!(reason(&refused).contains("192.0.2.10/24 on eth0 is still there after stop"));
    assert!(reason(&refused).contains("CAP_NET_ADMIN is needed"));
    assert_eq!(instances(&site.a).len(), 1);
    ends(&site.vip().action("stop"), 0);
}

#[test]
fn what_is_to_be_asked_or_announced_needs_cap_net_raw() {
    testnet::root_or_skip!();
    let site = Site::new();
    // What nobody may ask for can't be found out: the rival is there.
    site.b.ip(&format!("addr add {VIP}/24 dev eth0"));
    let options = ["--bounding-set=-net_raw", "--inh-caps=-net_raw"];
    let start = |words: &[&str]| {
        let words = [&["start", "--ip", VIP], words].concat();
        run(&with_setpriv(&site.a, &options, &program(), &words))
    };
    for words in [&[][..], &["--duplicate_check=no"], &["--announce=none"]] {
        let refused = start(words);
        ends(&refused, 4);
        assert!(refused.exit_reason.unwrap().contains("CAP_NET_RAW is needed"));
        assert!(instances(&site.a).is_empty());
    }
    site.b.ip(&format!("addr del {VIP}/24 dev eth0"));
    ends(&start(&["--duplicate_check=no", "--announce=none"]), 0);
    assert_eq!(instances(&site.a), [format!("eth0 {VIP}/24")]);
    assert_eq!(announcer(&site.a), None);
    // Whoever asks gets the kernel's answer.
    let ping = site.neighbour.output(Command::new("ping").args(["-c", "1", "-w", "30", VIP]));
    assert!(ping.status.success());
    ends(&site.vip().action("stop"), 0);
}

/// Root with these capabilities alone.
fn only(agent: &Agent, capabilities: &[&str]) -> Agent {
    let set: String = capabilities.iter().map(|one| format!(",+{one}")).collect();
    let options = ["--bounding-set", "--inh-caps"].map(|option| format!("{option}=-all{set}"));
    agent.clone().under(["/usr/bin/setpriv".to_owned()].iter().chain(&options))
}

/// Those that SECURITY.md names.
#[test]
fn each_action_with_its_capabilities_alone() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip();
    let deep = agent.clone().env("OCF_CHECK_LEVEL", "10");
    ends(&only(&deep, &[]).action("validate-all"), 0);
    ends(&only(&agent, &[]).action("monitor"), 7);
    ends(&only(&agent, &["net_admin", "net_raw"]).action("start"), 0);
    ends(&only(&agent, &[]).action("monitor"), 0);
    ends(&recurring(&only(&agent, &["net_raw"])), 0);
    ends(&recurring(&only(&deep, &["net_raw"])), 0);
    ends(&only(&agent, &[]).action("diagnose"), 0);
    ends(&only(&agent, &["kill", "net_admin"]).action("stop"), 0);
    assert!(instances(&site.a).is_empty());
    assert_eq!(announcer(&site.a), None);
    ends(&only(&agent, &[]).action("stop"), 0);
}
