//! What differs between the versions of OpenSIPS, as values: the tests say what all have in common,
//! and take from here what they have not.

use opensips_stand_in::Version;

/// When a start that can't have what it wants fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The start command says so: 255, and nothing is left.
    AtOnce,
    /// The command has said 0, and the instance dies a moment later. It races with itself: a real
    /// daemon may also see the failure (255), and then leave the other workers running.
    Late,
}

/// One version.
#[derive(Debug)]
pub(crate) struct Expected {
    /// `-E`: messages to stderr.
    pub(crate) has_option_e: bool,
    /// Whether stderr stays what the caller gave, even if no message goes there: whoever waits for
    /// the end of a pipe waits for the daemon's end.
    pub(crate) keeps_stderr: bool,
    /// How many processes hold the TCP socket: where it is bound before they fork, all of them;
    /// else "TCP main" alone, which binds it when the start command may have returned already.
    pub(crate) holders_of_tcp: usize,
    /// The port of a TCP socket is taken.
    pub(crate) busy_tcp_port: Failure,
    /// The keyword for the number of UDP workers, and that of other versions, which is an error.
    pub(crate) workers: (&'static str, &'static str),
    /// Lines that are read.
    pub(crate) accepts: &'static [&'static str],
    /// Lines that are errors: words of other versions.
    pub(crate) refuses: &'static [&'static str],
    /// Where a parse error is said to be.
    pub(crate) parse_error: fn(file: &str, line: usize) -> String,
    /// What is said of the configuration as a whole then.
    pub(crate) bad_config: fn(file: &str) -> String,
    /// What is said of an included file that is missing.
    pub(crate) missing_include: &'static str,
    /// What is said of a missing configuration.
    pub(crate) missing_config: fn(file: &str) -> String,
    /// The name of MI's `get_statistics` that the other versions don't know.
    pub(crate) has_module_names: bool,
}

const LISTEN: &str = "listen=udp:127.0.0.1:5070";
const SOCKET: &str = "socket=udp:127.0.0.1:5070";

fn place_3(file: &str, line: usize) -> String {
    format!("CRITICAL:core:yyerror: parse error in {file}:{line}:")
}

fn missing_3(file: &str) -> String {
    format!("loading config file {file}: No such file or directory")
}

const MISSING_INCLUDE_3: &str =
    "failed to open /run/opensips/more.cfg: 2 (No such file or directory)";

const V2_4: Expected = Expected {
    has_option_e: true,
    keeps_stderr: false,
    holders_of_tcp: 10,
    busy_tcp_port: Failure::AtOnce,
    workers: ("children", "udp_workers"),
    accepts: &[LISTEN, "children=2", "log_stderror=yes"],
    refuses: &[SOCKET, "udp_workers=2", "stderror_enabled=yes"],
    parse_error: |file, line| {
        format!("CRITICAL:core:yyerror: parse error in config file {file}, line {line}, column ")
    },
    bad_config: |_| "ERROR:core:main: bad config file (".to_owned(),
    missing_include: "cannot open included file: \"/run/opensips/more.cfg\"",
    missing_config: |file| format!("loading config file({file}): No such file or directory"),
    has_module_names: false,
};

const V3_4: Expected = Expected {
    has_option_e: false,
    keeps_stderr: true,
    holders_of_tcp: 10,
    busy_tcp_port: Failure::AtOnce,
    workers: ("udp_workers", "children"),
    accepts: &[LISTEN, SOCKET, "udp_workers=2", "log_stderror=yes", "stderror_enabled=yes"],
    refuses: &["children=2"],
    parse_error: place_3,
    bad_config: |file| format!("ERROR:core:main: failed to parse config file {file}\n"),
    missing_include: MISSING_INCLUDE_3,
    missing_config: missing_3,
    has_module_names: false,
};

const V3_6: Expected = Expected { holders_of_tcp: 1, busy_tcp_port: Failure::Late, ..V3_4 };

const V4_0: Expected = Expected {
    accepts: &[SOCKET, "udp_workers=2", "stderror_enabled=yes"],
    refuses: &[LISTEN, "children=2", "log_stderror=yes"],
    has_module_names: true,
    ..V3_6
};

/// What a daemon of this version does.
pub(crate) fn of(version: Version) -> &'static Expected {
    match version {
        Version::V2_4 => &V2_4,
        Version::V3_4 => &V3_4,
        Version::V3_6 => &V3_6,
        Version::V4_0 => &V4_0,
    }
}
