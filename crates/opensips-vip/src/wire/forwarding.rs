//! Whether the link forwards frames, by the answer of a neighbour that is known to answer.
//!
//! A port of a switch with spanning tree drops all frames for up to a minute after its carrier has come. What
//! is announced in that time reaches no host, and a router that has learned the previous owner keeps it for
//! hours.

use std::time::Duration;

use deadline::Deadline;
use hostnet::{Address, Link, Result};

use super::announcer::Job;
use super::conflict_probe::{AskedControls, Prober};
use super::open_socket;

/// How long a port can take until it forwards: twice the longest forward delay (IEEE 802.1D-2004 table 17-1).
const LONGEST: Duration = Duration::from_secs(60);
/// How often the neighbours are asked meanwhile, and how long they have to answer.
const ASK_AGAIN: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_millis(100);

/// The neighbours that have not answered start.
#[derive(Debug)]
pub(crate) struct Forwarding {
    controls: AskedControls,
    give_up: Deadline,
}

impl Forwarding {
    pub(crate) fn of(job: &Job) -> Self {
        let controls = AskedControls::new(job.silent_controls.clone());
        Self { controls, give_up: Deadline::after(LONGEST) }
    }

    /// When to ask next; `None`: the link forwards, or nothing is known of it.
    pub(crate) fn next_look(&self) -> Option<Deadline> {
        let is_awaited = !self.controls.list.is_empty()
            && !self.controls.have_answered
            && !self.give_up.has_passed();
        is_awaited.then(|| Deadline::after(ASK_AGAIN))
    }

    /// Asks the neighbours. Returns true if one of them answers. `addresses` are those that this host has
    /// now, with the VIP.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn ask(
        &mut self,
        link: &Link,
        prober: &Prober,
        addresses: &[Address],
    ) -> Result<bool> {
        let mut socket = open_socket(link, prober.ip)?;
        let controls = self.controls.list.iter();
        let controls = controls.map(|it| it.asked_by_owner(prober.ip, link.index, addresses));
        let mut controls = AskedControls::new(controls.collect());
        prober.ask_controls(&mut socket, &mut controls, Deadline::after(ANSWER))?;
        self.controls.have_answered = controls.have_answered;
        Ok(controls.have_answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::controls::Control;

    #[test]
    fn it_is_awaited_for_a_minute_and_until_a_neighbour_answers() {
        let control = Control { ip: "192.0.2.1".parse().unwrap(), asked_from: None };
        let awaited = |list: &[Control], have_answered, give_up| {
            let controls = AskedControls { list: list.to_vec(), have_answered };
            Forwarding { controls, give_up }.next_look().is_some()
        };
        let later = Deadline::after(LONGEST);
        assert!(awaited(&[control], false, later));
        assert!(!awaited(&[], false, later));
        assert!(!awaited(&[control], true, later));
        assert!(!awaited(&[control], false, Deadline::now()));
    }
}
