//! What a monitor asks of the kernel: one link, its IPv4 addresses. For counting system calls:
//! `strace -f -c target/debug/examples/monitor eth0`.

use std::time::Duration;

use deadline::Deadline;
use hostnet::{Family, Netlink};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "lo".to_owned()).parse()?;
    let until = Deadline::after(Duration::from_secs(5));
    let netlink = Netlink::open()?;
    let Some(link) = netlink.link_by_name(&name, until)? else {
        println!("no interface {name}");
        return Ok(());
    };
    let state = if link.usable() { "usable" } else { "not usable" };
    println!("{}: {} {state}", link.index, link.name);
    for address in netlink.addresses(Family::V4, Some(link.index), until)? {
        println!("{}/{}", address.ip, address.prefix);
    }
    Ok(())
}
