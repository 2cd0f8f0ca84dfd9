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

impl Fault {
    /// Whether it passes by itself, so that one of it proves nothing.
    pub(super) fn passes(self) -> bool {
        matches!(self, Self::Error("ENOMEM" | "EINTR" | "ENOBUFS" | "EMFILE" | "EAGAIN"))
    }
}

/// Every fault that a call gets.
pub(super) const FAULTS: [Fault; 9] = [
    Fault::Error("EIO"),
    Fault::Error("ENOMEM"),
    Fault::Error("EINTR"),
    Fault::Error("EPERM"),
    Fault::Error("ENOBUFS"),
    Fault::Error("EMFILE"),
    Fault::Error("EAGAIN"),
    Fault::Error("ENOSPC"),
    Fault::Kill,
];

/// Not made to fail; the action is killed at them alone. The allocator of Rust ends a program that gets no memory, and so
/// does its runtime where it can't set up its signal stack. close(2) closes even if it returns an error, but strace would
/// leave the file open, so that whoever waits for its end waits for ever. The C library ends a program to which futex(2)
/// returns what the kernel never returns for a wait or a wake within a process (`futex_fatal_error`). The last six have no errors.
const NEVER_FAIL: [&str; 15] = [
    "brk",
    "close",
    "futex",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "sigaltstack",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "gettid",
    "getuid",
];
/// Where EAGAIN is a shortage: no room for another process, or in the queue of a socket that does not wait. Elsewhere it
/// says that there is nothing to read yet, or that another process holds a lock.
const MAY_BE_FULL: [&str; 7] =
    ["clone", "clone3", "fork", "vfork", "sendmmsg", "sendmsg", "sendto"];
/// These don't return.
const LAST: [&str; 3] = ["exit", "exit_group", "rt_sigreturn"];

/// These name a file; what follows them, up to the next of them, mostly concerns that file.
const OF_A_PATH: [&str; 14] = [
    "access",
    "execve",
    "faccessat2",
    "mkdir",
    "mkdirat",
    "newfstatat",
    "openat",
    "readlink",
    "readlinkat",
    "rename",
    "stat",
    "statx",
    "unlink",
    "unlinkat",
];

/// A call: the name of the system call, and the how-manieth of that name it is in the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    name: String,
    number: usize,
    /// The path that it, or the last call before it that names one, has named; each number is `#`, so that the same
    /// look at another process is of the same kind.
    about: String,
    /// A request to the kernel by netlink(7), whose queue is never full.
    by_netlink: bool,
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
        let Self { name, number, .. } = self;
        match fault {
            Fault::Error(error) => format!("--inject={name}:error={error}:when={number}"),
            Fault::Kill => format!("--inject={name}:signal=SIGKILL:when={number}"),
        }
    }

    /// Whether a fault is put to it.
    #[must_use]
    pub(super) fn takes(&self, fault: Fault) -> bool {
        let name = self.name.as_str();
        match fault {
            Fault::Kill => true,
            Fault::Error("EAGAIN") => MAY_BE_FULL.contains(&name) && !self.by_netlink,
            Fault::Error(_) => !NEVER_FAIL.contains(&name),
        }
    }
}

/// The calls of an action in a record of strace, from the beginning of `main`; `None` if the record does not
/// show where that is.
#[must_use]
pub(super) fn calls(record: &str) -> Option<Vec<Call>> {
    let mut seen = std::collections::BTreeMap::<&str, usize>::new();
    let mut found = None::<Vec<Call>>;
    let mut about = String::new();
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
            if OF_A_PATH.contains(&name)
                && let Some(path) = rest.split('"').nth(1)
            {
                about = without_numbers(path);
            }
            let (name, by_netlink) = (name.to_owned(), rest.contains("nlmsg_"));
            found.push(Call { name, number: *number, about: about.clone(), by_netlink });
        }
        // The last thing that Rust's runtime does before main (std::sys::pal::unix::stack_overflow).
        if name == "rt_sigaction" && rest.starts_with("SIGBUS, {sa_handler=0x") {
            found = Some(Vec::new());
        }
    }
    found
}

/// The first and the last call of each kind: those of one name that are about the same path. A survey of the host's
/// processes makes the same calls for each of them.
#[must_use]
pub(super) fn of_each_kind(calls: &[Call]) -> Vec<Call> {
    let same = |one: &Call, other: &Call| one.name == other.name && one.about == other.about;
    let is_edge = |at: usize, call: &Call| {
        let (before, after) = calls.split_at(at);
        let after = after.get(1..).unwrap_or_default();
        !before.iter().any(|it| same(it, call)) || !after.iter().any(|it| same(it, call))
    };
    calls
        .iter()
        .enumerate()
        .filter(|(at, call)| is_edge(*at, call))
        .map(|(_, it)| it.clone())
        .collect()
}

fn without_numbers(path: &str) -> String {
    let mut kind = String::new();
    for c in path.chars() {
        match c.is_ascii_digit() {
            true if kind.ends_with('#') => {}
            true => kind.push('#'),
            false => kind.push(c),
        }
    }
    kind
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

    #[test]
    fn the_first_and_the_last_of_each_kind() {
        let mut record = RECORD.to_owned();
        for pid in [1, 22, 333, 4] {
            record += &format!(
                "openat(AT_FDCWD, \"/proc/{pid}/stat\", O_RDONLY) = 3\nread(3, \"7\", 8) = 1\n"
            );
        }
        let found = of_each_kind(&calls(&record).unwrap());
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        let before = ["openat number 2", "mmap number 1", "openat number 3"];
        let edges = ["openat number 4", "read number 1", "openat number 7", "read number 4"];
        assert_eq!(shown, [&before[..], &edges[..]].concat());
    }
}
