//! Parameters of ocf:heartbeat:IPaddr2 that have another meaning here, or no effect.

use std::time::Duration;

use ocf::{Parameter, Reader, Values};

use super::Schedule;
use crate::description as table;

/// The defaults of IPaddr2.
const ARP_COUNT: i64 = 5;
const ARP_INTERVAL: i64 = 200;
/// Limit for the length of a value without effect.
const MAX_LENGTH: usize = 255;
/// The values that IPaddr2 knows for `arp_sender`.
const SENDERS: [&str; 4] = ["send_arp", "ipoibarping", "iputils_arping", "libnet_arping"];

/// Reads the schedule: `arp_count` and `arp_interval` if one of them is set, else
/// `announce_schedule`.
pub(super) fn schedule(reader: &mut Reader<'_>, values: &Values) -> Option<Schedule> {
    let schedule = reader.parsed(&table::ANNOUNCE_SCHEDULE, str::parse::<Schedule>);
    let count = reader.integer(&table::ARP_COUNT, 1..=1000);
    let interval = reader.integer(&table::ARP_INTERVAL, 1..=60_000);
    let given = |parameter: &Parameter| values.get(parameter.name).is_some();
    if !given(&table::ARP_COUNT) && !given(&table::ARP_INTERVAL) {
        return schedule;
    }
    if given(&table::ANNOUNCE_SCHEDULE) {
        let why = "conflicts with arp_count and arp_interval: set only one of them";
        reader.reject(&table::ANNOUNCE_SCHEDULE, why);
        return None;
    }
    let count = u32::try_from(count.unwrap_or(ARP_COUNT)).ok()?;
    let interval = u64::try_from(interval.unwrap_or(ARP_INTERVAL)).ok()?;
    Schedule::regular(count, Duration::from_millis(interval))
        .map_err(|error| reader.reject(&table::ARP_COUNT, error))
        .ok()
}

/// Validates the parameters without effect and returns a remark about each one that is set. A
/// parameter that asks for something that this agent does not do is a finding.
pub(super) fn read(reader: &mut Reader<'_>, values: &Values, duplicate_check: bool) -> Vec<String> {
    if reader.boolean(&table::RUN_ARPING) && !duplicate_check {
        reader.reject(&table::RUN_ARPING, "contradicts duplicate_check=no: remove it");
    }
    reader.parsed(&table::ARP_SENDER, |text| {
        if SENDERS.contains(&text) {
            Ok(())
        } else {
            Err(format!("not one of {}: remove it, it has no effect", SENDERS.join(", ")))
        }
    });
    reader.boolean(&table::FLUSH_ROUTES);
    reader.boolean(&table::LVS_IPV6_ADDRLABEL);
    reader.integer(&table::LVS_IPV6_ADDRLABEL_VALUE, 0..=i64::from(u32::MAX));
    for parameter in [&table::SEND_ARP_OPTS, &table::PROTO] {
        reader.parsed(parameter, |text| {
            if text.len() <= MAX_LENGTH {
                Ok(())
            } else {
                Err("too long: remove it, it has no effect")
            }
        });
    }
    for (parameter, default) in table::REFUSED {
        reader.parsed(parameter, |text| {
            let asks_for_nothing = text == *default || *default == "false" && is_false(text);
            let why = parameter.deprecated.map_or("not supported", |deprecated| deprecated.desc);
            if asks_for_nothing { Ok(()) } else { Err(why) }
        });
    }
    let without_effect = [
        &table::ARP_SENDER,
        &table::SEND_ARP_OPTS,
        &table::FLUSH_ROUTES,
        &table::PROTO,
        &table::LVS_IPV6_ADDRLABEL,
        &table::LVS_IPV6_ADDRLABEL_VALUE,
    ];
    let remark = |parameter: &Parameter| {
        let value = values.text(parameter.name).filter(|text| !is_false(text))?;
        let why = parameter.deprecated?.desc;
        Some(format!("{}={} has no effect: {why}", parameter.name, ocf::shown(value.as_bytes())))
    };
    without_effect.into_iter().filter_map(remark).collect()
}

/// Returns true for what IPaddr2 (`ocf_is_true`) takes for false.
fn is_false(text: &str) -> bool {
    ["no", "false", "off", "0", "n"].contains(&text.to_ascii_lowercase().as_str())
}
