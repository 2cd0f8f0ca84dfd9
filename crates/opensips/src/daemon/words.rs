//! What the daemon prints on stderr, reduced to one line. Pure.
//!
//! `Nov 23 07:28:43 [27531] ERROR:core:load_config: loading config file x: No such file or directory`

use hostproc::Pid;

/// The longest text for an exit reason that people still read, in characters.
const LIMIT: usize = 300;

/// A line of the daemon's log in its plain format (dprint.h):
/// `Nov 23 07:28:43 [27531] ERROR:core:load_config: text`. The text may quote anything, so each part is
/// read from its own place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    pub(crate) pid: Pid,
    pub(crate) level: &'a str,
    pub(crate) module: &'a str,
    pub(crate) function: &'a str,
    pub(crate) text: &'a str,
}

const LEVELS: [&str; 7] = ["ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DBG"];

impl<'a> Said<'a> {
    pub(crate) fn read(line: &'a str) -> Option<Self> {
        let (time, rest) = line.split_at_checked(15)?;
        if !is_time(time.as_bytes()) {
            return None;
        }
        let (pid, rest) = rest.strip_prefix(" [")?.split_once("] ")?;
        // After `log_prefix` of the configuration and a colon, if it is set.
        let (names, text) = rest.split_once(": ")?;
        let mut names = names.rsplitn(4, ':');
        let (function, module, level) = (names.next()?, names.next()?, names.next()?);
        let pid = pid.parse().ok()?;
        LEVELS.contains(&level).then_some(Self { pid, level, module, function, text })
    }

    pub(crate) fn is_error(&self) -> bool {
        matches!(self.level, "ALERT" | "CRITICAL" | "ERROR")
    }
}

/// `Nov  3 07:28:43`, as ctime(3) writes it.
fn is_time(text: &[u8]) -> bool {
    let fits = |(byte, place): (&u8, &u8)| match place {
        b'a' => byte.is_ascii_alphabetic(),
        b'0' => byte.is_ascii_digit(),
        b'_' => byte.is_ascii_digit() || *byte == b' ',
        other => byte == other,
    };
    let form = b"aaa _0 00:00:00";
    text.len() == form.len() && text.iter().zip(form).all(fits)
}

/// An error of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// One line.
    pub(crate) text: String,
    /// The error is in the text of the configuration: file and line number are in it.
    pub(crate) of_the_configuration: bool,
}

/// The error in the daemon's output; `None` if there is none.
///
/// For an error in the configuration, it is the first `parse error in FILE:LINE:COLUMN` with all that
/// is logged about the same place. Else it is the first error, which is logged where it happens, and
/// the last one, which is its consequence.
pub(crate) fn complaint(output: &str) -> Option<Complaint> {
    let errors: Vec<&str> = output.lines().filter_map(error_of).collect();
    if let Some(text) = parse_error(&errors) {
        return Some(Complaint { text: shortened(&text), of_the_configuration: true });
    }
    let mut telling = errors.iter().filter(|text| !is_frame(text));
    let first = telling.next().or(errors.first())?;
    let text = match telling.next_back() {
        Some(last) if last != first => format!("{first}; {last}"),
        _ => (*first).to_owned(),
    };
    Some(Complaint { text: shortened(&text), of_the_configuration: false })
}

/// The last line that is not empty, for a daemon that ended without an error of its own.
pub(crate) fn last_line(output: &str) -> Option<String> {
    let last = output.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(shortened(last))
}

/// What the daemon says of declared sockets that it leaves out: a name that does not resolve, an interface
/// that has no address (`fix_socket()`, net/socket_info.c). It goes on, and reports success.
pub(crate) fn left_out_sockets(output: &str) -> Vec<String> {
    let of_a_socket = |said: &Said<'_>| {
        said.is_error() && said.module == "core" && said.function.starts_with("fix_socket")
    };
    // A name more for the socket is no matter of life and death.
    let is_alias = |said: &Said<'_>| said.text.contains("add_alias");
    let said = output.lines().filter_map(Said::read);
    let left_out = said.filter(|said| of_a_socket(said) && !is_alias(said));
    left_out
        .map(|said| shortened(said.text.rsplit("fix_socket_list: ").next().unwrap_or(said.text)))
        .collect()
}

