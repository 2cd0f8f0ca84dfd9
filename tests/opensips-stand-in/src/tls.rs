//! TLS below `tls:` and `wss:`, with the certificate and key of module tls_mgm.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::config::Config;

/// What it takes to accept a client; None where the configuration has no certificate, or none that can be
/// read: then connections stay silent.
pub(crate) fn server(config: &Config) -> Option<Arc<ServerConfig>> {
    // `[domain]/path`, or the path alone.
    let file = |name| {
        let value = config.parameter("tls_mgm", name)?;
        Some(value.rsplit(']').next().unwrap_or(value).to_owned())
    };
    let (certificate, key) = (file("certificate")?, file("private_key")?);
    let chain = CertificateDer::pem_file_iter(certificate).ok()?.collect::<Result<_, _>>().ok()?;
    let key = PrivateKeyDer::from_pem_file(key).ok()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    builder.with_no_client_auth().with_single_cert(chain, key).ok().map(Arc::new)
}

/// A session on a connection; the first read or write makes the handshake.
pub(crate) fn session(
    stream: TcpStream,
    server: &Arc<ServerConfig>,
) -> std::io::Result<StreamOwned<ServerConnection, TcpStream>> {
    let connection = ServerConnection::new(Arc::clone(server)).map_err(std::io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}
