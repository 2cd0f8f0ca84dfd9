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
/// Its port.
pub const BOB_PORT: u16 = 5080;
const ALICE: &str = "uac.xml";
const ALICE_PORT: u16 = 5090;
const REGISTRATION_PORT: u16 = 5070;
/// Where nobody hears.
const SILENT_PORT: u16 = 5099;
/// Beyond the last call: timer B and F of RFC 3261, and a slow machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

const SCENARIOS: [(&str, &str); 8] = [
    ("carol.xml", include_str!("carol.xml")),
    ("refresh.xml", include_str!("refresh.xml")),
    ("reinvite.xml", include_str!("reinvite.xml")),
    ("taken.xml", include_str!("taken.xml")),
    ("refused.xml", include_str!("refused.xml")),
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
    /// Whether phones register and refresh their sessions at the same time.
    pub phones: bool,
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

/// A phone tells the registrar behind the virtual IP at which port of the client it answers.
///
/// # Errors
/// It isn't answered.
pub fn register(lab: &Lab, name: &str, port: u16) -> Result<(), String> {
    register_at(lab, name, &format!("{CLIENT}:{port}"))
}

fn register_at(lab: &Lab, name: &str, at: &str) -> Result<(), String> {
    let more = ["-key", "callee", at];
    once(lab, "register.xml", name, &more).map_err(|error| format!("REGISTER: {error}"))
}

/// A call to a phone to which `node`, which serves, can't send is refused, and was not taken before.
///
/// # Errors
/// What SIPp or a command says.
pub fn refused(lab: &Lab, node: &str) -> Result<(), String> {
    let address = "203.0.113.9";
    register_at(lab, "nowhere", &format!("{address}:5080"))?;
    scenario::run(lab, node, &["ip", "route", "add", "unreachable", address])?;
    let refused = once(lab, "refused.xml", "nowhere", &["-recv_timeout", "20000"]);
    scenario::run(lab, node, &["ip", "route", "del", "unreachable", address])?;
    refused.map_err(|error| format!("a call to {address}: {error}"))
}

/// A call to a phone that is silent is taken.
///
/// # Errors
/// What SIPp says.
pub fn taken(lab: &Lab) -> Result<(), String> {
    register(lab, "silent", SILENT_PORT)?;
    let taken = once(lab, "taken.xml", "silent", &["-recv_timeout", "20000"]);
    taken.map_err(|error| format!("a call to a silent phone: {error}"))
}

/// One run of a scenario at the virtual IP.
fn once(lab: &Lab, scenario: &str, called: &str, more: &[&str]) -> Result<(), String> {
    let mut words = words(scenario, REGISTRATION_PORT, called);
    words.extend(more.iter().chain(&["-m", "1"]).map(|word| (*word).to_owned()));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    scenario::run(lab, "client", &words).map(drop)
}

/// A SIPp that answers: Bob, for one.
#[derive(Debug)]
pub struct Answering(Sipp);

/// A SIPp that runs, and is ended with this value.
#[derive(Debug)]
pub(crate) struct Sipp(Child);

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Answering {
    /// Bob, who answers every call.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn bob(lab: &Lab) -> Result<Self, String> {
        Self::begin(lab, "uas.xml", BOB_PORT)
    }

    /// Starts to answer; returns when it hears.
    ///
    /// # Errors
    /// SIPp can't be started, or its port can't be opened.
    pub fn begin(lab: &Lab, scenario: &str, port: u16) -> Result<Self, String> {
        let mut answering = Self(spawn(lab, &words(scenario, port, "bob"))?);
        let socket = format!(":{port:04X} ");
        let begun = Instant::now();
        while !scenario::run(lab, "client", &["cat", "/proc/net/udp"])?.contains(&socket) {
            if let Ok(Some(status)) = answering.0.0.try_wait() {
                return Err(format!("SIPp can't answer at {CLIENT}:{port}: {status}"));
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("SIPp has not opened {CLIENT}:{port}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(answering)
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
    sipp: Sipp,
    load: Load,
}

impl Alice {
    /// Begins to call.
    ///
    /// # Errors
    /// SIPp can't be started.
    pub fn call(lab: &Lab, load: Load) -> Result<Self, String> {
        Ok(Self { sipp: begin(lab, (ALICE, ALICE_PORT), "bob", load)?, load })
    }

    /// Waits until every call has ended, one way or the other, and tells what came of them.
    ///
    /// # Errors
    /// SIPp doesn't end, or its files can't be read.
    pub fn finish(mut self, lab: &Lab) -> Result<Told, String> {
        wait(&mut self.sipp, Instant::now() + self.load.length + self.load.talk + PATIENCE)?;
        Ok(Told {
            statistics: statistics(lab, ALICE)?,
            calls: Calls::parse(&read(lab, ALICE, "messages")?),
            // There is none where nothing was wrong.
            errors: read(lab, ALICE, "errors").unwrap_or_default(),
        })
    }
}

/// Begins to play a scenario at the virtual IP, as often as `load` says, each with its own Call-ID.
pub(crate) fn begin(
    lab: &Lab,
    (scenario, port): (&str, u16),
    called: &str,
    load: Load,
) -> Result<Sipp, String> {
    let remove = format!("cd {DIRECTORY} && rm -f {scenario}.*");
    scenario::run(lab, "client", &["sh", "-c", &remove])?;
    let mut words = words(scenario, port, called);
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
    option("-stf", file(scenario, "calls"));
    option("-shortmessage_file", file(scenario, "messages"));
    option("-error_file", file(scenario, "errors"));
    words.extend(["-trace_stat", "-trace_shortmsg", "-trace_err"].map(str::to_owned));
    spawn(lab, &words)
}

/// Waits until every call of a SIPp has ended, one way or the other.
pub(crate) fn wait(sipp: &mut Sipp, until: Instant) -> Result<(), String> {
    while matches!(sipp.0.try_wait(), Ok(None)) {
        if Instant::now() > until {
            return Err("SIPp doesn't end".to_owned());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// The counters of a scenario that has ended.
pub(crate) fn statistics(lab: &Lab, scenario: &str) -> Result<Statistics, String> {
    Statistics::parse(&read(lab, scenario, "calls")?)
}

fn read(lab: &Lab, scenario: &str, what: &str) -> Result<String, String> {
    scenario::run(lab, "client", &["cat", &file(scenario, what)])
}

fn file(scenario: &str, what: &str) -> String {
    format!("{DIRECTORY}/{scenario}.{what}")
}

/// The words of every SIPp: the callers and those that register name the virtual IP.
fn words(scenario: &str, port: u16, called: &str) -> Vec<String> {
    let mut words = vec!["sipp".to_owned()];
    if !matches!(scenario, "uas.xml" | "carol.xml") {
        words.push(VIP.to_string());
    }
    let file = format!("{DIRECTORY}/{scenario}");
    // loose: what a proxy sends again after a failover has another Via and is the same request
    // nevertheless (RFC 2543, section 11.5; RFC 3261, section 8.2.2.2).
    words.extend(["-sf", &file, "-i", CLIENT, "-p"].map(str::to_owned));
    words.push(port.to_string());
    words.extend(["-s", called, "-rtcheck", "loose", "-nostdin"].map(str::to_owned));
    words
}

fn spawn(lab: &Lab, words: &[String]) -> Result<Sipp, String> {
    let mut command = Command::new("sipp");
    command.args(words.iter().skip(1));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    lab.spawn("client", &mut command).map(Sipp).map_err(|error| format!("sipp: {error}"))
}
