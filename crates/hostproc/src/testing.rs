//! Children for tests.

use std::io::{BufRead, BufReader};
use std::ops::{Deref, DerefMut};
use std::process::{Child, Command};
use std::time::Duration;

use crate::process::{Pid, Process};
use crate::procfs::{ProcFs, State};

/// Longer than any machine under load takes.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// A child that is killed when the test ends.
pub(crate) struct Spawned(Child);

pub(crate) fn spawn(command: &mut Command) -> Spawned {
    Spawned(command.spawn().unwrap())
}

impl Deref for Spawned {
    type Target = Child;
    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Spawned {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until a child has executed its program. The parent of a vfork goes on before the arguments
/// and the environment of the new program are in their place (`begin_new_exec()` in fs/exec.c).
pub(crate) fn has_executed(proc: &ProcFs, pid: Pid) {
    testnet::wait_until("the child has executed its program", LONG, || {
        !proc.cmdline(pid).unwrap().unwrap().is_empty()
    });
}

/// Waits until a child has ended. It is not waited for, so it stays a zombie.
pub(crate) fn has_ended(proc: &ProcFs, pid: Pid) -> Process {
    let process = proc.process(pid).unwrap().unwrap();
    testnet::wait_until("the child has ended", LONG, || {
        proc.stat(pid).unwrap().unwrap().state == State::Ended
    });
    process
}

/// The first line that a child writes to its piped standard output, without blanks around it.
pub(crate) fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_owned()
}
