//! What OpenSIPS itself needs to end and to start, without an agent or a cluster.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use suites::calls::case;
use suites::daemon::Daemon;
use suites::probe::wait_for_answer;
use suites::scenario;
use suites::sip;
use testnet::Host;

use crate::figures::Samples;

const PID_FILE: &str = "/run/own.pid";
/// Where the example's configuration has the modules of OpenSIPS.
const PACKAGED_MODULES: &str = "/usr/lib/x86_64-linux-gnu/opensips/modules/";
/// `shm_memory` of the example.
const SHARED_MEMORY_MB: &str = "512";
/// The pace of the questions.
const AGAIN: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// From SIGTERM to the end of the main process, and from its start to the first answer to OPTIONS, with the
/// configuration and the memory of active/standby, on a host that has the address.
pub(super) fn stop_and_start(daemon: &Daemon, rounds: usize) -> Result<[Samples; 2], String> {
    let config = configuration(daemon)?;
    let host = Host::new("node");
    host.ip(&format!("addr add {}/32 dev lo", scenario::VIP));
    host.run(|| {
        let path = PathBuf::from("/run/own.cfg");
        let fifo = std::fs::create_dir("/run/opensips");
        fifo.and_then(|()| std::fs::write(&path, &config)).map_err(|error| error.to_string())?;
        let mut samples = [Samples::default(), Samples::default()];
        for _ in 0..rounds {
            let [stop, begin] = &mut samples;
            begin.add(start(daemon, &path)?);
            stop.add(end()?);
        }
        Ok(samples)
    })
}

/// That of the pair with calls, with the modules of this OpenSIPS.
fn configuration(daemon: &Daemon) -> Result<String, String> {
    let text = case::with_gateway()?;
    let Some(modules) = &daemon.modules else { return Ok(text) };
    if text.matches(PACKAGED_MODULES).count() != 1 {
        return Err(format!("the example's configuration has no {PACKAGED_MODULES}"));
    }
    Ok(text.replace(PACKAGED_MODULES, &format!("{}/", modules.display())))
}

fn start(daemon: &Daemon, config: &Path) -> Result<Duration, String> {
    let text = |error: std::io::Error| format!("{daemon}: {error}");
    let target = scenario::sip();
    let begun = Instant::now();
    let mut command = Command::new(&daemon.binary);
    command.args(["-m", SHARED_MEMORY_MB, "-P", PID_FILE, "-f"]).arg(config);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().map_err(text)?;
    if !status.success() {
        return Err(format!("{daemon}: {status}"));
    }
    let socket = UdpSocket::bind((target.ip(), 0)).map_err(text)?;
    socket.set_nonblocking(true).map_err(text)?;
    for number in 0.. {
        let request = sip::options(target, socket.local_addr().map_err(text)?, number);
        // Refused as long as nobody listens.
        let _ = socket.send_to(&request, target);
        wait_for_answer(&socket, AGAIN).map_err(text)?;
        if socket.recv(&mut [0; 4096]).is_ok() {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{daemon} does not answer"));
        }
    }
    Ok(begun.elapsed())
}

fn end() -> Result<Duration, String> {
    let pid = std::fs::read_to_string(PID_FILE).map_err(|error| format!("{PID_FILE}: {error}"))?;
    let pid: i32 = pid.trim().parse().map_err(|_| format!("{PID_FILE}: {pid:?}"))?;
    let begun = Instant::now();
    let main = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(main, nix::sys::signal::SIGTERM).map_err(|error| error.to_string())?;
    while runs(pid) {
        if begun.elapsed() > PATIENCE {
            return Err(format!("OpenSIPS ({pid}) does not end"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(begun.elapsed())
}

/// A process that nobody has waited for yet has ended, too (proc(5): state Z, after the name in brackets).
fn runs(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
