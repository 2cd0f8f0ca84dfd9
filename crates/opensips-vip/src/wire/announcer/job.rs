//! What an announcer does, in its arguments.

use std::ffi::OsString;
use std::path::PathBuf;

use hostnet::{LinkIndex, Network};

use crate::params::{Form, Schedule};
use crate::wire::announcement::Announcement;

/// The work of one announcer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) announcement: Announcement,
    pub(crate) schedule: Schedule,
    /// The entry of the schedule to begin with.
    pub(crate) next: usize,
    /// The lock file that it holds.
    pub(crate) lock: PathBuf,
}

impl Job {
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        let Announcement { ip, prefix, link, form, targets } = &self.announcement;
        let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
        vec![
            format!("{ip}/{prefix}").into(),
            link.to_string().into(),
            form.name().into(),
            self.schedule.to_string().into(),
            self.next.to_string().into(),
            targets.join(",").into(),
            self.lock.clone().into(),
        ]
    }

    pub(super) fn from_arguments(arguments: &[OsString]) -> Option<Self> {
        let [address, link, form, schedule, next, targets, lock] = arguments else { return None };
        let address = address.to_str()?;
        let (ip, _) = address.split_once('/')?;
        Some(Self {
            announcement: Announcement {
                ip: ip.parse().ok()?,
                prefix: address.parse::<Network>().ok()?.prefix(),
                link: LinkIndex::new(link.to_str()?.parse().ok()?)?,
                form: Form::from_name(form.to_str()?)?,
                targets: targets
                    .to_str()?
                    .split(',')
                    .filter(|text| !text.is_empty())
                    .map(|text| text.parse().ok())
                    .collect::<Option<_>>()?,
            },
            schedule: Schedule::parse_any(schedule.to_str()?).ok()?,
            next: next.to_str()?.parse().ok()?,
            lock: lock.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostnet::{Family, Prefix};

    #[test]
    fn a_job_survives_the_command_line() {
        let job = Job {
            announcement: Announcement {
                ip: "192.0.2.10".parse().unwrap(),
                prefix: Prefix::new(Family::V4, 24).unwrap(),
                targets: vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()],
                link: LinkIndex::new(7).unwrap(),
                form: Form::Both,
            },
            schedule: "0,50,250".parse().unwrap(),
            next: 1,
            lock: "/run/smartvox/announcer-192.0.2.10@4026531840.lock".into(),
        };
        let arguments = job.to_arguments();
        assert_eq!(Job::from_arguments(&arguments), Some(job.clone()));
        let ipv6 = Job {
            announcement: Announcement {
                ip: "2001:db8::10".parse().unwrap(),
                prefix: Prefix::new(Family::V6, 64).unwrap(),
                targets: Vec::new(),
                ..job.announcement.clone()
            },
            ..job
        };
        assert_eq!(Job::from_arguments(&ipv6.to_arguments()), Some(ipv6));
        for missing in 0..arguments.len() {
            assert_eq!(Job::from_arguments(&arguments[..missing]), None);
        }
    }
}
