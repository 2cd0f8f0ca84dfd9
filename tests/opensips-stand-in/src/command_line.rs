//! The command line of OpenSIPS 3.6, read as `getopt(3)` and the daemon's `main` read it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use nix::unistd::{Gid, Group, Uid, User};

use crate::error::Error;
use crate::listener::SocketSpec;

/// What one call of the command shall do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Run,
    /// `-c` or `-C`.
    Check,
    Version,
    Help,
}

/// The options, in the daemon's units.
#[derive(Debug, Clone)]
pub(crate) struct CommandLine {
    pub(crate) action: Action,
    pub(crate) config_file: PathBuf,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) pgid_file: Option<PathBuf>,
    pub(crate) user: Option<Uid>,
    pub(crate) group: Option<Gid>,
    /// Megabytes.
    pub(crate) shared_memory: u64,
    /// Megabytes, per process.
    pub(crate) private_memory: u64,
    /// `-D`: no daemon, no pid file, two workers of a kind, messages on stderr.
    pub(crate) debug: bool,
    /// `-F`: no daemon, the rest as usual.
    pub(crate) foreground: bool,
    pub(crate) working_directory: PathBuf,
    pub(crate) listen: Vec<SocketSpec>,
    pub(crate) udp_workers: Option<usize>,
    pub(crate) tcp_workers: Option<usize>,
}

/// The option string of 3.6's `main.c`.
const OPTIONS: &str = "A:f:cCm:M:b:l:n:N:rRvdDFEVhw:t:u:g:p:P:G:W:o:a:k:s:";

enum Found {
    Known(char, OsString),
    Unknown(char),
}

impl CommandLine {
    /// `arguments` without the program's name.
    pub(crate) fn parse(arguments: &[OsString]) -> Result<Self, Error> {
        let found = getopt(arguments);
        let mut line = Self {
            action: Action::Run,
            config_file: PathBuf::from("/usr/local/etc/opensips/opensips.cfg"),
            pid_file: None,
            pgid_file: None,
            user: None,
            group: None,
            shared_memory: 32,
            private_memory: 16,
            debug: false,
            foreground: false,
            working_directory: PathBuf::from("/"),
            listen: Vec::new(),
            udp_workers: None,
            tcp_workers: None,
        };
        // The daemon reads these in a pass of their own, before all others.
        let mut group = None;
        for option in &found {
            match option {
                Found::Known('m', value) => {
                    line.shared_memory = number('m', "shmem size number", value)?;
                }
                Found::Known('M', value) => {
                    line.private_memory = number('M', "pkgmem size number", value)?;
                }
                Found::Known('u', value) => {
                    let user = user(value)?;
                    line.user = Some(user.0);
                    line.group = user.1;
                }
                Found::Known('g', value) => group = Some(self::group(value)?),
                _ => {}
            }
        }
        line.group = group.or(line.group);

        for option in found {
            let (option, value) = match option {
                Found::Known(option, value) => (option, value),
                Found::Unknown(option) => return Err(Error::UnknownOption(option)),
            };
            match option {
                'f' => line.config_file = value.into(),
                'c' | 'C' => line.action = Action::Check,
                'l' => line.listen.push(listen_on(&value)?),
                'n' => line.udp_workers = Some(number('n', "UDP workers number", &value)?),
                'N' => line.tcp_workers = Some(number('N', "TCP workers number", &value)?),
                'b' => {
                    number::<u64>('b', "max buffer size number", &value)?;
                }
                'D' => line.debug = true,
                'F' => line.foreground = true,
                'E' => return Err(Error::DeprecatedOptionE),
                'V' => {
                    line.action = Action::Version;
                    return Ok(line);
                }
                'h' => {
                    line.action = Action::Help;
                    return Ok(line);
                }
                'w' => line.working_directory = value.into(),
                'P' => line.pid_file = Some(value.into()),
                'G' => line.pgid_file = Some(value.into()),
                // Without meaning for a program that neither routes nor allocates.
                _ => {}
            }
        }
        Ok(line)
    }
}

