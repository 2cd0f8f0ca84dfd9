//! What the agent says about itself: its parameters and actions, said once.

use ocf::{Action, ActionDescription, Description, Kind, Parameter};

/// The agent.
pub static DESCRIPTION: Description = Description {
    name: "opensips",
    version: env!("CARGO_PKG_VERSION"),
    shortdesc: "OpenSIPS SIP server",
    longdesc: "Runs the SIP server OpenSIPS (2.4 to 4.0) under Pacemaker: starts it so that it \
really serves, knows whether it does, and stops it so that nothing is left.

start checks the configuration with the daemon itself, refuses to run beside another owner of its \
sockets, and returns only when every declared socket is open and SIP is answered; when the daemon \
dies it fails at once with the daemon's own error. monitor looks at the main process, its workers \
and its sockets, and asks OPTIONS at a socket of this host. stop ends the whole instance, stuck \
workers and orphans of a killed main process included.

As a promotable clone it keeps a hot standby: OpenSIPS runs on every node, with sockets on the \
virtual address (net.ipv4.ip_nonlocal_bind), and promote activates the sharing tags of module \
clusterer through the Management Interface, so that the dialogs and registrations that were \
replicated to this node become its own. Every node begins unpromoted; its configuration must say \
=backup for each tag. A promoted instance that finds a tag lost takes it back once and reports it.

With mi, a monitor of level 10 (OCF_CHECK_LEVEL) also asks the Management Interface: a daemon that \
does not answer there in 5 seconds is a failure, shared memory over shm_limit a degradation. One of level 20 asks OPTIONS at every socket of UDP, TCP and TLS on an \
address of this host.

An instance is known by its executable and its -f and -P arguments, never by its name. One that \
runs with the same configuration and another pid file was started by something else: monitor \
reports it as a failure, start refuses to run beside it, and stop ends it. The daemon's own service \
(opensips.service) must be disabled.",
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
        &VIP,
        &NONLOCAL_BIND,
        &LISTENERS,
        &SIP_PROBE,
        &SIP_PROBE_CODES,
        &SIP_PROBE_TIMEOUT,
        &SIP_PROBE_ATTEMPTS,
        &MI,
        &MI_REPLY_DIR,
        &SHARING_TAG,
        &DEMOTE,
        &SHM_LIMIT,
        &START_CHECK,
        &STOP_GRACE,
        &SYSTEMD_UNIT,
    ],
    actions: &[
        ActionDescription::new(Action::Start, 60),
        // A daemon with stuck workers needs half a minute, and aborts itself after one.
        ActionDescription::new(Action::Stop, 90),
        ActionDescription {
            interval_s: Some(10),
            depth: Some(0),
            ..ActionDescription::new(Action::Monitor, 20)
        },
        // Two recurring monitors need different intervals. The one above has no role, because it
        // also serves a resource that is no promotable clone, and the unpromoted ones of one.
        ActionDescription {
            interval_s: Some(9),
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

/// Where the daemon is.
pub static BINARY: Parameter = Parameter {
    name: "binary",
    default: Some("/usr/sbin/opensips"),
    shortdesc: "OpenSIPS executable",
    longdesc: "Absolute path of the OpenSIPS executable. It must be the program itself, not a \
script that starts it: the executable is part of what makes a process a part of this instance.",
    ..Parameter::TEMPLATE
};

/// Its configuration.
pub static CONFIG: Parameter = Parameter {
    name: "config",
    default: Some("/etc/opensips/opensips.cfg"),
    unique_group: Some("config"),
    shortdesc: "Configuration file",
    longdesc: "Absolute path of the configuration file (-f). Each instance needs its own.",
    ..Parameter::TEMPLATE
};

/// Its pid file.
pub static PIDFILE: Parameter = Parameter {
    name: "pidfile",
    unique_group: Some("pidfile"),
    shortdesc: "Pid file",
    longdesc: "Absolute path of the pid file (-P). Default: /run/opensips/INSTANCE.pid, with the \
name of the resource. A missing directory is made, owned by the user.",
    ..Parameter::TEMPLATE
};

/// Who runs it.
pub static USER: Parameter = Parameter {
    name: "user",
    default: Some("opensips"),
    shortdesc: "User of the daemon",
    longdesc: "User, by name or number, as whom the daemon runs (-u).",
    ..Parameter::TEMPLATE
};

/// Its group.
pub static GROUP: Parameter = Parameter {
    name: "group",
    default: Some("opensips"),
    shortdesc: "Group of the daemon",
    longdesc: "Group, by name or number, as which the daemon runs (-g).",
    ..Parameter::TEMPLATE
};

/// Shared memory.
pub static SHM_MEMORY: Parameter = Parameter {
    name: "shm_memory",
    kind: Kind::Integer,
    shortdesc: "Shared memory in MB",
    longdesc: "Shared memory of all processes together, in MB (-m). Default: S_MEMORY of the node's \
/etc/default/opensips (Debian) or /etc/sysconfig/opensips, where the packages' own service takes it \
from; else the daemon's own.",
    ..Parameter::TEMPLATE
};

/// Private memory.
pub static PKG_MEMORY: Parameter = Parameter {
    name: "pkg_memory",
    kind: Kind::Integer,
    shortdesc: "Private memory per process in MB",
    longdesc: "Private memory of each process, in MB (-M). Default: P_MEMORY of the same file as for \
shm_memory; else the daemon's own.",
    ..Parameter::TEMPLATE
};

/// Limit of open files.
pub static OPEN_FILES: Parameter = Parameter {
    name: "open_files",
    kind: Kind::Integer,
    default: Some("262144"),
    shortdesc: "Limit of open files",
    longdesc: "Open files and sockets allowed to each process of the daemon (RLIMIT_NOFILE). \
Where the system allows fewer, the most that it allows, and a line in the log.",
    ..Parameter::TEMPLATE
};

/// Anything else for the daemon's command line.
pub static EXTRA_OPTIONS: Parameter = Parameter {
    name: "extra_options",
    shortdesc: "More options for the daemon",
    longdesc: "More command line options of the daemon, for example \"-n 8 -w /var/lib/opensips\". \
Quotes and backslashes keep words together; no shell sees them. Options that the agent sets itself \
(-f -P -u -g -m -M), and those with which the daemon does not become a server (-c -C -D -E -F -V \
-h), are refused.",
    ..Parameter::TEMPLATE
};

/// The virtual addresses.
pub static VIP: Parameter = Parameter {
    name: "vip",
    reloadable: true,
    shortdesc: "Virtual IP addresses that are served",
    longdesc: "The virtual addresses at which this instance serves, IPv4 or IPv6, separated by \
commas or spaces. Where one of them is on this host, the probe asks there first; validation warns \
when no socket is bound to one.",
    ..Parameter::TEMPLATE
};

/// What to do about sockets on absent addresses.
pub static NONLOCAL_BIND: Parameter = Parameter {
    name: "nonlocal_bind",
    kind: Kind::Select(&["check", "ensure", "ignore"]),
    default: Some("check"),
    reloadable: true,
    shortdesc: "Sockets on addresses that are not on this host",
    longdesc: "What start does when a declared socket is on an address that this host does not \
have, and the kernel forbids that (net.ipv4.ip_nonlocal_bind, net.ipv6.ip_nonlocal_bind): check: \
fail before the daemon does, and say what to set; ensure: set it for the running system (a file in \
/etc/sysctl.d makes it last), where it stays set, also when that start fails and after stop; ignore: let the daemon try. monitor reports an instance as degraded \
(190) when its next start would fail for it: where such an address is not here, and in a promotable \
clone also while an address of vip is here, for that leaves with the promoted role.",
    ..Parameter::TEMPLATE
};

/// What must be open.
pub static LISTENERS: Parameter = Parameter {
    name: "listeners",
    reloadable: true,
    shortdesc: "Sockets that must be open",
    longdesc: "PROTOCOL:ADDRESS:PORT, separated by commas or spaces, like udp:192.0.2.10:5060 \
tls:[2001:db8::10]:5061: sockets that must be open, in the hands of this instance, while it runs. \
start waits for them; monitor fails with the name of one that is missing or somebody else's. \
Default: the sockets that the configuration check prints; what is given here is demanded beside \
those: for sockets that the check does not print (sockets_mgm; what is not SIP, as unknown_tcp: or \
unknown_udp:), with start_check=no, or where monitor finds an instance that this agent has not \
started.",
    ..Parameter::TEMPLATE
};

/// Where OPTIONS is asked.
pub static SIP_PROBE: Parameter = Parameter {
    name: "sip_probe",
    default: Some("auto"),
    reloadable: true,
    shortdesc: "Where to ask OPTIONS",
    longdesc:
        "auto: one of the instance's own sockets on an address that is on this host now, UDP \
before TCP before TLS, because an answer over TCP says nothing about the workers of UDP; \
udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT: this one, while its address is on this \
host; none: do not ask. An address that is elsewhere is never asked: another node would answer. \
Where there is none to ask, as on a standby, processes and sockets must do; sockets of other \
protocols (ws, wss, bin, hep, smpp, sctp) are not asked either.

Certificates are not verified: the connection stays on this host. A listener that refuses TLS, as \
one that demands a client certificate does, is alive where any code counts (with OpenSIPS 4.0 that \
proves less: its TCP workers take no part), and a failure where sip_probe_codes lists some.

With a check level of 20 (OCF_CHECK_LEVEL) monitor asks at every such socket at the same time, \
unless this is none; the first that is silent is the exit reason, all of them are in the log.",
    ..Parameter::TEMPLATE
};

/// Which answers count.
pub static SIP_PROBE_CODES: Parameter = Parameter {
    name: "sip_probe_codes",
    default: Some("any"),
    reloadable: true,
    shortdesc: "Status codes that count as alive",
    longdesc: "any, or a list like 200,404,480-489. The request carries Max-Forwards 0, so that it \
never travels further; a configuration that looks at that first answers 483.",
    ..Parameter::TEMPLATE
};

/// How long one attempt lasts.
pub static SIP_PROBE_TIMEOUT: Parameter = Parameter {
    name: "sip_probe_timeout",
    default: Some("2s"),
    reloadable: true,
    shortdesc: "Time for one attempt of the probe",
    longdesc: "Time for one attempt, like 2s or 500ms. Within it the request is sent again after \
0.5 s, 1.5 s and so on (RFC 3261); over TCP and TLS it is sent once. An attempt that fails at once, \
as where a connection is refused, lasts as long. All attempts are shortened where the action's \
timeout leaves less.",
    ..Parameter::TEMPLATE
};

/// How many attempts.
pub static SIP_PROBE_ATTEMPTS: Parameter = Parameter {
    name: "sip_probe_attempts",
    kind: Kind::Integer,
    default: Some("3"),
    reloadable: true,
    shortdesc: "Attempts of the probe",
    longdesc: "How many attempts without an answer that counts make a failure.",
    ..Parameter::TEMPLATE
};

/// The Management Interface.
pub static MI: Parameter = Parameter {
    name: "mi",
    reloadable: true,
    shortdesc: "Management Interface of the daemon",
    longdesc: "fifo:/PATH (fifo_name of module mi_fifo), datagram:/PATH or datagram:ADDRESS:PORT \
(socket_name of module mi_datagram), http://ADDRESS:PORT/ROOT (modules httpd and mi_http); an \
address must be a loopback one. OpenSIPS 3.0 or newer: start refuses it with 2.x. A FIFO or socket \
that belongs neither to the daemon's user nor to root, or that is something else, is not written to.",
    ..Parameter::TEMPLATE
};

/// Where replies of the FIFO go.
pub static MI_REPLY_DIR: Parameter = Parameter {
    name: "mi_reply_dir",
    default: Some("/tmp"),
    reloadable: true,
    shortdesc: "Directory of the replies of mi=fifo:",
    longdesc: "The reply_dir of module mi_fifo, where the agent makes a FIFO for each reply. The \
default is the daemon's; a directory of its own, like /run/smartvox/mi, is better: start makes it \
where it is missing, for root and the daemon's group alone.",
    ..Parameter::TEMPLATE
};

/// What promote activates.
pub static SHARING_TAG: Parameter = Parameter {
    name: "sharing_tag",
    reloadable: true,
    shortdesc: "Sharing tags of the promoted instance",
    longdesc: "TAG/CLUSTER of module clusterer, like vip/1, or a list of them: made active by \
promote, watched by monitor. The configuration must declare each as =backup, on every node: one \
that starts with =active takes the tag from the node that serves, so start refuses it. Needs mi.",
    ..Parameter::TEMPLATE
};

/// What demote does about the tags.
pub static DEMOTE: Parameter = Parameter {
    name: "demote",
    kind: Kind::Select(&["keep", "restart"]),
    default: Some("keep"),
    reloadable: true,
    shortdesc: "What demote does about an active sharing tag",
    longdesc: "keep: the process goes on as it is, and the tag goes when another node is promoted \
(OpenSIPS has no command to give it up); restart: the daemon is restarted and comes back as \
backup, for where no other node can be counted on. What it could not be started with again, a spoilt \
configuration say, is looked for first: demote fails then, and leaves it as it is.",
    ..Parameter::TEMPLATE
};

/// When shared memory is worth a look.
pub static SHM_LIMIT: Parameter = Parameter {
    name: "shm_limit",
    kind: Kind::Integer,
    default: Some("90"),
    reloadable: true,
    shortdesc: "Limit of shared memory in percent",
    longdesc: "With more than this in use, a monitor of level 10 reports the instance as \
degraded, with the figure. Needs mi.",
    ..Parameter::TEMPLATE
};

/// Whether start checks the configuration first.
pub static START_CHECK: Parameter = Parameter {
    name: "start_check",
    kind: Kind::Boolean,
    default: Some("yes"),
    reloadable: true,
    shortdesc: "Check the configuration before start",
    longdesc: "Whether start has the daemon check its configuration first (opensips -C), which \
also tells the sockets that it will open. Without it, nothing can be said about busy ports and \
absent addresses before the daemon runs into them.",
    ..Parameter::TEMPLATE
};

/// How long stop asks politely.
pub static STOP_GRACE: Parameter = Parameter {
    name: "stop_grace",
    reloadable: true,
    shortdesc: "Time between SIGTERM and SIGKILL",
    longdesc: "How long stop lets the daemon shut down by itself before every process of the \
instance is killed, like 30s. Default: the timeout of the stop action less 5 seconds.",
    ..Parameter::TEMPLATE
};

/// Who else would start the daemon.
pub static SYSTEMD_UNIT: Parameter = Parameter {
    name: "systemd_unit",
    default: Some("opensips.service"),
    reloadable: true,
    shortdesc: "Unit that must not be active or enabled",
    longdesc: "The systemd unit that would start the same daemon past Pacemaker. Where it is \
enabled, validation of level 10 fails, and start says so in the log. Where it is active, start \
fails, too, and an instance that systemd has started with this resource's own pid file is reported \
as degraded: systemd would start it again after stop. none: do not look.",
    ..Parameter::TEMPLATE
};
