//! The Management Interface does not answer, beside a SIP server that does.

use std::thread::sleep;
use std::time::Duration;

use super::sequence::Sequence;
use crate::site::setup::{Configuration, Setup};
use crate::site::{NODES, Site};

const BOTH: &[Setup] =
    &[Setup::fenced(Configuration::ActiveStandby), Setup::fenced(Configuration::HotStandby)];

/// Where both examples have it.
const FIFO: &str = "/run/opensips/opensips_fifo";

pub(super) const SEQUENCES: &[Sequence] = &[
    Sequence {
        name: "mi-mistyped",
        what: "an administrator gives the parameter mi with a typing error",
        setups: BOTH,
        prepare: with_management,
        strike: mistype,
        lasts: Duration::from_secs(60),
        // The new value may cost one restart.
        noise: Duration::from_secs(2),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "mi-fifo-removed",
        what: "a cleaner of temporary files removes the FIFO of the active OpenSIPS",
        setups: BOTH,
        prepare: with_management,
        strike: remove_fifo,
        lasts: Duration::from_secs(60),
        silent_at_most: Some(Duration::ZERO),
        ..Sequence::DEFAULT
    },
    Sequence {
        name: "mi-busy-12",
        what: "a hung client keeps the Management Interface busy for 12 s of each 16, three times, on both nodes",
        setups: BOTH,
        prepare: with_management,
        meanwhile: busy,
        lasts: Duration::from_secs(45),
        silent_at_most: Some(Duration::ZERO),
        ..Sequence::DEFAULT
    },
];

/// The hot standby has it already; the other example gets it, with monitors of level 10.
fn with_management(site: &Site) -> Result<(), String> {
    if !site.is_ours() || site.is_hot() {
        return Ok(());
    }
    update(site, &format!("mi=fifo:{FIFO} op monitor interval=10s timeout=20s OCF_CHECK_LEVEL=10"))
}

fn mistype(site: &Site) -> Result<(), String> {
    if site.is_ours() { update(site, "mi=fifo:/run/opensips/opensips_fif0") } else { Ok(()) }
}

fn update(site: &Site, words: &str) -> Result<(), String> {
    site.shell(site.idle(), &format!("pcs resource update opensips {words}")).map(drop)
}

fn remove_fifo(site: &Site) -> Result<(), String> {
    site.run(&site.active(), &["rm", "-f", FIFO]).map(drop)
}

/// A round: 12 s busy, 4 s not.
fn busy(site: &Site) -> Result<(), String> {
    for node in NODES {
        site.run(node, &["sh", "-c", &hung(site)])?;
    }
    sleep(Duration::from_secs(16));
    Ok(())
}

/// A client that sends requests and never reads an answer: for each, the process of the interface
/// tries five times, 80 ms apart, to open the client's FIFO, and meanwhile serves nobody else.
fn hung(site: &Site) -> String {
    // As the examples have it; without the parameter, the module's default.
    let replies = if site.is_hot() { "/run/smartvox/mi" } else { "/tmp" };
    let request = r#":hung:{"jsonrpc":"2.0","id":1,"method":"version"}"#;
    format!(
        "[ -p {replies}/hung ] || mkfifo -m 666 {replies}/hung
        for _ in $(seq 30); do
            [ -p {FIFO} ] || break
            timeout 5 sh -c 'printf %s \"$1\" > {FIFO}' sh '{request}'
        done"
    )
}
