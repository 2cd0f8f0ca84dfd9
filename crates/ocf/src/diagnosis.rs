//! The result of diagnose: one tree of values, printed as a table or as JSON.

use std::fmt::{self, Write};

use crate::Verdict;

/// The output format of a diagnosis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Aligned text for people.
    #[default]
    Text,
    /// One line of JSON for programs.
    Json,
}

/// Named values in the order of the output. A name is made of lowercase words with `_` between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis(Vec<(&'static str, Value)>);

/// A value of a [`Diagnosis`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Absent. JSON: `null`.
    None,
    /// Text; control characters are printed as blanks, in JSON as escapes.
    Text(String),
    /// A whole number; the name carries the unit (`took_ms`).
    Number(i64),
    /// `yes` or `no`. JSON: `true` or `false`.
    Flag(bool),
    /// Several values of one kind.
    List(Vec<Value>),
    /// Named values.
    Fields(Diagnosis),
    /// A value that people read as text, and programs in parts.
    Told {
        /// For people.
        text: String,
        /// For programs.
        value: Box<Value>,
    },
    /// A value that could not be determined, and the cause. JSON: an object with the single member
    /// `unknown`.
    Unknown(String),
}

impl Diagnosis {
    /// Adds a value.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// The diagnosis as text that ends with a newline.
    #[must_use]
    pub(crate) fn written(&self, format: Format) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = match format {
            Format::Text => self.write_text(&mut text, 0),
            Format::Json => self.write_json(&mut text).and_then(|()| text.write_char('\n')),
        };
        text
    }

    fn write_text(&self, out: &mut String, indent: usize) -> fmt::Result {
        let widest = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.0 {
            let name = name.replace('_', " ");
            if value.has_lines() {
                write!(out, "{:indent$}{name}", "")?;
            } else {
                write!(out, "{:indent$}{name:widest$} ", "")?;
            }
            value.write_text(out, indent + 2)?;
        }
        Ok(())
    }

    fn write_json(&self, out: &mut String) -> fmt::Result {
        out.write_char('{')?;
        for (at, (name, value)) in self.0.iter().enumerate() {
            write!(out, "{}\"{name}\":", if at == 0 { "" } else { "," })?;
            value.write_json(out)?;
        }
        out.write_char('}')
    }
}

impl Value {
    /// Text for people; for programs the value that it is made of.
    pub fn told(text: impl Into<String>, value: impl Into<Self>) -> Self {
        Self::Told { text: text.into(), value: Box::new(value.into()) }
    }

    /// Returns true if the text of the value begins on the line after its name.
    fn has_lines(&self) -> bool {
        match self {
            Self::List(values) => !values.is_empty(),
            Self::Fields(_) => true,
            _ => false,
        }
    }

    /// The text in a cell of a table; `None` for a list and for fields.
    fn cell(&self) -> Option<String> {
        match self {
            Self::List(_) | Self::Fields(_) => None,
            scalar => {
                let mut text = String::new();
                // Writing to a String can't fail.
                let _ = scalar.write_text(&mut text, 0);
                Some(text.trim().to_owned())
            }
        }
    }

    /// Writes the text after the name, with the newline at its end.
    fn write_text(&self, out: &mut String, indent: usize) -> fmt::Result {
        match self {
            Self::None => writeln!(out, " -"),
            Self::Text(text) | Self::Told { text, .. } => writeln!(out, " {}", one_line(text)),
            Self::Number(number) => writeln!(out, " {number}"),
            Self::Flag(true) => writeln!(out, " yes"),
            Self::Flag(false) => writeln!(out, " no"),
            Self::Unknown(why) => writeln!(out, " unknown: {}", one_line(why)),
            Self::List(values) if values.is_empty() => writeln!(out, " none"),
            Self::List(values) => {
                writeln!(out)?;
                if let Some(rows) = rows_of(values) {
                    return write_rows(&rows, out, indent);
                }
                values.iter().try_for_each(|value| match value {
                    // The first field is on the line of the hyphen.
                    Self::Fields(fields) => {
                        let mut lines = String::new();
                        fields.write_text(&mut lines, indent + 2)?;
                        write!(out, "{:indent$}- {}", "", lines.trim_start())
                    }
                    value => {
                        write!(out, "{:indent$}-", "")?;
                        value.write_text(out, indent + 2)
                    }
                })
            }
            Self::Fields(fields) => {
                writeln!(out)?;
                fields.write_text(out, indent)
            }
        }
    }

    fn write_json(&self, out: &mut String) -> fmt::Result {
        match self {
            Self::None => out.write_str("null"),
            Self::Text(text) => write_string(out, text),
            Self::Told { value, .. } => value.write_json(out),
            Self::Number(number) => write!(out, "{number}"),
            Self::Flag(flag) => write!(out, "{flag}"),
            Self::List(values) => {
                out.write_char('[')?;
                for (at, value) in values.iter().enumerate() {
                    out.write_str(if at == 0 { "" } else { "," })?;
                    value.write_json(out)?;
                }
                out.write_char(']')
            }
            Self::Fields(fields) => fields.write_json(out),
            Self::Unknown(why) => {
                out.write_str("{\"unknown\":")?;
                write_string(out, why)?;
                out.write_char('}')
            }
        }
    }
}