/// Options in their order. Words that are no options are passed over, as GNU `getopt` permutes
/// them; an option without its argument counts as unknown, as with `opterr = 0` and no leading `:`.
fn getopt(arguments: &[OsString]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            break;
        }
        let Some((b'-', mut rest)) = bytes.split_first().filter(|(_, rest)| !rest.is_empty())
        else {
            continue;
        };
        while let Some((byte, tail)) = rest.split_first() {
            let option = char::from(*byte);
            rest = tail;
            match OPTIONS.split_once(option).filter(|_| option != ':') {
                None => found.push(Found::Unknown(option)),
                Some((_, after)) if !after.starts_with(':') => {
                    found.push(Found::Known(option, OsString::new()));
                }
                Some(_) if !rest.is_empty() => {
                    found.push(Found::Known(option, OsString::from_vec(rest.to_vec())));
                    rest = &[];
                }
                Some(_) => match words.next() {
                    Some(value) => found.push(Found::Known(option, value.clone())),
                    None => found.push(Found::Unknown(option)),
                },
            }
        }
    }
    found
}

fn number<N: std::str::FromStr>(
    option: char,
    what: &'static str,
    value: &OsStr,
) -> Result<N, Error> {
    value.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| Error::OptionValue {
        option,
        what,
        value: value.to_string_lossy().into_owned(),
    })
}

fn listen_on(value: &OsStr) -> Result<SocketSpec, Error> {
    value.to_str().and_then(SocketSpec::parse).ok_or_else(|| Error::OptionValue {
        option: 'l',
        what: "-l address specifier",
        value: value.to_string_lossy().into_owned(),
    })
}

/// By name, else by number; a name also gives the user's own group.
fn user(value: &OsStr) -> Result<(Uid, Option<Gid>), Error> {
    let name = value.to_string_lossy();
    if let Ok(Some(user)) = User::from_name(&name) {
        return Ok((user.uid, Some(user.gid)));
    }
    let uid = name.parse().map_err(|_| Error::UnknownUser(name.into_owned()))?;
    Ok((Uid::from_raw(uid), None))
}

fn group(value: &OsStr) -> Result<Gid, Error> {
    let name = value.to_string_lossy();
    if let Ok(Some(group)) = Group::from_name(&name) {
        return Ok(group.gid);
    }
    let gid = name.parse().map_err(|_| Error::UnknownGroup(name.into_owned()))?;
    Ok(Gid::from_raw(gid))
}

/// What `-V` prints.
pub(crate) fn version_text() -> String {
    format!(
        "version: opensips {}\nflags: STAND_IN: routes nothing, loads no modules\n",
        crate::VERSION
    )
}

/// What `-h` prints.
pub(crate) fn help_text() -> String {
    format!("version: opensips {}\n{HELP}", crate::VERSION)
}

const HELP: &str = "\
Usage: opensips -l address [-l address ...] [options]
Options:
    -f file      Configuration file (default /usr/local/etc/opensips/opensips.cfg)
    -c           Check configuration file for errors
    -C           Same as -c
    -l address   Listen on the specified address/interface: [proto:]addr[:port]
    -n processes Number of worker processes to fork per UDP interface (default: 8)
    -N processes Number of TCP worker processes (default: 8)
    -D           Run in debug mode
    -F           Daemon mode, but leave main process foreground
    -E           Option deprecated since version 3.4
    -V           Version number
    -h           This help message
    -m nr        Size of shared memory allocated in Megabytes
    -M nr        Size of pkg memory allocated in Megabytes
    -w dir       Change the working directory to \"dir\" (default \"/\")
    -u uid       Change uid
    -g gid       Change gid
    -P file      Create a pid file
    -G file      Create a pgid file
Accepted and without effect: -A -a -b -d -k -o -p -R -r -s -t -v -W
Fault switches (environment or comments of the configuration) are in the crate's documentation.
";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<CommandLine, Error> {
        CommandLine::parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn options_as_getopt_reads_them() {
        let line = parse(&["-FfX.cfg", "word", "-m", "64", "-P", "/p", "-c", "--", "-V"]).unwrap();
        assert!(line.foreground);
        assert_eq!(line.config_file, PathBuf::from("X.cfg"));
        assert_eq!(line.shared_memory, 64);
        assert_eq!(line.pid_file, Some(PathBuf::from("/p")));
        assert_eq!(line.action, Action::Check);
    }

    #[test]
    fn refusals_in_the_daemons_words() {
        for (words, text) in [
            (&["-Q"][..], "Unknown option `-Q`."),
            (&["-f"], "Unknown option `-f`."),
            (&["-m", "x"], "bad shmem size number: -m x"),
            (&["-n", "x"], "bad UDP workers number: -n x"),
            (&["-l", "udp:1.2.3.4:x"], "bad -l address specifier: -l udp:1.2.3.4:x"),
            (&["-V", "-u", "no such user"], "bad user name/uid number: -u no such user"),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text);
        }
        assert!(matches!(parse(&["-E"]), Err(Error::DeprecatedOptionE)));
    }
}
