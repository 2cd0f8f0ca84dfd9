//! Sockets on addresses that this host does not have (yet): the case of a hot standby.
//!
//! OpenSIPS has no IP_FREEBIND, so only `ip_nonlocal_bind` lets it open them. A change of the
//! setting does not affect sockets that are open.

use std::collections::HashSet;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use deadline::Deadline;
use hostnet::{Family, Sysctl};

use crate::sockets::addresses::{LocalAddresses, Presence};
use crate::sockets::listener::Listener;
use crate::sockets::{Error, Result};

/// The pause between two looks at a tentative address.
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// What start does about sockets on addresses that this host does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NonlocalBind {
    /// Fail where the kernel forbids to bind to them.
    Check,
    /// Make the kernel allow it.
    Ensure,
    /// Let the daemon try.
    Ignore,
}

/// The listeners that cannot be opened without `ip_nonlocal_bind`. Pure.
pub(crate) fn on_absent_addresses<'a>(
    listeners: &'a [Listener],
    local: &LocalAddresses,
) -> Vec<&'a Listener> {
    let candidates = listeners.iter().filter(|listener| is_bound_to_one_address(listener));
    candidates.filter(|listener| local.presence(listener.local.ip()) != Presence::Usable).collect()
}

/// Ensures that the daemon can open its sockets on absent addresses, or fails with what the
/// operator can do. `leaving` are the addresses that leave this host while the instance stays (see
/// [`can_not_be_reopened`]).
///
/// An IPv6 address that has just been added is tentative for a second or two (RFC 4862: one probe,
/// one second, after a random delay; more with `dad_transmits`), and no socket can be bound to it.
/// This waits for it, at most half of the time, because the daemon needs the other half. Without a
/// carrier the address stays tentative.
///
/// [`NonlocalBind::Ensure`] also switches the setting on where this start can do without it and the
/// next one can't. It stays on when the start fails for another reason, and after stop: the setting
/// belongs to the host, not to the instance. Another user of it (another instance that starts,
/// keepalived) would fail at its next bind, and the agent can't tell whether an administrator relies
/// on it.
///
/// # Errors
/// [`Error::AbsentAddress`] and [`Error::TentativeAddress`] for each address, [`Error::NonlocalBind`],
/// [`Error::Network`]
pub(crate) fn prepare(
    mode: NonlocalBind,
    leaving: &[IpAddr],
    listeners: &[Listener],
    sysctl: &Sysctl,
    until: Deadline,
) -> Result<()> {
    if mode == NonlocalBind::Ignore {
        return Ok(());
    }
    let patience = until.share(2);
    while let Some(waiting) = prepare_once(mode, listeners, sysctl, patience, until)? {
        log::debug!("listener={waiting} state=tentative next=wait");
        std::thread::sleep(RETRY_INTERVAL);
    }
    if mode == NonlocalBind::Ensure && !leaving.is_empty() {
        let local = read(listeners, until)?;
        for listener in can_not_be_reopened(leaving, listeners, &local) {
            if !sysctl.ip_nonlocal_bind(Family::of(listener.local.ip())).unwrap_or(true) {
                switch_on(sysctl, listener)?;
            }
        }
    }
    Ok(())
}

/// Returns a listener whose address is still tentative.
fn prepare_once<'a>(
    mode: NonlocalBind,
    listeners: &'a [Listener],
    sysctl: &Sysctl,
    patience: Deadline,
    until: Deadline,
) -> Result<Option<&'a Listener>> {
    let local = read(listeners, until)?;
    let (mut waiting, mut refused) = (None, Vec::new());
    for listener in on_absent_addresses(listeners, &local) {
        let ip = listener.local.ip();
        let family = Family::of(ip);
        let is_tentative = local.presence(ip) == Presence::Tentative;
        match (sysctl.ip_nonlocal_bind(family), mode) {
            (Ok(true), _) => {}
            _ if is_tentative && !patience.has_passed() => waiting = Some(listener),
            (_, NonlocalBind::Ensure) => switch_on(sysctl, listener)?,
            (Ok(false), _) if is_tentative => {
                refused.push((ip, Error::TentativeAddress { listener: listener.clone() }));
            }
            (Ok(false), _) if can_be_bound(ip) => {}
            (Ok(false), _) => {
                refused.push((ip, Error::AbsentAddress { listener: listener.clone() }));
            }
            (Err(source), _) => return Err(Error::NonlocalBind { ip, source }),
        }
    }
    // One socket of each address stands for all.
    let mut told = HashSet::new();
    refused.retain(|(ip, _)| told.insert(*ip));
    Error::all(refused.into_iter().map(|(_, error)| error).collect())?;
    Ok(waiting)
}

