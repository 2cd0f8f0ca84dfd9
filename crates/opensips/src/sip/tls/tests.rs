use super::*;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use deadline::Deadline;
use rustls::crypto::ring::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, Signer};
use rustls::{ServerConfig, ServerConnection, SignatureAlgorithm, SupportedProtocolVersion};

use crate::sip::probe::{Outcome, Silence};
use crate::sip::stream::tests::{LONG, answered, asked, is_silent, send, serve};
use crate::sip::target::Transport;

/// Neither a certificate nor a key: the client verifies nothing.
#[derive(Debug)]
struct Nonsense;

/// Fatal, handshake_failure (RFC 8446, 6).
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

const SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;

impl Signer for Nonsense {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(vec![0; 70])
    }

    fn scheme(&self) -> SignatureScheme {
        SCHEME
    }
}

impl SigningKey for Nonsense {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SCHEME).then(|| Box::new(Nonsense) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl ResolvesServerCert for Nonsense {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        assert_eq!(hello.server_name(), None);
        let certificate = CertificateDer::from(&b"none"[..]);
        Some(Arc::new(CertifiedKey::new(vec![certificate], Arc::new(Nonsense))))
    }
}

/// Serves TLS of one version to each connection.
fn serve_tls(
    version: &'static SupportedProtocolVersion,
    answer: impl Fn(&str) -> String + Send + 'static,
) -> SocketAddr {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Nonsense));
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut session = StreamOwned::new(session, stream);
            let mut request = [0; 4096];
            let Ok(length) = session.read(&mut request) else { continue };
            let text = answer(&String::from_utf8_lossy(&request[..length]));
            let _ = session.write_all(text.as_bytes());
            let _ = session.flush();
            // The client closes with close_notify, else this is an error.
            assert_eq!(session.read(&mut request).unwrap(), 0);
        }
    });
    address
}

#[test]
fn an_answer_over_each_version() {
    for version in rustls::ALL_VERSIONS {
        let address = serve_tls(version, |request| {
            assert!(request.contains("Via: SIP/2.0/TLS "), "{request}");
            answered(request, "200 OK")
        });
        let outcome = asked(Transport::Tls, address, "200", LONG);
        assert!(matches!(outcome, Outcome::Alive { code: Some(200), .. }), "{outcome:?}");
    }
}

#[test]
fn a_silence_has_a_kind() {
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let backlog = deaf.local_addr().unwrap();
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (closing, _) = serve("127.0.0.1:0", |_, _| ());
    let (plain, _) =
        serve("127.0.0.1:0", |stream, _| send(stream, "SIP/2.0 400 Bad Request\r\n\r\n"));
    for (address, expected) in [
        (backlog, Silence::NoAnswer),
        (refused, Silence::Refused),
        (closing, Silence::Closed),
        (plain, Silence::NotSip),
    ] {
        is_silent(Transport::Tls, address, expected);
    }
}

#[test]
fn an_alert_is_an_answer_without_a_code() {
    let alert = || {
        serve("127.0.0.1:0", |stream, _| {
            stream.write_all(&ALERT).unwrap();
            let _ = stream.read(&mut [0]);
        })
    };
    let outcome = asked(Transport::Tls, alert().0, "any", LONG);
    assert!(matches!(outcome, Outcome::Alive { code: None, .. }), "{outcome:?}");
    let refused = Outcome::Silent { silence: Silence::TlsRefused, patience: LONG };
    assert_eq!(asked(Transport::Tls, alert().0, "200", LONG), refused);
}

#[test]
fn an_alert_is_read_after_the_connection_was_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    let connection = Connection::open(target, Deadline::after(Duration::from_secs(120))).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.write_all(&ALERT).unwrap();
    // Closed with a reset, as where data is unread.
    socket2::SockRef::from(&server).set_linger(Some(Duration::ZERO)).unwrap();
    drop(server);
    while connection.socket.take_error().unwrap().is_none() {
        thread::yield_now();
    }
    let mut session = Session::open(connection, target.ip()).unwrap();
    let error = session.write_all(b"OPTIONS").unwrap_err();
    assert!(is_alert(&error), "{error:?}");
}
