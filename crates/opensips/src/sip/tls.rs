//! TLS around a connection to this host's own listener.
//!
//! No certificate is verified, on purpose: the connection goes from an address of this host to the
//! same address, so that no other host is in between, and it only has to show that the daemon is
//! alive. An expired certificate is no reason to restart the daemon or to fence its node.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, KeyProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::SigningKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};

use crate::sip::stream::Connection;

/// A session. The first read or write makes the handshake.
#[derive(Debug)]
pub(super) struct Session(StreamOwned<ClientConnection, Connection>);

impl Session {
    /// SNI has no addresses (RFC 6066, 3), so that the daemon uses the TLS domain of the socket.
    pub(super) fn open(connection: Connection, server: IpAddr) -> io::Result<Self> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAny))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        let client = ClientConnection::new(Arc::new(config), ServerName::from(server))
            .map_err(io::Error::other)?;
        Ok(Self(StreamOwned::new(client, connection)))
    }

    /// Closes with close_notify, because the daemon logs a connection that just ends as an error.
    pub(super) fn close(mut self) {
        self.0.conn.send_close_notify();
        let _ = self.0.flush();
    }
}

impl Session {
    /// A worker that refuses the client sends an alert and closes the connection, with the client's
    /// data still unread, so that the next write fails. The alert can still be read.
    fn alert_or(&mut self, error: io::Error) -> io::Error {
        if !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) {
            return error;
        }
        let StreamOwned { conn, sock } = &mut self.0;
        while conn.read_tls(sock).is_ok_and(|length| length > 0) {
            if let Err(alert) = conn.process_new_packets() {
                return io::Error::new(io::ErrorKind::InvalidData, alert);
            }
        }
        error
    }
}

impl Read for Session {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| self.alert_or(error))
    }
}

impl Write for Session {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(|error| self.alert_or(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(|error| self.alert_or(error))
    }
}

/// Whether the peer has ended the session with an alert.
///
/// By default OpenSIPS demands a certificate of its clients (`require_cert` of module tls_mgm) and
/// refuses a client without one: in the handshake (TLS 1.2), or after it (1.3), when the request is
/// already sent. Up to 3.6 a TCP worker sends the alert, because a worker makes the handshake when it
/// reads, and TCP main only accepts (`handle_new_connect()`, net_tcp.c). From 4.0 on TCP main reads
/// for the workers and passes whole messages to them: there an alert proves that TCP main is alive,
/// and more can't be known without a certificate.
pub(super) fn is_alert(error: &io::Error) -> bool {
    let source = error.get_ref().and_then(|source| source.downcast_ref::<Error>());
    matches!(source, Some(Error::AlertReceived(_)))
}

/// ring's provider without signing and verifying, which are not needed and take 90 KB of the binary.
fn provider() -> CryptoProvider {
    CryptoProvider {
        signature_verification_algorithms: WebPkiSupportedAlgorithms { all: &[], mapping: &[] },
        key_provider: &NoKeys,
        ..ring::default_provider()
    }
}

/// Loads no key.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("no client certificate is sent".into()))
    }
}

/// Accepts every certificate.
#[derive(Debug)]
struct AcceptAny;

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        // The schemes for which servers have keys; the signature itself is not verified.
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
        ]
    }
}

#[cfg(test)]
mod tests;
