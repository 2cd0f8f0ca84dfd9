//! Sockets on addresses that this host does not have (yet): the hot standby's case.
//!
//! OpenSIPS has no IP_FREEBIND, so only `ip_nonlocal_bind` lets it open them; a change of the
//! setting does nothing to sockets that are open.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hostnet::{Family, Sysctl};

use crate::error::{Error, Result};
use crate::params::NonlocalBind;
use crate::sockets::addresses::{LocalAddresses, Presence};
use crate::sockets::listener::Listener;

/// Duplicate address detection takes about a second (RFC 4862: one probe, one second).
const TENTATIVE_WAIT: Duration = Duration::from_secs(5);
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
/// # Errors
/// [`Error::AbsentAddress`], [`Error::NonlocalBind`], [`Error::Network`]
pub fn prepare(
    mode: NonlocalBind,
    listeners: &[Listener],
    sysctl: &Sysctl,
    until: Instant,
) -> Result<()> {
    if mode == NonlocalBind::Ignore {
        return Ok(());
    }
    for listener in absent_after_detection(listeners, until)? {
        let ip = listener.local.ip();
        let family = Family::of(ip);
        let allowed = sysctl.ip_nonlocal_bind(family);
        match (allowed, mode) {
            (Ok(true), _) => {}
            (_, NonlocalBind::Ensure) => {
                sysctl
                    .set_ip_nonlocal_bind(family, true)
                    .map_err(|source| Error::NonlocalBind { ip, source })?;
                log::info!(
                    "sysctl={} value=1 address={ip} note=\"a file in /etc/sysctl.d makes it last\"",
                    setting(family)
                );
            }
            (Ok(false), _) => {
                return Err(Error::AbsentAddress { listener: listener.clone() });
            }
            (Err(source), _) => return Err(Error::NonlocalBind { ip, source }),
        }
    }
    Ok(())
}

/// The name of the setting.
pub fn setting(family: Family) -> &'static str {
    match family {
        Family::V4 => "net.ipv4.ip_nonlocal_bind",
        Family::V6 => "net.ipv6.ip_nonlocal_bind",
    }
}

/// An address that has just arrived is tentative for a moment, and can't be bound to: that is
/// waited for.
fn absent_after_detection(listeners: &[Listener], until: Instant) -> Result<Vec<&Listener>> {
    let patience = until.min(Instant::now() + TENTATIVE_WAIT);
    loop {
        let local = read(listeners, until)?;
        let absent = on_absent_addresses(listeners, &local);
        let only_tentative = !absent.is_empty()
            && absent
                .iter()
                .all(|listener| local.presence(listener.local.ip()) == Presence::Tentative);
        if !only_tentative || Instant::now() >= patience {
            return Ok(absent);
        }
        std::thread::sleep(AGAIN);
    }
}

/// The addresses of this host that matter to these listeners.
///
/// # Errors
/// [`Error::Network`]
pub fn read(listeners: &[Listener], until: Instant) -> Result<LocalAddresses> {
    let wanted = listeners.iter().filter(|listener| is_bound_to_one_address(listener));
    LocalAddresses::read(wanted.map(|listener| listener.local.ip()), until)
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
    fn each_mode() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("net/ipv4/ip_nonlocal_bind");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let sysctl = Sysctl::at(directory.path());
        // TEST-NET-1 is on no host.
        let absent = listeners(&["udp:192.0.2.10:5060"]);
        let until = Instant::now() + Duration::from_secs(60);
        let prepare = |mode, value: &str| {
            std::fs::write(&file, value).unwrap();
            let result = prepare(mode, &absent, &sysctl, until);
            (result, std::fs::read_to_string(&file).unwrap())
        };
        let (result, value) = prepare(NonlocalBind::Check, "0\n");
        let error = result.unwrap_err();
        assert!(error.to_string().contains("net.ipv4.ip_nonlocal_bind=1"), "{error}");
        assert_eq!(value, "0\n");
        assert!(prepare(NonlocalBind::Check, "1\n").0.is_ok());
        let (result, value) = prepare(NonlocalBind::Ensure, "0\n");
        assert!(result.is_ok());
        assert_eq!(value, "1\n");
        assert!(prepare(NonlocalBind::Ignore, "0\n").0.is_ok());
        std::fs::remove_file(&file).unwrap();
        let refused = super::prepare(NonlocalBind::Ensure, &absent, &sysctl, until);
        assert!(matches!(refused, Err(Error::NonlocalBind { .. })));
    }
}