/// Whether a complaint is about a name that the name server may know a moment later.
pub(crate) fn is_about_a_name(text: &str) -> bool {
    text.contains("could not resolve")
}

/// How many lines of a daemon that failed go into the log.
const LOGGED_LINES: usize = 20;

/// The last lines that are not routine, fit for a log.
pub(crate) fn last_lines(output: &str) -> Vec<String> {
    let telling = |line: &&str| !line.trim().is_empty() && !is_routine(line);
    let lines: Vec<&str> = output.lines().filter(telling).collect();
    let skipped = lines.len().saturating_sub(LOGGED_LINES);
    lines.iter().skip(skipped).map(|line| shortened(line)).collect()
}

/// Whether a line is logged while all goes well.
fn is_routine(line: &str) -> bool {
    let levels = [" INFO:", " NOTICE:", " DBG:", "Thank you for running"];
    levels.iter().any(|mark| line.contains(mark) || line.starts_with(mark))
        && error_of(line).is_none()
}

/// The text of an error line, without time, pid, level, module and function.
fn error_of(line: &str) -> Option<&str> {
    let marks = ["CRITICAL:", "ERROR:", "ALERT:"];
    let start = marks.iter().filter_map(|mark| Some(line.find(mark)? + mark.len())).min()?;
    let rest = line.get(start..)?;
    // `core:yyerror: text`; the lines of context below a parse error have no such names.
    let (names, text) = rest.split_once(": ").unwrap_or((rest, ""));
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    match names.split_once(':') {
        Some((module, function)) if is_name(module) && is_name(function) => Some(text.trim()),
        _ => None,
    }
}

const PARSE_ERROR: &str = "parse error in ";

fn parse_error(errors: &[&str]) -> Option<String> {
    let mut faults = errors.iter().filter_map(|text| {
        // `FILE:LINE:COLUMNS: what`, where what may be missing, and FILE may hold anything.
        let (place, what) = text.strip_prefix(PARSE_ERROR)?.split_once(": ")?;
        (!what.is_empty()).then_some((place, what))
    });
    let (place, what) = faults.next()?;
    let more: String = faults
        .filter(|(other, text)| *other == place && *text != what)
        .map(|(_, text)| format!("; {text}"))
        .collect();
    Some(format!("{place}: {what}{more}"))
}

/// A line that tells only that something else has failed.
fn is_frame(text: &str) -> bool {
    text.is_empty()
        || text.starts_with(PARSE_ERROR)
        || text.starts_with("bad config file")
        || text.starts_with("exiting")
        || text.starts_with("failed to parse config file")
}

