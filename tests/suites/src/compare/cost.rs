//! What a monitor costs.

use super::contender::Contender;
use super::record::Record;
use super::site::{Site, VIP};

const TRACE: &str = "/run/compare.strace";

/// 13: the processes that a recurring monitor starts, counted by strace.
pub(super) fn processes(contender: &Contender, record: &mut Record) {
    let site = Site::ipv4();
    let vip = contender.address(&[("ip", VIP), ("nic", "eth0"), ("cidr_netmask", "24")]);
    vip.ends(&site.node, record, "start", 0);
    record.check("start adds the VIP", site.instances(VIP) == ["eth0 192.0.2.10/24"]);
    let trace = ["strace", "-f", "-qq", "-e", "trace=fork,vfork,clone,clone3", "-o", TRACE];
    let monitored = vip.wrapped(&trace).run(&site.node, record, "monitor");
    let text = site.node.run(|| std::fs::read_to_string(TRACE)).expect(TRACE);
    let started = text.lines().filter(|line| is_new_process(line)).count();
    record.saw(format!("processes that a monitor starts: {started}"));
    record.check("monitor is 0", monitored.code == 0);
    record.check("monitor starts no other process", started == 0);
    record.fault(started >= 10);
    vip.ends(&site.node, record, "stop", 0);
}

/// `PID clone(...) = CHILD`. A call across which another process ran is told on two lines, the
/// second of which begins with `<...`; a thread is no process.
fn is_new_process(line: &str) -> bool {
    let Some((_, call)) = line.trim_start().split_once(char::is_whitespace) else { return false };
    let call = call.trim_start();
    ["fork(", "vfork(", "clone(", "clone3("].iter().any(|name| call.starts_with(name))
        && !call.contains("CLONE_THREAD")
        && !call.contains(" = -1 ")
}

#[cfg(test)]
mod tests {
    use super::is_new_process;

    #[test]
    fn lines_of_strace() {
        assert!(is_new_process(
            "17 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD) = 18"
        ));
        assert!(is_new_process("17 vfork( <unfinished ...>"));
        assert!(!is_new_process("17 <... vfork resumed>) = 18"));
        assert!(!is_new_process("17 clone3({flags=CLONE_VM|CLONE_THREAD}, 88) = 18"));
        assert!(!is_new_process("17 clone(flags=SIGCHLD) = -1 EAGAIN (Resource unavailable)"));
        assert!(!is_new_process("17 +++ exited with 0 +++"));
    }
}
