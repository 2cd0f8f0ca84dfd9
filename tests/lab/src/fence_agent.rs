//! `fence_lab`: the fence agent of the lab's power switch (Fence Agent API of ClusterLabs:
//! options, or key=value lines on standard input; exit 0 success, 1 failure, 2 status "off").

use std::{ffi::OsString, io::BufRead, path::Path, process::ExitCode};

use crate::{
    error::{Error, Result},
    power_switch::{self, SOCKET_IN_NODES},
};

/// What `fence_lab -o metadata` prints.
const METADATA: &str = r#"<?xml version="1.0" ?>
<resource-agent name="fence_lab" shortdesc="Fence agent for the power switch of a lab">
<longdesc>fence_lab cuts and restores the power of the nodes of a cluster that `lab up` started. The power switch is outside of the nodes; it ignores requests of nodes that are dead by the time their turn comes.</longdesc>
<vendor-url></vendor-url>
<parameters>
	<parameter name="action" unique="0" required="1">
		<getopt mixed="-o, --action=[action]" />
		<content type="string" default="reboot" />
		<shortdesc lang="en">Fencing action</shortdesc>
	</parameter>
	<parameter name="plug" unique="0" required="1" obsoletes="port">
		<getopt mixed="-n, --plug=[id]" />
		<content type="string" />
		<shortdesc lang="en">Name of the node in the lab</shortdesc>
	</parameter>
	<parameter name="port" unique="0" required="1" deprecated="1">
		<getopt mixed="-n, --plug=[id]" />
		<content type="string" />
		<shortdesc lang="en">Name of the node in the lab</shortdesc>
	</parameter>
</parameters>
<actions>
	<action name="on" automatic="0"/>
	<action name="off" />
	<action name="reboot" />
	<action name="status" />
	<action name="list" />
	<action name="list-status" />
	<action name="monitor" />
	<action name="metadata" />
	<action name="validate-all" />
</actions>
</resource-agent>
"#;

/// What the agent is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    action: String,
    plug: Option<String>,
}

/// The agent.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<String> =
        arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let request = if arguments.is_empty() {
        from_lines(std::io::stdin().lock())
    } else {
        from_options(&arguments)
    };
    match perform(&request) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("fence_lab: {error}");
            ExitCode::FAILURE
        }
    }
}

fn perform(Request { action, plug }: &Request) -> Result<ExitCode> {
    let ask = |action, plug| power_switch::ask(Path::new(SOCKET_IN_NODES), action, plug);
    let plug = || plug.as_deref().ok_or_else(|| Error::Message(format!("{action} needs a plug")));
    match action.as_str() {
        "metadata" => print!("{METADATA}"),
        "monitor" => drop(ask("list", None)?),
        "list" | "list-status" => {
            for name in ask("list", None)?.as_array().into_iter().flatten() {
                let name = name.as_str().unwrap_or_default();
                if action == "list" {
                    println!("{name},");
                } else {
                    println!("{name},,{}", on_or_off(ask("status", Some(name))? == true));
                }
            }
        }
        "status" => {
            let on = ask("status", Some(plug()?))? == true;
            println!("Status: {}", on_or_off(on).to_uppercase());
            return Ok(if on { ExitCode::SUCCESS } else { ExitCode::from(2) });
        }
        "on" | "off" | "reboot" => drop(ask(action, Some(plug()?))?),
        "validate-all" => drop(plug()?),
        other => return Err(Error::Message(format!("unknown action {other}"))),
    }
    Ok(ExitCode::SUCCESS)
}

const fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

impl Request {
    fn new() -> Self {
        Self { action: "reboot".to_owned(), plug: None }
    }

    fn set(&mut self, key: &str, value: &str) {
        match key {
            "action" | "option" | "o" => value.clone_into(&mut self.action),
            // Pacemaker sends the target as nodename too; plug, from pcmk_host_map, wins.
            "plug" | "port" | "n" => self.plug = Some(value.to_owned()),
            "nodename" => {
                self.plug.get_or_insert_with(|| value.to_owned());
            }
            _ => {}
        }
    }
}

/// As Pacemaker asks: key=value lines; unknown keys are for other agents.
fn from_lines(lines: impl BufRead) -> Request {
    let mut request = Request::new();
    for line in lines.lines().map_while(std::io::Result::ok) {
        if let Some((key, value)) = line.trim().split_once('=') {
            request.set(key.trim(), value.trim().trim_matches('"'));
        }
    }
    request
}

/// As people ask: -o ACTION, --action ACTION, --action=ACTION, -n PLUG.
fn from_options(arguments: &[String]) -> Request {
    let mut request = Request::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let key = argument.trim_start_matches('-');
        if let Some((key, value)) = key.split_once('=') {
            request.set(key, value);
        } else if let Some(value) = arguments.next() {
            request.set(key, value);
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(action: &str, plug: &str) -> Request {
        Request { action: action.to_owned(), plug: Some(plug.to_owned()) }
    }

    #[test]
    fn pacemaker_s_lines() {
        let lines = "nodename=node1.example\nplug=node1\naction=off\npcmk_host_list=node1\n\n";
        assert_eq!(from_lines(lines.as_bytes()), request("off", "node1"));
        assert_eq!(from_lines("nodename=node2\n".as_bytes()), request("reboot", "node2"));
    }

    #[test]
    fn options() {
        let parse = |text: &str| {
            from_options(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(parse("-o status -n node1"), request("status", "node1"));
        assert_eq!(parse("--action=on --plug=node2"), request("on", "node2"));
        assert_eq!(parse("--action metadata").plug, None);
    }

    #[test]
    fn metadata_is_well_formed_and_names_the_plug() {
        let document = roxmltree::Document::parse(METADATA).unwrap();
        let named = |name| document.descendants().any(|node| node.attribute("name") == Some(name));
        assert!(["plug", "reboot", "monitor", "metadata"].into_iter().all(named));
    }
}
