//! `lab up` from the outside: cleans what a crashed lab left, starts the rack, and listens to it.

use std::{
    fs::File,
    io::BufReader,
    os::unix::net::UnixStream,
    process::{Child, Command},
    time::Duration,
};

use serde_json::json;

use crate::{
    control,
    error::{Error, Result, at},
    hosts::CLIENT,
    message,
    namespaces::spawn_first,
    options::Options,
    requirements,
    state::{Directory, Lock, Process},
};

/// How long the rack may be silent while it starts a lab.
const PATIENCE: Duration = Duration::from_secs(300);

/// The starter's side of a rack: while it isn't kept, its end is the lab's end.
#[derive(Debug)]
pub(crate) struct Starter {
    pub(crate) rack: Child,
    stream: UnixStream,
}

/// Starts a rack. The lock is the caller's until the lab is up.
pub(crate) fn start(options: &Options) -> Result<(Directory, Lock, Starter)> {
    let directory = Directory::of(&options.place)?;
    requirements::check(options)?;
    let program = requirements::lab_program(options)?;
    let options = options.resolved()?;
    let lock = directory.lock()?;
    if let Some(hosts) = healthy(&directory) {
        return Err(Error::AlreadyUp { name: options.place.name.to_string(), hosts });
    }
    if let Some(rack) = directory.rack() {
        rack.kill_tree()?;
    }
    directory.empty()?;
    let starter = spawn_rack(&directory, &options, &Command::new(program));
    if starter.is_err() {
        let _ = directory.remove();
    }
    Ok((directory, lock, starter?))
}

/// The hosts of a lab that answers.
fn healthy(directory: &Directory) -> Option<String> {
    if !directory.rack()?.is_alive() {
        return None;
    }
    let hosts = control::ask(directory, &json!({"do": "status"}), |_, _| {}).ok()?;
    let names = hosts.as_array()?.iter().filter_map(|host| host.get("name")?.as_str());
    Some(names.filter(|name| *name != CLIENT).collect::<Vec<_>>().join(", "))
}

fn spawn_rack(directory: &Directory, options: &Options, program: &Command) -> Result<Starter> {
    let (stream, rack_end) = UnixStream::pair().map_err(at("socketpair"))?;
    let path = directory.log();
    let log = File::create(&path).map_err(at(&path))?;
    let errors = log.try_clone().map_err(at(&path))?;
    // Nothing of the caller's is held open by the lab: it may be a test behind a pipe.
    let mut command = Command::new(program.get_program());
    command.arg("rack").args(options.arguments()).current_dir("/").env("PATH", requirements::PATH);
    command.stdin(std::os::fd::OwnedFd::from(rack_end)).stdout(log).stderr(errors);
    let mut rack = spawn_first(&mut command, None)?;
    // `command` holds the rack's end of the socket, whose closing tells of the rack's end.
    drop(command);
    let recorded = i32::try_from(rack.id())
        .ok()
        .and_then(Process::of_child)
        .ok_or_else(|| Error::NoAnswer("it ended at once".to_owned(), path))
        .and_then(|process| directory.record_rack(process));
    if let Err(error) = recorded {
        let _ = rack.kill();
        let _ = rack.wait();
        return Err(error);
    }
    Ok(Starter { rack, stream })
}

impl Starter {
    /// Listens until the lab's hosts have booted.
    pub(crate) fn listen(
        &self,
        directory: &Directory,
        on_event: impl FnMut(&str, &str),
    ) -> Result<()> {
        let path = directory.log();
        self.stream.set_read_timeout(Some(PATIENCE)).map_err(at(&path))?;
        match message::receive_reply(&mut BufReader::new(&self.stream), on_event) {
            Ok(_) => Ok(()),
            Err(Error::Message(words)) => {
                // The log goes with the failed lab: its last words are told now.
                let log = std::fs::read_to_string(&path).unwrap_or_default();
                let log_name = path.display().to_string();
                Err(Error::NoAnswer(words, path).with_log(log_name, &log))
            }
            Err(error) => Err(error),
        }
    }

    /// Lets the lab outlive the starter.
    pub(crate) fn keep(mut self, directory: &Directory) -> Result<()> {
        message::send(&mut self.stream, &json!("keep")).map_err(at(directory.log()))
    }
}
