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

impl Stranger {
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
