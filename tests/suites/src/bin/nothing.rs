//! A resource agent that does nothing but remember that it was started: what a move of it takes is
//! what Pacemaker takes. `bench` compares with it; it writes the time at which a stop began and a
//! start ended into its record.

use std::fs::OpenOptions;
use std::io::{Result, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

const STATE: &str = "/run/nothing.started";
const RECORD: &str = "/run/nothing.record";
const OCF_ERR_UNIMPLEMENTED: u8 = 3;
const OCF_NOT_RUNNING: u8 = 7;

const METADATA: &str = r#"<?xml version="1.0"?>
<resource-agent name="nothing" version="1">
<version>1.1</version>
<longdesc lang="en">Does nothing.</longdesc>
<shortdesc lang="en">Does nothing</shortdesc>
<parameters/>
<actions>
<action name="start" timeout="20s"/>
<action name="stop" timeout="20s"/>
<action name="monitor" timeout="20s" interval="10s"/>
<action name="meta-data" timeout="5s"/>
</actions>
</resource-agent>
"#;

fn main() -> ExitCode {
    perform(&std::env::args().nth(1).unwrap_or_default()).unwrap_or(ExitCode::FAILURE)
}

fn perform(action: &str) -> Result<ExitCode> {
    match action {
        "start" => {
            std::fs::write(STATE, "")?;
            record(action)?;
        }
        "stop" if Path::new(STATE).exists() => {
            record(action)?;
            std::fs::remove_file(STATE)?;
        }
        "stop" => {}
        "monitor" if Path::new(STATE).exists() => {}
        "monitor" => return Ok(ExitCode::from(OCF_NOT_RUNNING)),
        "meta-data" => print!("{METADATA}"),
        _ => return Ok(ExitCode::from(OCF_ERR_UNIMPLEMENTED)),
    }
    Ok(ExitCode::SUCCESS)
}

/// A line: the action, microseconds since the epoch.
fn record(action: &str) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut file = OpenOptions::new().create(true).append(true).open(RECORD)?;
    writeln!(file, "{action} {}", now.as_micros())
}
