//! The rack's control socket: what the `lab` commands and the library ask for. The nodes don't
//! see it.

use std::{
    io::BufReader,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    error::{Error, Result, at},
    message::{self, text},
    network::Network,
    rack::Rack,
    state::Directory,
};

/// How long a `lab` command waits for the rack; a boot is given time on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The state is told at once by a healthy rack, unless it waits for the end of killed processes.
const STATUS_PATIENCE: Duration = Duration::from_secs(90);

/// Answers one request per connection, each on a thread of its own.
pub(crate) fn serve(rack: &Arc<Rack>, listener: &UnixListener) {
    for stream in listener.incoming().flatten() {
        let rack = Arc::clone(rack);
        thread::spawn(move || {
            if let Err(error) = answer(&rack, &stream) {
                eprintln!("control: {error}");
            }
        });
    }
}

fn answer(rack: &Rack, mut stream: &UnixStream) -> Result<()> {
    let Some(request) = message::receive(&mut BufReader::new(stream))? else {
        return Ok(());
    };
    // Waiting programs ask for the status many times a second.
    if text(&request, "do")? != "status" {
        eprintln!("control: {request}");
    }
    let result = perform(rack, &request, &|host, what| {
        let _ = message::send(&mut { stream }, &message::event(host, what));
    });
    // An asker that no longer listens has its request done all the same.
    let _ = message::send(&mut stream, &message::reply(&result));
    Ok(())
}

fn perform(rack: &Rack, request: &Value, report: &dyn Fn(&str, &str)) -> Result<Value> {
    let host = || text(request, "host");
    let network = || text(request, "network")?.parse::<Network>();
    match text(request, "do")? {
        "status" => return Ok(rack.hosts().describe()),
        "kill" => {
            let hosts = &mut rack.hosts();
            if !hosts.is_on(host()?)? {
                return Err(Error::PowerOff { host: host()?.to_owned() });
            }
            hosts.cut(host()?)?;
        }
        "boot" => {
            let host = host()?;
            rack.boot(host, &|what| report(host, what))?;
        }
        "reinstall" => rack.reinstall(host()?, Path::new(text(request, "root")?))?,
        "plug" => rack.hosts().rewire(host()?, network()?, |cable| cable.plugged = true)?,
        "unplug" => {
            rack.hosts().rewire(host()?, network()?, |cable| cable.plugged = false)?;
        }
        "split" => rack.hosts().rewire(host()?, network()?, |cable| cable.split = true)?,
        "heal" => heal(rack)?,
        other => return Err(Error::Message(other.to_owned())),
    }
    Ok(json!(null))
}

fn heal(rack: &Rack) -> Result<()> {
    let hosts = &mut rack.hosts();
    let names: Vec<String> = hosts.names().map(str::to_owned).collect();
    for name in names {
        for network in Network::ALL {
            match hosts.rewire(&name, network, |cable| cable.split = false) {
                Err(Error::NoCable { .. }) => {}
                result => result?,
            }
        }
    }
    Ok(())
}

/// Asks the rack of the lab in `directory`.
pub(crate) fn ask(
    directory: &Directory,
    request: &Value,
    on_event: impl FnMut(&str, &str),
) -> Result<Value> {
    let path = directory.control_socket();
    let mut stream = UnixStream::connect(&path).map_err(at(&path))?;
    let patience = if text(request, "do")? == "status" { STATUS_PATIENCE } else { PATIENCE };
    stream.set_read_timeout(Some(patience)).map_err(at(&path))?;
    message::send(&mut stream, request).map_err(at(path))?;
    message::receive_reply(&mut BufReader::new(stream), on_event).map_err(|error| match error {
        Error::Message(words) => Error::NoAnswer(words, directory.log()),
        other => other,
    })
}
