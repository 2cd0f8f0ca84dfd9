//! The neighbour that asks ARP for the virtual IP address four times a second, and notes who answers
//! each question. Two answers to one question are two owners.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lab::{HostNumber, Lab, Network};

use crate::scenario::VIP;

/// arping asks once a second: so many of them, one after the other, ask four times.
const ASKERS: u32 = 4;

/// A question, and the hardware addresses that answered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When it was seen on the wire.
    pub at: Instant,
    /// Who answered.
    pub answered: BTreeSet<String>,
}

type Noted = Arc<Mutex<Vec<Asked>>>;

/// The neighbour at work.
#[derive(Debug)]
pub struct Owners {
    processes: Vec<Child>,
    reader: Option<JoinHandle<()>>,
    noted: Noted,
}

impl Owners {
    /// Starts to ask.
    ///
    /// # Errors
    /// The client's host can't be entered, or lacks arping or tcpdump.
    pub fn start(lab: &Lab) -> Result<Self, String> {
        let noted = Noted::default();
        let mut owners = Self { processes: Vec::new(), reader: None, noted: Arc::clone(&noted) };
        let mut tcpdump = Command::new("tcpdump");
        tcpdump.args(["-i", "eth0", "-e", "-n", "-l", "arp"]);
        tcpdump.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut listener = lab.spawn("client", &mut tcpdump).map_err(|e| e.to_string())?;
        let stdout = listener.stdout.take();
        owners.processes.push(listener);
        owners.reader = Some(std::thread::spawn(move || listen(stdout, &noted)));
        for _ in 0..ASKERS {
            let mut arping = Command::new("arping");
            arping.args(["-b", "-I", "eth0", &VIP.to_string()]);
            arping.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            owners.processes.push(lab.spawn("client", &mut arping).map_err(|e| e.to_string())?);
            std::thread::sleep(Duration::from_secs(1) / ASKERS);
        }
        Ok(owners)
    }

    /// All that was asked so far.
    #[must_use]
    pub fn so_far(&self) -> Vec<Asked> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who answered in the last `span`.
    #[must_use]
    pub fn lately(&self, span: Duration) -> BTreeSet<String> {
        let now = Instant::now();
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let late = noted.iter().rev().take_while(|asked| now - asked.at < span);
        late.flat_map(|asked| asked.answered.iter().map(|mac| host(mac))).collect()
    }
}

impl Drop for Owners {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

/// The node with that hardware address on the public network; else the address.
#[must_use]
pub fn host(mac: &str) -> String {
    (1..=16)
        .find(|number| Network::Public.mac(HostNumber::node(*number)) == mac)
        .map_or_else(|| mac.to_owned(), |number| format!("node{number}"))
}

fn listen(stdout: Option<ChildStdout>, noted: &Noted) {
    let Some(stdout) = stdout else { return };
    let client = Network::Public.mac(HostNumber::CLIENT);
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
        note(&line, &client, Instant::now(), &mut noted);
    }
}

/// A line of `tcpdump -e -n arp`: `07:45:05.28 02:00:00:00:01:01 > ff:ff:ff:ff:ff:ff, ethertype ARP
/// (0x0806), length 42: Request who-has 192.0.2.10 tell 192.0.2.1, length 28`, or `… > …: Reply
/// 192.0.2.10 is-at 02:00:00:00:01:0b, length 28`. Announcements to all are no answers.
fn note(line: &str, client: &str, at: Instant, noted: &mut Vec<Asked>) {
    let mut words = line.split_whitespace().skip(1);
    let (Some(from), Some(to)) = (words.next(), words.nth(1)) else { return };
    if from == client && line.contains(&format!("Request who-has {VIP} ")) {
        noted.push(Asked { at, answered: BTreeSet::new() });
    }
    let reply = format!("Reply {VIP} is-at ");
    if to.trim_end_matches(',') == client
        && let Some((_, owner)) = line.split_once(&reply)
        && let Some(asked) = noted.last_mut()
    {
        let owner = owner.split([',', ' ']).next().unwrap_or_default();
        asked.answered.insert(owner.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_belong_to_their_question() {
        let client = "02:00:00:00:01:01";
        let request = format!(
            "07:45:05.2 {client} > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42: Request who-has 192.0.2.10 (ff:ff:ff:ff:ff:ff) tell 192.0.2.1, length 28"
        );
        let reply = |mac: &str| {
            format!(
                "07:45:05.2 {mac} > {client}, ethertype ARP (0x0806), length 42: Reply 192.0.2.10 is-at {mac}, length 28"
            )
        };
        let to_all =
            reply("02:00:00:00:01:0c").replace(&format!("> {client}"), "> ff:ff:ff:ff:ff:ff");
        let other = request.replace("192.0.2.10 ", "192.0.2.100 ");
        let mut noted = Vec::new();
        let lines = [
            reply("02:00:00:00:01:0b"),
            request.clone(),
            reply("02:00:00:00:01:0b"),
            to_all,
            other,
            request,
            reply("02:00:00:00:01:0b"),
            reply("02:00:00:00:01:0c"),
        ];
        for line in lines {
            note(&line, client, Instant::now(), &mut noted);
        }
        let answered: Vec<Vec<String>> = noted
            .iter()
            .map(|asked| asked.answered.iter().map(|mac| host(mac)).collect())
            .collect();
        assert_eq!(
            answered,
            [vec!["node1".to_owned()], vec!["node1".to_owned(), "node2".to_owned()]]
        );
        assert_eq!(host("02:00:00:00:01:63"), "02:00:00:00:01:63");
    }
}