/// Asks the kernel where the list of addresses does not suffice: with a route of type `local` it
/// accepts an address that is on no interface (AnyIP), and with the setting every other one.
fn can_be_bound(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

fn switch_on(sysctl: &Sysctl, listener: &Listener) -> Result<()> {
    let ip = listener.local.ip();
    let family = Family::of(ip);
    sysctl
        .set_ip_nonlocal_bind(family, true)
        .map_err(|source| Error::NonlocalBind { ip, source })?;
    log::info!(
        "sysctl={} value=1 address={ip} note=\"a file in /etc/sysctl.d makes it permanent\"",
        setting(family)
    );
    Ok(())
}

/// The sockets that another start of the instance could not open without `ip_nonlocal_bind`.
///
/// They are bound to an address that is absent now, and were opened while it was present or the
/// setting was on; or to a virtual address that leaves. In a promotable clone that is every virtual
/// address: it leaves with the promoted role, the instance stays, and its next start (after a
/// crash, for example) has to do without it. An instance that is not promotable moves together with
/// its address: wherever it starts next, the address has been started before. An address that is
/// neither absent nor virtual belongs to this node.
fn can_not_be_reopened<'a>(
    leaving: &'a [IpAddr],
    listeners: &'a [Listener],
    local: &LocalAddresses,
) -> impl Iterator<Item = &'a Listener> {
    listeners.iter().filter(move |listener| {
        let ip = listener.local.ip();
        let absent = || local.presence(ip) == Presence::Absent && !can_be_bound(ip);
        is_bound_to_one_address(listener) && (leaving.contains(&ip) || absent())
    })
}

/// Tells the operator that the next start is going to fail, though the daemon serves now: its
/// sockets stay open when the setting is switched off. Changes nothing.
///
/// A socket of `*` or of an interface is expanded anew: the next start does not open it at an address that is
/// absent. `will_open` tells, and is asked only for a socket that there would be a remark about.
///
/// With [`NonlocalBind::Ensure`] the next start does not fail. The setting is still reported: another program may
/// have switched it off, and start and that program would undo each other's work; or the address was there at the
/// last start, so that nothing had to be switched on.
pub(crate) fn remark(
    mode: NonlocalBind,
    leaving: &[IpAddr],
    listeners: &[Listener],
    local: &LocalAddresses,
    sysctl: &Sysctl,
    will_open: impl Fn(&Listener) -> bool,
) -> Option<String> {
    if mode == NonlocalBind::Ignore {
        return None;
    }
    let mut needing = can_not_be_reopened(leaving, listeners, local);
    let listener = needing.find(|listener| {
        let ip = listener.local.ip();
        sysctl.ip_nonlocal_bind(Family::of(ip)).is_ok_and(|is_on| !is_on)
            && (leaving.contains(&ip) || will_open(listener))
    })?;
    let setting = setting(Family::of(listener.local.ip()));
    Some(match mode {
        NonlocalBind::Ensure => {
            format!(
                "{setting} is 0, and {listener} needs it while the address is not here: set it to 1 in \
                 /etc/sysctl.d"
            )
        }
        _ => format!(
            "{listener} can't be opened by the next start: set {setting}=1 in /etc/sysctl.d"
        ),
    })
}

/// The name of the setting.
pub(crate) fn setting(family: Family) -> &'static str {
    match family {
        Family::V4 => "net.ipv4.ip_nonlocal_bind",
        Family::V6 => "net.ipv6.ip_nonlocal_bind",
    }
}

/// The addresses of this host that matter to these listeners.
///
/// # Errors
/// [`Error::Network`]
pub(crate) fn read(listeners: &[Listener], until: Deadline) -> Result<LocalAddresses> {
    let wanted = listeners.iter().filter(|listener| is_bound_to_one_address(listener));
    LocalAddresses::read(wanted.map(|listener| listener.local.ip()), until)
}

/// The addresses whose presence matters to a monitor.
pub(crate) fn needed(mode: NonlocalBind, listeners: &[Listener]) -> impl Iterator<Item = IpAddr> {
    let bound = listeners.iter().filter(|listener| is_bound_to_one_address(listener));
    bound.filter(move |_| mode != NonlocalBind::Ignore).map(|listener| listener.local.ip())
}

