//! MI over HTTP: one POST to module mi_http, on loopback.

use serde_json::Value;
use ureq::{Agent, Error};

use super::error::{MiError, Result};
use super::{Exchange, REPLY_LIMIT};

impl Exchange<'_> {
    pub(super) fn over_http(&self, url: &str) -> Result<Value> {
        let left = self.left();
        if left.is_zero() {
            return Err(self.timed_out(0));
        }
        let agent: Agent = Agent::config_builder()
            .timeout_global(Some(left))
            // The MI is where it was said to be, and nowhere else.
            .max_redirects(0)
            .proxy(None)
            .http_status_as_error(false)
            .build()
            .into();
        // Module httpd takes a body for JSON by its type (`answer_to_connection()`, httpd_proc.c).
        let answer = agent.post(url).content_type("application/json").send(self.request);
        let mut answer = answer.map_err(|error| self.http_failed(error))?;
        if answer.status().as_u16() != 200 {
            return Err(self.garbled(format!("HTTP status {}", answer.status())));
        }
        let limit = u64::try_from(REPLY_LIMIT).unwrap_or(u64::MAX);
        let body = answer.body_mut().with_config().limit(limit).read_to_vec();
        self.judge(&body.map_err(|error| self.http_failed(error))?)
    }

    fn http_failed(&self, error: Error) -> MiError {
        match error {
            Error::Timeout(_) => self.timed_out(0),
            Error::BodyExceedsLimit(_) => self.too_long(),
            Error::Io(source) => self.unreachable(source),
            other => self.garbled(other.to_string()),
        }
    }

    fn garbled(&self, what: String) -> MiError {
        MiError::Garbled { endpoint: self.client.endpoint.clone(), what }
    }
}
