//! The content of the page that is not in the description of the agent.

use ocf::Exit;

use crate::Manual;

/// Exit codes, reasons, files and examples of `ocf_smartvox_opensips(7)`.
pub(crate) static MANUAL: Manual = Manual {
    exits: &[
        (
            Exit::Success,
            "The action succeeded. start: every declared socket is open and SIP is answered. stop: \
             no process, socket or pid file is left. monitor: OpenSIPS serves and is not promoted.",
        ),
        (
            Exit::Generic,
            "A failure that a restart or another node can heal. monitor: a process or socket of \
             the instance exists, but OpenSIPS does not serve. stop: a process or socket still \
             exists after SIGKILL; with fencing, the node is fenced.",
        ),
        (
            Exit::Args,
            "Wrong on this node: the configuration has an error or is not readable, the user does \
             not exist, or the systemd unit is enabled. Pacemaker does not start the resource on \
             this node again until crm_resource --cleanup.",
        ),
        (Exit::Unimplemented, "Unknown action."),
        (
            Exit::Permission,
            "The agent does not run as root, or lacks the capability that the reason names.",
        ),
        (
            Exit::Installed,
            "A component is missing on this node: the OpenSIPS executable (or this machine can't \
             execute it), or SCTP in the kernel for an sctp: socket.",
        ),
        (
            Exit::Configured,
            "The parameters are wrong on every node. Pacemaker starts the resource on no node \
             until they are corrected.",
        ),
        (
            Exit::NotRunning,
            "monitor only: no process of the instance is alive and none of its sockets is open. If \
             the instance was started and not stopped, the reason says how it ended.",
        ),
        (Exit::RunningPromoted, "monitor: OpenSIPS serves and is promoted."),
        (
            Exit::FailedPromoted,
            "monitor: OpenSIPS is promoted and does not serve. Its promotion score falls below \
             that of every instance that serves, so that one of them is promoted; the score rises \
             with the next monitor that succeeds. Without another instance, OpenSIPS is restarted \
             on this node.",
        ),
        (
            Exit::Degraded,
            "monitor: OpenSIPS serves, but needs the attention of an operator. Pacemaker restarts \
             and moves nothing.",
        ),
        (Exit::DegradedPromoted, "monitor: degraded and promoted."),
    ],
    reasons: &[
        (
            "configuration check failed: TEXT",
            "OpenSIPS rejects its configuration; TEXT is its error message with file and line. \
             Correct the file, then run crm_resource --cleanup.",
        ),
        (
            "LISTENER is not on this host: start its address first or set nonlocal_bind=ensure (SYSCTL=1)",
            "A socket is declared on an address that this node does not have. Active/standby: add \
             an order constraint that starts the address first. Hot standby: set \
             nonlocal_bind=ensure.",
        ),
        (
            "LISTENER is in use by OWNER at ADDRESS: stop that program",
            "Another program uses the port: stop it. If it is an OpenSIPS that systemd started, \
             disable its unit.",
        ),
        (
            "LISTENER has an address that stays tentative (duplicate address detection): check that the \
             link has a carrier",
            "Duplicate address detection does not end, so no program can bind to the address: \
             check the cable and the switch.",
        ),
        (
            "LISTENER needs SCTP, which this kernel does not have: load kernel module sctp",
            "Install or allow the module (a file in /etc/modprobe.d can block it), or remove the \
             socket from the configuration.",
        ),
        (
            "OpenSIPS (pid PID) is running but was not started by this resource",
            "Only the cluster may start OpenSIPS: run systemctl disable --now opensips, or end the \
             daemon that was started by hand. monitor reports 7 and stop leaves it alone.",
        ),
        (
            "OpenSIPS (pid PID) with this configuration belongs to resource NAME: set another config, or \
             disable NAME",
            "Two resources can't share a configuration, because they would share its sockets. If NAME \
             was removed or renamed while its OpenSIPS went on running, run kill PID, then crm_resource \
             --cleanup. For an OpenSIPS that version 1.0 had started, removing \
             /run/smartvox/opensips-NAME.state frees it without an interruption; a resource with the \
             same pidfile then takes it over.",
        ),
        (
            "another resource starts OpenSIPS with this configuration",
            "Two resources with the same config were started at the same moment: give each its own.",
        ),
        (
            "UNIT is enabled besides Pacemaker: run systemctl disable UNIT (LINK)",
            "Only the cluster may start OpenSIPS: run the command on every node. LINK is what enables \
             the unit.",
        ),
        (
            "UNIT runs OpenSIPS (pid PID) besides Pacemaker: run systemctl disable --now UNIT",
            "start refuses to run besides it. monitor reports 7 and stop leaves it alone, whatever its \
             pid file is.",
        ),
        (
            "OpenSIPS (pid PID) stays in the foreground: set debug_mode=no in CONFIG or the files that it \
             includes",
            "start ended it, because a start that does not return is ended by Pacemaker. For messages of \
             the debug level, set log_level=4.",
        ),
        (
            "no answer to OPTIONS at SOCKET TIME after OpenSIPS (pid PID) is up: answer OPTIONS in its \
             script, or set sip_probe=none",
            "Answer in the script, for example with sl_send_reply(200, \"OK\"); any code counts, unless \
             sip_probe_codes lists some.",
        ),
        (
            "OpenSIPS (pid PID) does not serve: no answer to OPTIONS at SOCKET within ATTEMPTS x TIME",
            "The workers hang or are overloaded. The cluster restarts OpenSIPS; its log from the \
             time before shows the cause.",
        ),
        (
            "orphans of OpenSIPS are alive (pid PIDS): its main process died",
            "The main process was killed, and its orphaned children still answer. stop ends them \
             all. The reason ends with the cause where it is known; otherwise look for the \
             out-of-memory killer with journalctl -k.",
        ),
        (
            "worker PID of OpenSIPS (pid PID) died",
            "A worker has crashed, and OpenSIPS is about to exit. The reason ends with the cause \
             where it is known, as in the next item.",
        ),
        (
            "OpenSIPS (pid PID) died: worker PID ended by SIGNAL",
            "OpenSIPS crashed. It prints which process ended, on stderr only with \
             stderror_enabled=yes. coredumpctl shows the core, journalctl -k a kill by the kernel. \
             \"last error\": the last error of that process; last_output of diagnose has more.",
        ),
        (
            "OpenSIPS (pid PID) died without logging an error (SIGKILL? out of memory?): see journalctl -k",
            "OpenSIPS logs to stderr and has logged no crash: it was killed by SIGKILL, in most \
             cases by the out-of-memory killer. journalctl -k shows that.",
        ),
        (
            "OpenSIPS (pid PID) does not listen on LISTENER",
            "A socket was closed. The cluster restarts OpenSIPS.",
        ),
        (
            "LISTENER is held by OWNER, not by OpenSIPS: stop that program",
            "Another program has opened the port of OpenSIPS. The cluster restarts OpenSIPS, and \
             the start fails until that program is stopped.",
        ),
        (
            "LISTENER is shared with OWNER, which takes requests away: stop that program",
            "Degraded (190). Both programs have opened the port with SO_REUSEADDR, and the kernel \
             delivers packets to the one that opened it last. \"is taken by\": the same, and \
             OPTIONS is not answered.",
        ),
        (
            "LISTENER can't be opened by the next start: set SYSCTL=1 in /etc/sysctl.d",
            "Degraded (190). Open sockets stay open, but the setting that allows sockets on an \
             address of another node is off. Set it in a file in /etc/sysctl.d, so that it \
             survives a boot.",
        ),
        (
            "OpenSIPS ENDED: TEXT",
            "OpenSIPS exited during its start. TEXT is its error message and, where the message does not \
             say it, what to do. With stderror_enabled=no the message is read from the journal of this \
             host after OpenSIPS has ended. Without either, TEXT is what a trial of its sockets shows.",
        ),
        (
            "MI ENDPOINT gave no complete answer within TIME ms (COUNT bytes): look for an MI command that \
             hangs",
            "Degraded (190). The Management Interface (MI) hangs, although SIP is answered: check \
             mi_fifo, mi_datagram or httpd, and look for a command that does not end. The same goes \
             for an MI that can't be reached: calls are served without it, and so is the role.",
        ),
        (
            "check level LEVEL without mi sees neither shared memory nor modules: set mi, or use check level 0",
            "Degraded (190). Check level 10 was asked for, and most of it needs the Management Interface.",
        ),
        (
            "shared memory: USED of TOTAL MB used, over shm_limit=PERCENT%: raise shm_memory",
            "Degraded (190). Raise shm_memory before the memory is used up; the change needs a \
             restart.",
        ),
        (
            "CONFIG has changed since OpenSIPS (pid PID) was started, not only in its routes: restart OpenSIPS \
             when calls allow it",
            "Degraded (190), from check level 10 on. The file, or one that it includes, differs from what \
             OpenSIPS has read; comments and white space do not count. \"the routes of CONFIG have changed\": \
             routes_version loads them without a restart. Of routes that were loaded through the MI by hand the \
             agent knows nothing.",
        ),
        (
            "the routes of NODES are not those of this node: copy CONFIG to every node, then give routes_version \
             another value (or set compare_routes=no)",
            "Degraded (190), from check level 10 on, of a standby. OpenSIPS has loaded other routes there, and \
             callers would be served otherwise after a move. Without mi, a restart of OpenSIPS loads them.",
        ),
        (
            "routes_version=VERSION is not loaded (TEXT): correct that, then set another value",
            "Degraded (190), from check level 10 on. The old routes are in use. What OpenSIPS refuses is in \
             its log.",
        ),
        (
            "ERROR: see journalctl -k",
            "Degraded (190), where ERROR is \"cannot read /proc/PID/FILE\" or \"cannot open a sock_diag socket\" with \
             the reason. monitor could not look at the processes or sockets of OpenSIPS, whose main process lives; it \
             has asked OPTIONS all the same. If a permission is missing, see the audit log of SELinux or AppArmor.",
        ),
        (
            "not ready: MODULES: see opensips-cli -x mi sr_list_status, or set check_readiness=no",
            "Degraded (190), from check level 10 on and a minute after the start. The modules say so of \
             themselves; most of them could not load their data from the database.",
        ),
        (
            "sharing tag TAG does not stay active on this node: check that every configuration declares \
             TAG=backup",
            "Degraded (191). Two nodes take the tag from each other. Either both are promoted, after a partition \
             without fencing, or a configuration declares the tag =active.",
        ),
        (
            "FILE declares sharing tag TAG=active, which would take the tag from the active node: use \
             TAG=backup",
            "Declare the tag =backup in the configuration of every node; promote makes it active.",
        ),
        (
            "sharing_tag=TAG: OpenSIPS has no clusterer module: load clusterer.so and declare TAG=backup",
            "sharing_tag needs module clusterer in the configuration of every node.",
        ),
        (
            "sharing_tag=TAG: OpenSIPS has no such sharing tag: declare TAG=backup in its configuration \
             or correct sharing_tag",
            "Degraded (190). validate-all with check level 10 refuses it; start logs it and serves, because a \
             start that fails bars the node.",
        ),
        (
            "LISTENER is held by OWNER though OpenSIPS has ended: stop that program",
            "A program that OpenSIPS started, or that inherited the socket, keeps it open. stop \
             ends the programs in the session of OpenSIPS and those of its user, but not this one: \
             end it, else stop fails and, with fencing, the node is fenced.",
        ),
        (
            "OpenSIPS is still alive after SIGKILL (pid PIDS): see journalctl -k",
            "stop fails; with fencing, the node is fenced. The processes wait in the kernel (state \
             D): check disks and network file systems.",
        ),
    ],
    files: &[
        ("/usr/lib/ocf/resource.d/smartvox/opensips", "The agent."),
        ("/etc/opensips/opensips.cfg", "The configuration of OpenSIPS (config)."),
        (
            "/etc/default/opensips, /etc/sysconfig/opensips",
            "Settings of the OpenSIPS package: S_MEMORY and P_MEMORY are the defaults of \
             shm_memory and pkg_memory. The agent reads the file and never executes it.",
        ),
        ("/run/opensips/INSTANCE.pid", "The pid file (pidfile)."),
        (
            "/run/smartvox/opensips-INSTANCE.*",
            "The state of one instance: state (main process, sockets), role, out (output of \
             OpenSIPS), lock. Only root can write there. Empty after a boot.",
        ),
        (
            "/usr/share/doc/resource-agents-smartvox/examples",
            "Complete configurations of a two-node cluster.",
        ),
    ],
    examples: &[
        (
            "Active/standby; the resource vip is the virtual IP address:",
            "# pcs resource create opensips ocf:smartvox:opensips vip=192.0.2.10 \\\n    \
             op monitor interval=2s\n\
             # pcs constraint colocation add opensips with vip INFINITY\n\
             # pcs constraint order start vip then start opensips",
        ),
        (
            "Check the parameters alone, on any host:",
            "# crm_resource --validate --class ocf --provider smartvox --agent opensips \\\n    \
             --option vip=192.0.2.10",
        ),
        (
            "Check also this node: executable, configuration, user, ports, systemd unit:",
            "# OCF_CHECK_LEVEL=10 /usr/lib/ocf/resource.d/smartvox/opensips validate-all \\\n    \
             --vip 192.0.2.10",
        ),
        (
            "Hot standby: the examples active-standby.sh and hot-standby.sh are complete:",
            "# less /usr/share/doc/resource-agents-smartvox/examples/hot-standby.sh",
        ),
    ],
    see_also: &[
        ("smartvox-ocf", "7"),
        ("smartvox", "8"),
        ("ocf_smartvox_opensips-vip", "7"),
        ("crm_resource", "8"),
        ("crm_mon", "8"),
        ("opensips", "8"),
        ("pcs", "8"),
    ],
};
