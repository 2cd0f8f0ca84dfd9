//! From the address on the interface to the first frame on the wire, as the kernel saw both.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt,
    socket, sockopt::ReceiveTimeout,
};
use nix::sys::time::{TimeVal, TimeValLike};
use testnet::{Capture, Host, agent};

use crate::figures::Samples;
use crate::report::Report;

/// rtnetlink multicast group of IPv4 addresses (linux/rtnetlink.h, RTMGRP_IPV4_IFADDR).
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
/// Message type of a new address (linux/rtnetlink.h).
const RTM_NEWADDR: u16 = 20;

/// Prints the table.
pub(crate) fn measure(agents: &Path, rounds: usize, report: &mut Report) -> Result<(), String> {
    let node = Host::new("node");
    let neighbour = Host::new("neighbour");
    let _cable = testnet::cable(
        (&node, "eth0", "02:00:00:00:01:0b"),
        (&neighbour, "eth0", "02:00:00:00:01:01"),
    );
    node.ip("addr add 192.0.2.11/24 dev eth0");
    node.run(|| std::fs::create_dir_all("/run/resource-agents")).map_err(|e| e.to_string())?;
    let programs = [
        ("opensips-vip", agents.join("opensips-vip")),
        ("IPaddr2", Path::new("/usr/lib/ocf/resource.d/heartbeat/IPaddr2").to_owned()),
    ];
    let mut samples = [Samples::default(), Samples::default()];
    for _ in 0..rounds {
        for ((_, program), samples) in programs.iter().zip(&mut samples) {
            let agent = agent(&node, program)
                .under_pacemaker("vip")
                .env("HA_LOGFACILITY", "none")
                .param("ip", "192.0.2.10")
                .param("nic", "eth0")
                .param("cidr_netmask", "24");
            let capture = Capture::start(&neighbour, "eth0");
            let (ready, listening) = std::sync::mpsc::channel();
            let added = std::thread::scope(|scope| {
                let listener = scope.spawn(|| node.run(move || address_added(&ready)));
                let _ = listening.recv();
                let outcome = agent.action("start");
                let added = listener.join().map_err(|_| "the listener panicked".to_owned())??;
                if outcome.code == 0 { Ok(added) } else { Err(outcome.stderr) }
            })?;
            let frame = capture.wait_for_arp("an announcement", Duration::from_secs(30), |arp| {
                arp.sender_ip == arp.target_ip
            });
            samples.add(frame.at.saturating_duration_since(added));
            let stopped = agent.action("stop");
            if stopped.code != 0 {
                return Err(stopped.stderr);
            }
        }
    }
    report.line(format!(
        "\n## From the address to its first announcement on the neighbour's wire ({rounds} rounds)\n"
    ));
    report.line("| agent | ms min / median / max |\n|---|---|");
    for ((name, _), samples) in programs.iter().zip(&samples) {
        report.line(format!("| {name} | {} |", samples.spread()));
    }
    Ok(())
}

/// Waits for the kernel's message about a new address and tells when it was read.
fn address_added(ready: &std::sync::mpsc::Sender<()>) -> Result<Instant, String> {
    let open = || -> nix::Result<_> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &NetlinkAddr::new(0, RTMGRP_IPV4_IFADDR))?;
        setsockopt(&fd, ReceiveTimeout, &TimeVal::seconds(30))?;
        Ok(fd)
    };
    let fd = open().map_err(|error| format!("netlink: {error}"))?;
    let _ = ready.send(());
    let mut buffer = [0_u8; 4096];
    loop {
        let length = recv(std::os::fd::AsRawFd::as_raw_fd(&fd), &mut buffer, MsgFlags::empty())
            .map_err(|error| format!("no new address within 30 s: {error}"))?;
        let read = Instant::now();
        let kind = buffer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
        if length >= 16 && kind == Some(RTM_NEWADDR) {
            return Ok(read);
        }
    }
}
