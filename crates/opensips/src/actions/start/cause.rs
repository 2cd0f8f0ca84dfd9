//! Why a daemon has died in its start.

use std::time::Duration;

use hostproc::State;

use super::startup::{LAST_LOOK, Startup};
use crate::daemon::{self, Ended};
use crate::error::Error;
use crate::sockets::listener::Listener;
use crate::sockets::obstacles::why_not_opened;
use crate::sockets::owner::{Owner, inodes_of_all};
use crate::sockets::table::SocketTable;

/// What strerror(3) says of EADDRINUSE.
const IN_USE: &str = "Address already in use";

/// How long the journal is asked for the words of a daemon that has left none on stderr.
const JOURNAL: Duration = Duration::from_secs(2);

/// How many sockets that can't be opened are named.
const NAMED: usize = 3;

impl Startup<'_> {
    /// With the daemon's own words, from its stderr or else from the journal; where it has none there, with
    /// what a trial of its sockets shows.
    pub(super) fn died(&self, ended: Ended) -> Error {
        let said = self.output.complaint().or_else(|| self.words_in_the_journal());
        let why = match said {
            // The daemon does not know the other program.
            Some(said) if said.contains(IN_USE) => match self.holders().first() {
                Some((_, owner)) => format!("{said}; {} is held by {owner}", owner.local),
                None => said,
            },
            Some(said) => daemon::advice::of(&said, &self.start.params.config),
            None => self
                .socket_trouble()
                .or_else(|| self.output.death(self.main).map(|death| death.to_string()))
                .or_else(|| self.output.last_word())
                .unwrap_or_else(|| {
                    "it printed nothing on stderr, and the journal has nothing of it: see its log, or \
                     set stderror_enabled=yes in its configuration"
                        .into()
                }),
        };
        daemon::Error::Died { ended, why }.into()
    }

    /// What ended processes and those of this instance have logged since the start: other daemons are alive.
    fn words_in_the_journal(&self) -> Option<String> {
        let Self { start, output, .. } = self;
        let instance = start.instance;
        let survey = instance.survey().ok()?;
        let concerns = |pid| {
            survey.members.iter().any(|stat| stat.process.pid == pid)
                || instance
                    .proc
                    .stat(pid)
                    .is_ok_and(|stat| stat.is_none_or(|stat| stat.state == State::Ended))
        };
        let deadline = start.deadline.but_at_least(LAST_LOOK).within(JOURNAL);
        output.complaint_in_the_journal(concerns, deadline)
    }

    /// What a trial of its sockets shows: at those that another program holds, or else at all of them.
    fn socket_trouble(&self) -> Option<String> {
        let trouble: Vec<String> = match self.holders() {
            held if !held.is_empty() => held
                .iter()
                .map(|(listener, owner)| {
                    format!("{listener} can't be opened: {} is held by {owner}", owner.local)
                })
                .collect(),
            // While its own processes end, a trial would find their sockets.
            _ if !self.start.instance.survey().ok()?.is_empty() => return None,
            _ => self
                .listeners()
                .iter()
                .filter_map(|listener| {
                    let error = why_not_opened(listener)?;
                    Some(format!("{listener} can't be opened: {}", ocf::cause(&error)))
                })
                .collect(),
        };
        let named: Vec<String> = trouble.into_iter().take(NAMED).collect();
        (!named.is_empty()).then(|| named.join("; "))
    }

    /// The listeners at which another program has a socket, and that program.
    fn holders(&self) -> Vec<(Listener, Owner)> {
        self.find_holders().unwrap_or_default()
    }

    fn find_holders(&self) -> Option<Vec<(Listener, Owner)>> {
        let instance = self.start.instance;
        let survey = instance.survey().ok()?;
        let own = inodes_of_all(&instance.proc, survey.members.iter().map(|stat| stat.process.pid));
        let listeners = self.listeners();
        let table = SocketTable::around(&listeners, instance.deadline()).ok()?;
        let found = table.find(&listeners, |listener, socket| {
            listener.overlaps(socket) && !own.contains(&socket.inode)
        });
        let owned = |(listener, socket): (&Listener, _)| {
            (listener.clone(), Owner::of(&instance.proc, socket))
        };
        Some(found.map(owned).collect())
    }
}
