//! Whether systemd would start the daemon too. Told by the links that `systemctl enable` makes
//! (systemd.unit(5), `[Install]`); systemd itself is not asked.

use std::path::{Path, PathBuf};

/// Where enabled units are: for ever, and until the next boot (`systemctl enable --runtime`).
const ROOTS: [&str; 2] = ["/etc/systemd/system", "/run/systemd/system"];

/// The link that has systemd start this unit with another, if there is one.
pub(crate) fn enabled_by(unit: &str) -> Option<PathBuf> {
    ROOTS.iter().find_map(|root| enabled_within(Path::new(root), unit))
}

fn enabled_within(root: &Path, unit: &str) -> Option<PathBuf> {
    // A masked unit is started by nobody, whoever wants it.
    if std::fs::read_link(root.join(unit)).is_ok_and(|target| target == Path::new("/dev/null")) {
        return None;
    }
    let wanting = std::fs::read_dir(root).ok()?.flatten().filter(|entry| {
        let name = entry.file_name();
        let suffix = Path::new(&name).extension().map(ToOwned::to_owned);
        suffix.is_some_and(|suffix| suffix == "wants" || suffix == "requires")
    });
    let mut links: Vec<PathBuf> = wanting
        .map(|entry| entry.path().join(unit))
        // The link itself: its target may be missing here, and is not the question.
        .filter(|link| link.symlink_metadata().is_ok())
        .collect();
    links.sort();
    links.into_iter().next()
}

/// A unit's name (systemd.unit(5)), or `none`.
pub(crate) fn parse(text: &str) -> Result<Option<String>, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    match text {
        "none" => Ok(None),
        _ if text.len() > 255 || !text.chars().all(fits) || !text.contains('.') => {
            Err("give the name of a unit, like opensips.service, or none")
        }
        _ => Ok(Some(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_enables_a_unit() {
        const UNIT: &str = "opensips.service";
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        assert_eq!(enabled_within(&root.join("none"), UNIT), None);
        let wants = root.join("multi-user.target.wants");
        std::fs::create_dir(&wants).unwrap();
        symlink("/lib/systemd/system/opensips.service", wants.join("other.service")).unwrap();
        assert_eq!(enabled_within(root, UNIT), None);
        symlink("/no/such/opensips.service", wants.join(UNIT)).unwrap();
        assert_eq!(enabled_within(root, UNIT), Some(wants.join(UNIT)));
        symlink("/dev/null", root.join(UNIT)).unwrap();
        assert_eq!(enabled_within(root, UNIT), None);
    }

    #[test]
    fn names() {
        assert_eq!(parse("none"), Ok(None));
        assert_eq!(parse("opensips@a.service"), Ok(Some("opensips@a.service".into())));
        for wrong in ["", "opensips", "../x.service", "a b.service", "a.service\n"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
