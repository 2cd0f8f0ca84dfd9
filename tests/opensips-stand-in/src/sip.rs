//! Just enough of SIP (RFC 3261) to answer a request by itself: the first line, the header fields
//! that a response copies (section 8.2.6.2), and the place that the response goes to (18.2.2).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

/// A request, its header fields in their order with long names in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) uri: String,
    fields: Vec<(String, String)>,
}

/// What a message turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Request(Request),
    /// A response, or a keep-alive: nothing to answer, nothing to complain about.
    Silent,
    /// First line that is none, or a field missing that every request has.
    Bad,
}

/// The forms of one letter (RFC 3261 section 7.3.3) that matter here.
fn long_name(name: &str) -> String {
    match name.to_ascii_lowercase().as_str() {
        "v" => "via".to_owned(),
        "f" => "from".to_owned(),
        "t" => "to".to_owned(),
        "i" => "call-id".to_owned(),
        "l" => "content-length".to_owned(),
        other => other.to_owned(),
    }
}

/// Reads one message; what follows the header is not looked at.
pub(crate) fn parse(message: &[u8]) -> Message {
    let text = String::from_utf8_lossy(message);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    if head.trim().is_empty() || head.starts_with("SIP/2.0 ") {
        return Message::Silent;
    }
    // Folded lines (section 7.3.1) continue the field before them.
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let mut lines = unfolded.split("\r\n");
    let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, uri, "SIP/2.0"] = first.as_slice() else { return Message::Bad };
    let fields = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (long_name(name.trim()), value.trim().to_owned()))
        .collect();
    let request = Request { method: (*method).to_owned(), uri: (*uri).to_owned(), fields };
    let complete =
        ["via", "from", "to", "call-id", "cseq"].iter().all(|name| request.field(name).is_some());
    if complete { Message::Request(request) } else { Message::Bad }
}

impl Request {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn all<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r str> {
        let named = self.fields.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Whether the Request-URI has a user part.
    pub(crate) fn has_user(&self) -> bool {
        self.uri.contains('@')
    }

    /// The status that [`crate::ConfigFile`]'s script gives, None where it stays silent.
    pub(crate) fn status(&self) -> Option<u16> {
        let hops = self.field("max-forwards").and_then(|hops| hops.parse::<u32>().ok());
        match self.method.as_str() {
            "ACK" => None,
            _ if hops == Some(0) => Some(483),
            "OPTIONS" | "INVITE" | "BYE" => Some(200),
            _ if self.has_user() => Some(404),
            _ => Some(484),
        }
    }

    /// The response with `status`, as it leaves from `local` for a sender at `peer`.
    pub(crate) fn response(&self, status: u16, peer: SocketAddr, local: SocketAddr) -> String {
        let mut response = format!("SIP/2.0 {status} {}\r\n", reason(status));
        for (index, via) in self.all("via").enumerate() {
            let via = if index == 0 { received(via, peer) } else { via.to_owned() };
            response += &format!("Via: {via}\r\n");
        }
        let to = self.field("to").unwrap_or_default();
        response += &format!("To: {to}");
        if !to.to_ascii_lowercase().contains(";tag=") {
            response += &format!(";tag={}", self.tag());
        }
        for (name, field) in [("From", "from"), ("Call-ID", "call-id"), ("CSeq", "cseq")] {
            response += &format!("\r\n{name}: {}", self.field(field).unwrap_or_default());
        }
        if self.method == "INVITE" && status / 100 == 2 {
            // A dialog needs the target (12.1.1).
            response += &format!("\r\nContact: <sip:{local}>");
        }
        response +=
            &format!("\r\nServer: OpenSIPS ({})\r\nContent-Length: 0\r\n\r\n", crate::VERSION);
        response
    }