/// One line, printable, of limited length.
pub(crate) fn shortened(text: &str) -> String {
    let mut short: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LIMIT).collect();
    if text.chars().count() > LIMIT {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(output: &str) -> (String, bool) {
        let complaint = complaint(output).unwrap();
        (complaint.text, complaint.of_the_configuration)
    }

    // 3.6.8 and 4.0.1, as printed.
    const SYNTAX: &str = "\
Nov 23 07:28:24 [27443] CRITICAL:Traceback (last included file at the bottom):
Nov 23 07:28:24 [27443] CRITICAL: 0. /etc/o.cfg
Nov 23 07:28:24 [27443] CRITICAL:core:yyerror: parse error in /etc/o.cfg:12:50-51: syntax error
Nov 23 07:28:24 [27443] CRITICAL:socket=udp:0.0.0.0:5961
Nov 23 07:28:24 [27443] CRITICAL:^~
Nov 23 07:28:24 [27443] CRITICAL:core:yyerror: parse error in /etc/o.cfg:12:50-51: ip address or hostname expected
Nov 23 07:28:24 [27443] CRITICAL:core:yyerror: parse error in /etc/o.cfg:13:1-7: 
Nov 23 07:28:24 [27443] ERROR:core:parse_opensips_cfg: bad config file (3 errors)
Nov 23 07:28:24 [27443] ERROR:core:main: failed to parse config file /etc/o.cfg
Nov 23 07:28:24 [27443] NOTICE:core:main: Exiting....
";

    #[test]
    fn a_parse_error_has_its_place() {
        assert_eq!(
            text(SYNTAX),
            ("/etc/o.cfg:12:50-51: syntax error; ip address or hostname expected".into(), true)
        );
        let module = "\
Nov 23 07:28:43 [1] ERROR:core:load_module: failed to load module 'proto_nix.so' - not found
Nov 23 07:28:43 [1] CRITICAL:core:yyerror: parse error in o.cfg:15:13-14: failed to load module proto_nix.so

Nov 23 07:28:43 [1] ERROR:core:main: failed to parse config file o.cfg
";
        assert_eq!(
            text(module),
            ("o.cfg:15:13-14: failed to load module proto_nix.so".into(), true)
        );
    }

    #[test]
    fn other_errors_are_told_from_first_to_last() {
        let bind = "\
Nov 23 07:28:43 [1] WARNING:core:init: something
Nov 23 07:28:43 [1] ERROR:core:udp_init_listener: bind(6, 1, 16) on 10.77.0.100: Cannot assign requested address
Nov 23 07:28:43 [1] ERROR:core:trans_init_all_listeners: failed to init listener [10.77.0.100], proto udp
Nov 23 07:28:43 [1] ERROR:core:main_loop: failed to init all SIP listeners
Nov 23 07:28:43 [1] NOTICE:core:main: Exiting....
";
        assert_eq!(
            text(bind),
            (
                "bind(6, 1, 16) on 10.77.0.100: Cannot assign requested address; \
                 failed to init all SIP listeners"
                    .into(),
                false
            )
        );
        let missing = "\
Nov 23 07:28:43 [1] ERROR:core:parse_opensips_cfg: loading config file o.cfg: No such file or directory
Nov 23 07:28:43 [1] ERROR:core:main: failed to parse config file o.cfg
";
        assert_eq!(
            text(missing),
            ("loading config file o.cfg: No such file or directory".into(), false)
        );
        // As 3.6.8 runs its lines together.
        let glued = "\
Nov 23 08:17:01 [9] ERROR:core:tcp_bind_listener: bind(3c, 16) on 127.0.0.1:5060 : Address already in use
Nov 23 08:17:01 [9] ERROR:core:tcp_main_server: failed to bind listener [127.0.0.1], proto tcp
Nov 23 08:17:01 [9] CRITICAL:core:tcp_main_server: exiting...Nov 23 08:17:01 [8] INFO:core:handle_sigs: child
";
        assert_eq!(
            text(glued),
            (
                "bind(3c, 16) on 127.0.0.1:5060 : Address already in use; \
                 failed to bind listener [127.0.0.1], proto tcp"
                    .into(),
                false
            )
        );
        let frame = "x ERROR:core:main: failed to parse config file o.cfg\n";
        assert_eq!(text(frame), ("failed to parse config file o.cfg".into(), false));
    }

    #[test]
    fn no_complaint() {
        assert_eq!(complaint(""), None);
        assert_eq!(complaint("Nov 1 [2] NOTICE:core:main: config file ok, exiting...\n"), None);
        assert_eq!(last_line("Segmentation fault\n\n"), Some("Segmentation fault".into()));
        assert_eq!(last_line("\n"), None);
    }

    #[test]
    fn sockets_that_are_left_out() {
        // 4.0.1, as printed.
        let output = "\
Nov 29 04:42:07 [1] WARNING:core:fix_socket: could not rev. resolve 192.0.2.1
Nov 29 04:42:07 [1] ERROR:core:fix_socket: could not resolve no.such.invalid
Nov 29 04:42:07 [1] ERROR:core:fix_socket: ERROR: fix_socket_list: could not resolve advertised name no.such.invalid
Nov 29 04:42:07 [1] ERROR:core:fix_socket: add_alias failed
Nov 29 04:42:07 [1] NOTICE:core:main: config file ok, exiting...
";
        assert_eq!(
            left_out_sockets(output),
            [
                "could not resolve no.such.invalid",
                "could not resolve advertised name no.such.invalid"
            ]
        );
    }

    #[test]
    fn one_line_of_bearable_length() {
        let long = format!("x ERROR:core:main: a\u{1b}[31m{}\n", "y".repeat(10_000));
        let (text, _) = text(&long);
        assert!(text.chars().count() <= LIMIT + 1 && !text.contains('\u{1b}'), "{text}");
    }

    proptest! {
        #[test]
        fn any_output_is_read(output: String) {
            let _ = complaint(&output);
            let _ = last_line(&output);
        }
    }
}