/// Every host may bind to a multicast group.
fn is_bound_to_one_address(listener: &Listener) -> bool {
    let ip: IpAddr = listener.local.ip();
    listener.is_explicit() && !ip.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostnet::{Address, AddressFlags, Lifetime, LinkIndex, Prefix, Scope};

    fn address(ip: &str, flags: AddressFlags) -> Address {
        let ip: IpAddr = ip.parse().unwrap();
        Address {
            link: LinkIndex::new(2).unwrap(),
            ip,
            prefix: Prefix::new(Family::of(ip), 24).unwrap(),
            peer: None,
            broadcast: None,
            label: None,
            scope: Scope::Universe,
            flags,
            preferred_lft: Lifetime::Forever,
            valid_lft: Lifetime::Forever,
        }
    }

    const VIP: &[IpAddr] = &[IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10))];

    fn listeners(texts: &[&str]) -> Vec<Listener> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_is_absent() {
        let tentative = AddressFlags { tentative: true, ..AddressFlags::default() };
        let optimistic = AddressFlags { optimistic: true, ..tentative };
        let failed = AddressFlags { dadfailed: true, ..tentative };
        let local: LocalAddresses = [
            address("192.0.2.1", AddressFlags::default()),
            address("2001:db8::1", AddressFlags::default()),
            address("2001:db8::2", tentative),
            address("2001:db8::3", optimistic),
            address("2001:db8::4", failed),
        ]
        .into_iter()
        .collect();
        let all = listeners(&[
            "udp:192.0.2.1:5060",
            "udp:192.0.2.10:5060",
            "tcp:192.0.2.10:5060",
            "udp:0.0.0.0:5060",
            "udp:127.0.0.9:5060",
            "udp:224.0.1.75:5060",
            "udp:[2001:db8::1]:5060",
            "udp:[2001:db8::2]:5060",
            "udp:[2001:db8::3]:5060",
            "udp:[2001:db8::4]:5060",
        ]);
        let absent: Vec<String> =
            on_absent_addresses(&all, &local).iter().map(ToString::to_string).collect();
        assert_eq!(
            absent,
            [
                "udp:192.0.2.10:5060",
                "tcp:192.0.2.10:5060",
                "udp:[2001:db8::2]:5060",
                "udp:[2001:db8::4]:5060"
            ]
        );
        assert_eq!(local.presence("2001:db8::2".parse().unwrap()), Presence::Tentative);
    }

    #[test]
    fn the_remark_predicts_the_next_start() {
        let directory = tempfile::tempdir().unwrap();
        for (family, value) in [("ipv4", "0\n"), ("ipv6", "1\n")] {
            let file = directory.path().join(format!("net/{family}/ip_nonlocal_bind"));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, value).unwrap();
        }
        let sysctl = Sysctl::at(directory.path());
        let here: LocalAddresses = [
            address("192.0.2.1", AddressFlags::default()),
            address("192.0.2.10", AddressFlags::default()),
        ]
        .into_iter()
        .collect();
        let all = listeners(&[
            "udp:0.0.0.0:5060",
            "udp:127.0.0.1:5060",
            "bin:192.0.2.1:5566",
            "udp:[2001:db8::10]:5060",
            "udp:192.0.2.10:5060",
        ]);
        let remarks = |mode, leaving: &[IpAddr], local: &LocalAddresses| {
            remark(mode, leaving, &all, local, &sysctl, |_| true)
        };
        // The next start expands an interface to what is there then.
        let expanded =
            remark(NonlocalBind::Check, &[], &all, &LocalAddresses::default(), &sysctl, |_| false);
        assert_eq!(expanded, None);
        let fails = |listener: &str| {
            Some(format!(
                "{listener} can't be opened by the next start: set net.ipv4.ip_nonlocal_bind=1 in \
                 /etc/sysctl.d"
            ))
        };
        let nowhere = LocalAddresses::default();
        let (check, ensure) = (NonlocalBind::Check, NonlocalBind::Ensure);
        // In active/standby the address is there before the daemon is.
        assert_eq!(remarks(check, &[], &here), None);
        assert_eq!(remarks(check, &[], &nowhere), fails("bin:192.0.2.1:5566"));
        // Of the hot standby, the virtual address alone leaves.
        assert_eq!(remarks(check, VIP, &here), fails("udp:192.0.2.10:5060"));
        assert_eq!(remarks(NonlocalBind::Ignore, VIP, &nowhere), None);
        let ensured = remarks(ensure, VIP, &here).unwrap();
        assert!(
            ensured
                .starts_with("net.ipv4.ip_nonlocal_bind is 0, and udp:192.0.2.10:5060 needs it "),
            "{ensured}"
        );
        // A setting that can't be read is not reported.
        std::fs::remove_file(directory.path().join("net/ipv4/ip_nonlocal_bind")).unwrap();
        assert_eq!(remarks(check, VIP, &nowhere), None);
    }

    #[test]
    fn each_mode() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("net/ipv4/ip_nonlocal_bind");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let sysctl = Sysctl::at(directory.path());
        // TEST-NET-1 is on no host.
        let absent = listeners(&["udp:192.0.2.10:5060"]);
        let until = Deadline::after(Duration::from_secs(60));
        let prepare = |mode, value: &str| {
            std::fs::write(&file, value).unwrap();
            let result = prepare(mode, &[], &absent, &sysctl, until);
            (result, std::fs::read_to_string(&file).unwrap())
        };
        let (check, ensure) = (NonlocalBind::Check, NonlocalBind::Ensure);
        let (result, value) = prepare(check, "0\n");
        let error = result.unwrap_err();
        assert!(error.to_string().contains("net.ipv4.ip_nonlocal_bind=1"), "{error}");
        assert_eq!(value, "0\n");
        assert!(prepare(check, "1\n").0.is_ok());
        let (result, value) = prepare(ensure, "0\n");
        assert!(result.is_ok());
        assert_eq!(value, "1\n");
        assert!(prepare(NonlocalBind::Ignore, "0\n").0.is_ok());
        std::fs::remove_file(&file).unwrap();
        let refused = super::prepare(ensure, &[], &absent, &sysctl, until);
        assert!(matches!(refused, Err(Error::NonlocalBind { .. })));
    }
}