    /// The same for the same transaction, so that a retransmitted request gets the same answer.
    fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (self.field("call-id"), self.field("from"), self.field("via")).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// Where a response over UDP goes: the sender's address, and its port with `rport` (RFC 3581),
    /// else the port that it wrote into Via.
    pub(crate) fn response_port(&self, peer: SocketAddr) -> u16 {
        let via = self.field("via").unwrap_or_default();
        let sent_by = via.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
        let mut parts = sent_by.split(';');
        let host_port = parts.next().unwrap_or_default().trim();
        if parts.any(is_rport) {
            return peer.port();
        }
        let after_brackets = host_port.rsplit(']').next().unwrap_or(host_port);
        let port = after_brackets.rsplit_once(':').and_then(|(_, port)| port.trim().parse().ok());
        port.unwrap_or(5060)
    }
}

fn is_rport(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    name.trim().eq_ignore_ascii_case("rport")
}

/// `received` and the value of `rport` as the server has to add them (18.2.1, RFC 3581 section 4).
fn received(via: &str, peer: SocketAddr) -> String {
    if !via.split(';').skip(1).any(is_rport) {
        return via.to_owned();
    }
    let ip = match peer.ip() {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    };
    let mut parts = via.split(';');
    let mut text = parts.next().unwrap_or_default().to_owned();
    text += &format!(";received={ip}");
    for parameter in parts {
        if is_rport(parameter) {
            text += &format!(";rport={}", peer.port());
        } else {
            text += &format!(";{parameter}");
        }
    }
    text
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        403 => "Relay Forbidden",
        404 => "Not Found",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        _ => "Stand-in",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, uri: &str, via: &str, more: &str) -> Request {
        let text = format!(
            "{method} {uri} SIP/2.0\r\nv: SIP/2.0/UDP {via}\r\nVia: SIP/2.0/UDP second\r\n\
             f: <sip:a@b>;tag=1\r\nTo: <sip:b>\r\ni: x\r\nCSeq: 1\r\n  {method}\r\n{more}\r\n"
        );
        match parse(text.as_bytes()) {
            Message::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn copies_what_a_response_copies() {
        let request = request("OPTIONS", "sip:b", "h:9;rport;branch=z", "");
        let peer = "192.0.2.1:1234".parse().unwrap();
        let response = request.response(200, peer, "192.0.2.2:5060".parse().unwrap());
        assert!(response.starts_with(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h:9;received=192.0.2.1;rport=1234;branch=z\r\n\
             Via: SIP/2.0/UDP second\r\nTo: <sip:b>;tag="
        ));
        assert!(
            response.contains("\r\nFrom: <sip:a@b>;tag=1\r\nCall-ID: x\r\nCSeq: 1  OPTIONS\r\n")
        );
        assert!(response.ends_with("\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(request.response_port(peer), 1234);
    }

    #[test]
    fn responses_without_rport_go_to_the_port_of_via() {
        let peer = "192.0.2.1:1234".parse().unwrap();
        for (via, port) in [("h:9;branch=z", 9), ("h", 5060), ("[::1]:7", 7), ("[::1]", 5060)] {
            assert_eq!(request("OPTIONS", "sip:b", via, "").response_port(peer), port, "{via}");
        }
    }

    #[test]
    fn the_script() {
        let status = |method, uri, more| request(method, uri, "h;branch=z", more).status();
        assert_eq!(status("OPTIONS", "sip:b", ""), Some(200));
        assert_eq!(status("OPTIONS", "sip:b", "Max-Forwards: 0\r\n"), Some(483));
        assert_eq!(status("ACK", "sip:u@b", ""), None);
        assert_eq!(status("MESSAGE", "sip:u@b", ""), Some(404));
        assert_eq!(status("NONSENSE", "sip:b", ""), Some(484));
    }

    #[test]
    fn what_is_no_request() {
        assert_eq!(parse(b"\r\n\r\n"), Message::Silent);
        assert_eq!(parse(b"SIP/2.0 200 OK\r\n\r\n"), Message::Silent);
        assert_eq!(parse(b"ping garbage this is not sip at all\r\n\r\n"), Message::Bad);
        assert_eq!(parse(b"OPTIONS sip:b SIP/2.0\r\nVia: x\r\n\r\n"), Message::Bad);
    }
}
