//! Parameters of start and stop.

use ocf::{Kind, Parameter};

pub(crate) static START_CHECK: Parameter = Parameter {
    name: "start_check",
    kind: Kind::Boolean,
    default: Some("yes"),
    reloadable: true,
    shortdesc: "Check the configuration before start",
    longdesc: "Whether start first runs the configuration check of OpenSIPS (opensips -C). Default: \
yes. The check also prints the sockets that OpenSIPS opens. If OpenSIPS leaves out a declared socket, \
because its name does not resolve or its interface has no address, start tries again for a third of its \
time and then fails; an instance that is already running is reported as degraded. Without it the agent can't report busy \
ports and absent addresses before OpenSIPS fails.",
    ..Parameter::TEMPLATE
};

pub(crate) static STOP_GRACE: Parameter = Parameter {
    name: "stop_grace",
    reloadable: true,
    shortdesc: "Time between SIGTERM and SIGKILL",
    longdesc: "Time that stop leaves OpenSIPS to shut itself down, like 30s, before it kills every \
process of the instance. Default: the timeout of the stop action minus 5 seconds.",
    ..Parameter::TEMPLATE
};

pub(crate) static ASYNC_MONITOR: Parameter = Parameter {
    name: "async_monitor",
    kind: Kind::Boolean,
    default: Some("yes"),
    reloadable: true,
    shortdesc: "Tell Pacemaker at once when OpenSIPS dies",
    longdesc: "Whether Pacemaker is told at once when the main process of OpenSIPS ends, rather than by the next \
monitor. Default: yes. For that, start leaves a process running that sleeps until then; stop ends it before \
anything else. It makes sure that OpenSIPS is dead and then runs crm_resource --fail, which Pacemaker shows as a \
failure of operation asyncmon (\"Simulated failure\"); the reason is in the log. It leaves the death to the next \
monitor if an action is running on the resource, if the resource is unmanaged, blocked or in maintenance mode, \
if OpenSIPS has lived for less than 5 seconds (a daemon that keeps crashing is restarted no faster than by \
monitor), if a monitor has an on-fail other than restart, and, before Pacemaker 2.1.6, if there is a \
migration-threshold: those versions count such a failure twice. Without a cluster on this node, it does nothing.",
    ..Parameter::TEMPLATE
};

pub(crate) static SYSTEMD_UNIT: Parameter = Parameter {
    name: "systemd_unit",
    default: Some("opensips.service"),
    reloadable: true,
    shortdesc: "Unit that must not be active or enabled",
    longdesc: "systemd unit that must not be active or enabled, because it starts the same daemon \
without Pacemaker. Default: opensips.service. If it is enabled, validate-all with check level 10 \
fails, and start logs a warning. If it is active, start fails. What it runs is not this resource's, \
whatever its pid file is: monitor reports that nothing is running, and stop leaves it alone. \"none\" \
switches these checks off.",
    ..Parameter::TEMPLATE
};
