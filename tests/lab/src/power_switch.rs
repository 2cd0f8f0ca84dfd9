//! The power switch that the fence agent asks: part of the rack, reached from each node through a
//! socket of its own.

use std::{
    io::BufReader,
    os::{
        fd::AsRawFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, recv},
};
use serde_json::{Value, json};

use crate::{
    error::{Error, Result, at},
    hosts::CLIENT,
    message::{self, text},
    rack::Rack,
};

/// The socket as the nodes see it.
pub(crate) const SOCKET_IN_NODES: &str = "/run/lab/power.socket";

/// How long an asker may take to say what it wants, and waits for the answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers one request per connection.
pub(crate) fn serve(rack: &Arc<Rack>, listener: &UnixListener) {
    for stream in listener.incoming().flatten() {
        let rack = Arc::clone(rack);
        thread::spawn(move || {
            if let Err(error) = answer(&rack, &stream) {
                eprintln!("power switch: {error}");
            }
        });
    }
}

fn answer(rack: &Arc<Rack>, mut stream: &UnixStream) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE)).map_err(at(SOCKET_IN_NODES))?;
    let Some(request) = message::receive(&mut BufReader::new(stream))? else {
        return Ok(());
    };
    let result = perform(rack, &request, stream);
    eprintln!("power switch: {request}: {}", message::reply(&result));
    // The asker may have cut its own power.
    let _ = message::send(&mut stream, &message::reply(&result));
    Ok(())
}

fn perform(rack: &Arc<Rack>, request: &Value, asker: &UnixStream) -> Result<Value> {
    let action = text(request, "do")?;
    let hosts = &mut rack.hosts();
    if action == "list" {
        return Ok(hosts.names().filter(|name| *name != CLIENT).collect());
    }
    let host = text(request, "host")?;
    let on = hosts.is_on(host)?;
    if action == "status" {
        return Ok(json!(on));
    }
    // With the switch in hand: if another's request cut the asker's power while this one waited
    // for its turn, this one came from a dead node. Two nodes that lose sight of each other ask
    // within a millisecond; both requests carried out would leave no node at all.
    if !is_there(asker) {
        return Err(Error::Refused(format!("{action} {host}: the asker is dead: ignored")));
    }
    if matches!(action, "off" | "reboot") {
        hosts.cut(host)?;
    }
    if action == "reboot" || (action == "on" && !on) {
        let booting = rack.switch_on(hosts, host)?;
        let (rack, host) = (Arc::clone(rack), host.to_owned());
        // As a real switch: the answer doesn't wait for the boot.
        thread::spawn(move || {
            let booted = rack.follow(&host, booting, &|what| eprintln!("{host}: {what}"));
            if let Err(error) = booted {
                eprintln!("power switch: {error}");
            }
        });
    }
    match action {
        "on" | "off" | "reboot" => Ok(json!(null)),
        other => Err(Error::Message(other.to_owned())),
    }
}

/// Whether the other end is open: the kernel closes it when the asker's node dies.
fn is_there(asker: &UnixStream) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    match recv(asker.as_raw_fd(), &mut [0], flags) {
        Ok(bytes) => bytes > 0,
        Err(errno) => errno == Errno::EAGAIN,
    }
}

/// Asks the power switch, from within a node.
pub(crate) fn ask(socket: &Path, action: &str, host: Option<&str>) -> Result<Value> {
    let mut stream = UnixStream::connect(socket).map_err(at(socket))?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(at(socket))?;
    message::send(&mut stream, &json!({"do": action, "host": host})).map_err(at(socket))?;
    message::receive_reply(&mut BufReader::new(stream), |_, _| {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asker_is_there_until_its_end_closes() {
        let (here, there) = UnixStream::pair().unwrap();
        assert!(is_there(&here));
        message::send(&mut &there, &json!({})).unwrap();
        assert!(is_there(&here));
        message::receive(&mut BufReader::new(&here)).unwrap();
        // Not dropped: a child that another test is just forking holds a copy until its exec.
        there.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(!is_there(&here));
    }
}
