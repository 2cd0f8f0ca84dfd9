//! `manual MAN COMPLETIONS` writes the manual pages into one directory and the completions of the
//! command into another: `make man`.

use std::io;
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let mut directories = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(man), Some(completions)) = (directories.next(), directories.next()) else {
        return Err(io::Error::other("usage: manual MAN COMPLETIONS"));
    };
    for page in manual::pages() {
        std::fs::write(man.join(page.file_name()), page.to_roff())?;
    }
    let (name, text) = manual::command_page();
    std::fs::write(man.join(name), text)?;
    manual::completions()
        .into_iter()
        .try_for_each(|(name, text)| std::fs::write(completions.join(name), text))
}
