use super::*;
use crate::sip::probe::{Outcome, Patience, ask};
use deadline::Deadline;
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

pub(in crate::sip) const QUICK: Patience =
    Patience { attempts: 2, timeout: Duration::from_millis(300) };
pub(in crate::sip) const LONG: Patience =
    Patience { attempts: 1, timeout: Duration::from_secs(60) };

pub(in crate::sip) fn asked(
    transport: Transport,
    address: SocketAddr,
    codes: &str,
    patience: Patience,
) -> Outcome {
    let until = Deadline::after(Duration::from_secs(120));
    let question = Question { codes: codes.parse().unwrap(), ..Question::default() };
    ask(Target { transport, address }, &question, patience, until).unwrap()
}

/// Asks with patience where another thread has to do something, and briefly where nothing comes.
pub(in crate::sip) fn is_silent(transport: Transport, address: SocketAddr, silence: Silence) {
    let patience = if silence == Silence::NoAnswer { QUICK } else { LONG };
    let expected = Outcome::Silent { silence, patience };
    assert_eq!(asked(transport, address, "any", patience), expected, "{address}");
}

/// A server that handles each connection with `answer`; the receiver gets the clients' addresses.
pub(in crate::sip) fn serve(
    bind: &str,
    answer: impl Fn(&mut TcpStream, &str) + Send + 'static,
) -> (SocketAddr, Receiver<SocketAddr>) {
    let listener = TcpListener::bind(bind).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, clients) = channel();
    thread::spawn(move || {
        while let Ok((mut stream, client)) = listener.accept() {
            let _ = sender.send(client);
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            answer(&mut stream, &String::from_utf8_lossy(&request[..length]));
        }
    });
    (address, clients)
}

pub(in crate::sip) fn answered(request: &str, status: &str) -> String {
    request.replacen(request.lines().next().unwrap(), &format!("SIP/2.0 {status}"), 1)
}

/// Sends, and waits until the client has closed the connection.
pub(in crate::sip) fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
    let _ = stream.read(&mut [0]);
}

#[test]
fn an_answer_in_both_families_comes_to_the_asked_address() {
    for bind in ["127.0.0.1:0", "127.0.0.77:0", "[::1]:0"] {
        let (address, clients) = serve(bind, |stream, request| {
            assert!(request.contains("Via: SIP/2.0/TCP "), "{request}");
            assert!(request.contains(";transport=tcp SIP/2.0\r\n"), "{request}");
            send(stream, &answered(request, "483 Too Many Hops"));
        });
        let outcome = asked(Transport::Tcp, address, "any", LONG);
        assert!(matches!(outcome, Outcome::Alive { code: Some(483), .. }), "{outcome:?}");
        assert_eq!(clients.recv().unwrap().ip(), address.ip());
    }
}

#[test]
fn an_answer_among_other_messages_and_in_pieces() {
    let (address, _) = serve("127.0.0.1:0", |stream, request| {
        let body = "Content-Length: 4\r\n\r\nbody";
        let other = answered(&request.replace("z9hG4bK", "z9hG4bKx"), "200 OK");
        let whole = [
            "\r\n\r\n",
            // A request of the daemon.
            request,
            &other.replace("Content-Length: 0\r\n\r\n", body),
            &answered(&request.replace("Call-ID: ", "Call-ID: x"), "200 OK"),
            &answered(&request.replace("CSeq: ", "CSeq: 1"), "200 OK"),
            &answered(request, "100 Trying"),
            "\r\n",
            &answered(request, "299 Ours"),
        ]
        .concat();
        let (one, other) = whole.split_at(whole.len() - 30);
        stream.set_nodelay(true).unwrap();
        stream.write_all(one.as_bytes()).unwrap();
        for byte in other.as_bytes() {
            stream.write_all(&[*byte]).unwrap();
        }
        let _ = stream.read(&mut [0]);
    });
    let outcome = asked(Transport::Tcp, address, "200-299", LONG);
    assert!(matches!(outcome, Outcome::Alive { code: Some(299), .. }), "{outcome:?}");
}

#[test]
fn each_attempt_has_a_connection_of_its_own_and_one_request() {
    let (address, clients) = serve("127.0.0.1:0", |stream, request| {
        assert_eq!(request.matches("OPTIONS sip:").count(), 1);
        // No retransmission: nothing comes until the client closes the connection.
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    });
    let patience = Patience { attempts: 3, timeout: Duration::from_millis(700) };
    let outcome = asked(Transport::Tcp, address, "any", patience);
    assert_eq!(outcome, Outcome::Silent { silence: Silence::NoAnswer, patience });
    let mut ports: Vec<u16> = (0..3).map(|_| clients.recv().unwrap().port()).collect();
    ports.dedup();
    assert_eq!(ports.len(), 3);
}

