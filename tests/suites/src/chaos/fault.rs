//! What a fault is: how it strikes, how it ends, and what may come of it.

use std::cell::RefCell;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::draw::Dice;
use crate::site::{Process, Site};

/// One step of a fault.
pub type Step = fn(&Case<'_>) -> Result<(), String>;

/// A fault.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Its name, by which it is chosen.
    pub name: &'static str,
    /// What happens, as words to which the victim is added.
    pub what: &'static str,
    /// How the limit of silence comes about, for the page; where the victim does not serve, it is that of no
    /// silence.
    pub why: &'static str,
    /// Whom it may strike.
    pub roles: &'static [Role],
    /// Set where the victim needs an OpenSIPS: in active/standby only the serving node has one.
    pub needs_daemon: bool,
    /// How long it lasts, at least and at most.
    pub lasts: (Duration, Duration),
    /// It begins.
    pub strike: Step,
    /// Repeated until it ends.
    pub meanwhile: Step,
    /// It ends.
    pub mend: Step,
    /// How long the service is watched after it, at least: a late effect shows by then.
    pub least: Duration,
    /// What may come of it.
    pub allowed: fn(&Circumstances) -> Allowed,
}

/// Whom a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The node that has the virtual IP address.
    Serving,
    /// One that has not.
    Standby,
    /// Every node.
    All,
}

/// What the limits depend on.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Whom it strikes.
    pub role: Role,
    /// Whether OpenSIPS runs on every node.
    pub hot: bool,
    /// How long it lasts.
    pub lasts: Duration,
    /// Corosync's token timeout.
    pub token: Duration,
}

/// What may come of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// How long there may be no SIP, in all, from its beginning on.
    pub silent: Duration,
    /// How long after its end two hosts may still answer ARP for the address; `None`: never two.
    pub two_owners: Option<Duration>,
    /// Whether a node may be fenced.
    pub fencing: bool,
    /// As `silent`, where no node was fenced; `None`: the same.
    pub silent_unfenced: Option<Duration>,
}

impl Allowed {
    /// One owner, no fencing.
    #[must_use]
    pub const fn silent(limit: Duration) -> Self {
        Self { silent: limit, two_owners: None, fencing: false, silent_unfenced: None }
    }

    /// The same, and a node may be fenced.
    #[must_use]
    pub const fn fenced(self) -> Self {
        Self { fencing: true, ..self }
    }

    /// The same, and where none was fenced, SIP may be away for no longer than that.
    #[must_use]
    pub const fn unless_fenced(self, limit: Duration) -> Self {
        Self { silent_unfenced: Some(limit), ..self }
    }

    /// How long there may be no SIP, by whether a node was fenced.
    #[must_use]
    pub fn limit(&self, was_fenced: bool) -> Duration {
        self.silent_unfenced.filter(|_| !was_fenced).unwrap_or(self.silent)
    }

    /// The same, and until `after` its end two hosts may answer.
    #[must_use]
    pub const fn two_owners(self, after: Duration) -> Self {
        Self { two_owners: Some(after), ..self }
    }
}

/// What separates no silence from a limit: two questions that were asked at a moment when the machine
/// was busy.
pub const NONE: Duration = Duration::from_secs(1);

/// A failure that a monitor of 2 s finds, a restart in place or a move: an interval, its detection, stop and
/// start of a real OpenSIPS.
pub const NOTICED: Duration = Duration::from_secs(6);

/// A move that is asked for.
pub const MOVED: Duration = Duration::from_secs(3);

/// OpenSIPS that answers nothing is restarted after `stall_limit` (10 s): and an interval of the monitor,
/// the end of processes that take no signal but SIGKILL, and a start.
pub const STALLED: Duration = Duration::from_secs(18);

impl Circumstances {
    /// From the end of a node to SIP on another: the token, 1.2 times that for consensus, the delay of the
    /// example's first fence device (1 s in the lab) and 5 s for fencing, Pacemaker's transition and start.
    #[must_use]
    pub fn failover(&self) -> Duration {
        self.token.mul_f32(2.2) + Duration::from_secs(6)
    }

    /// Whether a node that is silent for as long as the fault lasts can count as lost. A second less, because
    /// a token may be on its way when it begins.
    #[must_use]
    pub fn outlasts_token(&self) -> bool {
        self.lasts + Duration::from_secs(1) >= self.token
    }

