//! The versions of OpenSIPS that tests tell apart.

use std::path::Path;
use std::process::{Command, Stdio};

/// Versions that read the same configuration and behave alike towards their supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Version {
    /// 2.x, of which 2.4.11 was looked at.
    V2_4,
    /// 3.0 to 3.4, of which 3.4.18 was looked at.
    V3_4,
    /// 3.5 and 3.6, of which 3.6.8 was looked at; the stand-in.
    #[default]
    V3_6,
    /// 4.0 and what comes after it, of which 4.0.1 was looked at.
    V4_0,
}

impl Version {
    /// From what `-V` prints first: `version: opensips 3.6.8 (x86_64/linux)`.
    pub fn parse(line: &str) -> Option<Self> {
        let number = line.strip_prefix("version: opensips ")?.split(' ').next()?;
        let mut parts = number.split(['.', '-']).map(str::parse::<u32>);
        match (parts.next()?.ok()?, parts.next()?.ok()?) {
            (2, _) => Some(Self::V2_4),
            (3, 0..=4) => Some(Self::V3_4),
            (3, _) => Some(Self::V3_6),
            (4.., _) => Some(Self::V4_0),
            _ => None,
        }
    }

    /// By asking a daemon; with the line that it says.
    pub fn ask(binary: &Path) -> Option<(Self, String)> {
        let output = Command::new(binary).arg("-V").stdin(Stdio::null()).output().ok()?;
        let line = String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned();
        Some((Self::parse(&line)?, line))
    }

    /// Whether its Management Interface is JSON-RPC. 2.x has lines of text instead
    /// (`:ps:reply_file`), which neither the agent nor the suites speak.
    pub fn has_json_mi(self) -> bool {
        self > Self::V2_4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for (line, version) in [
            ("version: opensips 2.4.11 (x86_64/linux)", Some(Version::V2_4)),
            ("version: opensips 3.1.0-beta (x86_64/linux)", Some(Version::V3_4)),
            ("version: opensips 3.4.18 (x86_64/linux)", Some(Version::V3_4)),
            ("version: opensips 3.6-dev (x86_64/linux)", Some(Version::V3_6)),
            ("version: opensips 4.0.1 (x86_64/linux)", Some(Version::V4_0)),
            ("version: opensips 5.2.0", Some(Version::V4_0)),
            ("version: kamailio 5.2.0", None),
            ("", None),
        ] {
            assert_eq!(Version::parse(line), version, "{line}");
        }
        let stand_in = format!("version: opensips {}", crate::VERSION);
        assert_eq!(Version::parse(&stand_in), Some(Version::default()));
    }
}
