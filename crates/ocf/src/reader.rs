//! Reads typed values of parameters and collects every finding.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::values::shown_value;
use crate::{Exit, Finding, Findings, Kind, Parameter, Values, parse_duration};

/// Reads typed values. It goes on after a finding, so that validation reports all of them.
#[derive(Debug)]
pub struct Reader<'a> {
    values: &'a Values,
    findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    /// A reader without findings.
    pub const fn new(values: &'a Values) -> Self {
        Self { values, findings: Vec::new() }
    }

    /// The text of a parameter, or its default where it is not set. A missing required parameter
    /// and a value that is not UTF-8 are findings.
    pub fn text(&mut self, parameter: &Parameter) -> Option<&'a str> {
        let Some(value) = self.values.get(parameter.name) else {
            if parameter.required {
                self.findings.push(Finding::new(
                    Exit::Configured,
                    format!("{} is missing: {}", parameter.name, lower_first(parameter.shortdesc)),
                ));
            }
            return parameter.default;
        };
        let text = value.to_str();
        if text.is_none() {
            self.reject(parameter, "not valid UTF-8");
        }
        text
    }

    /// The text of a parameter, parsed by `parse`. Its error completes the finding `NAME=VALUE: …`.
    /// `None` if the parameter is not set and has no default, or if it was rejected.
    pub fn parsed<T, E: Display>(
        &mut self,
        parameter: &Parameter,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(parameter)?;
        parse(text).map_err(|error| self.reject(parameter, error)).ok()
    }

    /// A boolean: `yes`, `true`, `on`, `1`, `y` or `no`, `false`, `off`, `0`, `n`, in upper or lower
    /// case (the words of `ocf_is_true` in ocf-shellfuncs, and their opposites). `false` if the
    /// parameter is not set and has no default, or if it was rejected.
    pub fn boolean(&mut self, parameter: &Parameter) -> bool {
        self.parsed(parameter, parse_boolean).unwrap_or(false)
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, parameter: &Parameter, range: RangeInclusive<i64>) -> Option<i64> {
        self.parsed(parameter, |text| {
            text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
                format!("not a whole number from {} to {}", range.start(), range.end())
            })
        })
    }

    /// A duration within `range`, in the form of [`parse_duration`].
    pub fn duration(
        &mut self,
        parameter: &Parameter,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        self.parsed(parameter, |text| {
            let duration = parse_duration(text).map_err(|error| error.to_string())?;
            if range.contains(&duration) {
                Ok(duration)
            } else {
                Err(format!("out of range: give {:?} to {:?}", range.start(), range.end()))
            }
        })
    }

    /// One of the options of a [`Kind::Select`] parameter; `None` for a parameter of another kind.
    pub fn select(&mut self, parameter: &Parameter) -> Option<&'static str> {
        let Kind::Select(options) = parameter.kind else { return None };
        self.parsed(parameter, |text| {
            options
                .iter()
                .copied()
                .find(|option| *option == text)
                .ok_or_else(|| format!("unknown: give one of {}", options.join(", ")))
        })
    }

    /// Adds the finding `NAME=VALUE: why` with [`Exit::Configured`]: the value is wrong on every node.
    pub fn reject(&mut self, parameter: &Parameter, why: impl Display) {
        let value = self
            .values
            .get(parameter.name)
            .map_or_else(|| parameter.default.unwrap_or_default().to_owned(), shown_value);
        self.findings
            .push(Finding::new(Exit::Configured, format!("{}={value}: {why}", parameter.name)));
    }

    /// Returns `complete` if there are no findings.
    ///
    /// # Errors
    /// All findings. `None` without a finding is an internal error.
    pub fn finish<T>(self, complete: Option<T>) -> Result<T, Findings> {
        match (Findings::from_vec(self.findings), complete) {
            (None, Some(complete)) => Ok(complete),
            (Some(findings), _) => Err(findings),
            // A fault of the agent; the parameters must not pass for valid.
            (None, None) => Err(Findings::one(Finding::new(
                Exit::Generic,
                "internal error: parameters incomplete",
            ))),
        }
    }
}

fn parse_boolean(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" | "y" => Ok(true),
        "no" | "false" | "off" | "0" | "n" => Ok(false),
        _ => Err("not a boolean: give yes or no"),
    }
}

fn lower_first(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        // An abbreviation (IPv4, SIP) keeps its capitals.
        let rest = characters.as_str();
        if rest.starts_with(char::is_uppercase) {
            text.to_owned()
        } else {
            first.to_lowercase().chain(rest.chars()).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Parameter = Parameter {
        name: "count",
        kind: Kind::Integer,
        default: Some("5"),
        shortdesc: "A count",
        ..Parameter::TEMPLATE
    };
    const IP: Parameter =
        Parameter { name: "ip", required: true, shortdesc: "IPv4 address", ..Parameter::TEMPLATE };
    const FORM: Parameter = Parameter {
        name: "form",
        kind: Kind::Select(&["request", "reply"]),
        default: Some("request"),
        ..Parameter::TEMPLATE
    };
    const WAIT: Parameter = Parameter { name: "wait", default: Some("3s"), ..Parameter::TEMPLATE };
    const FLAG: Parameter = Parameter { name: "flag", kind: Kind::Boolean, ..Parameter::TEMPLATE };

    type Read = (Option<i64>, Option<&'static str>, Option<Duration>, bool);

    fn read(pairs: &[(&str, &str)]) -> Result<Read, String> {
        let values = pairs.iter().copied().collect();
        let mut reader = Reader::new(&values);
        reader.text(&IP);
        let read = (
            reader.integer(&COUNT, 1..=100),
            reader.select(&FORM),
            reader.duration(&WAIT, Duration::ZERO..=Duration::from_secs(60)),
            reader.boolean(&FLAG),
        );
        reader.finish(Some(read)).map_err(|findings| findings.to_string())
    }

    #[test]
    fn defaults_and_values() {
        let defaults = (Some(5), Some("request"), Some(Duration::from_secs(3)), false);
        assert_eq!(read(&[("ip", "x")]), Ok(defaults));
        let given =
            [("ip", "x"), ("count", "7"), ("form", "reply"), ("wait", "50ms"), ("flag", "Yes")];
        let values = (Some(7), Some("reply"), Some(Duration::from_millis(50)), true);
        assert_eq!(read(&given), Ok(values));
    }

    #[test]
    fn every_finding_is_collected() {
        let error = read(&[("count", "-1"), ("form", "shout"), ("wait", "2h"), ("flag", "maybe")]);
        assert_eq!(
            error.unwrap_err(),
            "ip is missing: IPv4 address; \
             count=-1: not a whole number from 1 to 100; \
             form=shout: unknown: give one of request, reply; \
             wait=2h: out of range: give 0ns to 60s; \
             flag=maybe: not a boolean: give yes or no"
        );
    }

    #[test]
    fn no_values_and_no_findings_is_an_error() {
        let values = Values::default();
        assert!(Reader::new(&values).finish::<()>(None).is_err());
    }
}
