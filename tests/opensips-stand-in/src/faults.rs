//! The fault switches of the crate's documentation.

use std::time::Duration;

use crate::error::Error;

const PREFIX: &str = "OPENSIPS_STAND_IN_";

/// How SIP requests are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SipAnswer {
    /// As the crate's documentation says.
    #[default]
    Script,
    /// Not at all.
    Nothing,
    /// All with this status code.
    Status(u16),
}

/// All switches; the default is a healthy daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) sip_answer: SipAnswer,
    /// Requests at this port are not answered.
    pub(crate) sip_silent_port: Option<u16>,
    pub(crate) sip_delay: Duration,
    pub(crate) mi_silent: bool,
    /// The MI command that is not answered.
    pub(crate) mi_silent_command: Option<String>,
    pub(crate) shared_memory_used_percent: Option<u64>,
    pub(crate) load_percent: u64,
    pub(crate) check_delay: Duration,
    pub(crate) start_delay: Duration,
    pub(crate) stop_delay: Duration,
    pub(crate) kill_grace: Duration,
    pub(crate) lost_terms: u64,
    pub(crate) ignore_term: bool,
    pub(crate) die_after: Option<Duration>,
    pub(crate) retire_after: Option<Duration>,
    pub(crate) late_failure_seen: bool,
    pub(crate) listening_elsewhere: bool,
    /// A module that is not ready.
    pub(crate) unready: Option<String>,
    pub(crate) link_up: bool,
    /// Is added to what `uptime` says.
    pub(crate) up_before: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            sip_answer: SipAnswer::Script,
            sip_silent_port: None,
            sip_delay: Duration::ZERO,
            mi_silent: false,
            mi_silent_command: None,
            shared_memory_used_percent: None,
            load_percent: 0,
            check_delay: Duration::ZERO,
            start_delay: Duration::ZERO,
            stop_delay: Duration::ZERO,
            // GRACEFUL_SHUTDOWN_TIMEOUT of the daemon.
            kill_grace: Duration::from_secs(5),
            lost_terms: 0,
            ignore_term: false,
            die_after: None,
            retire_after: None,
            late_failure_seen: false,
            listening_elsewhere: false,
            unready: None,
            link_up: false,
            up_before: Duration::ZERO,
        }
    }
}

impl Faults {
    /// From the comments of the configuration, then from the environment.
    pub(crate) fn read(
        config_text: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let comments = config_text
            .lines()
            .filter_map(|line| line.trim().strip_prefix('#')?.trim().split_once('='))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        let mut faults = Self::default();
        for (name, value) in comments.chain(environment) {
            if let Some(switch) = name.strip_prefix(PREFIX) {
                faults
                    .set(switch, &value)
                    .map_err(|reason| Error::FaultSwitch { name: name.clone(), reason })?;
            }
        }
        Ok(faults)
    }

    fn set(&mut self, switch: &str, value: &str) -> Result<(), &'static str> {
        let number = || value.parse::<u64>().map_err(|_| "not a number");
        let percent = || number().and_then(|n| if n > 100 { Err("more than 100") } else { Ok(n) });
        let milliseconds = || number().map(Duration::from_millis);
        match switch {
            "SIP_ANSWER" if value == "none" => self.sip_answer = SipAnswer::Nothing,
            "SIP_ANSWER" => {
                let code = value.parse().ok().filter(|code| (200..700).contains(code));
                self.sip_answer =
                    SipAnswer::Status(code.ok_or("neither none nor a final status code")?);
            }
            "SIP_SILENT_PORT" => {
                self.sip_silent_port = Some(value.parse().map_err(|_| "not a port")?);
            }
            "SIP_DELAY_MS" => self.sip_delay = milliseconds()?,
            "MI_ANSWER" if value == "none" => self.mi_silent = true,
            "MI_SILENT_COMMAND" => self.mi_silent_command = Some(value.to_owned()),
            "SHMEM_USED_PERCENT" => self.shared_memory_used_percent = Some(percent()?),
            "LOAD_PERCENT" => self.load_percent = percent()?,
            "CHECK_DELAY_MS" => self.check_delay = milliseconds()?,
            "START_DELAY_MS" => self.start_delay = milliseconds()?,
            "STOP_DELAY_MS" => self.stop_delay = milliseconds()?,
            "KILL_GRACE_MS" => self.kill_grace = milliseconds()?,
            "LOSE_TERMS" => self.lost_terms = number()?,
            "IGNORE_TERM" if value == "yes" => self.ignore_term = true,
            "DIE_AFTER_MS" => self.die_after = Some(milliseconds()?),
            "RETIRE_AFTER_MS" => self.retire_after = Some(milliseconds()?),
            "LISTENING" if value == "elsewhere" => self.listening_elsewhere = true,
            "UNREADY" => self.unready = Some(value.to_owned()),
            "LINK" if value == "up" => self.link_up = true,
            "UP_BEFORE_MS" => self.up_before = milliseconds()?,
            "LATE_FAILURE" if value == "seen" => self.late_failure_seen = true,
            // Not a fault: how the processes of the tree know what they are.
            "PROCESS" => {}
            _ => return Err("no such switch or value"),
        }
        Ok(())
    }
}

/// The environment as text; what is not UTF-8 is no switch.
pub(crate) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, environment: &[(&str, &str)]) -> Result<Faults, Error> {
        let pairs = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Faults::read(text, pairs)
    }

    #[test]
    fn comments_then_environment() {
        let text = "socket=udp:x\n  # OPENSIPS_STAND_IN_SIP_ANSWER=503\n\
                    #OPENSIPS_STAND_IN_LOSE_TERMS = 2\n# anything=else\n";
        let faults = read(text, &[("OPENSIPS_STAND_IN_SIP_ANSWER", "none"), ("A", "b")]).unwrap();
        assert_eq!(faults.sip_answer, SipAnswer::Nothing);
        assert_eq!(faults.lost_terms, 2);
        assert_eq!(read("", &[]).unwrap(), Faults::default());
    }

    #[test]
    fn misspelt_switches_are_errors() {
        for (name, value) in
            [("NO_SUCH", "1"), ("SIP_ANSWER", "100"), ("DIE_AFTER_MS", "x"), ("IGNORE_TERM", "no")]
        {
            let name = format!("OPENSIPS_STAND_IN_{name}");
            assert!(read("", &[(&name, value)]).is_err(), "{name}={value}");
        }
    }
}
