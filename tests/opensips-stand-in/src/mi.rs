//! The Management Interface's transports: a FIFO with replies into the caller's FIFO, and datagrams.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::RawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, MsgFlags, SockaddrLike, SockaddrStorage, UnixAddr};
use nix::sys::socket::{getsockname, recvfrom, sendto};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Deserializer, Value};

use crate::config::Config;
use crate::error::Error;
use crate::log::{self, Level};
use crate::mi_commands::Commands;
use crate::worker::Never;

/// The daemon's limit for a request through the FIFO.
const MAXIMUM_REQUEST: usize = 4096;
/// How often, and how far apart, it tries to open the caller's FIFO.
const REPLY_RETRIES: usize = 4;
const REPLY_WAIT: Duration = Duration::from_millis(80);

/// `fifo_name`
pub(crate) fn fifo_path(config: &Config) -> PathBuf {
    config.parameter("mi_fifo", "fifo_name").unwrap_or("/tmp/opensips_fifo").into()
}

/// `reply_dir`
pub(crate) fn reply_directory(config: &Config) -> PathBuf {
    config.parameter("mi_fifo", "reply_dir").unwrap_or("/tmp/").into()
}

/// `socket_name`: `udp:host:port` or the path of a Unix socket; None without it or the module.
pub(crate) fn datagram_name(config: &Config) -> Option<&str> {
    let name = config.parameter("mi_datagram", "socket_name")?;
    (config.has_module("mi_datagram") && !name.is_empty()).then_some(name)
}

/// The address that [`datagram_name`] stands for.
pub(crate) fn datagram_address(name: &str) -> Result<Box<dyn SockaddrLike>, Error> {
    let malformed = || Error::DatagramSocketName(name.to_owned());
    if let Some(host_port) = name.strip_prefix("udp:") {
        let mut resolved = host_port.to_socket_addrs().map_err(|_| malformed())?;
        let address: SocketAddr = resolved.next().ok_or_else(malformed)?;
        return Ok(Box::new(SockaddrStorage::from(address)));
    }
    let unix = UnixAddr::new(name).map_err(|_| malformed())?;
    Ok(Box::new(unix))
}

/// Deletes the FIFO or socket of an earlier run, or whatever else stat(2) finds of that name, as the
/// daemon does (`mi_fifo_init()` in modules/mi_fifo); not a link that leads nowhere.
pub(crate) fn remove_old(path: PathBuf) {
    if fs::metadata(&path).is_ok() {
        let _ = fs::remove_file(path);
    }
}

/// Creates the FIFO and opens it at both ends, so that it never ends.
pub(crate) fn open_fifo(config: &Config) -> Result<File, Error> {
    let path = fifo_path(config);
    let mode = config
        .parameter("mi_fifo", "fifo_mode")
        .and_then(|mode| u32::from_str_radix(mode, 8).ok())
        .unwrap_or(0o660);
    mkfifo(&path, Mode::from_bits_truncate(mode))
        .map_err(|errno| Error::FifoCreate { path: path.clone(), errno })?;
    let open = || {
        // Past the umask.
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        OpenOptions::new().read(true).write(true).open(&path)
    };
    open().map_err(|source| Error::FifoOpen { path: path.clone(), source })
}

/// Answers requests `:reply_fifo:{json}` for good.
pub(crate) fn serve_fifo(mut fifo: File, commands: &Commands<'_>) -> Result<Never, Error> {
    let directory = reply_directory(commands.config);
    let mut chunk = vec![0; MAXIMUM_REQUEST];
    loop {
        let length = fifo
            .read(&mut chunk)
            .map_err(|source| Error::FifoOpen { path: fifo_path(commands.config), source })?;
        // What one read gives is all there is: the daemon does not wait for the rest of a request
        // that was written in pieces.
        let mut received = chunk.get(..length).unwrap_or_default();
        while let Some((reply, request)) = take_request(&mut received) {
            let Some(answer) = commands.answer(&request) else { continue };
            if !commands.faults.mi_silent {
                send_reply(&directory, &reply, &answer.to_string());
            }
        }
    }
}

