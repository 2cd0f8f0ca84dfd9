//! The one grammar of log lines: `key=value key2="value with blanks" note="sentence"`.

use std::fmt::{self, Display, Write};

use crate::Action;

/// A log line under construction: fields in the order in which they are added, then the note.
///
/// A value is written as it is where that is unambiguous, else in double quotes with the escapes
/// `\"`, `\\`, `\n`, `\t`, `\r` and `\u{1b}`, so that a foreign value can forge neither a field nor
/// a line. The level comes from the macro of the `log` crate, which builds the line only where
/// that level is enabled:
///
/// ```
/// use ocf::{Action, LogLine};
///
/// let line = LogLine::of(Action::Start)
///     .field("vip", "192.0.2.10")
///     .field("took_ms", 12)
///     .note("announced once");
/// assert_eq!(
///     line.to_string(),
///     "action=start vip=192.0.2.10 took_ms=12 note=\"announced once\""
/// );
/// log::info!("{line}");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct LogLine {
    fields: String,
    note: Option<String>,
}

impl LogLine {
    /// A line without fields, for code that does not know the action.
    pub const fn new() -> Self {
        Self { fields: String::new(), note: None }
    }

    /// A line that begins with `action=NAME`.
    pub fn of(action: Action) -> Self {
        Self::new().field("action", action)
    }

    /// Adds a field. `key` is a word of lowercase letters, digits and `_`; the key of a quantity
    /// ends with its unit (`took_ms`, `size_bytes`).
    pub fn field(mut self, key: &str, value: impl Display) -> Self {
        let separator = if self.fields.is_empty() { "" } else { " " };
        // Writing to a String can't fail.
        let _ = write!(self.fields, "{separator}{key}=");
        let start = self.fields.len();
        let _ = write!(self.fields, "{value}");
        if self.fields.get(start..).is_some_and(needs_quotes) {
            let value = self.fields.split_off(start);
            let _ = write!(self.fields, "{}", Quoted(&value));
        }
        self
    }

    /// Sets the sentence for people. It is the last of the line and always in quotes; a second
    /// note replaces the first.
    pub fn note(mut self, sentence: impl Display) -> Self {
        self.note = Some(sentence.to_string());
        self
    }
}

impl Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fields)?;
        let Some(note) = &self.note else { return Ok(()) };
        let separator = if self.fields.is_empty() { "" } else { " " };
        write!(f, "{separator}note={}", Quoted(note))
    }
}

fn needs_quotes(value: &str) -> bool {
    value.is_empty()
        || value.chars().any(|c| {
            matches!(c, '"' | '\'' | '\\' | '=') || c.is_whitespace() || must_be_escaped(c)
        })
}

/// Control characters, and the two separators at which some programs begin a new line.
const fn must_be_escaped(c: char) -> bool {
    matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}')
}

/// Text in double quotes.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if must_be_escaped(c) => write!(f, "{}", c.escape_default())?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_quotes_has_them() {
        let line = LogLine::of(Action::Stop)
            .field("vip", "2001:db8::1/64")
            .field("pid", 7)
            .field("tag", "vip/1=active")
            .field("name", "two words")
            .field("label", "")
            .field("city", "Köln");
        assert_eq!(
            line.to_string(),
            "action=stop vip=2001:db8::1/64 pid=7 tag=\"vip/1=active\" name=\"two words\" label=\"\" \
             city=Köln"
        );
    }

    #[test]
    fn the_note_is_last_wherever_it_is_given() {
        let line = LogLine::new().note("a \"word\"").field("nic", "eth0");
        assert_eq!(line.to_string(), "nic=eth0 note=\"a \\\"word\\\"\"");
        assert_eq!(LogLine::new().note("alone").to_string(), "note=\"alone\"");
        assert_eq!(LogLine::new().to_string(), "");
    }

    #[test]
    fn a_value_forges_neither_a_field_nor_a_line() {
        let forged = "x\" note=\"all is well\"\naction=stop\t\u{1b}[2J\u{9b}\u{2028}\\";
        assert_eq!(
            LogLine::new().field("nic", forged).to_string(),
            "nic=\"x\\\" note=\\\"all is well\\\"\\naction=stop\\t\\u{1b}[2J\\u{9b}\\u{2028}\\\\\""
        );
    }

    /// Reads a line back: the inverse of the grammar.
    fn fields(line: &str) -> Vec<(String, String)> {
        let mut rest = line;
        let mut fields = Vec::new();
        while let Some((key, value)) = rest.split_once('=') {
            let end = match value.strip_prefix('"') {
                Some(quoted) => {
                    let mut escaped = false;
                    let close = quoted.find(|c| {
                        let closes = c == '"' && !escaped;
                        escaped = c == '\\' && !escaped;
                        closes
                    });
                    close.expect("a closing quote") + 2
                }
                None => value.find(' ').unwrap_or(value.len()),
            };
            let (value, behind) = value.split_at(end);
            fields.push((key.to_owned(), value.to_owned()));
            rest = behind.strip_prefix(' ').unwrap_or(behind);
        }
        assert_eq!(rest, "");
        fields
    }

    proptest::proptest! {
        #[test]
        fn any_value_is_one_field_of_one_line(value: String, note: String) {
            let line = LogLine::new().field("a", &value).field("b", 1).note(&note).to_string();
            let keys: Vec<_> = fields(&line).into_iter().map(|(key, _)| key).collect();
            proptest::prop_assert_eq!(keys, ["a", "b", "note"]);
            proptest::prop_assert!(!line.chars().any(char::is_control));
        }
    }
}
