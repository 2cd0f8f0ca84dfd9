//! Two telephones behind the virtual IP: as much of RFC 3261 as it takes to register, and to set up
//! and end a call through a proxy that records its route.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use lab::Lab;
use nix::sched::{CloneFlags, setns};
use suites::scenario::{VIP, sip};

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// RFC 3261, T1: how soon a request is sent again.
const RETRANSMIT: Duration = Duration::from_millis(500);
/// RFC 3261, timers B and F: 64 times T1.
const PATIENCE: Duration = Duration::from_secs(32);

/// Alice calls, Bob is registered and answers.
pub(crate) struct Phones {
    alice: UdpSocket,
    bob: UdpSocket,
}

/// A call that is set up.
pub(crate) struct Call {
    id: String,
    /// Bob's tag and contact, and the route that the proxy recorded, as Alice has learnt them.
    to: String,
    contact: String,
    route: String,
}

impl Phones {
    /// Both on the client of the lab.
    pub(crate) fn new(lab: &Lab) -> Result<Self, String> {
        let netns = lab.netns_path("client").map_err(|error| error.to_string())?;
        let opened = std::thread::spawn(move || {
            let namespace = File::open(netns)?;
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            let open = || {
                let socket = UdpSocket::bind((CLIENT, 0))?;
                socket.set_read_timeout(Some(Duration::from_millis(50)))?;
                Ok::<_, std::io::Error>(socket)
            };
            Ok::<_, std::io::Error>(Self { alice: open()?, bob: open()? })
        });
        opened.join().map_err(|_| "panic")?.map_err(|error| format!("sockets: {error}"))
    }

    /// Bob tells the registrar where he is.
    pub(crate) fn register(&self) -> Result<(), String> {
        let id = unique();
        let request = format!(
            "REGISTER sip:{VIP} SIP/2.0\r\n{}From: <sip:bob@{VIP}>;tag=b\r\nTo: <sip:bob@{VIP}>\r\n\
             Call-ID: {id}\r\nCSeq: 1 REGISTER\r\nContact: <sip:bob@{}>\r\nExpires: 600\r\n\
             Content-Length: 0\r\n\r\n",
            via(&self.bob)?,
            local(&self.bob)?
        );
        let reply = self.exchange(&self.bob, &request, &id, "REGISTER")?;
        status(&reply, "200").map(drop)
    }

