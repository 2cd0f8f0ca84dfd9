//! How the monitor of the daemon grows with the number of the daemon's processes.

use std::path::Path;

use suites::daemon::Daemon;

use crate::process::calls_of;
use crate::report::Report;
use crate::sip_probe::{Site, Variant};

/// Workers for UDP, and as many for TCP.
const WORKERS: [usize; 4] = [1, 8, 64, 200];

/// Prints the table, of the real daemon if there is one, else of the stand-in.
pub(crate) fn measure(agents: &Path, rounds: usize, report: &mut Report) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let stand_in = || program.parent().and_then(Daemon::stand_in);
    let daemon = Daemon::real().into_iter().next().or_else(stand_in).ok_or("no OpenSIPS")?;
    let agent = agents.join("opensips");
    report.section("monitor of opensips with more and more workers");
    report.line(format!(
        "{}: so many workers for UDP and as many for TCP; the probe over UDP, level 0; {rounds} \
         rounds, one number of workers after the other.\n",
        daemon.name()
    ));
    let mut rows = Vec::new();
    for workers in WORKERS {
        let site = Site::start(&agent, &daemon, workers)?;
        let row = row(&site, workers, rounds);
        site.run("stop")?;
        rows.push(row?);
    }
    let head =
        ["workers", "wall ms, min / median / max", "CPU ms, min / median / max", "system calls"];
    report.table(&head, &rows);
    Ok(())
}

fn row(site: &Site<'_>, workers: usize, rounds: usize) -> Result<Vec<String>, String> {
    let mut variant = Variant::new("over UDP", "auto", "0");
    for _ in 0..rounds {
        site.measure(&mut variant)?;
    }
    let calls = calls_of(&site.host, &site.command("monitor", "auto", "0"))?;
    let (wall, cpu) = (variant.wall.spread(), variant.cpu.spread());
    Ok(vec![workers.to_string(), wall, cpu, calls.len().to_string()])
}
