//! Programs that a test makes and executes. Written by another process: a child that another test is
//! just starting holds every descriptor of this process until its own program is executed, and a file
//! that is open for writing can't be (`ETXTBSY`).

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes an executable file.
///
/// # Panics
/// If it can't be written.
pub fn write_program(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-ec", r#"cat > "$0"; chmod 755 "$0""#]).arg(path.as_ref());
    let mut child = shell.stdin(Stdio::piped()).spawn().expect("sh");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(content.as_ref()).expect("the shell reads");
    drop(input);
    assert!(child.wait().expect("sh").success(), "{}", path.as_ref().display());
}

/// Copies an executable file.
///
/// # Panics
/// If it can't be copied.
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let mut copy = Command::new("cp");
    let status = copy.arg("--").args([from.as_ref(), to.as_ref()]).status().expect("cp");
    assert!(status.success(), "{}", to.as_ref().display());
}
