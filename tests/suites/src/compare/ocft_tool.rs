//! `ocft` of resource-agents itself, with an agent in the place of IPaddr2.
//!
//! ocft generates a shell script for each of its cases. They are run one by one, on one host for
//! each file of cases: a case that fails leaves the host as it is, so addresses are taken away
//! between the cases, or the following ones would fail for its sake.

use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use testnet::Host;

use super::contender::Contender;

const CONFIGS: &str = "/usr/share/resource-agents/ocft/configs";
const CASES: &str = "/var/lib/resource-agents/ocft/cases";
const FILES: [&str; 2] = ["IPaddr2v4", "IPaddr2v6"];

/// Prints the result of each case for each agent. ocft's expectations are IPaddr2's, so that a
/// failed case is no verdict.
///
/// # Errors
/// ocft is not installed, or generates nothing.
pub fn run(contenders: &[(String, Contender, bool)]) -> Result<bool, String> {
    for (name, contender, _) in contenders {
        // Each action takes a second: ocft looks once a second whether it has ended.
        let results = std::thread::scope(|scope| {
            let running = FILES.map(|file| scope.spawn(move || cases(contender, file)));
            running.map(|thread| thread.join().map_err(|_| "a case panicked".to_owned()))
        });
        for result in results {
            for line in result?? {
                println!("{name}: {line}");
            }
        }
    }
    Ok(true)
}

fn cases(contender: &Contender, file: &str) -> Result<Vec<String>, String> {
    let host = Host::new(file);
    for interface in ["eth0", "eth1"] {
        host.ip(&format!("link add {interface} type veth peer name far-{interface}"));
        host.ip(&format!("link set {interface} up"));
        host.ip(&format!("link set far-{interface} up"));
    }
    host.run(|| prepare(contender.program(), file)).map_err(|error| format!("ocft: {error}"))?;
    let made = host.output(Command::new("ocft").args(["make", "-d", "/run/ocft", file]));
    if !made.status.success() {
        return Err(format!("ocft make: {}", String::from_utf8_lossy(&made.stderr)));
    }
    let mut lines = Vec::new();
    for number in 0.. {
        let script = format!("{CASES}/{number}_{file}.sh");
        if !host.run(|| Path::new(&script).exists()) {
            break;
        }
        for script in [format!("{CASES}/setup_{file}.sh"), script] {
            let mut bash = Command::new("bash");
            bash.arg(&script).current_dir("/run/ocft").env("LANG", "C");
            let output = host.output(bash.env_remove("__OCFT__VERBOSE"));
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            if script.contains("setup_") {
                continue;
            }
            let plain = text.replace("\u{1b}[32m", "").replace("\u{1b}[31m", "");
            let first = plain.replace("\u{1b}[0m", "");
            lines.push(format!("{number} {}", first.lines().next().unwrap_or("no output")));
        }
        for interface in ["eth0", "eth1"] {
            host.ip(&format!("addr flush dev {interface} scope global"));
            let mut command = Command::new("ip");
            // There only if a case has left it.
            let _ = host.output(command.args(["addr", "del", "fe80::2/64", "dev", interface]));
        }
    }
    if lines.is_empty() { Err(format!("ocft has made no case of {file}")) } else { Ok(lines) }
}

/// Inside the host: a place for ocft's scripts, the agent under the name IPaddr2, and a file of
/// cases that names its directory.
fn prepare(program: &Path, file: &str) -> std::io::Result<()> {
    let none = None::<&str>;
    // ocft's directory is fixed: a private one over it.
    mount(Some("lib"), "/var/lib", Some("tmpfs"), MsFlags::empty(), none)?;
    for directory in [CASES, "/run/ocft/agents", "/run/resource-agents"] {
        std::fs::create_dir_all(directory)?;
    }
    std::os::unix::fs::symlink(program, "/run/ocft/agents/IPaddr2")?;
    let text = std::fs::read_to_string(format!("{CONFIGS}/{file}"))?;
    let text = text.replace("/usr/lib/ocf/resource.d/heartbeat", "/run/ocft/agents");
    std::fs::write(format!("/run/ocft/{file}"), text)
}
