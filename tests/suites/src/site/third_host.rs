//! A host on the public network that is no node: a phone with the wrong address, a router that
//! answers ARP for others.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::Lab;

/// The host; unplugged when it goes out of scope.
#[derive(Debug)]
pub struct ThirdHost {
    process: Child,
}

/// Its hardware address.
const MAC: &str = "02:00:00:00:01:63";

impl ThirdHost {
    /// Plugs it in, without any address.
    ///
    /// # Errors
    /// What `ip` or `unshare` said.
    pub fn plug_in(lab: &Lab) -> Result<Self, String> {
        let rack = lab.rack().ok_or("the lab has no rack")?;
        // A process in the client's PID namespace holds its network: it ends with the lab.
        let mut command = Command::new("unshare");
        command.args(["--net", "sleep", "infinity"]).stdin(Stdio::null());
        let process = lab.spawn("client", &mut command).map_err(|error| error.to_string())?;
        let host = Self { process };
        let client = std::fs::read_link(lab.netns_path("client").map_err(|e| e.to_string())?);
        let client = client.map_err(|error| error.to_string())?;
        let begun = Instant::now();
        while std::fs::read_link(host.namespace()).is_ok_and(|own| own == client) {
            if begun.elapsed() > Duration::from_secs(60) {
                return Err("the third host has no network of its own".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let rack = PathBuf::from(format!("/proc/{}/ns/net", rack.pid));
        let pid = host.process.id();
        within(
            &rack,
            &format!("ip link add third type veth peer name eth0 address {MAC} netns {pid}"),
        )?;
        within(&rack, "ip link set third master public up")?;
        host.shell("ip link set lo up; ip link set eth0 up; ip addr add 192.0.2.250/24 dev eth0")?;
        Ok(host)
    }

    fn namespace(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.process.id()))
    }

    /// Runs a line of shell on it.
    ///
    /// # Errors
    /// As the line's commands.
    pub fn shell(&self, line: &str) -> Result<(), String> {
        within(&self.namespace(), line)
    }
}

impl Drop for ThirdHost {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a line of shell in a network namespace, with the machine's files.
fn within(namespace: &std::path::Path, line: &str) -> Result<(), String> {
    let output = Command::new("nsenter")
        .arg(format!("--net={}", namespace.display()))
        .args(["--", "sh", "-euc", line])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("nsenter: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
