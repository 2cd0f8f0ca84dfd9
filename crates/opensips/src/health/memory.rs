//! What the Management Interface tells about the health of the instance: whether it answers, and how
//! much shared memory is in use.

use std::time::Duration;

use deadline::Deadline;

use crate::mi::answers::{SHARED_MEMORY, Statistics};
use crate::mi::{Client, Result};

/// What the MI tells about the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    /// What an operator should look at.
    pub(crate) remarks: Vec<String>,
    /// As much shared memory is in use as when it is exhausted: a second look tells.
    pub(crate) memory_is_short: bool,
    /// How long the daemon has been up, if the answer tells.
    pub(crate) up: Option<Duration>,
}

/// Asks the MI; `shm_limit` and `shm_fail` are percentages of shared memory.
///
/// # Errors
/// Those of the MI.
pub(crate) fn judge(
    client: Client<'_>,
    (shm_limit, shm_fail): (u32, u32),
    deadline: Deadline,
) -> Result<Health> {
    let up = client.up_time(deadline)?;
    let statistics = client.statistics(&[SHARED_MEMORY], deadline)?;
    let memory_is_short = in_use_from(&statistics, shm_fail).is_some();
    Ok(Health {
        remarks: Vec::from_iter(memory_remark(&statistics, shm_limit)),
        memory_is_short,
        up,
    })
}

/// The pause between two looks at shared memory: what is in use at a peak is freed by then.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Shared memory in use, in bytes, and all of it, if at least this percentage is in use at a second look, too.
///
/// Without shared memory no transaction can be created: every INVITE is refused with 500, while a stateless
/// answer to OPTIONS still comes. It does not come back by itself.
///
/// # Errors
/// Those of the MI.
pub(crate) fn exhausted(
    client: Client<'_>,
    limit: u32,
    deadline: Deadline,
) -> Result<Option<(u64, u64)>> {
    deadline.within(deadline.remaining() / 2).sleep(SECOND_LOOK);
    Ok(in_use_from(&client.statistics(&[SHARED_MEMORY], deadline)?, limit))
}

/// What is in use, and all of it, if that is at least this percentage.
fn in_use_from(statistics: &Statistics, limit: u32) -> Option<(u64, u64)> {
    let (used, total) = statistics.shared_memory_used.zip(statistics.shared_memory_total)?;
    let reached = u128::from(used) * 100 >= u128::from(total) * u128::from(limit);
    (total > 0 && reached).then_some((used, total))
}

/// `shared memory: 61 of 64 MB used, over shm_limit=90%: raise shm_memory`
fn memory_remark(statistics: &Statistics, limit: u32) -> Option<String> {
    let used = statistics.shared_memory_used?;
    let total = statistics.shared_memory_total.filter(|total| *total > 0)?;
    // Bytes of a host's memory, times a hundred, always fit into u128.
    let over = u128::from(used) * 100 > u128::from(total) * u128::from(limit);
    over.then(|| {
        let (used, total) = (mega(used), mega(total));
        format!(
            "shared memory: {used} of {total} MB used, over shm_limit={limit}%: raise shm_memory"
        )
    })
}

/// In MB.
pub(super) fn mega(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory() {
        let remark = |used, total| {
            let statistics = Statistics {
                shared_memory_used: Some(used),
                shared_memory_total: Some(total),
                ..Statistics::default()
            };
            memory_remark(&statistics, 90)
        };
        assert_eq!(remark(90, 100), None);
        assert_eq!(
            remark(62 << 20, 64 << 20).unwrap(),
            "shared memory: 62 of 64 MB used, over shm_limit=90%: raise shm_memory"
        );
        assert_eq!(remark(1, 0), None);
        assert!(remark(u64::MAX, u64::MAX).is_some());
        assert_eq!(memory_remark(&Statistics::default(), 90), None);
    }

    #[test]
    fn exhausted_from_its_percentage_on() {
        let in_use = |used, total| {
            let statistics = Statistics {
                shared_memory_used: Some(used),
                shared_memory_total: Some(total),
                ..Statistics::default()
            };
            in_use_from(&statistics, 98)
        };
        assert_eq!((in_use(97, 100), in_use(98, 100)), (None, Some((98, 100))));
        assert_eq!(in_use(u64::MAX, u64::MAX), Some((u64::MAX, u64::MAX)));
        // Not known, or no answer at all.
        assert_eq!((in_use(0, 0), in_use_from(&Statistics::default(), 98)), (None, None));
        assert_eq!((mega(0), mega(1), mega(64 << 20)), (0, 1, 64));
    }
}
