//! What a probe asks, besides where, and which answers count. Pure.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// The longest URI and the longest additional header field, in bytes: a datagram has room for the rest.
const LIMIT: usize = 256;

/// The fields of every request, with their compact forms (RFC 3261, 7.3.3), which the agent writes itself.
const OWN_FIELDS: [&str; 14] = [
    "via",
    "v",
    "max-forwards",
    "to",
    "t",
    "from",
    "f",
    "call-id",
    "i",
    "cseq",
    "contact",
    "m",
    "content-length",
    "l",
];

/// The parts of OPTIONS that an administrator may choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) codes: ExpectedCodes,
    /// The Request-URI and To; by default the socket that is asked.
    pub(crate) uri: Option<String>,
    /// From; by default `monitor` at the address of the request.
    pub(crate) from: Option<String>,
    /// `NAME: VALUE` each.
    pub(crate) headers: Vec<String>,
}

/// Reads `sip:USER@HOST`.
///
/// # Errors
/// The text is no such URI.
pub(crate) fn parse_uri(text: &str) -> Result<String, &'static str> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"<>\"".contains(&byte);
    let rest = text.get(scheme.len()..).unwrap_or_default();
    if !matches!(&*scheme, "sip" | "sips") || rest.len() < 2 || !text.bytes().all(fits) {
        return Err("give a URI like sip:USER@HOST, without blanks and angle brackets");
    }
    if text.len() > LIMIT { Err("longer than 256 bytes") } else { Ok(text.to_owned()) }
}

/// Reads header fields, `NAME: VALUE`, separated by `|`.
///
/// # Errors
/// What is wrong with the first that is none.
pub(crate) fn parse_headers(text: &str) -> Result<Vec<String>, String> {
    let fields = text.split('|').map(str::trim).filter(|field| !field.is_empty());
    fields.map(header).collect()
}

fn header(field: &str) -> Result<String, String> {
    let shown = || ocf::shown(field.as_bytes());
    let (name, value) = field.split_once(':').unwrap_or_default();
    let (name, value) = (name.trim(), value.trim());
    // `token` of RFC 3261, 25.1.
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    if name.is_empty() || !name.bytes().all(fits) || value.chars().any(char::is_control) {
        return Err(format!("{}: give NAME: VALUE, several separated by |", shown()));
    }
    if OWN_FIELDS.contains(&&*name.to_ascii_lowercase()) {
        return Err(format!("{name} is set by the agent: remove it"));
    }
    if field.len() > LIMIT {
        return Err(format!("{name} is longer than {LIMIT} bytes"));
    }
    Ok(format!("{name}: {value}"))
}

/// What a status code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Good,
    /// The daemon is alive, and an operator should look at it.
    Degraded,
    Failed,
}

/// The status codes and what they mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ExpectedCodes {
    /// Every answer counts.
    #[default]
    Any,
    /// Only the listed ones count, a provisional answer too; with `any` all others do, too.
    Listed { rules: Vec<(RangeInclusive<u16>, Meaning)>, any: bool },
}

impl ExpectedCodes {
    /// That of the first rule that fits.
    pub(crate) fn meaning(&self, code: u16) -> Meaning {
        match self {
            Self::Any => Meaning::Good,
            Self::Listed { rules, any } => {
                let fitting = rules.iter().find(|(range, _)| range.contains(&code));
                let otherwise = if *any { Meaning::Good } else { Meaning::Failed };
                fitting.map_or(otherwise, |(_, meaning)| *meaning)
            }
        }
    }

    /// Whether the daemon is alive with this code.
    pub(crate) fn contain(&self, code: u16) -> bool {
        self.meaning(code) != Meaning::Failed
    }

    /// Whether an answer without a code counts.
    pub(crate) fn any_counts(&self) -> bool {
        matches!(self, Self::Any | Self::Listed { any: true, .. })
    }
}

/// The text is not a list of status codes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "give any, or status codes like 200,404,480-489, with =degraded or =fail where that is meant (any,503=fail)"
)]
pub(crate) struct ParseCodesError;

impl FromStr for ExpectedCodes {
    type Err = ParseCodesError;

    fn from_str(text: &str) -> Result<Self, ParseCodesError> {
        let (mut rules, mut any) = (Vec::new(), false);
        for item in text.split(',').map(str::trim) {
            if item == "any" {
                any = true;
            } else {
                rules.push(rule(item).ok_or(ParseCodesError)?);
            }
        }
        let one_counts = rules.iter().any(|(_, meaning)| *meaning != Meaning::Failed);
        match (rules.is_empty(), any || one_counts) {
            (true, _) => Ok(Self::Any),
            (false, true) => Ok(Self::Listed { rules, any }),
            (false, false) => Err(ParseCodesError),
        }
    }
}

/// `404`, `480-489`, `503=degraded`.
fn rule(item: &str) -> Option<(RangeInclusive<u16>, Meaning)> {
    let (codes, meaning) = item.split_once('=').unwrap_or((item, "ok"));
    let meaning = match meaning.trim() {
        "ok" => Meaning::Good,
        "degraded" => Meaning::Degraded,
        "fail" => Meaning::Failed,
        _ => return None,
    };
    let code = |text: &str| {
        let text = text.trim();
        let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|code| digits && (100..700).contains(code))
    };
    let (low, high) = codes.split_once('-').unwrap_or((codes, codes));
    let (low, high) = (code(low)?, code(high)?);
    (low <= high).then_some((low..=high, meaning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let codes = |text: &str| text.parse::<ExpectedCodes>();
        assert!(codes("any").unwrap().contain(100));
        let listed = codes("200,404, 483-489").unwrap();
        assert!(listed.contain(200) && listed.contain(404) && listed.contain(486));
        assert!(!listed.contain(100) && !listed.contain(500) && !listed.any_counts());
        for bad in
            ["", "ok", "20", "700", "489-483", "200,", "2xx", "-", "+20", "503=fail", "200=x"]
        {
            assert_eq!(codes(bad), Err(ParseCodesError), "{bad}");
        }
    }

    #[test]
    fn codes_with_a_meaning() {
        let codes: ExpectedCodes = "any, 503=fail,500-599=degraded".parse().unwrap();
        assert_eq!(codes.meaning(503), Meaning::Failed);
        assert_eq!(codes.meaning(500), Meaning::Degraded);
        assert_eq!(codes.meaning(404), Meaning::Good);
        assert!(codes.contain(500) && !codes.contain(503) && codes.any_counts());
        let codes: ExpectedCodes = "200,503=degraded".parse().unwrap();
        assert_eq!([200, 503, 404].map(|code| codes.contain(code)), [true, true, false]);
    }

    #[test]
    fn uris_and_headers() {
        for good in ["sip:192.0.2.1", "SIPS:a@b;transport=tls", "sip:+49@example.org:5060"] {
            assert_eq!(parse_uri(good).as_deref(), Ok(good));
        }
        for bad in ["", "sip:", "tel:+49", "sip:a b", "<sip:a@b>", "sip:a\r\nX: y", "a@b"] {
            assert!(parse_uri(bad).is_err(), "{bad}");
        }
        assert!(parse_uri(&format!("sip:{}", "a".repeat(300))).is_err());
        let headers = parse_headers("X-Probe: yes | Authorization:Digest a=b,c |").unwrap();
        assert_eq!(headers, ["X-Probe: yes", "Authorization: Digest a=b,c"]);
        for bad in ["X", ": y", "a b: c", "Via: x", "l: 0", "X: a\u{7}"] {
            assert!(parse_headers(bad).is_err(), "{bad}");
        }
    }
}
