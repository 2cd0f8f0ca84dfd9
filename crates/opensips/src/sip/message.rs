//! SIP OPTIONS as bytes (RFC 3261): the request is written, the response is read. Pure.

use std::fmt::{self, Write};
use std::net::SocketAddr;

use crate::sip::question::Question;
use crate::sip::target::Target;

/// The longest reason phrase that is kept, in characters.
const REASON_LIMIT: usize = 40;

/// One OPTIONS request outside of a dialog, and thereby one transaction.
///
/// With `Max-Forwards: 1` the script of a proxy sees it: with 0 the check of Max-Forwards, which comes first
/// in most scripts, refuses it with 483 (RFC 3261, 16.3). A script that relays it, though it is meant for
/// this server, sends it to one that has to answer with 483, which is nearer than none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) target: Target,
    /// Where the response is expected.
    pub(crate) local: SocketAddr,
    /// Distinguishes it from all other requests: letters and digits.
    pub(crate) token: String,
    /// Number of the attempt; each is a transaction of its own.
    pub(crate) sequence: u32,
    /// What of it an administrator has chosen.
    pub(crate) question: Question,
}

impl Options {
    /// The branch parameter, with the magic cookie of RFC 3261, 8.1.1.7.
    fn branch(&self) -> String {
        format!("z9hG4bK{}{}", self.token, self.sequence)
    }

    fn call_id(&self) -> String {
        format!("{}@opensips-ocf", self.token)
    }

    /// The request in the order of fields that RFC 3261, 7.3.1 recommends.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = String::with_capacity(512);
        // Writing to a String can't fail.
        let _ = self.write(&mut text);
        text.into_bytes()
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let Self { target: Target { transport, address }, local, token, sequence, question } = self;
        let (via, uri) = (transport.in_via(), transport.in_uri());
        let Question { uri: asked, from, headers, .. } = question;
        let to = asked.clone().unwrap_or_else(|| format!("sip:{address}"));
        let asked = asked.clone().unwrap_or_else(|| format!("sip:{address}{uri}"));
        let from = from.clone().unwrap_or_else(|| format!("sip:monitor@{local}"));
        write!(text, "OPTIONS {asked} SIP/2.0\r\n")?;
        write!(text, "Via: SIP/2.0/{via} {local};rport;branch={}\r\n", self.branch())?;
        write!(text, "Max-Forwards: 1\r\n")?;
        write!(text, "To: <{to}>\r\n")?;
        write!(text, "From: <{from}>;tag={token}\r\n")?;
        write!(text, "Call-ID: {}\r\n", self.call_id())?;
        write!(text, "CSeq: {sequence} OPTIONS\r\n")?;
        write!(text, "Contact: <sip:monitor@{local}{uri}>\r\n")?;
        write!(text, "User-Agent: ocf:smartvox:opensips\r\n")?;
        write!(text, "Accept: application/sdp\r\n")?;
        for header in headers {
            write!(text, "{header}\r\n")?;
        }
        write!(text, "Content-Length: 0\r\n\r\n")
    }

    /// Whether a response belongs to this transaction (RFC 3261, 17.1.3: branch and method; Call-ID and
    /// sequence number keep out responses with a guessed branch).
    pub(crate) fn is_answered_by(&self, response: &Response<'_>) -> bool {
        response.branch == self.branch()
            && response.call_id == self.call_id()
            && response.sequence == self.sequence
            && response.method == "OPTIONS"
    }
}

/// The fields of a response that tell to which request it belongs, and its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    /// Status code, 100 to 699.
    pub(crate) code: u16,
    /// Reason phrase without control characters.
    pub(crate) reason: String,
    /// Branch parameter of the topmost Via.
    pub(crate) branch: &'a str,
    pub(crate) call_id: &'a str,
    /// Number in CSeq.
    pub(crate) sequence: u32,
    /// Method in CSeq.
    pub(crate) method: &'a str,
}

impl<'a> Response<'a> {
    /// Reads a datagram, or a message of a stream; `None` unless it is a response with all of these
    /// fields. Of a field that is folded over several lines (RFC 3261, 7.3.1) only the first is read.
    pub(crate) fn parse(datagram: &'a [u8]) -> Option<Self> {
        let head = datagram.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(datagram.len());
        let head = std::str::from_utf8(datagram.get(..head)?).ok()?;
        let mut lines = head.split("\r\n");
        let (code, reason) = status_line(lines.next()?)?;
        let (mut via, mut call_id, mut cseq) = (None, None, None);
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            let field = match name.trim().to_ascii_lowercase().as_str() {
                // The topmost Via is the request's own.
                "via" | "v" => &mut via,
                "call-id" | "i" => &mut call_id,
                "cseq" => &mut cseq,
                _ => continue,
            };
            field.get_or_insert(value.trim());
        }
        let (sequence, method) = cseq?.split_once([' ', '\t'])?;
        Some(Self {
            code,
            reason,
            branch: branch_of(via?)?,
            call_id: call_id?,
            sequence: sequence.parse().ok()?,
            method: method.trim(),
        })
    }
}

/// `SIP/2.0 200 OK` (RFC 3261, 7.2).
fn status_line(line: &str) -> Option<(u16, String)> {
    let rest = line.strip_prefix("SIP/2.0 ")?;
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    if code.len() != 3 {
        return None;
    }
    let code = code.parse().ok().filter(|code| (100..700).contains(code))?;
    let reason = reason.chars().filter(|c| !c.is_control()).take(REASON_LIMIT).collect();
    Some((code, reason))
}

