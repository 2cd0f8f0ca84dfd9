//! A start that fails undoes what it has done, the last first.

use ocf::{Action, LogLine};

use super::Start;
use crate::daemon::fifo;
use crate::error::{Error, Result};
use crate::instance::pid_file;
use crate::process::terminate::kill_all;

/// Something that start has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// The file of the daemon's output was created.
    CreatedOutput,
    /// The daemon was executed: it creates its pid file and its FIFO. What was remembered of an
    /// earlier instance is obsolete.
    ExecutedDaemon,
}

impl Start<'_> {
    /// A failure of the roll back is logged, and does not hide the failure of the start.
    pub(super) fn roll_back(&mut self) {
        while let Some(done) = self.done.pop() {
            for error in self.undo(done).into_iter().filter_map(Result::err) {
                log::error!(
                    "{}",
                    LogLine::of(Action::Start).field("undo", done.name()).note(error)
                );
            }
        }
    }

    fn undo(&self, done: Done) -> Vec<Result<()>> {
        let Self { instance, params, .. } = self;
        let (run, files) = (instance.files.run(), &instance.files);
        match done {
            Done::CreatedOutput => vec![run.remove(&files.output()).map_err(Error::from)],
            Done::ExecutedDaemon => {
                let survey = || instance.identity.survey(&instance.proc);
                vec![
                    kill_all(&instance.proc, survey, instance.deadline()).map_err(Error::from),
                    pid_file::remove(instance, &params.pidfile).map_err(Error::from),
                    fifo::remove_stale(params.mi.as_ref(), Some(&params.user)).map_err(Error::from),
                    run.remove(&files.state()).map_err(Error::from),
                    run.remove(&files.role()).map_err(Error::from),
                ]
            }
        }
    }
}

impl Done {
    fn name(self) -> &'static str {
        match self {
            Self::CreatedOutput => "output",
            Self::ExecutedDaemon => "daemon",
        }
    }
}
