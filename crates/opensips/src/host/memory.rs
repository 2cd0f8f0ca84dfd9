//! How much memory the daemon can have: the machine's, or what control groups allow of it.

use std::path::{Path, PathBuf};

/// In MB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// All that there is, or that is allowed.
    pub(crate) total: u64,
    /// What can be had without swapping, by the kernel's estimate.
    pub(crate) available: u64,
    /// The control group that allows less than the machine has.
    pub(crate) limited_by: Option<PathBuf>,
}

impl Memory {
    /// As this process finds it, which is where the daemon will be, too. `None` where the kernel
    /// does not tell.
    pub(crate) fn read() -> Option<Self> {
        let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::of(&meminfo, lowest_limit(Path::new("/sys/fs/cgroup"), &groups))
    }

    fn of(meminfo: &str, limit: Option<(u64, PathBuf)>) -> Option<Self> {
        let total = megabytes(meminfo, "MemTotal:")?;
        let available = megabytes(meminfo, "MemAvailable:").unwrap_or(total);
        Some(match limit {
            Some((allowed, group)) if allowed < total => {
                Self { total: allowed, available: available.min(allowed), limited_by: Some(group) }
            }
            _ => Self { total, available, limited_by: None },
        })
    }
}

/// `MemTotal:       16384256 kB` (proc(5)).
fn megabytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes / 1024)
}

/// The lowest limit, in MB, of the groups that a process is in, and the group: `memory.max`, in the
/// first version `memory.limit_in_bytes` of its memory controller (cgroups(7)). In a container the
/// groups above its own are not to be seen.
fn lowest_limit(root: &Path, groups: &str) -> Option<(u64, PathBuf)> {
    let limits = groups.lines().flat_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next().unwrap_or(""), fields.next().unwrap_or("/"));
        let (top, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            "memory" => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return Vec::new(),
        };
        let group = top.join(path.trim_start_matches('/'));
        let above = group.ancestors().take_while(|group| group.starts_with(&top));
        // `max`, where there is none.
        let limit = |group: &Path| -> Option<(u64, PathBuf)> {
            let bytes: u64 = std::fs::read_to_string(group.join(file)).ok()?.trim().parse().ok()?;
            Some((bytes / (1024 * 1024), group.to_owned()))
        };
        above.filter_map(limit).collect()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines() {
        let meminfo = "MemTotal:        2048000 kB\nMemFree: 1 kB\nMemAvailable: 1024000 kB\n";
        let whole = Memory { total: 2000, available: 1000, limited_by: None };
        assert_eq!(Memory::of(meminfo, None), Some(whole.clone()));
        assert_eq!(Memory::of(meminfo, Some((9000, "/x".into()))), Some(whole));
        let group = PathBuf::from("/sys/fs/cgroup/system.slice");
        let part = Memory { total: 500, available: 500, limited_by: Some(group.clone()) };
        assert_eq!(Memory::of(meminfo, Some((500, group))), Some(part));
        assert_eq!(Memory::of("MemFree: 1 kB\n", None), None);
        assert_eq!(Memory::of("MemTotal: lots\n", None), None);
        assert!(Memory::read().is_some());
    }

    #[test]
    fn the_lowest_limit_of_all_groups_above_counts() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let group = root.join("system.slice/pacemaker.service");
        std::fs::create_dir_all(&group).unwrap();
        std::fs::write(group.join("memory.max"), "max\n").unwrap();
        let groups = "0::/system.slice/pacemaker.service\n";
        assert_eq!(lowest_limit(root, groups), None);
        std::fs::write(root.join("system.slice/memory.max"), "536870912\n").unwrap();
        assert_eq!(lowest_limit(root, groups), Some((512, root.join("system.slice"))));
        std::fs::write(group.join("memory.max"), "1073741824\n").unwrap();
        assert_eq!(lowest_limit(root, groups), Some((512, root.join("system.slice"))));
        // The first version.
        let first = root.join("memory/a");
        std::fs::create_dir_all(&first).unwrap();
        std::fs::write(first.join("memory.limit_in_bytes"), "104857600\n").unwrap();
        assert_eq!(lowest_limit(root, "4:memory:/a\n1:cpu:/b\n0::/\n"), Some((100, first)));
        assert_eq!(lowest_limit(root, ""), None);
    }
}