/// Takes one request off the front: the reply FIFO's name and the JSON; None when no more is in it.
fn take_request(received: &mut &[u8]) -> Option<(String, Value)> {
    let refuse = |reason: &str, text: &[u8]| {
        let text = format!("{reason}: {}", String::from_utf8_lossy(text));
        log::line(Level::Error, "mi_fifo:mi_fifo_callback", text);
        None
    };
    let request = received.trim_ascii_start();
    *received = &[];
    match request.split_first() {
        None => return None,
        Some((b':', _)) => {}
        Some(_) => return refuse("command must begin with ':'", request),
    }
    let separator = request.iter().skip(1).position(|byte| *byte == b':')? + 1;
    let name = String::from_utf8_lossy(request.get(1..separator)?).into_owned();
    let json = request.get(separator + 1..)?;
    let mut values = Deserializer::from_slice(json).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => {
            *received = json.get(values.byte_offset()..).unwrap_or_default();
            Some((name, value))
        }
        Some(Err(_)) | None => refuse("cannot parse command", json),
    }
}

fn send_reply(directory: &Path, name: &str, text: &str) {
    if name.is_empty() || name.contains(['.', '/', '\\']) {
        log::line(Level::Error, "mi_fifo:get_reply_filename", "forbidden reply fifo name");
        return;
    }
    let path = directory.join(name);
    for _ in 0..=REPLY_RETRIES {
        // Without blocking: a caller that is gone must not hold up the others.
        let opened =
            OpenOptions::new().write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(&path);
        match opened {
            Ok(mut fifo) if is_fifo(&fifo) => {
                // The caller went away.
                let _ = fifo.write_all(text.as_bytes());
                return;
            }
            Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) => {
                thread::sleep(REPLY_WAIT);
            }
            Ok(_) | Err(_) => break,
        }
    }
    log::line(
        Level::Notice,
        "mi_fifo:mi_open_reply_pipe",
        format!("no client at {}", path.display()),
    );
}

fn is_fifo(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// Answers datagrams, each a bare JSON request, for good.
pub(crate) fn serve_datagram(socket: RawFd, commands: &Commands<'_>) -> Result<Never, Error> {
    let failed = |errno| Error::system("MI datagram", errno);
    let unix = getsockname::<SockaddrStorage>(socket).map_err(failed)?.family()
        == Some(AddressFamily::Unix);
    let mut buffer = vec![0; 65_535];
    loop {
        // A Unix address keeps its length only in its own type.
        let received = if unix {
            recvfrom::<UnixAddr>(socket, &mut buffer)
                .map(|(length, peer)| (length, peer.map(|p| Box::new(p) as Box<dyn SockaddrLike>)))
        } else {
            recvfrom::<SockaddrStorage>(socket, &mut buffer)
                .map(|(length, peer)| (length, peer.map(|p| Box::new(p) as Box<dyn SockaddrLike>)))
        };
        let (length, peer) = match received {
            Ok((length, Some(peer))) => (length, peer),
            Ok((_, None)) | Err(Errno::EINTR | Errno::ECONNREFUSED) => continue,
            Err(errno) => return Err(failed(errno)),
        };
        let answer = match serde_json::from_slice(buffer.get(..length).unwrap_or_default()) {
            Ok(request) => match commands.answer(&request) {
                Some(answer) => answer.to_string(),
                None => continue,
            },
            // In these words, and no JSON.
            Err(_) => "400 Parse_error\n".to_owned(),
        };
        if !commands.faults.mi_silent {
            // The caller went away.
            let _ = sendto(socket, answer.as_bytes(), peer.as_ref(), MsgFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_cut_out_of_one_read() {
        let mut received = &b"\n:rp:{\"id\":1}\n:r2:[2]\n"[..];
        assert_eq!(take_request(&mut received), Some(("rp".into(), serde_json::json!({"id": 1}))));
        assert_eq!(take_request(&mut received), Some(("r2".into(), serde_json::json!([2]))));
        assert_eq!(take_request(&mut received), None);
        for refused in ["noise:rp:{}", ":rp:{\"id\":", ":rp:", ":rp", ":r3:no json"] {
            assert_eq!(take_request(&mut refused.as_bytes()), None, "{refused}");
        }
    }
}
