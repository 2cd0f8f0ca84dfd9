//! SIPp on the client of the lab: Bob, who registers and answers; Alice, who calls.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::Lab;

use crate::calls::outcome::{Calls, Statistics};
use crate::scenario::{self, VIP};

/// Where SIPp's scenarios and files are on the client.
const DIRECTORY: &str = "/run/calls";
const CLIENT: &str = "192.0.2.1";
/// Where Bob answers.
pub const BOB: &str = "192.0.2.1:5080";
const BOB_PORT: u16 = 5080;
const ALICE_PORT: u16 = 5090;
const REGISTRATION_PORT: u16 = 5070;
/// Beyond the last call: timer B and F of RFC 3261, and a slow machine.
const PATIENCE: Duration = Duration::from_secs(180);

const SCENARIOS: [(&str, &str); 3] = [
    ("register.xml", include_str!("register.xml")),
    ("uac.xml", include_str!("uac.xml")),
    ("uas.xml", include_str!("uas.xml")),
];

/// How much is called.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Calls begun in a second.
    pub rate: u32,
    /// For how long calls are begun.
    pub length: Duration,
    /// How long a call is up.
    pub talk: Duration,
}

impl Load {
    /// How many calls that is.
    pub fn calls(self) -> u64 {
        self.length.as_secs() * u64::from(self.rate)
    }
}

/// Puts SIPp's scenarios on the client.
///
/// # Errors
/// The client has no power, or SIPp is not installed.
pub fn prepare(lab: &Lab) -> Result<(), String> {
    for (name, text) in SCENARIOS {
        let write = "mkdir -p \"$1\" && printf %s \"$3\" > \"$1/$2\"";
        scenario::run(lab, "client", &["sh", "-c", write, "sh", DIRECTORY, name, text])?;
    }
    let found = scenario::run(lab, "client", &["sh", "-c", "command -v sipp"]);
    found.map(drop).map_err(|_| "SIPp is missing: apt-get install sip-tester".to_owned())
}

/// Bob tells the registrar behind the virtual IP where he is.
///
/// # Errors
/// He isn't answered.
pub fn register(lab: &Lab) -> Result<(), String> {
    let mut words = words("register.xml", REGISTRATION_PORT);
    words.extend(["-key", "callee", BOB, "-m", "1"].map(str::to_owned));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    scenario::run(lab, "client", &words).map(drop).map_err(|error| format!("REGISTER: {error}"))
}

/// Bob, who answers every call.
#[derive(Debug)]
pub struct Bob(Child);

impl Bob {
    /// Starts to answer; returns when he hears.
    ///
    /// # Errors
    /// SIPp can't be started, or its port can't be opened.
    pub fn answer(lab: &Lab) -> Result<Self, String> {
        let mut bob = Self(spawn(lab, &words("uas.xml", BOB_PORT))?);
        let socket = format!(":{BOB_PORT:04X} ");
        let begun = Instant::now();
        while !scenario::run(lab, "client", &["cat", "/proc/net/udp"])?.contains(&socket) {
            if let Ok(Some(status)) = bob.0.try_wait() {
                return Err(format!("SIPp can't answer at {BOB}: {status}"));
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("SIPp has not opened {BOB}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(bob)
    }
}

impl Drop for Bob {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What SIPp tells of Alice's calls.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its counters.
    pub statistics: Statistics,
    /// Each call.
    pub calls: Calls,
    /// What it says about calls that went wrong.
    pub errors: String,
}

/// Alice, who is calling.
#[derive(Debug)]
pub struct Alice {
    sipp: Child,
    load: Load,
}

impl Alice {
    /// Begins to call.
    ///
    /// # Errors
    /// SIPp can't be started.
    pub fn call(lab: &Lab, load: Load) -> Result<Self, String> {
        let remove = format!("cd {DIRECTORY} && rm -f calls.csv messages.csv errors.log");
        scenario::run(lab, "client", &["sh", "-c", &remove])?;
        let mut words = words("uac.xml", ALICE_PORT);
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        option("-r", load.rate.to_string());
        option("-m", load.calls().to_string());
        option("-d", load.talk.as_millis().to_string());
        // Calls pile up in an outage: no limit but that of the run.
        option("-l", load.calls().to_string());
        // RFC 3261, timers B and F: 32 seconds.
        option("-max_invite_retrans", "6".to_owned());
        option("-max_non_invite_retrans", "10".to_owned());
        // A 408 of the node that has lost the address and with it the answers: the transaction has
        // ended with a 200 long since, and a telephone drops it (RFC 3261, section 17.1.1.2).
        option("-default_behaviors", "all,-abortunexp".to_owned());
        // A call that got its 100 and nothing more: nobody waits for ever.
        option("-recv_timeout", "40000".to_owned());
        option("-timer_resol", "1".to_owned());
        option("-stf", format!("{DIRECTORY}/calls.csv"));
        option("-shortmessage_file", format!("{DIRECTORY}/messages.csv"));
        option("-error_file", format!("{DIRECTORY}/errors.log"));
        words.extend(["-trace_stat", "-trace_shortmsg", "-trace_err"].map(str::to_owned));
        Ok(Self { sipp: spawn(lab, &words)?, load })
    }

    /// Waits until every call has ended, one way or the other, and tells what came of them.
    ///
    /// # Errors
    /// SIPp doesn't end, or its files can't be read.
    pub fn finish(mut self, lab: &Lab) -> Result<Told, String> {
        let until = Instant::now() + self.load.length + self.load.talk + PATIENCE;
        while matches!(self.sipp.try_wait(), Ok(None)) {
            if Instant::now() > until {
                return Err("SIPp doesn't end".to_owned());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let read = |file| scenario::run(lab, "client", &["cat", &format!("{DIRECTORY}/{file}")]);
        Ok(Told {
            statistics: Statistics::parse(&read("calls.csv")?)?,
            calls: Calls::parse(&read("messages.csv")?),
            // There is none where nothing was wrong.
            errors: read("errors.log").unwrap_or_default(),
        })
    }
}

impl Drop for Alice {
    fn drop(&mut self) {
        let _ = self.sipp.kill();
        let _ = self.sipp.wait();
    }
}

/// The words of every SIPp: the caller and the registering one name the virtual IP.
fn words(scenario: &str, port: u16) -> Vec<String> {
    let mut words = vec!["sipp".to_owned()];
    if port != BOB_PORT {
        words.push(VIP.to_string());
    }
    let file = format!("{DIRECTORY}/{scenario}");
    // loose: what a proxy sends again after a failover has another Via and is the same request
    // nevertheless (RFC 2543, section 11.5; RFC 3261, section 8.2.2.2).
    words.extend(["-sf", &file, "-i", CLIENT, "-p"].map(str::to_owned));
    words.push(port.to_string());
    words.extend(["-s", "bob", "-rtcheck", "loose", "-nostdin"].map(str::to_owned));
    words
}

fn spawn(lab: &Lab, words: &[String]) -> Result<Child, String> {
    let mut command = Command::new("sipp");
    command.args(words.iter().skip(1));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    lab.spawn("client", &mut command).map_err(|error| format!("sipp: {error}"))
}
