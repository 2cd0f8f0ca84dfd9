//! The one table of parameters and actions, for parsing, `--help`, meta-data and manual page.

mod daemon;
mod management;
mod probe;
mod sockets;
mod supervision;

use ocf::{Action, ActionDescription, Description};

pub(crate) use daemon::*;
pub(crate) use management::*;
pub(crate) use probe::*;
pub(crate) use sockets::*;
pub(crate) use supervision::*;

/// The description of the agent.
pub static DESCRIPTION: Description = Description {
    name: "opensips",
    version: env!("CARGO_PKG_VERSION"),
    shortdesc: "OpenSIPS SIP server",
    longdesc: "Runs the SIP server OpenSIPS as a resource of Pacemaker. Tested with OpenSIPS 3.6.8 and 4.0.1; \
3.4.18 was tested without the hot standby, and 2.4.11 with start, stop and monitor alone, because mi and \
sharing tags need 3.0 or newer.

start checks the configuration with OpenSIPS itself, refuses to run if another program holds one of \
its sockets, and returns when every declared socket is open and SIP is answered; if OpenSIPS dies, \
start fails at once with the error of OpenSIPS. monitor checks the main process, its workers and its \
sockets, and sends OPTIONS to a socket of each group of workers on this host. stop ends every process of the instance, stuck \
workers and orphans of a killed main process included.

As a promotable clone it is a hot standby: OpenSIPS runs on every node, with sockets on the virtual \
address (net.ipv4.ip_nonlocal_bind). promote activates the sharing tags of module clusterer through \
the Management Interface; from then on this node owns the dialogs and registrations that were \
replicated to it. Every node starts unpromoted, and its configuration must declare each tag as \
=backup. If a promoted instance has lost a tag, monitor activates it again once and reports it.

A monitor with check level 10 (OCF_CHECK_LEVEL) also queries the Management Interface if mi is set: it \
returns OCF_DEGRADED if there is no answer or shared memory is over shm_limit, and fails if it is exhausted \
(shm_fail). It also reports a configuration that has changed since OpenSIPS read it, and routes of the other nodes that differ \
from those of a standby (compare_routes). With check level 20 it sends OPTIONS to every UDP, TCP, TLS and WebSocket socket on an address of \
this host, and each has to answer.

The agent recognises an instance by the resource that has started it (SMARTVOX_RESOURCE in the \
environment of OpenSIPS), by its executable and by its arguments -f and -P, never by its name. A daemon \
with the same configuration that another resource, a systemd unit or a person has started is not this \
resource's: monitor reports that nothing is running, stop leaves it alone, and start refuses to run \
besides it and names what has started it. So defining a second resource never ends a running daemon. \
The service of the OpenSIPS package (opensips.service) must be disabled.",
    parameters: &[
        &BINARY,
        &CONFIG,
        &PIDFILE,
        &USER,
        &GROUP,
        &SHM_MEMORY,
        &PKG_MEMORY,
        &OPEN_FILES,
        &EXTRA_OPTIONS,
        &ENVIRONMENT_FILE,
        &VIP,
        &NONLOCAL_BIND,
        &LISTENERS,
        &SIP_PROBE,
        &SIP_PROBE_CODES,
        &SIP_PROBE_URI,
        &SIP_PROBE_FROM,
        &SIP_PROBE_HEADERS,
        &SIP_PROBE_TIMEOUT,
        &SIP_PROBE_ATTEMPTS,
        &STALL_LIMIT,
        &MI,
        &MI_FALLBACK,
        &MI_REPLY_DIR,
        &MI_TIMEOUT,
        &SHARING_TAG,
        &DEMOTE,
        &ROUTES_VERSION,
        &SHM_LIMIT,
        &SHM_FAIL,
        &CHECK_READINESS,
        &COMPARE_ROUTES,
        &START_CHECK,
        &STOP_GRACE,
        &ASYNC_MONITOR,
        &SYSTEMD_UNIT,
    ],
    actions: &[
        ActionDescription::new(Action::Start, 60),
        // A daemon with stuck workers needs half a minute, and aborts itself after one.
        ActionDescription::new(Action::Stop, 90),
        ActionDescription {
            interval_s: Some(3),
            depth: Some(0),
            ..ActionDescription::new(Action::Monitor, 20)
        },
        // Two recurring monitors need different intervals. The one above has no role, because it
        // also serves a resource that is no promotable clone, and the unpromoted ones of one.
        ActionDescription {
            interval_s: Some(2),
            depth: Some(0),
            role: Some("Promoted"),
            ..ActionDescription::new(Action::Monitor, 20)
        },
        ActionDescription::new(Action::Promote, 20),
        // With demote=restart, a stop and a start.
        ActionDescription::new(Action::Demote, 150),
        ActionDescription::new(Action::ReloadAgent, 20),
        ActionDescription::new(Action::ValidateAll, 20),
        ActionDescription::new(Action::MetaData, 5),
        ActionDescription::new(Action::Diagnose, 30),
    ],
};