#[test]
fn a_silence_has_a_kind() {
    // The kernel's backlog takes the connection, and no process accepts it.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let backlog = deaf.local_addr().unwrap();
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (closing, _) = serve("127.0.0.1:0", |_, _| ());
    let (http, _) =
        serve("127.0.0.1:0", |stream, _| send(stream, "HTTP/1.1 400 Bad Request\r\n\r\n"));
    let (endless, _) = serve("127.0.0.1:0", |stream, _| send(stream, &"x".repeat(100_000)));
    let (huge, _) = serve("127.0.0.1:0", |stream, request| {
        send(stream, &answered(request, "200 OK").replace("Length: 0", "Length: 4000000000"));
    });
    for (address, expected) in [
        (backlog, Silence::NoAnswer),
        (refused, Silence::Refused),
        (closing, Silence::Closed),
        // A message that is not an answer to the request.
        (http, Silence::NoAnswer),
        (endless, Silence::NotSip),
        (huge, Silence::NotSip),
    ] {
        is_silent(Transport::Tcp, address, expected);
    }
}

/// Sends again and again, until the client has heard enough.
fn flood(stream: &mut TcpStream, text: &str) {
    while stream.write_all(text.as_bytes()).is_ok() {}
}

#[test]
fn what_never_ends_has_a_verdict() {
    let (blank, _) = serve("127.0.0.1:0", |stream, _| flood(stream, "\r\n\r\n"));
    let (others, _) = serve("127.0.0.1:0", |stream, request| {
        flood(stream, &answered(&request.replace("Call-ID: ", "Call-ID: x"), "200 OK"));
    });
    let (slow, _) = serve("127.0.0.1:0", |stream, request| {
        for byte in answered(request, "200 OK").bytes() {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    });
    for address in [blank, others, slow] {
        is_silent(Transport::Tcp, address, Silence::NoAnswer);
    }
    // In one line, in a megabyte of lines, and after the answer to another request.
    for head in ["X-Header: ", "X-Header: x\r\n"] {
        let (long, _) = serve("127.0.0.1:0", move |stream, request| {
            let other = answered(&request.replace("CSeq: ", "CSeq: 1"), "200 OK");
            let _ = stream.write_all(format!("{other}SIP/2.0 200 OK\r\n").as_bytes());
            let _ = stream.write_all(head.repeat((1 << 20) / head.len()).as_bytes());
            let _ = stream.read(&mut [0]);
        });
        is_silent(Transport::Tcp, long, Silence::NotSip);
    }
    const CHANGED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    let (pings, _) = serve("127.0.0.1:0", |stream, _| {
        let _ = stream.write_all(CHANGED.as_bytes());
        // Pings, and empty parts of a message.
        while stream.write_all(&[0x89, 0, 0x01, 0, 0x00, 0]).is_ok() {}
    });
    is_silent(Transport::Ws, pings, Silence::NoAnswer);
    let (heads, _) = serve("127.0.0.1:0", |stream, _| flood(stream, "HTTP/1.1 101 X: "));
    is_silent(Transport::Ws, heads, Silence::NotSip);
}

#[test]
fn an_unexpected_code_is_reported() {
    let (address, _) = serve("127.0.0.1:0", |stream, request| {
        send(stream, &answered(request, "503 Service Unavailable"));
    });
    let reason = "Service Unavailable".to_owned();
    let expected = Outcome::Unexpected { code: 503, reason };
    assert_eq!(asked(Transport::Tcp, address, "200", LONG), expected);
    // A provisional answer before the end of the connection counts.
    let (address, _) = serve("127.0.0.1:0", |stream, request| {
        stream.write_all(answered(request, "100 Trying").as_bytes()).unwrap();
    });
    let outcome = asked(Transport::Tcp, address, "200", LONG);
    assert!(matches!(outcome, Outcome::Unexpected { code: 100, .. }), "{outcome:?}");
}

#[test]
fn an_address_of_another_host_is_an_error() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let target = Target { transport, address: "192.0.2.1:5060".parse().unwrap() };
        let until = Deadline::after(Duration::from_secs(60));
        let outcome = ask(target, &Question::default(), QUICK, until);
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
