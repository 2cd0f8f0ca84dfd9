//! A resource agent that does nothing but remember its role: what a move of it takes is what Pacemaker
//! takes. `bench` compares with it. It writes the time at which a stop began and a start ended into its
//! record. Under the name of one of our agents it has that agent's meta-data, so that the examples can be
//! run with it.

use std::fs::OpenOptions;
use std::io::{Error, Result, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const OCF_ERR_UNIMPLEMENTED: u8 = 3;
const OCF_NOT_RUNNING: u8 = 7;
const OCF_RUNNING_PROMOTED: u8 = 8;

const VIP: &str = include_str!("../../../../ocf/opensips-vip.xml");
const OPENSIPS: &str = include_str!("../../../../ocf/opensips.xml");
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
    let mut words = std::env::args();
    let name = words.next().unwrap_or_default();
    let metadata = match Path::new(&name).file_name().and_then(|name| name.to_str()) {
        Some("opensips-vip") => VIP,
        Some("opensips") => OPENSIPS,
        _ => METADATA,
    };
    let instance = std::env::var("OCF_RESOURCE_INSTANCE").unwrap_or_default();
    let action = words.next().unwrap_or_default();
    Instance(instance).perform(&action, metadata).unwrap_or(ExitCode::FAILURE)
}

/// A resource, by its name.
struct Instance(String);

impl Instance {
    fn perform(&self, action: &str, metadata: &str) -> Result<ExitCode> {
        let (started, promoted) = (self.file("started"), self.file("promoted"));
        match action {
            "start" => {
                std::fs::write(started, "")?;
                publish_score()?;
                self.record(action)?;
            }
            "stop" if started.exists() => {
                self.record(action)?;
                let _ = std::fs::remove_file(promoted);
                std::fs::remove_file(started)?;
            }
            "stop" => {}
            "promote" => std::fs::write(promoted, "")?,
            "demote" => drop(std::fs::remove_file(promoted)),
            "monitor" if promoted.exists() => return Ok(ExitCode::from(OCF_RUNNING_PROMOTED)),
            "monitor" if started.exists() => {}
            "monitor" => return Ok(ExitCode::from(OCF_NOT_RUNNING)),
            "meta-data" => print!("{metadata}"),
            _ => return Ok(ExitCode::from(OCF_ERR_UNIMPLEMENTED)),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn file(&self, what: &str) -> PathBuf {
        PathBuf::from(format!("/run/{}.{what}", self.0))
    }

    /// A line: the action, microseconds since the epoch.
    fn record(&self, action: &str) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut file = OpenOptions::new().create(true).append(true).open(self.file("record"))?;
        writeln!(file, "{action} {}", now.as_micros())
    }
}

/// Without a promotion score no instance is promoted. It is the same everywhere and always.
fn publish_score() -> Result<()> {
    if std::env::var("OCF_RESKEY_CRM_meta_promotable").is_ok_and(|value| value == "true") {
        let mut command = Command::new("crm_attribute");
        command.args(["--promotion", "--lifetime", "reboot", "--update", "9000"]);
        let status = command.stdout(Stdio::null()).status()?;
        return status.success().then_some(()).ok_or_else(|| Error::other("crm_attribute"));
    }
    Ok(())
}
