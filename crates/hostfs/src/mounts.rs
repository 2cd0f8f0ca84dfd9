//! Follows paths without waiting for another host.
//!
//! A path on a file system whose server is dead (NFS, FUSE) cannot be looked at: the system call does
//! not return, no signal interrupts it, and a thread or child that makes it instead may never end. So
//! a path is followed only as long as it stays on file systems that the kernel serves by itself. The
//! table of mounts tells that without touching any of them.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// Types of file systems on which a look-up waits for no other host and no other process. Every other
/// type may wait, and its paths are taken as they are written.
const LOCAL: [&str; 22] = [
    "bcachefs", "btrfs", "devtmpfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs",
    "nilfs2", "overlay", "proc", "ramfs", "reiserfs", "rootfs", "squashfs", "sysfs", "tmpfs",
    "vfat", "xfs", "zfs",
];

/// MAXSYMLINKS of the kernel.
const MOST_LINKS: u32 = 40;

/// The mounts of a mount namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts {
    /// Mount points in the order of the table, each with whether a look-up there may have to wait.
    points: Vec<(PathBuf, bool)>,
}

/// A path with its symbolic links resolved, as far as it could be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// The path that it leads to.
    pub path: PathBuf,
    /// The mount point at which it was not followed any further, because a look-up there may have to
    /// wait. From there on `path` is as written.
    pub unseen: Option<PathBuf>,
}

impl Mounts {
    /// The mounts of this process, from `/proc/self/mountinfo`. Where that cannot be read, no mount is
    /// known, and every path is followed.
    #[must_use]
    pub fn read() -> Self {
        std::fs::read("/proc/self/mountinfo")
            .map_or_else(|_| Self::default(), |text| Self::of(&text))
    }

    /// `36 35 98:0 /root /mount\040point rw,noatime master:1 - ext3 /dev/sda rw` (proc(5)); there is
    /// any number of words before the dash.
    pub(crate) fn of(table: &[u8]) -> Self {
        let points = table.split(|byte| *byte == b'\n').filter_map(|line| {
            let mut words = line.split(|byte| *byte == b' ');
            let point = PathBuf::from(unescaped(words.nth(4)?));
            let kind = std::str::from_utf8(words.skip_while(|word| *word != b"-").nth(1)?).ok()?;
            // Where the root waits, everything does, and this program first.
            let may_wait = !LOCAL.contains(&kind) && point != Path::new("/");
            Some((point, may_wait))
        });
        Self { points: points.collect() }
    }

    /// The mount point of the file system that has this path, if a look-up there may have to wait.
    #[must_use]
    pub fn may_wait(&self, path: &Path) -> Option<&Path> {
        // Of two mounts at one place the later one is visible; max_by_key() gives the last one.
        let above = self.points.iter().filter(|(point, _)| path.starts_with(point));
        let (point, may_wait) = above.max_by_key(|(point, _)| point.components().count())?;
        may_wait.then_some(point.as_path())
    }

    /// Resolves symbolic links as far as the path exists and can be looked at. The kernel shows the
    /// executables of processes in this form, also after they were deleted. A relative path, and one
    /// with too many links, is given as written.
    #[must_use]
    pub fn follow(&self, path: &Path) -> Followed {
        let as_written = || Followed { path: path.to_owned(), unseen: None };
        if !path.is_absolute() {
            return as_written();
        }
        let mut done = PathBuf::from("/");
        let mut ahead = words(path);
        let mut links = 0;
        while let Some(word) = ahead.pop_front() {
            if word == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&word);
            if let Some(point) = self.may_wait(&next) {
                return Followed { path: joined(next, ahead), unseen: Some(point.to_owned()) };
            }
            match std::fs::read_link(&next) {
                Ok(target) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return as_written();
                    }
                    if target.is_absolute() {
                        done = PathBuf::from("/");
                    }
                    for word in words(&target).into_iter().rev() {
                        ahead.push_front(word);
                    }
                }
                // It exists and is not a link (EINVAL).
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => done = next,
                Err(_) => return Followed { path: joined(next, ahead), unseen: None },
            }
        }
        Followed { path: done, unseen: None }
    }
}

fn joined(mut path: PathBuf, rest: VecDeque<OsString>) -> PathBuf {
    path.extend(rest);
    path
}

fn words(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(word) => Some(word.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

/// The table has a blank as `\040`, and likewise a tab, a newline, a backslash and `#` (mangle() in
/// the kernel).
fn unescaped(word: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&byte, behind)) = rest.split_first() {
        let code = behind.get(..3).filter(|_| byte == b'\\');
        let code =
            code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 8).ok());
        bytes.push(code.unwrap_or(byte));
        rest = if code.is_some() { behind.get(3..).unwrap_or_default() } else { behind };
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::symlink;

    fn followed(mounts: &Mounts, path: &Path) -> (PathBuf, Option<PathBuf>) {
        let Followed { path, unseen } = mounts.follow(path);
        (path, unseen)
    }

    #[test]
    fn links_are_resolved_as_far_as_the_path_exists() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("sub")).unwrap();
        std::fs::write(real.join("sub/file"), "").unwrap();
        symlink(&real, real.join("link")).unwrap();
        symlink("../link/sub/./file", real.join("sub/relative")).unwrap();
        symlink("loop", real.join("loop")).unwrap();
        let mounts = Mounts::read();
        for (path, leads_to) in [
            ("link/gone", "gone"),
            ("link/gone/below", "gone/below"),
            ("link/sub/../sub/relative", "sub/file"),
            ("sub/file", "sub/file"),
            ("loop", "loop"),
        ] {
            assert_eq!(followed(&mounts, &real.join(path)), (real.join(leads_to), None), "{path}");
        }
        for as_written in ["/no/such/dir/x", "/", "relative/link"] {
            let path = Path::new(as_written);
            assert_eq!(followed(&mounts, path), (path.to_owned(), None));
        }
    }

    #[test]
    fn a_path_is_not_followed_where_a_look_up_may_have_to_wait() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().canonicalize().unwrap();
        let far = real.join("far away");
        std::fs::create_dir(&far).unwrap();
        symlink("nowhere", far.join("link")).unwrap();
        symlink(far.join("link"), real.join("link")).unwrap();
        let table = |kind: &str| {
            let point = far.display().to_string().replace(' ', "\\040");
            format!(
                "27 1 254:0 / / rw - 9p root rw\n\
                 28 27 0:31 / {point} rw master:1 shared:2 - tmpfs x rw\n\
                 29 28 0:32 / {point} rw - {kind} server:/x rw\n"
            )
        };
        for kind in ["nfs4", "fuse.sshfs", "autofs", "a-new-one"] {
            let mounts = Mounts::of(table(kind).as_bytes());
            let unseen = (far.join("link/x"), Some(far.clone()));
            assert_eq!(followed(&mounts, &real.join("link/x")), unseen, "{kind}");
            assert_eq!(mounts.may_wait(&real), None);
        }
        let mounts = Mounts::of(table("xfs").as_bytes());
        assert_eq!(followed(&mounts, &real.join("link/x")), (far.join("nowhere/x"), None));
    }

    proptest! {
        #[test]
        fn any_table_is_read(table: Vec<u8>) {
            let _ = Mounts::of(&table);
        }
    }
}
