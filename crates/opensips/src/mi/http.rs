//! MI over HTTP: one POST to module mi_http, on loopback.

use std::net::SocketAddr;

use serde_json::Value;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::error::Result;
use super::{Exchange, REPLY_LIMIT};

impl Exchange<'_> {
    pub(super) fn over_http(&self, url: &str) -> Result<Value> {
        let left = self.left();
        if left.is_zero() {
            return Err(self.timed_out(0));
        }
        let config = Agent::config_builder()
            .timeout_global(Some(left))
            // The MI is at the given address and at no other one.
            .max_redirects(0)
            .proxy(None)
            .http_status_as_error(false)
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), AsNumber);
        // Module httpd takes a body for JSON by its type (`answer_to_connection()`, httpd_proc.c).
        let answer = agent.post(url).content_type("application/json").send(self.request);
        let mut answer = answer.map_err(|error| self.http_failed(error))?;
        if answer.status().as_u16() != 200 {
            return Err(self.client.garbled(format!("HTTP status {}", answer.status())));
        }
        let limit = u64::try_from(REPLY_LIMIT).unwrap_or(u64::MAX);
        let body = answer.body_mut().with_config().limit(limit).read_to_vec();
        self.judge(&body.map_err(|error| self.http_failed(error))?)
    }

    fn http_failed(&self, error: ureq::Error) -> super::Error {
        match error {
            ureq::Error::Timeout(_) => self.timed_out(0),
            ureq::Error::BodyExceedsLimit(_) => self.too_long(),
            ureq::Error::Io(source) => self.unreachable(source),
            other => self.client.garbled(other.to_string()),
        }
    }
}

/// The address is a number in the URL ([`super::Endpoint::Http`]). Without ureq's own resolver the
/// program starts no thread for a look-up, and does not contain the C library's name service.
#[derive(Debug)]
struct AsNumber;

impl Resolver for AsNumber {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let address: Option<SocketAddr> =
            uri.authority().and_then(|authority| authority.as_str().parse().ok());
        let mut addresses = self.empty();
        addresses.push(address.ok_or(ureq::Error::HostNotFound)?);
        Ok(addresses)
    }
}
