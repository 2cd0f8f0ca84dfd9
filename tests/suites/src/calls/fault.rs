//! What happens to the pair while there are calls.

use std::fmt;
use std::time::Duration;

use crate::pair::Pair;
use crate::scenario::{self, Example, peer};

const PID_FILE: &str = "/run/opensips/opensips.pid";

/// Something that happens to the node that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: the control.
    Nothing,
    /// An administrator moves the service.
    PlannedMove,
    /// An administrator takes the node out of service.
    Standby,
    /// The main process of OpenSIPS is killed; its children go on answering.
    Kill,
    /// The node loses power; the other one has it fenced.
    PowerCut,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing (control)",
            Self::PlannedMove => "planned move",
            Self::Standby => "`pcs node standby`",
            Self::Kill => "kill -9 of OpenSIPS",
            Self::PowerCut => "power cut, fencing",
        })
    }
}

/// What an administrator moves: the address, and OpenSIPS with it, or the promoted role.
fn moved(example: Example) -> &'static [&'static str] {
    match example {
        Example::ActiveStandby | Example::ThreeNodes => &["-r", "vip"],
        Example::HotStandby => &["-r", "opensips-clone", "--promoted"],
    }
}

impl Fault {
    /// All, the control first.
    pub const ALL: [Self; 5] =
        [Self::Nothing, Self::PlannedMove, Self::Standby, Self::Kill, Self::PowerCut];

    /// Makes it happen to `active`; returns when it has happened, not when it is over.
    ///
    /// # Errors
    /// It can't be done.
    pub fn strike(self, pair: &Pair, active: &str) -> Result<(), String> {
        match self {
            Self::Nothing => Ok(()),
            Self::PlannedMove => {
                let mut command = vec!["crm_resource", "--move", "-N", peer(active)];
                command.extend(moved(pair.example));
                pair.run(active, &command).map(drop)
            }
            Self::Standby => pair.run(active, &["pcs", "node", "standby", active]).map(drop),
            Self::Kill => {
                let main = pair.run(active, &["cat", PID_FILE])?;
                pair.run(active, &["kill", "-9", main.trim()]).map(drop)
            }
            Self::PowerCut => pair.lab.kill(active).map_err(|error| error.to_string()),
        }
    }

    /// Ends what an administrator has to end, and waits until the pair is well again.
    ///
    /// # Errors
    /// It isn't by the end of `patience`.
    pub fn mend(self, pair: &Pair, active: &str, patience: Duration) -> Result<(), String> {
        self.undo(pair, active)?;
        if self == Self::PowerCut {
            pair.wait_whole(patience)?;
        }
        pair.wait_placed(patience, |_| true).map(drop)
    }

    /// Ends what an administrator has to end; waits for nothing.
    ///
    /// # Errors
    /// A command failed.
    pub fn undo(self, pair: &Pair, active: &str) -> Result<(), String> {
        let other = peer(active);
        match self {
            Self::Nothing | Self::PowerCut => Ok(()),
            Self::PlannedMove => {
                let mut command = vec!["crm_resource", "--clear"];
                command.extend(moved(pair.example));
                pair.run(other, &command).map(drop)
            }
            Self::Standby => pair.run(other, &["pcs", "node", "unstandby", active]).map(drop),
            Self::Kill => scenario::clean_up(&pair.lab, other),
        }
    }
}
