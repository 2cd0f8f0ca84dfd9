//! The address of the Management Interface, as a value.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// The address for MI commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Module mi_fifo: its `fifo_name`.
    Fifo(PathBuf),
    /// Module mi_datagram, `socket_name` is a path.
    UnixDatagram(PathBuf),
    /// Module mi_datagram, `socket_name` is `udp:HOST:PORT`.
    Datagram(SocketAddr),
    /// Modules httpd and mi_http.
    Http {
        /// Complete; the address in it is a number.
        url: String,
    },
}

/// Why a text is not an endpoint.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseEndpointError {
    #[error("give fifo:/PATH, datagram:/PATH, datagram:ADDRESS:PORT or http://ADDRESS:PORT/ROOT")]
    Form,
    /// The MI has no access control, and another host runs another daemon.
    #[error("{0} is not this host: use 127.0.0.1 or ::1")]
    NotLoopback(IpAddr),
}

impl FromStr for Endpoint {
    type Err = ParseEndpointError;

    fn from_str(text: &str) -> Result<Self, ParseEndpointError> {
        if let Some(text) = text.strip_prefix("fifo:") {
            return path(text).map(Self::Fifo);
        }
        if let Some(rest) = text.strip_prefix("http://") {
            let (authority, root) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if !root.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
                return Err(ParseEndpointError::Form);
            }
            let address = loopback(authority)?;
            let root = if root.is_empty() { "/" } else { root };
            return Ok(Self::Http { url: format!("http://{address}{root}") });
        }
        match text.strip_prefix("datagram:") {
            Some(text) if text.starts_with('/') => path(text).map(Self::UnixDatagram),
            Some(text) => loopback(text).map(Self::Datagram),
            None => Err(ParseEndpointError::Form),
        }
    }
}

/// An absolute path of a file, shorter than PATH_MAX.
fn path(text: &str) -> Result<PathBuf, ParseEndpointError> {
    let is_file = text.starts_with('/') && !text.ends_with('/') && text.len() < 4096;
    if !is_file || text.contains(char::is_control) {
        return Err(ParseEndpointError::Form);
    }
    Ok(PathBuf::from(text))
}

fn loopback(text: &str) -> Result<SocketAddr, ParseEndpointError> {
    let address: SocketAddr = match text.strip_prefix("localhost:") {
        Some(port) => {
            let port = port.parse().map_err(|_| ParseEndpointError::Form)?;
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
        }
        None => text.parse().map_err(|_| ParseEndpointError::Form)?,
    };
    if address.port() == 0 {
        return Err(ParseEndpointError::Form);
    }
    if !address.ip().is_loopback() {
        return Err(ParseEndpointError::NotLoopback(address.ip()));
    }
    Ok(address)
}

/// As in parameter `mi`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fifo(path) => write!(f, "fifo:{}", path.display()),
            Self::UnixDatagram(path) => write!(f, "datagram:{}", path.display()),
            Self::Datagram(address) => write!(f, "datagram:{address}"),
            Self::Http { url } => f.write_str(url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, shown) in [
            ("fifo:/run/opensips/opensips_fifo", "fifo:/run/opensips/opensips_fifo"),
            ("datagram:/run/opensips/mi.sock", "datagram:/run/opensips/mi.sock"),
            ("datagram:127.0.0.1:8080", "datagram:127.0.0.1:8080"),
            ("datagram:[::1]:8080", "datagram:[::1]:8080"),
            ("datagram:localhost:8080", "datagram:127.0.0.1:8080"),
            ("http://127.0.0.1:8888/mi", "http://127.0.0.1:8888/mi"),
            ("http://localhost:8888", "http://127.0.0.1:8888/"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "/run/opensips_fifo",
            "fifo:relative",
            "fifo:/run/",
            "fifo:/a\nb",
            "datagram:",
            "datagram:8080",
            "datagram:127.0.0.1:0",
            "http://127.0.0.1/mi",
            "http://127.0.0.1:80@192.0.2.1:80/mi",
            "http://localhost:80/m i",
            "http://localhost:80/mi#x",
            "https://127.0.0.1:80/mi",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
        let elsewhere = "datagram:192.0.2.1:8080".parse::<Endpoint>();
        assert_eq!(elsewhere, Err(ParseEndpointError::NotLoopback("192.0.2.1".parse().unwrap())));
        assert!("http://[2001:db8::1]:80/mi".parse::<Endpoint>().is_err());
    }
}
