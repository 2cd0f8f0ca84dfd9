//! Parameters of the daemon's command line.

use ocf::{Kind, Parameter};

pub(crate) static BINARY: Parameter = Parameter {
    name: "binary",
    default: Some("/usr/sbin/opensips"),
    shortdesc: "OpenSIPS executable",
    longdesc: "Absolute path of the OpenSIPS executable. Default: /usr/sbin/opensips. It must be the \
program itself, not a script that starts it: the agent recognises the processes of the instance by \
their executable.",
    ..Parameter::TEMPLATE
};

pub(crate) static CONFIG: Parameter = Parameter {
    name: "config",
    default: Some("/etc/opensips/opensips.cfg"),
    unique_group: Some("config"),
    shortdesc: "Configuration file",
    longdesc: "Absolute path of the configuration file of OpenSIPS (option -f). Default: \
/etc/opensips/opensips.cfg. Each instance needs a file of its own.",
    ..Parameter::TEMPLATE
};

pub(crate) static PIDFILE: Parameter = Parameter {
    name: "pidfile",
    unique_group: Some("pidfile"),
    shortdesc: "Pid file",
    longdesc: "Absolute path of the pid file of OpenSIPS (option -P). Default: \
/run/opensips/INSTANCE.pid, where INSTANCE is the name of the resource, without the number of a clone's instance. start creates a missing \
directory and gives it to the user of the daemon.",
    ..Parameter::TEMPLATE
};

pub(crate) static USER: Parameter = Parameter {
    name: "user",
    default: Some("opensips"),
    shortdesc: "User of the daemon",
    longdesc: "User that OpenSIPS runs as, by name or number (option -u). Default: opensips. \
Only processes of root and of this user count as OpenSIPS, and those that start remembers.",
    ..Parameter::TEMPLATE
};

pub(crate) static GROUP: Parameter = Parameter {
    name: "group",
    default: Some("opensips"),
    shortdesc: "Group of the daemon",
    longdesc: "Group that OpenSIPS runs as, by name or number (option -g). Default: opensips.",
    ..Parameter::TEMPLATE
};

pub(crate) static SHM_MEMORY: Parameter = Parameter {
    name: "shm_memory",
    kind: Kind::Integer,
    shortdesc: "Shared memory in MB",
    longdesc: "Shared memory of all processes together, in MB (option -m). Default: S_MEMORY of the \
node's /etc/default/opensips (Debian) or /etc/sysconfig/opensips, the files of the packages' own \
service; without them, the value that is built into OpenSIPS.",
    ..Parameter::TEMPLATE
};

pub(crate) static PKG_MEMORY: Parameter = Parameter {
    name: "pkg_memory",
    kind: Kind::Integer,
    shortdesc: "Private memory per process in MB",
    longdesc: "Private memory of each process, in MB (option -M). Default: P_MEMORY of the same file \
as for shm_memory; without it, the value that is built into OpenSIPS.",
    ..Parameter::TEMPLATE
};

pub(crate) static OPEN_FILES: Parameter = Parameter {
    name: "open_files",
    kind: Kind::Integer,
    default: Some("262144"),
    shortdesc: "Limit of open files",
    longdesc: "Limit of open files and sockets for each process of OpenSIPS (RLIMIT_NOFILE). Default: \
262144. If the system allows fewer, start uses the highest limit that is allowed and logs a warning.",
    ..Parameter::TEMPLATE
};

pub(crate) static ENVIRONMENT_FILE: Parameter = Parameter {
    name: "environment_file",
    shortdesc: "File with environment variables for the daemon",
    longdesc: "Absolute path of a file with environment variables for OpenSIPS and its configuration \
check, one NAME=VALUE in each line, as the EnvironmentFile of a systemd unit; for example \
/etc/default/opensips. Default: none; then OpenSIPS has PATH, LANG and TZ alone. Nothing in it is expanded \
or executed. start fails if it can't be read.",
    ..Parameter::TEMPLATE
};

pub(crate) static EXTRA_OPTIONS: Parameter = Parameter {
    name: "extra_options",
    shortdesc: "More options for the daemon",
    longdesc: "More command line options for OpenSIPS, for example \"-n 8 -w /var/lib/opensips\". \
Default: none. Quotes and backslashes keep words together; no shell reads them. The agent refuses \
the options that it sets itself (-f -P -u -g -m -M), and those with which OpenSIPS does not run as a \
server (-c -C -D -E -F -V -h).",
    ..Parameter::TEMPLATE
};
