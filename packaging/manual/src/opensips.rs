//! What the page of the agent says beyond its description.

use ocf::Exit;

use crate::Manual;

/// Exit codes, reasons, files and examples of `ocf_smartvox_opensips(7)`.
pub(crate) static MANUAL: Manual = Manual {
    exits: &[
        (
            Exit::Success,
            "The action did what it says. start: every declared socket is open and SIP is answered. \
             stop: no process, socket or pid file is left. monitor: it serves, not promoted.",
        ),
        (
            Exit::Generic,
            "Something that may go away. monitor: something of the instance is alive, but it does \
             not serve. stop: something is still there after SIGKILL; with fencing the node is shot.",
        ),
        (
            Exit::Args,
            "Wrong on this node: the configuration has an error or can't be read, the user does not \
             exist, the systemd unit is enabled. Pacemaker does not start it here again until \
             crm_resource --cleanup.",
        ),
        (Exit::Unimplemented, "Unknown action."),
        (Exit::Permission, "Not root, or without a capability that the reason names."),
        (
            Exit::Installed,
            "Missing on this node: the OpenSIPS executable (or it is no program that this machine runs), \
             or SCTP in the kernel for an sctp: socket.",
        ),
        (
            Exit::Configured,
            "The parameters are wrong on every node. Pacemaker starts it nowhere until they are right.",
        ),
        (
            Exit::NotRunning,
            "monitor only: no process of the instance is alive and none of its sockets is open. With \
             a reason where it was started and not stopped.",
        ),
        (Exit::RunningPromoted, "monitor: promoted, and it serves."),
        (
            Exit::FailedPromoted,
            "monitor: promoted, and it does not serve. Its promotion score falls below that of every \
             instance that serves, so one of them is promoted; it rises again with the next monitor \
             that finds it well. With no other it is restarted here.",
        ),
        (
            Exit::Degraded,
            "monitor: it serves, and somebody should look. Nothing is restarted or moved.",
        ),
        (Exit::DegradedPromoted, "monitor: the same, promoted."),
    ],
    reasons: &[
        (
            "configuration check: TEXT",
            "OpenSIPS itself refuses the file; TEXT is its own error with file and line. Mend the \
             file, then crm_resource --cleanup.",
        ),
        (
            "LISTENER is not on this host: order OpenSIPS after it, or nonlocal_bind=ensure (SYSCTL=1)",
            "A socket is declared on an address that this node does not have. Active/standby: an \
             order constraint, first the address. Hot standby: nonlocal_bind=ensure.",
        ),
        (
            "LISTENER is in use by OWNER at ADDRESS: not starting beside it",
            "Another program has the port. Stop it; if it is an OpenSIPS of systemd, disable its unit.",
        ),
        (
            "LISTENER: its address stays tentative (IPv6 duplicate detection): no carrier?",
            "Duplicate address detection does not end, so nobody can bind to the address: the cable, \
             or the switch.",
        ),
        (
            "LISTENER needs SCTP, which this kernel does not have (CONFIG_IP_SCTP, module sctp)",
            "Install or allow the module (a blacklist in /etc/modprobe.d \
             may keep it away), or remove the socket from the configuration.",
        ),
        (
            "OpenSIPS (pid PID) was started by something else, systemd? Its pid file is FILE",
            "systemctl disable --now opensips: the cluster starts it, nobody else.",
        ),
        (
            "systemctl disable UNIT: it is enabled beside Pacemaker, by LINK",
            "Do as it says, on every node.",
        ),
        (
            "main process PID alive, no answer to OPTIONS at SOCKET within ATTEMPTS x TIME",
            "The workers hang or are overloaded. It is restarted; look into the log of OpenSIPS for \
             the time before.",
        ),
        (
            "main process is gone, COUNT orphaned processes are alive (PIDS)",
            "The main process was killed and its children answer on. stop ends them all; what is \
             known of the cause follows, else look for the kernel's out-of-memory killer.",
        ),
        (
            "main process PID alive, worker PID is dead",
            "A worker has crashed; OpenSIPS is about to end itself. What is known of the cause \
             follows, as below.",
        ),
        (
            "main process PID has ended: worker PID ended by SIGNAL",
            "OpenSIPS crashed. It prints which process ended, on stderr only with \
             stderror_enabled=yes. coredumpctl shows the core, journalctl -k a kill by the kernel. \
             \"last words\": the last error of that process; last_output of diagnose has more.",
        ),
        (
            "main process PID has ended: it left no word of why (SIGKILL, out of memory?)",
            "It logs on stderr and has told no death: somebody has killed it, most often the \
             kernel's out-of-memory killer, which the system's log tells.",
        ),
        (
            "main process PID alive, LISTENER is not open",
            "A socket has been closed: it is restarted.",
        ),
        (
            "main process PID: LISTENER is not its own: held by OWNER",
            "Another program has opened the port that OpenSIPS had. It is restarted, which fails until \
             that program is ended.",
        ),
        (
            "LISTENER is shared with OWNER, which takes requests away: end it",
            "Degraded (190). Both have opened the port, with SO_REUSEADDR: the kernel gives what \
             arrives to the one that was last. \"is taken by\": the same, and OPTIONS is not answered.",
        ),
        (
            "the next start will fail: sysctl SYSCTL=1, for LISTENER",
            "Degraded (190). Open sockets stay open, but the setting that allows them on an address \
             that is or will be elsewhere is off. Set it, in /etc/sysctl.d for good.",
        ),
        (
            "OpenSIPS ENDED: TEXT",
            "It died while it started; TEXT is its last error line, or what was found out about it.",
        ),
        (
            "MI ENDPOINT gave no complete answer within TIME ms (COUNT bytes of one)",
            "The Management Interface hangs though SIP is answered: look at mi_fifo, mi_datagram or \
             httpd, and for a command that does not end.",
        ),
        (
            "shared memory: USED of TOTAL MB used, over shm_limit=PERCENT%",
            "Degraded (190). Raise shm_memory before it runs out: that needs a restart.",
        ),
        (
            "sharing tag TAG does not stay active on this node: another one takes it",
            "Two nodes take the tag from each other: both are promoted after a cut without fencing, \
             or a configuration says =active.",
        ),
        (
            "say TAG=backup: FILE declares sharing tag TAG=active, which takes it from the node that serves",
            "Every node's configuration has to say =backup; promote makes it active.",
        ),
        (
            "LISTENER is held by OWNER, though no process of the instance is alive",
            "A program that OpenSIPS had started, in a session of its own by now, or that was given the \
             socket, keeps it open. What is in the daemon's session, or acts as its user, is ended by \
             stop; this one is yours to end, else stop fails, and with fencing the node is shot.",
        ),
        (
            "still alive after SIGKILL: PIDS",
            "stop fails, and with fencing the node is shot. The processes wait in the kernel (state D): \
             a dead disk or network file system.",
        ),
    ],
    files: &[
        ("/usr/lib/ocf/resource.d/smartvox/opensips", "The agent."),
        ("/etc/opensips/opensips.cfg", "Configuration of OpenSIPS (config)."),
        (
            "/etc/default/opensips, /etc/sysconfig/opensips",
            "Of the node's OpenSIPS package: S_MEMORY and P_MEMORY are the defaults of shm_memory and \
             pkg_memory. Read, never executed.",
        ),
        ("/run/opensips/INSTANCE.pid", "Pid file (pidfile)."),
        (
            "/run/smartvox/opensips-INSTANCE.*",
            "What the agent remembers, root's alone: state (main process, sockets), role, out (what \
             OpenSIPS printed), lock. Gone after a boot, as OpenSIPS is.",
        ),
        ("/usr/share/doc/resource-agents-smartvox/examples", "Complete configurations of a pair."),
    ],
    examples: &[
        (
            "Active/standby, with the virtual address as resource vip:",
            "# pcs resource create opensips ocf:smartvox:opensips vip=192.0.2.10 \\\n    \
             op monitor interval=10s\n\
             # pcs constraint colocation add opensips with vip INFINITY\n\
             # pcs constraint order start vip then start opensips",
        ),
        (
            "The parameters alone are judged, on any host:",
            "# crm_resource --validate --class ocf --provider smartvox --agent opensips \\\n    \
             --option vip=192.0.2.10",
        ),
        (
            "The node, too: binary, configuration, user, ports, systemd unit:",
            "# OCF_CHECK_LEVEL=10 /usr/lib/ocf/resource.d/smartvox/opensips validate-all \\\n    \
             --vip 192.0.2.10",
        ),
        (
            "Hot standby: active-standby.sh and hot-standby.sh among the examples are complete:",
            "# less /usr/share/doc/resource-agents-smartvox/examples/hot-standby.sh",
        ),
    ],
    see_also: &[
        ("smartvox-ocf", "7"),
        ("ocf_smartvox_opensips-vip", "7"),
        ("crm_resource", "8"),
        ("crm_mon", "8"),
        ("opensips", "8"),
        ("pcs", "8"),
    ],
};