    /// From the end of contact with a node to SIP. One that is heard again after it has counted as lost and
    /// before the shot is shot as a member, and may be the DC again: its loss has to be noticed a second time,
    /// and the node that becomes DC then has it fenced once more, because the report of the first shot
    /// waits for the same token.
    #[must_use]
    pub fn loss_of_contact(&self) -> Duration {
        if self.heard_before_the_shot() { self.failover() * 2 } else { self.failover() }
    }

    /// From 1.5 s before the loss, because Corosync takes a second until a link counts as up again, to the end
    /// of an election, the question of the second opinion and the delay of the first fence device.
    #[must_use]
    pub fn heard_before_the_shot(&self) -> bool {
        let lost = self.token.mul_f32(2.2);
        (lost.saturating_sub(Duration::from_millis(1_500))..lost + Duration::from_millis(2_500))
            .contains(&self.lasts)
    }

    /// `limit` where the serving node is struck; nothing is heard of it on another one.
    #[must_use]
    pub fn if_serving(&self, limit: Duration) -> Duration {
        if self.role == Role::Standby { NONE } else { limit }
    }
}

/// A range of times in milliseconds.
#[must_use]
pub const fn between(from: u64, to: u64) -> (Duration, Duration) {
    (Duration::from_millis(from), Duration::from_millis(to))
}

/// Does nothing.
///
/// # Errors
/// Never.
pub fn nothing(_: &Case<'_>) -> Result<(), String> {
    Ok(())
}

impl Fault {
    /// What a fault has unless it says otherwise.
    pub const DEFAULT: Self = Self {
        name: "",
        what: "",
        why: "",
        roles: &[Role::Serving, Role::Standby],
        needs_daemon: false,
        lasts: (Duration::ZERO, Duration::ZERO),
        strike: nothing,
        meanwhile: nothing,
        mend: nothing,
        least: Duration::from_secs(6),
        allowed: |_| Allowed::silent(NONE),
    };

    /// Whom it may strike in a hot standby or in active/standby.
    #[must_use]
    pub fn victims(&self, hot: bool) -> &'static [Role] {
        if self.needs_daemon && !hot { &[Role::Serving] } else { self.roles }
    }
}

/// A fault on its cluster, with its victim.
#[derive(Debug)]
pub struct Case<'s> {
    /// The cluster.
    pub site: &'s Site,
    /// The nodes that are struck.
    pub victims: Vec<String>,
    /// A node that is not, if there is one: from there an administrator works.
    pub other: String,
    /// What the limits depend on.
    pub circumstances: Circumstances,
    /// What is left to chance.
    pub dice: RefCell<Dice>,
    /// Processes that stand still until the fault ends.
    pub stopped: RefCell<Vec<Process>>,
}

impl Case<'_> {
    /// The first victim.
    #[must_use]
    pub fn victim(&self) -> &str {
        self.victims.first().map_or("", String::as_str)
    }

    /// Runs a line of shell on each victim.
    ///
    /// # Errors
    /// As the line's commands.
    pub fn on_victims(&self, line: &str) -> Result<(), String> {
        self.victims.iter().try_for_each(|node| self.site.shell(node, line).map(drop))
    }

    /// Runs a command as an administrator, on a node that is not struck.
    ///
    /// # Errors
    /// What the command said.
    pub fn administrator(&self, command: &[&str]) -> Result<(), String> {
        self.site.run(&self.other, command).map(drop)
    }

    /// Lets processes stand still until the fault ends.
    pub fn stop(&self, processes: impl IntoIterator<Item = Process>) {
        for process in processes {
            process.signal(Signal::SIGSTOP);
            self.stopped.borrow_mut().push(process);
        }
    }

    /// Lets them go on.
    pub fn go_on(&self) {
        for process in self.stopped.take() {
            process.signal(Signal::SIGCONT);
        }
    }

    /// The words for the line of the round.
    #[must_use]
    pub fn victim_words(&self) -> String {
        let names = self.victims.join(" and ");
        match self.circumstances.role {
            Role::Serving => format!("{names} (serves)"),
            Role::Standby => format!("{names} (standby)"),
            Role::All => names,
        }
    }
}