/// The branch of the first value of a Via field: `SIP/2.0/UDP host:port;param;branch=…, …`.
fn branch_of(via: &str) -> Option<&str> {
    let first = via.split(',').next()?;
    first.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("branch").then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::target::Transport;
    use proptest::prelude::*;

    fn target(transport: Transport, address: &str) -> Target {
        Target { transport, address: address.parse().unwrap() }
    }

    fn options() -> Options {
        Options {
            target: target(Transport::Udp, "192.0.2.10:5060"),
            local: "192.0.2.10:40000".parse().unwrap(),
            token: "a1b2".into(),
            sequence: 2,
            question: Question::default(),
        }
    }

    fn answer(status: &str, via: &str, call_id: &str, cseq: &str) -> Vec<u8> {
        format!(
            "SIP/2.0 {status}\r\n{via}\r\nTo: <sip:x>;tag=1\r\n{call_id}\r\n{cseq}\r\n\
             Server: OpenSIPS\r\nContent-Length: 0\r\n\r\n"
        )
        .into_bytes()
    }

    const VIA: &str =
        "Via: SIP/2.0/UDP 192.0.2.10:40000;received=192.0.2.10;rport=40000;branch=z9hG4bKa1b22";

    #[test]
    fn the_request_is_complete() {
        let text = String::from_utf8(options().to_bytes()).unwrap();
        let start = "OPTIONS sip:192.0.2.10:5060 SIP/2.0\r\nVia: SIP/2.0/UDP ";
        assert!(text.starts_with(start), "{text}");
        assert!(text.ends_with("\r\nContent-Length: 0\r\n\r\n"));
        // RFC 3261, 8.1.1: the six fields of every request.
        for field in ["To", "From", "CSeq", "Call-ID", "Max-Forwards", "Via"] {
            assert_eq!(text.matches(&format!("\r\n{field}: ")).count(), 1, "{field}");
        }
        assert!(text.contains(";branch=z9hG4bKa1b22\r\n"));
        let v6 = target(Transport::Tls, "[2001:db8::1]:5061");
        let text = String::from_utf8(Options { target: v6, ..options() }.to_bytes()).unwrap();
        let start = "OPTIONS sip:[2001:db8::1]:5061;transport=tls SIP/2.0\r\nVia: SIP/2.0/TLS ";
        assert!(text.starts_with(start), "{text}");
        let question = Question {
            uri: Some("sip:ping@example.org".into()),
            from: Some("sip:pacemaker@example.org".into()),
            headers: vec!["X-Probe: yes".into()],
            ..Question::default()
        };
        let text = String::from_utf8(Options { question, ..options() }.to_bytes()).unwrap();
        assert!(text.starts_with("OPTIONS sip:ping@example.org SIP/2.0\r\n"), "{text}");
        for field in [
            "To: <sip:ping@example.org>",
            "From: <sip:pacemaker@example.org>;tag=a1b2",
            "X-Probe: yes",
        ] {
            assert!(text.contains(&format!("\r\n{field}\r\n")), "{text}");
        }
    }

    #[test]
    fn an_answer_belongs_to_one_request() {
        let (call_id, cseq) = ("Call-ID: a1b2@opensips-ocf", "CSeq: 2 OPTIONS");
        let is_ours = |bytes: &[u8]| {
            Response::parse(bytes).is_some_and(|response| options().is_answered_by(&response))
        };
        assert!(is_ours(&answer("200 OK", VIA, call_id, cseq)));
        let compact =
            VIA.replace("Via", "v").replace("branch", "Branch ") + ",SIP/2.0/UDP x;branch=y";
        assert!(is_ours(&answer(
            "483 Too Many Hops",
            &compact,
            "i:a1b2@opensips-ocf",
            "CSEQ:2  OPTIONS"
        )));
        assert!(!is_ours(&answer("200 OK", &VIA.replace("b22", "b23"), call_id, cseq)));
        assert!(!is_ours(&answer("200 OK", VIA, "Call-ID: other", cseq)));
        assert!(!is_ours(&answer("200 OK", VIA, call_id, "CSeq: 3 OPTIONS")));
        assert!(!is_ours(&answer("200 OK", VIA, call_id, "CSeq: 2 INVITE")));
        // The second Via belongs to another request.
        let above = format!("Via: SIP/2.0/UDP x;branch=z9hG4bKother\r\n{VIA}");
        assert!(!is_ours(&answer("200 OK", &above, call_id, cseq)));
        assert!(!is_ours(&options().to_bytes()));
        assert!(!is_ours(b""));
    }

    #[test]
    fn status_lines() {
        let parse = |status: &str| {
            let bytes = answer(status, VIA, "Call-ID: a1b2@opensips-ocf", "CSeq: 2 OPTIONS");
            Response::parse(&bytes).map(|response| (response.code, response.reason))
        };
        assert_eq!(parse("484 Address Incomplete"), Some((484, "Address Incomplete".into())));
        assert_eq!(parse("200"), Some((200, String::new())));
        assert_eq!(parse("200 a\u{1b}[2Jb"), Some((200, "a[2Jb".into())));
        for bad in ["99 x", "700 x", "20 x", "+20 x", "2000 x", "abc", ""] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>) {
            let _ = Response::parse(&bytes);
        }

        #[test]
        fn any_damage_is_judged(at in 0usize..200, byte: u8, cut in 0usize..260) {
            let mut bytes = answer("200 OK", VIA, "Call-ID: a", "CSeq: 2 OPTIONS");
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(cut);
            let _ = Response::parse(&bytes);
        }
    }
}
