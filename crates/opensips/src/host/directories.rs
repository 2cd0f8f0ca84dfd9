//! Whether the daemon will find its directories, or the agent can make them. Looks only.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, Gid, Uid, access};

/// Why a directory can't be used nor made; `None` if it is there, or start can make it.
pub(crate) fn unusable(directory: &Path) -> Option<String> {
    // The first that is there; `/` always is.
    let there = directory.ancestors().find(|path| path.symlink_metadata().is_ok())?;
    if !there.is_dir() {
        return Some(format!("{} is not a directory", there.display()));
    }
    // Other refusals are those of who is asking, and start is root's.
    match access(there, AccessFlags::W_OK) {
        Err(Errno::EROFS) => Some(format!("{} is on a read-only file system", there.display())),
        _ => None,
    }
}

/// Whether mode and owner of a directory let an account make files there, which is how the daemon
/// makes its FIFO and removes its pid file. `None` where it is not there. Access lists and more
/// groups than one are not looked at.
pub(crate) fn is_writable_for(directory: &Path, uid: Uid, gid: Gid) -> Option<bool> {
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

    #[test]
    fn what_can_be_made() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(unusable(directory.path()), None);
        assert_eq!(unusable(&directory.path().join("a/b")), None);
        let why = format!("{} is not a directory", file.display());
        assert_eq!(unusable(&file.join("b")), Some(why.clone()));
        assert_eq!(unusable(&file), Some(why));
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(unusable(&link).is_some());
        assert!(unusable(Path::new("/proc/sys/no")).is_none_or(|why| why.contains("read-only")));
    }

    #[test]
    fn whose_it_is() {
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
