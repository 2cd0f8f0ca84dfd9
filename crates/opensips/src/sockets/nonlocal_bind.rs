//! Sockets on addresses that this host does not have (yet): the hot standby's case.
//!
//! OpenSIPS has no IP_FREEBIND, so only `ip_nonlocal_bind` lets it open them; a change of the
//! setting does nothing to sockets that are open.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use deadline::Deadline;
use hostnet::{Family, Sysctl};

use crate::error::{Error, Result};
use crate::params::{NonlocalBind, Params};
use crate::sockets::addresses::{LocalAddresses, Presence};
use crate::sockets::listener::Listener;

const AGAIN: Duration = Duration::from_millis(50);

/// The listeners that cannot be opened without `ip_nonlocal_bind`. Pure.
pub fn on_absent_addresses<'a>(
    listeners: &'a [Listener],
    local: &LocalAddresses,
) -> Vec<&'a Listener> {
    let candidates = listeners.iter().filter(|listener| is_bound_to_one_address(listener));
    candidates.filter(|listener| local.presence(listener.local.ip()) != Presence::Usable).collect()
}

/// Sees to it that the daemon will be able to open its sockets on absent addresses, or says what
/// is to be done.
///
/// An IPv6 address that has just arrived is tentative for a second or two (RFC 4862: one probe, one
/// second, after a random delay; more with `dad_transmits`), and can't be bound to: that is waited
/// for, half of the time at most, for the other half is the daemon's. Without carrier it stays so.
///
/// `ensure` also sees to what this start can do without and the next one can't. What it has switched
/// on stays so, also where the start fails for another reason, and after stop: the setting is the
/// host's and not the instance's. Whoever else has come to rely on it meanwhile (another instance that
/// starts, keepalived) would fail at its next bind, and nobody could tell it from an administrator's.
///
/// # Errors
/// [`Error::AbsentAddress`], [`Error::TentativeAddress`], [`Error::NonlocalBind`],
/// [`Error::Network`]
pub fn prepare(
    params: &Params,
    promotable: bool,
    listeners: &[Listener],
    sysctl: &Sysctl,
    until: Deadline,
) -> Result<()> {
    let mode = params.nonlocal_bind;
    if mode == NonlocalBind::Ignore {
        return Ok(());
    }
    let patience = until.share(2);
    while let Some(waiting) = prepare_once(mode, listeners, sysctl, patience, until)? {
        log::debug!("listener={waiting} state=tentative next=wait");
        std::thread::sleep(AGAIN);
    }
    if mode == NonlocalBind::Ensure && promotable {
        let local = read(listeners, until)?;
        for listener in not_to_be_opened_again(params, promotable, listeners, &local) {
            if !sysctl.ip_nonlocal_bind(Family::of(listener.local.ip())).unwrap_or(true) {
                switch_on(sysctl, listener)?;
            }
        }
    }
    Ok(())
}

/// Gives a listener that is to be waited for.
fn prepare_once<'a>(
    mode: NonlocalBind,
    listeners: &'a [Listener],
    sysctl: &Sysctl,
    patience: Deadline,
    until: Deadline,
) -> Result<Option<&'a Listener>> {
    let local = read(listeners, until)?;
    let mut waiting = None;
    for listener in on_absent_addresses(listeners, &local) {
        let ip = listener.local.ip();
        let family = Family::of(ip);
        let is_tentative = local.presence(ip) == Presence::Tentative;
        match (sysctl.ip_nonlocal_bind(family), mode) {
            (Ok(true), _) => {}
            _ if is_tentative && !patience.has_passed() => waiting = Some(listener),
            (_, NonlocalBind::Ensure) => switch_on(sysctl, listener)?,
            (Ok(false), _) if is_tentative => {
                return Err(Error::TentativeAddress { listener: listener.clone() });
            }
            (Ok(false), _) if can_be_bound(ip) => {}
            (Ok(false), _) => return Err(Error::AbsentAddress { listener: listener.clone() }),
            (Err(source), _) => return Err(Error::NonlocalBind { ip, source }),
        }
    }
    Ok(waiting)
}

/// The kernel's own word, where the list of addresses has none: a route of type `local` makes an
/// address this host's that is on no interface (AnyIP), and the setting every other.
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
        "sysctl={} value=1 address={ip} note=\"a file in /etc/sysctl.d makes it last\"",
        setting(family)
    );
    Ok(())
}

/// The sockets that a start of the instance could not open again without `ip_nonlocal_bind`.
///
/// Those on an address that is not here now: they were opened while it was here or the setting was
/// on. In a promotable clone also those on the virtual addresses that are here: the address leaves
/// with the promoted role, the instance stays, and its next start (after a crash, say) has to do
/// without. An instance that is not promotable goes with the address: where it is started next, the
/// address was started before. What is neither absent nor named as virtual is this node's own.
fn not_to_be_opened_again<'a>(
    params: &Params,
    promotable: bool,
    listeners: &'a [Listener],
    local: &LocalAddresses,
) -> impl Iterator<Item = &'a Listener> {
    listeners.iter().filter(move |listener| {
        let ip = listener.local.ip();
        let leaves = promotable && params.vips.contains(&ip);
        let absent = || local.presence(ip) == Presence::Absent && !can_be_bound(ip);
        is_bound_to_one_address(listener) && (leaves || absent())
    })
}

