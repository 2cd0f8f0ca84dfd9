//! What phones do besides calling, at the same time as the calls: registrations that are refreshed over UDP and
//! over TCP, and calls whose session is refreshed by re-INVITEs.

use std::time::{Duration, Instant};

use lab::Lab;

use crate::calls::outcome::Statistics;
use crate::calls::sipp::{self, Answering, Load, Sipp};
use crate::calls::tcp::{self, Counted};
use crate::scenario::{self, Example};

/// Head of a table of them, after a column of its own.
pub const HEAD: [&str; 5] = ["who", "requests", "failed", "sent again", "connections ended"];
/// Phones of each kind that begin in a second, and those over TCP.
const RATE: u32 = 10;
const CONNECTED: usize = 20;
/// What a scenario takes, after the last has begun: four times two seconds.
const LENGTH: Duration = Duration::from_secs(8);
const REFRESHING: (&str, u16) = ("refresh.xml", 5071);
const REINVITING: (&str, u16) = ("reinvite.xml", 5072);
const CAROL: (&str, u16) = ("carol.xml", 5081);
/// Where she answers, for a proxy that has a gateway in place of registrations.
pub(crate) const CAROL_AT: &str = "192.0.2.1:5081";
const TCP: &str = "REGISTER, refreshed, TCP";
/// Requests that a phone of each kind sends: four REGISTERs; an INVITE, three re-INVITEs, a BYE.
const REGISTERS: u64 = 4;
const REQUESTS: u64 = 5;

/// What came of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// As a table names it.
    pub kind: &'static str,
    /// Requests that had to be answered; over TCP, those that were sent.
    pub requests: u64,
    /// Phones or calls that failed.
    pub failed: u64,
    /// Requests that were sent again.
    pub again: u64,
    /// Connections that ended.
    pub connections: u64,
}

impl Told {
    /// A row of such a table.
    pub fn cells(&self) -> Vec<String> {
        let connections = match self.kind {
            TCP => self.connections.to_string(),
            _ => String::new(),
        };
        let of = |number: u64| number.to_string();
        let numbers = [of(self.requests), of(self.failed), of(self.again), connections];
        [self.kind.to_owned()].into_iter().chain(numbers).collect()
    }

    /// Of two rounds.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.again += other.again;
        self.connections += other.connections;
    }
}

/// Phones at work.
#[derive(Debug)]
pub struct Phones {
    refreshing: Sipp,
    reinviting: Sipp,
    connected: tcp::Phones,
    _answering: Answering,
    until: Instant,
}

impl Phones {
    /// Begins for as long as the calls of `load`.
    ///
    /// # Errors
    /// SIPp can't be started, or nothing can be registered.
    pub fn begin(lab: &Lab, example: Example, load: Load) -> Result<Self, String> {
        let answering = Answering::begin(lab, CAROL.0, CAROL.1)?;
        if example == Example::HotStandby {
            sipp::register(lab, "carol", CAROL.1)?;
        }
        let some = Load { rate: RATE, ..load };
        let netns = lab.netns_path("client").map_err(|error| error.to_string())?;
        let connected = tcp::Phones::begin(&netns, scenario::sip(), CONNECTED);
        Ok(Self {
            refreshing: sipp::begin(lab, REFRESHING, "phone", some)?,
            reinviting: sipp::begin(lab, REINVITING, "carol", some)?,
            connected: connected.map_err(|error| error.to_string())?,
            _answering: answering,
            until: Instant::now() + load.length + LENGTH + sipp::PATIENCE,
        })
    }

    /// Waits until each has ended and tells what came of them.
    ///
    /// # Errors
    /// SIPp does not end, or its files can't be read.
    pub fn finish(mut self, lab: &Lab) -> Result<Vec<Told>, String> {
        for sipp in [&mut self.refreshing, &mut self.reinviting] {
            sipp::wait(sipp, self.until)?;
        }
        let of = |kind, (scenario, _): (&str, u16), each| {
            let Statistics { calls, failed, retransmissions } = sipp::statistics(lab, scenario)?;
            let again = retransmissions;
            Ok::<_, String>(Told { kind, requests: calls * each, failed, again, connections: 0 })
        };
        let refreshed = of("REGISTER, refreshed, UDP", REFRESHING, REGISTERS)?;
        let reinvited = of("INVITE, re-INVITE, BYE, UDP", REINVITING, REQUESTS)?;
        let Counted { sent, again, ended, failed } =
            self.connected.finish().map_err(|error| error.to_string())?;
        let connected = Told { kind: TCP, requests: sent, failed, again, connections: ended };
        Ok(vec![refreshed, reinvited, connected])
    }
}
