//! Creates directories, and tells whether they can be created or used.

use std::ffi::OsStr;
use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{AccessFlags, Gid, Uid, UnlinkatFlags, access, fchown, unlinkat};

use crate::error::{Error, Result};
use crate::shortage::retry;

/// Creates a directory and those above it, mode 0755 without the umask. One that exists stays as it
/// is.
///
/// # Errors
/// Those of mkdir(2).
pub fn create_directory(directory: &Path) -> Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o755);
    retry(|| builder.create(directory)).map_err(Error::on("create directory", directory))
}

/// Creates a directory for another user: `mode` without the umask, owned by `owner` (`None`: by the
/// caller) and by `group`. Those above it are created for the caller. A directory that exists stays as
/// it is, with its owner.
///
/// The directory above may belong to an untrusted user, who could put a link in the place of the new
/// directory before it gets its owner. So the owner is set through a handle that no link leads to.
///
/// # Errors
/// Those of mkdir(2), open(2) and chown(2).
pub fn create_directory_for(
    directory: &Path,
    mode: u32,
    owner: Option<Uid>,
    group: Gid,
) -> Result<()> {
    let (Some(above), Some(name)) = (directory.parent(), directory.file_name()) else {
        return Ok(());
    };
    create_directory(above)?;
    let handle = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let open = || Ok(nix::fcntl::open(above, handle, Mode::empty())?);
    let above = retry(open).map_err(Error::on("open", above))?;
    let mode = Mode::from_bits_truncate(mode);
    match retry(|| Ok(mkdirat(&above, name, mode)?)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {
            return Ok(());
        }
        Err(error) => return Err(Error::on("create directory", directory)(error)),
    }
    let given = give(&above, name, mode, (owner, group));
    if given.is_err() {
        // One that is left would count as finished.
        let _ = unlinkat(&above, name, UnlinkatFlags::RemoveDir);
    }
    given.map_err(|(operation, error)| Error::on(operation, directory)(error))
}

/// Gives a new directory its mode and owner. The error names what failed.
fn give(
    above: &OwnedFd,
    name: &OsStr,
    mode: Mode,
    (owner, group): (Option<Uid>, Gid),
) -> std::result::Result<(), (&'static str, io::Error)> {
    let handle = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let open = || Ok(openat(above, name, handle, Mode::empty())?);
    let created = retry(open).map_err(|error| ("open", error))?;
    let set_mode = || Ok(fchmod(&created, mode)?);
    retry(set_mode).map_err(|error| ("set the mode of", error))?;
    let set_owner = || Ok(fchown(&created, owner, Some(group))?);
    retry(set_owner).map_err(|error| ("set the owner of", error))
}

/// Why a directory can neither be used nor created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// This path, the directory or one above it, is something else.
    NotADirectory(PathBuf),
    /// This directory, the lowest that exists, is on a read-only file system.
    ReadOnly(PathBuf),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADirectory(path) => write!(f, "{} is not a directory", path.display()),
            Self::ReadOnly(path) => {
                write!(f, "{} is on a read-only file system", path.display())
            }
        }
    }
}

/// Tells what prevents root from using a directory or creating it; `None` if nothing does. Only looks.
#[must_use]
pub fn obstacle_to(directory: &Path) -> Option<Obstacle> {
    // The lowest one that exists; `/` always does.
    let existing = directory.ancestors().find(|path| path.symlink_metadata().is_ok())?;
    if !existing.is_dir() {
        return Some(Obstacle::NotADirectory(existing.to_owned()));
    }
    // Other refusals concern the user that asks, who need not be root.
    match access(existing, AccessFlags::W_OK) {
        Err(Errno::EROFS) => Some(Obstacle::ReadOnly(existing.to_owned())),
        _ => None,
    }
}

/// Whether mode and owner of a directory let an account create and remove files in it; `None` if there
/// is no such directory. Access control lists and supplementary groups are not considered.
#[must_use]
pub fn is_writable_for(directory: &Path, uid: Uid, gid: Gid) -> Option<bool> {
    let metadata = directory.metadata().ok()?;
    let mode = metadata.permissions().mode();
    let needed = if metadata.uid() == uid.as_raw() {
        0o300
    } else if metadata.gid() == gid.as_raw() {
        0o030
    } else {
        0o003
    };
    Some(uid.is_root() || mode & needed == needed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_a_new_directory_gets_another_owner() {
        let directory = tempfile::tempdir().unwrap();
        let (victim, link) = (directory.path().join("victim"), directory.path().join("link"));
        let dangling = directory.path().join("dangling");
        std::fs::create_dir(&victim).unwrap();
        symlink(&victim, &link).unwrap();
        symlink("nowhere", &dangling).unwrap();
        // Only root may give a file to another user; any user may give it to itself.
        let root = Uid::effective().is_root();
        let (uid, gid) = if root {
            (Uid::from_raw(4711), Gid::from_raw(4711))
        } else {
            (Uid::effective(), Gid::effective())
        };
        let owner = |path: &Path| std::fs::metadata(path).unwrap().uid();
        let before = owner(&victim);
        create_directory_for(&link, 0o755, Some(uid), gid).unwrap();
        assert_eq!(owner(&victim), before);
        let error = create_directory_for(&dangling, 0o755, Some(uid), gid).unwrap_err();
        let path = dangling.display();
        assert_eq!(error.to_string(), format!("cannot create directory {path}: File exists"));
        let new = directory.path().join("a/new");
        create_directory_for(&new, 0o710, Some(uid), gid).unwrap();
        assert_eq!(owner(&new), uid.as_raw());
        assert_eq!(new.metadata().unwrap().permissions().mode() & 0o777, 0o710);
        assert_eq!(owner(new.parent().unwrap()), before);
    }

    #[test]
    fn a_directory_is_created_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        create_directory(&path).unwrap();
        create_directory(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn obstacles() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(obstacle_to(directory.path()), None);
        assert_eq!(obstacle_to(&directory.path().join("a/b")), None);
        let obstacle = Obstacle::NotADirectory(file.clone());
        assert_eq!(obstacle.to_string(), format!("{} is not a directory", file.display()));
        assert_eq!(obstacle_to(&file.join("b")), Some(obstacle.clone()));
        assert_eq!(obstacle_to(&file), Some(obstacle));
        let link = directory.path().join("link");
        symlink("nowhere", &link).unwrap();
        assert!(obstacle_to(&link).is_some());
        let sysctl = obstacle_to(Path::new("/proc/sys/no"));
        assert!(sysctl.is_none_or(|obstacle| matches!(obstacle, Obstacle::ReadOnly(_))));
    }

    #[test]
    fn accounts_that_may_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let (own, group) = (Uid::effective(), Gid::effective());
        let (other, others) = (Uid::from_raw(4711), Gid::from_raw(4711));
        let with = |mode: u32, uid, gid| {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            is_writable_for(path, uid, gid)
        };
        assert_eq!(with(0o700, own, group), Some(true));
        assert_eq!(with(0o755, other, others), Some(false));
        assert_eq!(with(0o755, other, group), Some(false));
        assert_eq!(with(0o775, other, group), Some(true));
        assert_eq!(with(0o707, other, others), Some(true));
        assert_eq!(with(0o755, Uid::from_raw(0), others), Some(true));
        assert_eq!(is_writable_for(&path.join("none"), own, group), None);
    }
}
