//! What a sequence is.

use std::time::Duration;

use crate::site::Site;
use crate::site::setup::Setup;

/// One step of a sequence, on the cluster that it is played on.
pub type Step = fn(&Site) -> Result<(), String>;

/// A sequence: a cause, its end, and the configurations in which it is played.
#[derive(Clone, Copy, Debug)]
pub struct Sequence {
    /// Its name, by which it is chosen.
    pub name: &'static str,
    /// What happens, as one sentence for the table.
    pub what: &'static str,
    /// The configurations.
    pub setups: &'static [Setup],
    /// Makes the cluster ready; nothing is measured yet.
    pub prepare: Step,
    /// The last step before the cause; the service need not run after it.
    pub stage: Step,
    /// The cause begins.
    pub strike: Step,
    /// Repeated until the cause ends, several times a second.
    pub meanwhile: Step,
    /// How long the cause lasts.
    pub lasts: Duration,
    /// The cause ends.
    pub mend: Step,
    /// How long the service is watched after the cause, at least: a late effect shows by then.
    pub least: Duration,
    /// How long it may take to come back by itself.
    pub watch: Duration,
    /// What may separate two equal runs: the phase of a monitor or of a token.
    pub noise: Duration,
    /// How long there may be no SIP with our agents, in all, where that is promised: zero where
    /// nothing may happen to callers.
    pub silent_at_most: Option<Duration>,
    /// The same after the cause has ended.
    pub back_within: Option<Duration>,
    /// Set where our row is not held to that of IPaddr2: the reason.
    pub not_compared: Option<&'static str>,
}

/// Does nothing.
///
/// # Errors
/// Never.
pub fn nothing(_: &Site) -> Result<(), String> {
    Ok(())
}

impl Sequence {
    /// What a sequence has unless it says otherwise.
    pub const DEFAULT: Self = Self {
        name: "",
        what: "",
        setups: &[],
        prepare: nothing,
        stage: nothing,
        strike: nothing,
        meanwhile: nothing,
        lasts: Duration::ZERO,
        mend: nothing,
        least: Duration::from_secs(15),
        watch: Duration::from_secs(75),
        noise: Duration::ZERO,
        silent_at_most: None,
        back_within: None,
        not_compared: None,
    };
}
