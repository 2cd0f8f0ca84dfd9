//! SIP and MI as a caller sees them.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use testnet::wait_until;

use super::{FIFO, Instance};

/// How long an answer may take: only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long silence has to last to be believed: only tests of silence wait for it.
pub(crate) const SILENCE: Duration = Duration::from_secs(2);

/// The FIFO for replies; its directory is the daemon's `reply_dir`.
pub(crate) const REPLY: &str = "reply";

/// A request without a body.
pub(crate) fn request(method: &str, uri: &str, via: &str, hops: u32) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{via};branch=z9hG4bKcontract;rport\r\n\
         Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKearlier\r\n\
         From: <sip:contract@example.org>;tag=from\r\nTo: <{uri}>\r\nCall-ID: contract@test\r\n\
         CSeq: 1 {method}\r\nMax-Forwards: {hops}\r\nContent-Length: 0\r\n\r\n"
    )
}

impl Instance {
    /// Sends datagrams from one socket; the answer to the last within the time.
    pub(crate) fn exchange(
        &self,
        to: &str,
        datagrams: &[&str],
        within: Duration,
    ) -> Option<String> {
        let to: SocketAddr = to.parse().unwrap();
        self.host.run(|| {
            let local = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(local).unwrap();
            socket.set_read_timeout(Some(within)).unwrap();
            // Connected: an answer from another address does not count.
            socket.connect(to).unwrap();
            for datagram in datagrams {
                let via = format!("UDP {}", socket.local_addr().unwrap());
                socket.send(datagram.replace("UDP @", &via).as_bytes()).ok()?;
            }
            let mut buffer = vec![0; 65_535];
            let length = socket.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        })
    }

    /// The status code of the answer to a request over UDP.
    pub(crate) fn status(&self, to: &str, method: &str, uri: &str, hops: u32) -> Option<u16> {
        let answer = self.exchange(to, &[&request(method, uri, "UDP @", hops)], PATIENCE)?;
        answer.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// Whether OPTIONS over UDP is answered with 200.
    pub(crate) fn serves_udp(&self, to: &str) -> bool {
        self.status(to, "OPTIONS", "sip:example.org", 70) == Some(200)
    }

    /// Whether nothing answers OPTIONS over UDP.
    pub(crate) fn silent_udp(&self, to: &str) -> bool {
        let options = request("OPTIONS", "sip:example.org", "UDP @", 70);
        self.exchange(to, &[&options], SILENCE).is_none()
    }

    /// Sends over TCP; what comes back first.
    pub(crate) fn tcp(&self, to: &str, text: &str) -> Option<String> {
        let to: SocketAddr = to.parse().unwrap();
        self.host.run(|| {
            let mut stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(text.as_bytes()).ok()?;
            let mut buffer = vec![0; 65_535];
            let length = stream.read(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
        })
    }

    /// Whether OPTIONS over TCP is answered with 200.
    pub(crate) fn serves_tcp(&self, to: &str) -> bool {
        let options = request("OPTIONS", "sip:example.org", "TCP 127.0.0.1:9", 70);
        self.tcp(to, &options).is_some_and(|answer| answer.starts_with("SIP/2.0 200 "))
    }

    /// An MI command through the FIFO; the whole response. Not for 2.x.
    pub(crate) fn mi(&self, method: &str, parameters: Value) -> Value {
        let mut request = json!({"jsonrpc": "2.0", "id": 7, "method": method});
        if !parameters.is_null() {
            request["params"] = parameters;
        }
        let text = self.fifo(&format!(":{REPLY}:{request}"), PATIENCE);
        let text = text.unwrap_or_else(|| panic!("no answer to MI {method}"));
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("MI {method}: {text:?}"))
    }

    /// The processes that the daemon's `ps` tells: pid and kind, the attendant first.
    pub(crate) fn ps(&self) -> Vec<(i32, String)> {
        if self.daemon.version.has_json_mi() {
            let answer = self.mi("ps", Value::Null);
            let list = answer["result"]["Processes"].as_array().unwrap().iter();
            let pid = |entry: &Value| i32::try_from(entry["PID"].as_i64().unwrap()).unwrap();
            return list
                .map(|entry| (pid(entry), entry["Type"].as_str().unwrap().to_owned()))
                .collect();
        }
        // `Process::  ID=4 PID=12 Type=SIP receiver udp:127.0.0.1:5060 `
        let text = self.fifo(&format!(":ps:{REPLY}\n\n"), PATIENCE).expect("an answer to ps");
        let entries =
            text.lines().filter_map(|line| line.split_once(" PID=")?.1.split_once(" Type="));
        entries.map(|(pid, kind)| (pid.parse().unwrap(), kind.trim_end().to_owned())).collect()
    }

    /// Whether the MI answers, in the form of the version.
    pub(crate) fn mi_answers(&self) -> bool {
        if self.daemon.version.has_json_mi() {
            return self.mi("uptime", Value::Null)["result"].is_object();
        }
        let text = self.fifo(&format!(":uptime:{REPLY}\n\n"), PATIENCE);
        text.is_some_and(|text| text.starts_with("200 OK\n"))
    }

    /// Writes into the daemon's FIFO what asks for a reply into the FIFO [`REPLY`] beside it.
    pub(crate) fn fifo(&self, request: &str, within: Duration) -> Option<String> {
        // Made after the start command has returned.
        wait_until("the FIFO is there", PATIENCE, || self.exists(FIFO));
        self.host.run(|| {
            let path = format!("/run/opensips/{REPLY}");
            let _ = fs::remove_file(&path);
            mkfifo(path.as_str(), Mode::from_bits_truncate(0o666)).unwrap();
            // Both ends, so that opening does not wait for the daemon's.
            let mut reply = fs::File::options().read(true).write(true).open(path).unwrap();
            let mut fifo = fs::File::options().write(true).open(FIFO).unwrap();
            // In one write: the daemon takes what one read gives for the whole request.
            fifo.write_all(request.as_bytes()).unwrap();
            let (answer, wait) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                let mut buffer = vec![0; 65_536];
                let length = reply.read(&mut buffer).unwrap_or(0);
                let _ = answer.send(String::from_utf8_lossy(&buffer[..length]).into_owned());
            });
            wait.recv_timeout(within).ok()
        })
    }
}
