//! What happens to a host otherwise: a full file system, a setting, a new version of the agents.

use std::time::Duration;

use super::fault::{Allowed, Case, Fault, MOVED, Role, between};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "nonlocal-bind-off",
        what: "sysctl net.ipv4.ip_nonlocal_bind=0 on",
        why: "none: open sockets stay",
        strike: |case| case.on_victims("sysctl -qw net.ipv4.ip_nonlocal_bind=0"),
        least: Duration::from_secs(12),
        ..Fault::DEFAULT
    },
    Fault {
        name: "run-full",
        what: "/run is full on",
        why: "none",
        lasts: between(3_000, 12_000),
        strike: fill,
        mend: empty,
        ..Fault::DEFAULT
    },
    Fault {
        name: "run-full-move",
        what: "/run is full, and the service is to leave,",
        why: "3 s: stop needs no file",
        roles: &[Role::Serving],
        lasts: between(4_000, 10_000),
        strike: |case| {
            fill(case)?;
            case.administrator(&["crm_standby", "-N", case.victim(), "-v", "on"])
        },
        mend: |case| {
            empty(case)?;
            case.administrator(&["crm_standby", "-N", case.victim(), "-v", "off"])
        },
        allowed: |_| Allowed::silent(MOVED),
        ..Fault::DEFAULT
    },
    Fault {
        name: "disk-full",
        what: "the file system of Pacemaker's configuration is full on",
        why: "none: Pacemaker goes on with what is in memory, and the agents write nothing there",
        lasts: between(3_000, 12_000),
        strike: |case| case.on_victims(FULL_DISK),
        mend: |case| case.on_victims("umount -l /var/lib/pacemaker 2>/dev/null || true"),
        ..Fault::DEFAULT
    },
    Fault {
        name: "disk-full-move",
        what: "the file system of Pacemaker's configuration is full, and the service is to leave,",
        why: "3 s: stop needs no file",
        roles: &[Role::Serving],
        lasts: between(4_000, 10_000),
        strike: |case| {
            case.on_victims(FULL_DISK)?;
            case.administrator(&["crm_standby", "-N", case.victim(), "-v", "on"])
        },
        mend: |case| {
            case.on_victims("umount -l /var/lib/pacemaker 2>/dev/null || true")?;
            case.administrator(&["crm_standby", "-N", case.victim(), "-v", "off"])
        },
        allowed: |_| Allowed::silent(MOVED),
        ..Fault::DEFAULT
    },
    Fault {
        name: "agents-replaced",
        what: "both agents replaced by rename, as an upgrade does, on",
        why: "none",
        strike: |case| {
            case.on_victims(
                "cd /usr/lib/ocf/resource.d/smartvox; \
                 for agent in opensips opensips-vip; do \
                     cp -p $agent .$agent.$$; mv .$agent.$$ $agent; \
                 done",
            )
        },
        least: Duration::from_secs(10),
        ..Fault::DEFAULT
    },
];

/// A copy of the directory, in a file system of its own without a free page.
const FULL_DISK: &str = "set -e; mkdir -p /tmp/disk; \
    used=$(du -sk /var/lib/pacemaker | cut -f1); \
    mount -t tmpfs -o size=$((used + 256))k,mode=750 full /tmp/disk; \
    cp -a /var/lib/pacemaker/. /tmp/disk; \
    mount --move /tmp/disk /var/lib/pacemaker; \
    rmdir /tmp/disk; \
    mountpoint -q /var/lib/pacemaker; \
    dd if=/dev/zero of=/var/lib/pacemaker/filler bs=4k 2>/dev/null || true; \
    ! head -c 8192 /dev/zero 2>/dev/null >/var/lib/pacemaker/more";

/// The tmpfs gets a size that what is in it already takes up but for some pages, which a file fills.
fn fill(case: &Case<'_>) -> Result<(), String> {
    case.on_victims(
        "used=$(df -k --output=used /run | tail -n 1); \
         mount -o remount,size=$((used + 64))k /run; \
         dd if=/dev/zero of=/run/filler bs=4k 2>/dev/null || true",
    )
}

fn empty(case: &Case<'_>) -> Result<(), String> {
    case.on_victims("rm -f /run/filler; mount -o remount,size=50% /run")
}