/// The rows of a table, the header first. `None` unless there are two or more values with the same
/// names and nothing nested.
fn rows_of(values: &[Value]) -> Option<Vec<Vec<String>>> {
    let [Value::Fields(Diagnosis(first)), _, ..] = values else { return None };
    let names = |fields: &[(&'static str, Value)]| -> Vec<&'static str> {
        fields.iter().map(|(name, _)| *name).collect()
    };
    let header = names(first);
    let mut rows = vec![header.iter().map(|name| name.replace('_', " ")).collect()];
    for value in values {
        let Value::Fields(Diagnosis(fields)) = value else { return None };
        let cells: Option<Vec<String>> = fields.iter().map(|(_, value)| value.cell()).collect();
        rows.push(cells.filter(|_| names(fields) == header)?);
    }
    Some(rows)
}

fn write_rows(rows: &[Vec<String>], out: &mut String, indent: usize) -> fmt::Result {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).filter_map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(out, "{:indent$}{}", "", line.trim_end())?;
    }
    Ok(())
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A string of JSON (RFC 8259 section 7).
fn write_string(out: &mut String, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char('"')
}

/// The fields `code`, `name` and `reason`.
impl From<&Verdict> for Diagnosis {
    fn from(verdict: &Verdict) -> Self {
        Self::default()
            .with("code", i64::from(verdict.exit.code()))
            .with("name", verdict.exit.name())
            .with("reason", verdict.reason.clone())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Diagnosis> for Value {
    fn from(fields: Diagnosis) -> Self {
        Self::Fields(fields)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_programs_get_what_they_can_read() {
        let answer = Diagnosis::default().with("code", 200).with("took_us", 1250);
        let told = Diagnosis::default().with("answer", Value::told("200 in 1.2 ms", answer));
        assert_eq!(told.written(Format::Text), "answer  200 in 1.2 ms\n");
        let json = "{\"answer\":{\"code\":200,\"took_us\":1250}}\n";
        assert_eq!(told.written(Format::Json), json);
    }

    fn sample() -> Diagnosis {
        Diagnosis::default()
            .with("vip", "192.0.2.10")
            .with("link", Diagnosis::default().with("name", "eth0").with("carrier", true))
            .with("all", vec![Diagnosis::default().with("a", 1).with("bc", 2)])
            .with("last_seen", None::<i64>)
            .with("count", 3)
            .with("duplicate", Value::Unknown("no CAP_NET_RAW".to_owned()))
            .with("flags", Vec::<String>::new())
            .with("labels", vec!["a\"\\\n\u{1}", "é"])
    }

    #[test]
    fn as_a_table() {
        assert_eq!(
            sample().written(Format::Text),
            "\
vip        192.0.2.10
link
  name     eth0
  carrier  yes
all
  - a   1
    bc  2
last seen  -
count      3
duplicate  unknown: no CAP_NET_RAW
flags      none
labels
  - a\"\\  
  - é
"
        );
    }

    #[test]
    fn values_with_the_same_names_are_a_table() {
        let process = |pid: i64, role: Option<&str>| {
            Diagnosis::default().with("pid", pid).with("main_role", role).with("ended", false)
        };
        let two = vec![process(11, Some("attendant")), process(4711, None)];
        assert_eq!(
            Diagnosis::default().with("processes", two.clone()).written(Format::Text),
            "\
processes
  pid   main role  ended
  11    attendant  no
  4711  -          no
"
        );
        // Different names, or something nested: one value below the other.
        let other = Diagnosis::default().with("pid", 1);
        let mixed = vec![two[0].clone(), other];
        assert!(rows_of(&mixed.into_iter().map(Value::from).collect::<Vec<_>>()).is_none());
        let parts: Vec<Value> =
            two.into_iter().map(|one| one.with("flags", vec!["x"]).into()).collect();
        assert!(rows_of(&parts).is_none());
    }

    #[test]
    fn a_verdict_in_parts() {
        let verdict = Verdict::degraded("1 of 2 workers");
        assert_eq!(
            Diagnosis::from(&verdict).written(Format::Json),
            "{\"code\":190,\"name\":\"OCF_DEGRADED\",\"reason\":\"1 of 2 workers\"}\n"
        );
    }

    #[test]
    fn as_json() {
        assert_eq!(
            sample().written(Format::Json),
            concat!(
                r#"{"vip":"192.0.2.10","link":{"name":"eth0","carrier":true},"all":[{"a":1,"bc":2}],"last_seen":null,"#,
                r#""count":3,"duplicate":{"unknown":"no CAP_NET_RAW"},"flags":[],"#,
                r#""labels":["a\"\\\u000a\u0001","é"]}"#,
                "\n"
            )
        );
    }
}