/// What an operator should know while the daemon still serves: its sockets stay open when somebody
/// switches the setting off, and its next start fails. Changes nothing.
///
/// With `ensure` the next start does not fail; that somebody switches the setting off is told all
/// the same, for start and he would go on undoing each other's work.
pub(crate) fn remark(
    params: &Params,
    promotable: bool,
    listeners: &[Listener],
    local: &LocalAddresses,
    sysctl: &Sysctl,
) -> Option<String> {
    if params.nonlocal_bind == NonlocalBind::Ignore {
        return None;
    }
    let mut needing = not_to_be_opened_again(params, promotable, listeners, local);
    let listener = needing.find(|listener| {
        let family = Family::of(listener.local.ip());
        sysctl.ip_nonlocal_bind(family).is_ok_and(|is_on| !is_on)
    })?;
    let setting = setting(Family::of(listener.local.ip()));
    Some(match params.nonlocal_bind {
        NonlocalBind::Ensure => {
            format!("{setting} was switched off: set it to 1 in /etc/sysctl.d, for {listener}")
        }
        _ => format!("the next start will fail: sysctl {setting}=1, for {listener}"),
    })
}

/// The name of the setting.
pub fn setting(family: Family) -> &'static str {
    match family {
        Family::V4 => "net.ipv4.ip_nonlocal_bind",
        Family::V6 => "net.ipv6.ip_nonlocal_bind",
    }
}

/// The addresses of this host that matter to these listeners.
///
/// # Errors
/// [`Error::Network`]
pub fn read(listeners: &[Listener], until: Deadline) -> Result<LocalAddresses> {
    let wanted = listeners.iter().filter(|listener| is_bound_to_one_address(listener));
    LocalAddresses::read(wanted.map(|listener| listener.local.ip()), until)
}

/// The addresses about which a monitor has to know whether they are here.
pub(crate) fn needed(mode: NonlocalBind, listeners: &[Listener]) -> impl Iterator<Item = IpAddr> {
    let bound = listeners.iter().filter(|listener| is_bound_to_one_address(listener));
    bound.filter(move |_| mode != NonlocalBind::Ignore).map(|listener| listener.local.ip())
}

/// Anybody may bind to a multicast group.
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

    fn params(pairs: &[(&str, &str)]) -> Params {
        let instance = ocf::InstanceName::new(std::ffi::OsStr::new("x"));
        Params::read(&pairs.iter().copied().collect(), &instance).unwrap()
    }

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
    fn what_the_next_start_will_fail_for() {
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
        let told = |pairs: &[(&str, &str)], promotable, local: &LocalAddresses| {
            let params = params(&[&[("vip", "192.0.2.10")], pairs].concat());
            remark(&params, promotable, &all, local, &sysctl)
        };
        let fails = "the next start will fail: sysctl net.ipv4.ip_nonlocal_bind=1, for ";
        let nowhere = LocalAddresses::default();
        // In active/standby the address is there before the daemon is.
        assert_eq!(told(&[], false, &here), None);
        assert_eq!(told(&[], false, &nowhere), Some(format!("{fails}bin:192.0.2.1:5566")));
        // Of the hot standby, the virtual address alone leaves.
        assert_eq!(told(&[], true, &here), Some(format!("{fails}udp:192.0.2.10:5060")));
        assert_eq!(told(&[("nonlocal_bind", "ignore")], true, &nowhere), None);
        let ensured = told(&[("nonlocal_bind", "ensure")], true, &here).unwrap();
        assert!(ensured.starts_with("net.ipv4.ip_nonlocal_bind was switched off: "), "{ensured}");
        // What can't be read is no reason.
        std::fs::remove_file(directory.path().join("net/ipv4/ip_nonlocal_bind")).unwrap();
        assert_eq!(told(&[], true, &nowhere), None);
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
        let mode = |mode| params(&[("nonlocal_bind", mode)]);
        let prepare = |name, value: &str| {
            std::fs::write(&file, value).unwrap();
            let result = prepare(&mode(name), false, &absent, &sysctl, until);
            (result, std::fs::read_to_string(&file).unwrap())
        };
        let (result, value) = prepare("check", "0\n");
        let error = result.unwrap_err();
        assert!(error.to_string().contains("net.ipv4.ip_nonlocal_bind=1"), "{error}");
        assert_eq!(value, "0\n");
        assert!(prepare("check", "1\n").0.is_ok());
        let (result, value) = prepare("ensure", "0\n");
        assert!(result.is_ok());
        assert_eq!(value, "1\n");
        assert!(prepare("ignore", "0\n").0.is_ok());
        std::fs::remove_file(&file).unwrap();
        let refused = super::prepare(&mode("ensure"), false, &absent, &sysctl, until);
        assert!(matches!(refused, Err(Error::NonlocalBind { .. })));
    }
}
