//! The directory in which both agents keep what lives as long as the host runs.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hostfs::{Links, Result, read_regular, remove, replace, retry};

/// Of the directory.
const MODE: u32 = 0o755;

/// Longest content that [`RunDirectory::read`] returns, in bytes. The agents keep some lines.
const LIMIT: u64 = 64 * 1024;

/// The directory for locks and notes of both agents: `/run/smartvox` by default. It is empty after
/// a boot, as the network configuration and the daemon are gone then.
///
/// Whether the directory exists is of no concern to the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDirectory {
    path: PathBuf,
}

impl Default for RunDirectory {
    fn default() -> Self {
        Self::at("/run/smartvox")
    }
}

impl RunDirectory {
    /// Another directory, for tests.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the file `name` in it, whether it exists or not.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Creates the directory and those above it. Everyone may enter it and list it, whatever the umask of
    /// the caller is, and also if it exists and was created under another umask: the daemon's user has to
    /// reach what is below.
    ///
    /// # Errors
    /// Those of mkdir(2) and chmod(2).
    pub fn create(&self) -> Result<()> {
        hostfs::create_directory(&self.path)?;
        let (operation, path) = ("set the mode of", self.path.clone());
        let failed = |source| hostfs::Error { operation, path, source };
        let mode = match retry(|| std::fs::metadata(&self.path)) {
            Ok(metadata) => metadata.permissions().mode() & 0o7777,
            Err(error) => return Err(failed(error)),
        };
        if mode & MODE == MODE {
            return Ok(());
        }
        let mode = Permissions::from_mode(mode | MODE);
        retry(|| std::fs::set_permissions(&self.path, mode.clone())).map_err(failed)
    }

    /// Reads the file `name`. `None` if there is none, or if it cannot be read: what is in the
    /// directory only helps, and every reader can do without it.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        read_regular(&self.file(name), Links::Refused, LIMIT).ok()
    }

    /// The names of all files, in no order; none where the directory is missing or can't be listed. A name that is not UTF-8
    /// is none of ours.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let names = hostfs::names(&self.path).unwrap_or_default();
        names.into_iter().filter_map(|name| name.into_string().ok()).collect()
    }

    /// Writes the file `name` in one step ([`hostfs::replace`]); creates the directory if needed.
    ///
    /// # Errors
    /// Those of [`RunDirectory::create`] and [`hostfs::replace`].
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        self.create()?;
        replace(&self.file(name), content)
    }

    /// Removes what a process that was killed in [`RunDirectory::write`] has left beside the files `names`. What a
    /// living process is writing stays.
    pub fn remove_unfinished(&self, names: &[String]) {
        for path in self.names().iter().map(|name| self.file(name)) {
            let Some((file, writer)) = hostfs::unfinished(&path) else { continue };
            let is_one = names.iter().any(|name| self.file(name) == file);
            if is_one && !Path::new("/proc").join(writer.to_string()).exists() {
                let _ = remove(&path);
            }
        }
    }

    /// Removes the file `name`. It is no error if there is none.
    ///
    /// # Errors
    /// Those of unlink(2) other than `ENOENT`.
    pub fn remove(&self, name: &str) -> Result<()> {
        remove(&self.file(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_read_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let run = RunDirectory::at(directory.path().join("a/smartvox"));
        assert_eq!(run.read("x"), None);
        run.remove("x").unwrap();
        run.write("x", b"one\n").unwrap();
        run.write("x", b"two\n").unwrap();
        assert_eq!(run.read("x").unwrap(), b"two\n");
        assert_eq!(std::fs::read(run.file("x")).unwrap(), b"two\n");
        let mode = run.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        // As the first start after a boot leaves it under umask 027.
        let set =
            |mode| std::fs::set_permissions(run.path(), Permissions::from_mode(mode)).unwrap();
        set(0o750);
        run.create().unwrap();
        let mode = run.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        run.remove("x").unwrap();
        assert_eq!(run.read("x"), None);
        assert_eq!(RunDirectory::default().path(), Path::new("/run/smartvox"));
    }

    #[test]
    fn what_a_killed_writer_has_left_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let run = RunDirectory::at(directory.path());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let ended = child.id();
        child.wait().unwrap();
        let own = std::process::id();
        let all = [("x.role", ended), ("x.role", own), ("y.role", ended)];
        let paths = all.map(|(name, writer)| run.file(&format!("{name}.{writer}.new")));
        paths.iter().for_each(|path| std::fs::write(path, "").unwrap());
        run.remove_unfinished(&["x.state".into(), "x.role".into()]);
        assert_eq!(paths.map(|path| path.exists()), [false, true, true]);
    }

    #[test]
    fn an_error_names_path_and_operation() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let run = RunDirectory::at(file.join("run"));
        let error = run.write("x", b"").unwrap_err().to_string();
        let path = run.path().display();
        assert_eq!(error, format!("cannot create directory {path}: Not a directory"));
        assert_eq!(run.read("x"), None);
    }
}
