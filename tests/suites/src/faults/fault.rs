//! One system call of an action that fails, or at which the action is killed; `strace -e inject`.

use std::fmt;

/// What happens at the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not made, and returns this error.
    Error(&'static str),
    /// The action is killed when it makes it.
    Kill,
}

/// Every fault that a call gets.
pub(super) const FAULTS: [Fault; 8] = [
    Fault::Error("EIO"),
    Fault::Error("ENOMEM"),
    Fault::Error("EINTR"),
    Fault::Error("EPERM"),
    Fault::Error("ENOBUFS"),
    Fault::Error("EMFILE"),
    Fault::Error("ENOSPC"),
    Fault::Kill,
];

/// Not made to fail; the action is killed at them alone. The allocator of Rust ends a program that gets no memory, and so
/// does its runtime where it can't set up its signal stack. close(2) closes even if it returns an error, but strace would
/// leave the file open, so that whoever waits for its end waits for ever. The C library ends a program to which futex(2)
/// returns what the kernel never returns for a wait or a wake within a process (`futex_fatal_error`).
const NEVER_FAIL: [&str; 9] =
    ["brk", "close", "futex", "madvise", "mmap", "mprotect", "mremap", "munmap", "sigaltstack"];
/// These don't return.
const LAST: [&str; 3] = ["exit", "exit_group", "rt_sigreturn"];

/// A call: the name of the system call, and the how-manieth of that name it is in the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    name: String,
    number: usize,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} number {}", self.name, self.number)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error(name) => name,
            Self::Kill => "SIGKILL",
        })
    }
}

impl Call {
    /// The arguments of strace for a fault at this call. Only the first thread is traced: neither what the
    /// action executes nor its threads.
    #[must_use]
    pub(super) fn injection(&self, fault: Fault) -> String {
        let Self { name, number } = self;
        match fault {
            Fault::Error(error) => format!("--inject={name}:error={error}:when={number}"),
            Fault::Kill => format!("--inject={name}:signal=SIGKILL:when={number}"),
        }
    }

    /// Whether a fault is put to it.
    #[must_use]
    pub(super) fn takes(&self, fault: Fault) -> bool {
        fault == Fault::Kill || !NEVER_FAIL.contains(&self.name.as_str())
    }
}

/// The calls of an action in a record of strace, from the beginning of `main`; `None` if the record does not
/// show where that is.
#[must_use]
pub(super) fn calls(record: &str) -> Option<Vec<Call>> {
    let mut seen = std::collections::BTreeMap::<&str, usize>::new();
    let mut found = None::<Vec<Call>>;
    for line in record.lines() {
        let Some((name, rest)) = line.split_once('(') else { continue };
        if !name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        {
            continue;
        }
        let number = seen.entry(name).and_modify(|number| *number += 1).or_insert(1);
        if let Some(found) = &mut found
            && !LAST.contains(&name)
        {
            found.push(Call { name: name.to_owned(), number: *number });
        }
        // The last thing that Rust's runtime does before main (std::sys::pal::unix::stack_overflow).
        if name == "rt_sigaction" && rest.starts_with("SIGBUS, {sa_handler=0x") {
            found = Some(Vec::new());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = "\
openat(AT_FDCWD, \"/etc/ld.so.cache\", O_RDONLY) = 3
rt_sigaction(SIGBUS, NULL, {sa_handler=SIG_DFL}, 8) = 0
rt_sigaction(SIGBUS, {sa_handler=0x557cc2cf4630}, NULL, 8) = 0
openat(AT_FDCWD, \"/proc/self\", O_RDONLY) = 3
--- SIGCHLD {si_signo=SIGCHLD} ---
mmap(NULL, 4096) = 0
openat(AT_FDCWD, \"x(y)\", O_RDONLY) = -1 ENOENT
exit_group(0) = ?
+++ exited with 0 +++
";

    #[test]
    fn what_main_calls_is_numbered_from_the_beginning_of_the_process() {
        let found = calls(RECORD).unwrap();
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["openat number 2", "mmap number 1", "openat number 3"]);
        assert_eq!(found[2].injection(FAULTS[0]), "--inject=openat:error=EIO:when=3");
        assert_eq!(found[2].injection(Fault::Kill), "--inject=openat:signal=SIGKILL:when=3");
        assert!(!found[1].takes(FAULTS[0]) && found[1].takes(Fault::Kill));
        assert_eq!(calls("openat(AT_FDCWD) = 3\n"), None);
    }
}