    /// Alice calls Bob, who answers at once.
    pub(crate) fn call(&self) -> Result<Call, String> {
        let id = unique();
        let invite = format!(
            "INVITE sip:bob@{VIP} SIP/2.0\r\n{}From: <sip:alice@{VIP}>;tag=a\r\n\
             To: <sip:bob@{VIP}>\r\nCall-ID: {id}\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@{}>\r\n\
             Content-Length: 0\r\n\r\n",
            via(&self.alice)?,
            local(&self.alice)?
        );
        let reply = self.exchange(&self.alice, &invite, &id, "INVITE")?;
        status(&reply, "200")?;
        let one = |name: &'static str| {
            headers(&reply, name).next().ok_or_else(|| format!("no {name} in\n{reply}"))
        };
        let contact = one("Contact")?.trim_matches(['<', '>']).to_owned();
        // One proxy, so one route, in whichever order.
        let route = headers(&reply, "Record-Route").collect::<Vec<_>>().join(", ");
        if !route.contains(&VIP.to_string()) {
            return Err(format!("the route {route:?} does not lead through the virtual IP"));
        }
        let call = Call { to: one("To")?.to_owned(), contact, route, id };
        let ack = self.within(&call, "ACK", 1)?;
        self.alice.send_to(ack.as_bytes(), sip()).map_err(|error| error.to_string())?;
        self.bob_hears(&call.id, "ACK")?;
        Ok(call)
    }

    /// Alice hangs up, and Bob hears it.
    pub(crate) fn hang_up(&self, call: &Call) -> Result<(), String> {
        let bye = self.within(call, "BYE", 2)?;
        let reply = self.exchange(&self.alice, &bye, &call.id, "BYE")?;
        status(&reply, "200").map(drop)
    }

    /// A request within the call.
    fn within(&self, call: &Call, method: &str, sequence: u32) -> Result<String, String> {
        Ok(format!(
            "{method} {} SIP/2.0\r\n{}Route: {}\r\nFrom: <sip:alice@{VIP}>;tag=a\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {sequence} {method}\r\nContent-Length: 0\r\n\r\n",
            call.contact,
            via(&self.alice)?,
            call.route,
            call.to,
            call.id
        ))
    }

    /// Sends until there is a final answer; meanwhile Bob answers what he hears.
    fn exchange(
        &self,
        from: &UdpSocket,
        request: &str,
        id: &str,
        method: &str,
    ) -> Result<String, String> {
        let begun = Instant::now();
        let mut sent: Option<Instant> = None;
        while begun.elapsed() < PATIENCE {
            if sent.is_none_or(|at| at.elapsed() > RETRANSMIT) {
                // An address without owner for the moment: sent again.
                let _ = from.send_to(request.as_bytes(), sip());
                sent = Some(Instant::now());
            }
            if !std::ptr::eq(from, &self.bob) {
                self.bob_answers()?;
            }
            let Some((reply, _)) = receive(from) else { continue };
            let ours = headers(&reply, "Call-ID").any(|found| found == id)
                && headers(&reply, "CSeq").any(|found| found.ends_with(method));
            if ours && reply.starts_with("SIP/2.0 ") && !reply.starts_with("SIP/2.0 1") {
                return Ok(reply);
            }
        }
        Err(format!("no answer to {method} within {PATIENCE:?}"))
    }

    fn bob_hears(&self, id: &str, method: &str) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some((request, _)) = receive(&self.bob)
                && request.starts_with(&format!("{method} "))
                && headers(&request, "Call-ID").any(|found| found == id)
            {
                return Ok(());
            }
        }
        Err(format!("Bob has not heard {method}"))
    }

    /// Bob says 200 to whatever he is asked.
    fn bob_answers(&self) -> Result<(), String> {
        let Some((request, from)) = receive(&self.bob) else { return Ok(()) };
        if request.starts_with("SIP/2.0 ") || request.starts_with("ACK ") {
            return Ok(());
        }
        let mut reply = "SIP/2.0 200 OK\r\n".to_owned();
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in headers(&request, name) {
                let tag = if name == "To" && !value.contains(";tag=") { ";tag=b" } else { "" };
                reply += &format!("{name}: {value}{tag}\r\n");
            }
        }
        let contact = local(&self.bob)?;
        reply += &format!("Contact: <sip:bob@{contact}>\r\nContent-Length: 0\r\n\r\n");
        self.bob.send_to(reply.as_bytes(), from).map(drop).map_err(|error| error.to_string())
    }
}

fn receive(socket: &UdpSocket) -> Option<(String, SocketAddr)> {
    let mut buffer = vec![0; 65_536];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    buffer.truncate(length);
    Some((String::from_utf8(buffer).ok()?, from))
}

fn headers<'a>(message: &'a str, name: &'static str) -> impl Iterator<Item = &'a str> {
    message.lines().filter_map(move |line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn status<'a>(reply: &'a str, code: &str) -> Result<&'a str, String> {
    if reply.starts_with(&format!("SIP/2.0 {code} ")) { Ok(reply) } else { Err(reply.to_owned()) }
}

fn local(socket: &UdpSocket) -> Result<SocketAddr, String> {
    socket.local_addr().map_err(|error| error.to_string())
}

fn via(socket: &UdpSocket) -> Result<String, String> {
    let (local, branch) = (local(socket)?, unique());
    Ok(format!("Via: SIP/2.0/UDP {local};rport;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n"))
}

/// Differs from every other one of this test.
fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
