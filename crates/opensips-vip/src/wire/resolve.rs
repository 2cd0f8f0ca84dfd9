//! Resolves the MAC addresses of neighbours.

use std::net::IpAddr;
use std::time::Duration;

use deadline::Deadline;
use hostnet::{MacAddress, PacketSocket, Result, arp, ndisc};

use super::claimed_by;

/// Sends a request from the VIP to each of the neighbours and returns the MAC addresses of those that
/// have answered in that time. A neighbour that answers has also learned where the VIP is.
///
/// # Errors
/// Those of the socket.
pub(crate) fn resolve(
    socket: &mut PacketSocket,
    (vip, mac): (IpAddr, MacAddress),
    neighbours: &[IpAddr],
    timeout: Duration,
) -> Result<Vec<(IpAddr, MacAddress)>> {
    let until = Deadline::after(timeout);
    for neighbour in neighbours {
        match (vip, neighbour) {
            (IpAddr::V4(vip), IpAddr::V4(to)) => socket.send(&arp::request(mac, vip, *to))?,
            (IpAddr::V6(vip), IpAddr::V6(to)) => socket.send(&ndisc::request(mac, vip, *to))?,
            _ => {}
        }
    }
    let mut found: Vec<(IpAddr, MacAddress)> = Vec::new();
    while found.len() < neighbours.len()
        && let Some(frame) = socket.receive(until)?
    {
        for neighbour in neighbours {
            if let Some(mac) = claimed_by(&frame, *neighbour)
                && !found.iter().any(|(known, _)| known == neighbour)
            {
                found.push((*neighbour, mac));
            }
        }
    }
    Ok(found)
}
