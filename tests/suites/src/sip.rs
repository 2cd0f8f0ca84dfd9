//! The smallest SIP client that tells an answer from silence: OPTIONS over UDP (RFC 3261, section
//! 11). Independent of the agents' own code, which the suites judge.

use std::net::SocketAddr;

/// An OPTIONS request, whose branch and Call-ID carry `number`.
pub fn options(target: SocketAddr, local: SocketAddr, number: u64) -> Vec<u8> {
    format!(
        "OPTIONS sip:{target} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {local};rport;branch=z9hG4bK{number:016x}\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:probe@{local}>;tag=probe\r\n\
         To: <sip:{target}>\r\n\
         Call-ID: {number:016x}@{local}\r\n\
         CSeq: 1 OPTIONS\r\n\
         Contact: <sip:probe@{local}>\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// The status code and the number of the request that a response answers; `None` for anything
/// that is no SIP response to one of [`options`].
pub fn response(datagram: &[u8]) -> Option<(u16, u64)> {
    let text = std::str::from_utf8(datagram).ok()?;
    let status = text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
    let branch = text.split("branch=z9hG4bK").nth(1)?.get(..16)?;
    Some((status, u64::from_str_radix(branch, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_leads_back_to_its_request() {
        let address: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        let request = String::from_utf8(options(address, address, 4711)).unwrap();
        let answer =
            request.replacen(&format!("OPTIONS sip:{address} SIP/2.0"), "SIP/2.0 200 OK", 1);
        assert_eq!(response(answer.as_bytes()), Some((200, 4711)));
        assert_eq!(response(request.as_bytes()), None);
        assert_eq!(response(b"SIP/2.0 20"), None);
        assert_eq!(response(b"\xff"), None);
    }
}
