//! Processes that are nobody's concern. One that holds a socket is not this test: whatever another test
//! starts at the same time has its descriptors, too, for as long as it takes to execute the program.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::Site;
use crate::site::is_alive;

/// Protocol, address, whether with SO_REUSEADDR; it holds the socket until its standard input ends.
const PROGRAM: &str = r#"
$| = 1;
my ($protocol, $address, $reuse) = @ARGV;
my %listens = $protocol eq 'tcp' ? (Listen => 5) : ();
my $socket = IO::Socket::INET->new(
    Proto => $protocol, LocalAddr => $address, ReuseAddr => $reuse, %listens) or die "$address: $@";
print "held\n";
<STDIN>;
"#;

/// A stranger's process, ended with the value.
pub(crate) struct Stranger(pub(crate) Child);

/// What a user of the host can do: executes the daemon with these arguments, and stops it before its first
/// instruction. PTRACE_TRACEME is 0; an exec(2) stops what is traced; PTRACE_SETOPTIONS with
/// PTRACE_O_EXITKILL: it does not outlive its tracer (ptrace(2)).
const STOPPED_EXEC: &str = r#"
import ctypes, os, sys
program = os.open(sys.argv[1], os.O_PATH)
child = os.fork()
if child == 0:
    os.setgroups([])
    os.setgid(4711)
    os.setuid(4711)
    ctypes.CDLL(None).ptrace(0, 0, 0, 0)
    os.execve(program, ['opensips'] + sys.argv[2:], {'SMARTVOX_RESOURCE': 'sip'})
os.waitpid(child, os.WUNTRACED)
ctypes.CDLL(None).ptrace(0x4200, child, 0, 0x100000)
print(child, flush=True)
sys.stdin.read()
"#;

impl Stranger {
    /// The daemon's program with this command line, of a user of the host. Returns its pid, too; `None`
    /// where that can't be arranged.
    pub(crate) fn stopped_daemon(site: &Site, arguments: &[&str]) -> Option<(Self, i32)> {
        let mut command = Command::new("python3");
        command.args(["-c", STOPPED_EXEC]).arg(&site.binary).args(arguments);
        let mut child = site.host.spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let stranger = Self(child);
        let pid = line.trim().parse().ok()?;
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        (program == site.binary.canonicalize().unwrap()).then_some((stranger, pid))
    }

    pub(crate) fn new(site: &Site) -> Self {
        Self(site.host.spawn(Command::new("sleep").arg("600")))
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }

    pub(crate) fn is_alive(&self) -> bool {
        is_alive(self.pid())
    }

    /// As a server does: a port that was just used is no obstacle.
    pub(crate) fn tcp(site: &Site, address: &str) -> Self {
        Self::holding(site, ["tcp", address, "1"])
    }

    /// One that shares its port with nobody.
    pub(crate) fn udp(site: &Site, address: &str) -> Self {
        Self::holding(site, ["udp", address, "0"])
    }

    /// One that shares its port with whoever does so, too, as OpenSIPS does.
    pub(crate) fn shared_udp(site: &Site, address: &str) -> Self {
        Self::holding(site, ["udp", address, "1"])
    }

    fn holding(site: &Site, arguments: [&str; 3]) -> Self {
        let mut perl = Command::new("perl");
        perl.args(["-MIO::Socket::INET", "-e", PROGRAM]).args(arguments);
        perl.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = site.host.spawn(&mut perl);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n", "{arguments:?}");
        Self(child)
    }

    /// As an exit reason names it.
    pub(crate) fn name(&self) -> String {
        format!("perl (pid {})", self.0.id())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
