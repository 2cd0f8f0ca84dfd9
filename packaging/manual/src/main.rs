//! `manual DIRECTORY` writes the manual pages of both agents into a directory: `make man`.

use std::io;
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("usage: manual DIRECTORY"))?;
    manual::pages()
        .into_iter()
        .try_for_each(|page| std::fs::write(directory.join(page.file_name()), page.to_roff()))
}
