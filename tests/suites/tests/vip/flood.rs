//! A neighbour that floods the link with frames that are wrong, or that concern nobody: it costs time, and changes
//! no verdict.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use testnet::Host;

use super::{Site, ends, instances, locks, recurring};

/// Sends its arguments as frames, again and again, with a millisecond between two rounds: a small machine has
/// other things to do, too.
const PROGRAM: &str = "
import socket, sys, time
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(('eth0', 0))
frames = [bytes.fromhex(word) for word in sys.argv[1:]]
print('ready', flush=True)
while True:
    for frame in frames:
        try:
            link.send(frame)
        except OSError:
            pass
    time.sleep(0.001)
";

const BROADCAST: [u8; 6] = [0xff; 6];
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x66];
const VIP: [u8; 4] = [192, 0, 2, 10];

struct Flood(Child);

impl Flood {
    fn start(host: &Host, frames: &[Vec<u8>]) -> Self {
        let hex = |frame: &Vec<u8>| frame.iter().map(|byte| format!("{byte:02x}")).collect();
        let frames: Vec<String> = frames.iter().map(hex).collect();
        let mut python = Command::new("python3");
        python.args(["-c", PROGRAM]).args(frames).stdout(Stdio::piped());
        let mut flood = Self(host.spawn(&mut python));
        let mut line = String::new();
        BufReader::new(flood.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        flood
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An ARP packet from the flooding host.
fn arp(operation: u8, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4, 0, operation];
    let packet = [&head[..], &MAC, &sender, &[0; 6], &target].concat();
    [&BROADCAST[..], &MAC, &[8, 6], &packet].concat()
}

/// With another byte at this place.
fn with(mut frame: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    frame[at] = byte;
    frame
}

/// What claims the VIP, damaged so that it claims nothing; and what claims or asks for other addresses.
fn frames() -> Vec<Vec<u8>> {
    let claim = || arp(1, VIP, VIP);
    let tagged = [&claim()[..12], &[0x81, 0, 0, 7], &claim()[12..]].concat();
    let other = [192, 0, 2, 77];
    vec![
        claim()[..41].to_vec(),
        claim()[..20].to_vec(),
        // Hardware, protocol, lengths, operation.
        with(claim(), 15, 6),
        with(claim(), 17, 0xdd),
        with(claim(), 18, 8),
        with(claim(), 19, 16),
        with(claim(), 21, 9),
        // Of a VLAN that this link does not have.
        tagged,
        arp(1, other, other),
        arp(2, other, [192, 0, 2, 1]),
        // Who has the VIP?
        arp(1, other, VIP),
        [&BROADCAST[..], &MAC, &[8, 6], &[0xff; 1400]].concat(),
    ]
}

#[test]
fn a_flood_of_wrong_frames_changes_no_verdict() {
    testnet::root_or_skip!();
    let site = Site::new();
    let agent = site.vip();
    let deep = || recurring(&agent.clone().env("OCF_CHECK_LEVEL", "10"));
    let flood = Flood::start(&site.b, &frames());
    ends(&agent.action("monitor"), 7);
    ends(&agent.action("start"), 0);
    ends(&recurring(&agent), 0);
    ends(&deep(), 0);
    assert_eq!(instances(&site.a), ["eth0 192.0.2.10/24"]);
    drop(flood);
    ends(&deep(), 0);
    let flood = Flood::start(&site.b, &frames());
    ends(&agent.action("stop"), 0);
    assert!(locks(&site.a).is_empty());
    drop(flood);
}
