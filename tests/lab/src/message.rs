//! What the lab's processes say to each other: one JSON value a line.

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Writes one line at once.
pub(crate) fn send(stream: &mut impl Write, value: &Value) -> io::Result<()> {
    stream.write_all(format!("{value}\n").as_bytes())?;
    stream.flush()
}

/// The next line; `None` at the end of the stream.
///
/// # Errors
/// [`Error::Message`] for a line that isn't JSON, and for a failed or timed-out read.
pub(crate) fn receive(stream: &mut impl BufRead) -> Result<Option<Value>> {
    let mut line = String::new();
    match stream.read_line(&mut line) {
        Ok(0) => Ok(None),
        Ok(_) => match serde_json::from_str(&line) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Error::Message(line.trim().to_owned())),
        },
        Err(error) => Err(Error::Message(error.to_string())),
    }
}

/// A string of the object.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value
        .get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| Error::Message(format!("no `{key}` in {value}")))
}

/// `{"ok": …}` or `{"error": …}`.
pub(crate) fn reply(result: &Result<Value>) -> Value {
    match result {
        Ok(value) => json!({"ok": value}),
        Err(error) => json!({"error": error.to_string()}),
    }
}

/// A step of a start, told while it goes on.
pub(crate) fn event(host: &str, what: &str) -> Value {
    json!({"host": host, "event": what})
}

/// Reads events until the reply.
///
/// # Errors
/// [`Error::Refused`] with the other side's words; [`Error::Message`] at an early end.
pub(crate) fn receive_reply(
    stream: &mut impl BufRead,
    mut on_event: impl FnMut(&str, &str),
) -> Result<Value> {
    loop {
        let Some(value) = receive(stream)? else {
            return Err(Error::Message("it ended".to_owned()));
        };
        if let Some(ok) = value.get("ok") {
            return Ok(ok.clone());
        }
        if let Ok(words) = text(&value, "error") {
            return Err(Error::Refused(words.to_owned()));
        }
        on_event(text(&value, "host")?, text(&value, "event")?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_then_the_reply() {
        let mut wire = Vec::new();
        send(&mut wire, &event("node1", "corosync answers")).unwrap();
        send(&mut wire, &reply(&Ok(json!(7)))).unwrap();
        let mut heard = Vec::new();
        let answer =
            receive_reply(&mut wire.as_slice(), |host, what| heard.push(format!("{host} {what}")));
        assert_eq!(answer.unwrap(), json!(7));
        assert_eq!(heard, ["node1 corosync answers"]);
    }

    #[test]
    fn refusal_early_end_and_noise() {
        let refusal = reply(&Err(Error::PowerOff { host: "node1".to_owned() })).to_string();
        let answer = receive_reply(&mut refusal.as_bytes(), |_, _| {});
        assert!(matches!(answer, Err(Error::Refused(words)) if words.starts_with("node1 is off")));
        for noise in ["", "hello\n", "{}\n", "7\n"] {
            let answer = receive_reply(&mut noise.as_bytes(), |_, _| {});
            assert!(matches!(answer, Err(Error::Message(_))), "{noise}");
        }
    }
}
