//! The daemon's log in JSON (`stderror_log_format`, 3.4 and newer), read as its plain format. Pure.
//!
//! `{"time": "Nov 29 04:42:34", "pid": 11671, "level": "ERROR", "module": "core", "function": "main",
//! "message": "text\n"}`, one object in each line (dprint.c). Strings are escaped as in RFC 8259, section 7.

use std::borrow::Cow;

/// The same output with each object as a line of the plain format; other lines stay as they are.
pub(super) fn as_plain(output: &str) -> Cow<'_, str> {
    if !output.lines().any(|line| line.starts_with('{')) {
        return Cow::Borrowed(output);
    }
    let lines =
        output.lines().map(|line| plain_line(line).unwrap_or_else(|| line.to_owned()) + "\n");
    Cow::Owned(lines.collect())
}

fn plain_line(line: &str) -> Option<String> {
    let [mut time, mut pid, mut level, mut module, mut function, mut message] =
        [const { None::<String> }; 6];
    let mut rest = line.trim_end().strip_prefix('{')?.strip_suffix('}')?;
    loop {
        let (key, after) = string(rest.trim_start())?;
        let value = after.trim_start().strip_prefix(':')?.trim_start();
        let (value, after) = if value.starts_with('"') {
            string(value)?
        } else {
            let end = value.find(',').unwrap_or(value.len());
            let (number, after) = value.split_at(end);
            (number.trim().to_owned(), after)
        };
        match key.as_str() {
            "time" => time = Some(value),
            "pid" => pid = Some(value),
            "level" => level = Some(value),
            "module" => module = Some(value),
            "function" => function = Some(value),
            "message" => message = Some(value),
            // `prefix`, and what is to come.
            _ => {}
        }
        match after.trim_start().strip_prefix(',') {
            Some(more) => rest = more,
            None => break,
        }
    }
    let names = [level?, module?, function?].join(":");
    let message = message?.trim_end().replace(char::is_control, " ");
    Some(format!("{} [{}] {names}: {message}", time?, pid?))
}

/// A string at the beginning of a text, and what follows it.
fn string(text: &str) -> Option<(String, &str)> {
    let mut read = String::new();
    let mut characters = text.strip_prefix('"')?.chars();
    loop {
        match characters.next()? {
            '"' => return Some((read, characters.as_str())),
            '\\' => match characters.next()? {
                'n' | 'r' | 't' | 'b' | 'f' => read.push(' '),
                'u' => {
                    let digits = characters.as_str().get(..4)?;
                    let number = u32::from_str_radix(digits, 16).ok()?;
                    // One half of a pair of surrogates is no character.
                    read.push(char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER));
                    characters = characters.as_str().get(4..)?.chars();
                }
                escaped => read.push(escaped),
            },
            other => read.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_object_is_one_line() {
        // 4.0.1, as printed.
        let printed = r#"{"time": "Nov 29 04:42:34", "pid": 11719, "level": "ERROR", "module": "core", "function": "fix_socket", "message": "could not resolve \"no.such.invalid\"\n"}
Thank you for running opensips
{"time": "Nov 29 04:42:34", "pid": 1, "prefix": "a,b", "level": "INFO", "module": "core", "function": "x", "message": "\u0041\tb"}
"#;
        let plain = "\
Nov 29 04:42:34 [11719] ERROR:core:fix_socket: could not resolve \"no.such.invalid\"
Thank you for running opensips
Nov 29 04:42:34 [1] INFO:core:x: A b
";
        assert_eq!(as_plain(printed), plain);
        for other in ["", "{\n", "{}\n", "{\"message\": \"x\"}\n", "{\"a\": \"\\u00\"}\n"] {
            assert_eq!(as_plain(other), other);
        }
    }

    proptest! {
        #[test]
        fn any_output_is_read(output: String) {
            let _ = as_plain(&format!("{{{output}}}"));
        }
    }
}
