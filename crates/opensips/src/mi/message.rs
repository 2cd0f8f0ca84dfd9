//! JSON-RPC 2.0 as the daemon implements it: requests are written, replies are read. Pure.

use serde_json::{Map, Value};

/// The JSON-RPC code of a command that the daemon does not know.
pub(super) const METHOD_NOT_FOUND: i64 = -32601;

/// More values than any answer has. One takes up to a hundred bytes of memory, and two bytes of a reply.
const MOST_VALUES: usize = 256 * 1024;

/// The longest foreign text in a message of the agent, in characters.
const SHOWN: usize = 200;

/// One command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// The reply repeats it.
    pub(super) id: &'a str,
    pub(super) method: &'a str,
    /// Its parameters, by position.
    pub(super) parameters: &'a [Value],
}

/// What is wrong with a reply, or with the request according to the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A line that begins like a reply of OpenSIPS 2.x: code, space, reason.
    OldForm,
    /// Not a JSON-RPC reply.
    Garbled(&'static str),
    /// It has another id.
    OtherRequest,
    /// An error object.
    Refused {
        code: i64,
        /// Its message, and its data where there is some; one short line.
        message: String,
    },
}

impl Request<'_> {
    /// In one line, without white space.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut request = Map::new();
        request.insert("jsonrpc".into(), "2.0".into());
        request.insert("id".into(), self.id.into());
        request.insert("method".into(), self.method.into());
        // Some commands without parameters refuse an empty list.
        if !self.parameters.is_empty() {
            request.insert("params".into(), Value::Array(self.parameters.to_vec()));
        }
        Value::Object(request).to_string().into_bytes()
    }
}

/// Reads the reply to the request of this id.
///
/// # Errors
/// [`Fault`]
pub(super) fn parse(reply: &[u8], id: &str) -> Result<Value, Fault> {
    if may_exceed(MOST_VALUES, reply) {
        return Err(Fault::Garbled("more than 262144 values"));
    }
    let not_json = || if is_old_form(reply) { Fault::OldForm } else { Fault::Garbled("not JSON") };
    let reply: Value = serde_json::from_slice(reply).map_err(|_| not_json())?;
    let Value::Object(mut reply) = reply else {
        return Err(Fault::Garbled("not a JSON object"));
    };
    let error = reply.remove("error");
    match reply.get("id") {
        Some(Value::String(theirs)) if theirs == id => {}
        // The daemon could not read the id of the request that it refuses.
        None | Some(Value::Null) if error.is_some() => {}
        Some(_) => return Err(Fault::OtherRequest),
        None => return Err(Fault::Garbled("without id")),
    }
    match error {
        Some(error) => Err(refusal(&error)),
        None => reply.remove("result").ok_or(Fault::Garbled("neither result nor error")),
    }
}

/// Whether there may be more values than that: each follows a comma, or begins a list or an object. Those signs count
/// within texts, too.
fn may_exceed(most: usize, reply: &[u8]) -> bool {
    reply.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count() > most
}

/// `500 command not available`: mi_datagram of 2.x answers so to JSON. From 3.0 on a JSON request is
/// answered in JSON.
fn is_old_form(reply: &[u8]) -> bool {
    matches!(reply, [b'1'..=b'6', b'0'..=b'9', b'0'..=b'9', b' ', ..])
}

fn refusal(error: &Value) -> Fault {
    let Some(code) = error.get("code").and_then(Value::as_i64) else {
        return Fault::Garbled("an error without code");
    };
    let text = |name| error.get(name).and_then(Value::as_str);
    let mut message = text("message").unwrap_or("no message").to_owned();
    if let Some(data) = text("data") {
        message = format!("{message}: {data}");
    }
    let message = message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN);
    Fault::Refused { code, message: message.collect() }
}

/// Finds the end of the first JSON object in a stream: the daemon may open, write and close the
/// reply FIFO several times for one reply (`mi_fifo_flush()`), so that its closing means nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Framing {
    depth: usize,
    in_string: bool,
    escaped: bool,
    begun: bool,
}

impl Framing {
    /// Takes more bytes, and returns the number of those that belong to the object once it ends.
    ///
    /// # Errors
    /// The stream does not begin with an object.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Option<usize>, Fault> {
        for (at, byte) in bytes.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'{' | b'[' if self.begun || *byte == b'{' => {
                    self.begun = true;
                    self.depth += 1;
                }
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ if !self.begun => return Err(Fault::Garbled("not a JSON object")),
                b'"' => self.in_string = true,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Ok(Some(at + 1));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn ask(method: &str, parameters: &[Value]) -> String {
        let request = Request { id: "a1", method, parameters };
        String::from_utf8(request.to_bytes()).unwrap()
    }

    #[test]
    fn requests() {
        assert_eq!(ask("uptime", &[]), r#"{"id":"a1","jsonrpc":"2.0","method":"uptime"}"#);
        assert_eq!(
            ask("x:y", &[json!(["shmem:"])]),
            r#"{"id":"a1","jsonrpc":"2.0","method":"x:y","params":[["shmem:"]]}"#
        );
    }

    #[test]
    fn replies_of_real_daemons() {
        let reply = br#"{"jsonrpc":"2.0","result":{"core:rcv_requests":0},"id":"7"}"#;
        assert_eq!(parse(reply, "7"), Ok(json!({"core:rcv_requests": 0})));
        let reply = br#"{"jsonrpc":"2.0","result":"OK","id":"7"}"#;
        assert_eq!(parse(reply, "7"), Ok(json!("OK")));
        let reply =
            br#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":"7"}"#;
        let refused = Fault::Refused { code: METHOD_NOT_FOUND, message: "Method not found".into() };
        assert_eq!(parse(reply, "7"), Err(refused.clone()));
        let nobodys = br#"{"error":{"code":-32601,"message":"Method not found"}}"#;
        assert_eq!(parse(nobodys, "7"), Err(refused));
        let reply =
            br#"{"error":{"code":-32602,"message":"Invalid params","data":"Too\nfew"},"id":"7"}"#;
        let refused = Fault::Refused { code: -32602, message: "Invalid params: Too few".into() };
        assert_eq!(parse(reply, "7"), Err(refused));
    }

    #[test]
    fn what_is_no_reply() {
        for reply in [
            "",
            "4000 bytes",
            "[]",
            "\"OK\"",
            r#"{"result":"OK"}"#,
            r#"{"id":"7"}"#,
            r#"{"id":"7","error":"bad"}"#,
            r#"{"id":"7","result":"O"#,
        ] {
            assert!(matches!(parse(reply.as_bytes(), "7"), Err(Fault::Garbled(_))), "{reply}");
        }
        assert_eq!(parse(b"500 command not available\n", "7"), Err(Fault::OldForm));
        for reply in [r#"{"id":"8","result":1}"#, r#"{"id":7,"result":1}"#] {
            assert_eq!(parse(reply.as_bytes(), "7"), Err(Fault::OtherRequest));
        }
        let deep = "[".repeat(100_000);
        assert_eq!(parse(deep.as_bytes(), "7"), Err(Fault::Garbled("not JSON")));
    }

    #[test]
    fn a_reply_of_too_many_values_is_not_read() {
        let of = |values: usize| {
            let reply = format!(r#"{{"id":"7","result":[0{}]}}"#, ",0".repeat(values - 1));
            parse(reply.as_bytes(), "7")
        };
        // Two signs begin the object and the list, and one follows the id.
        assert_eq!(of(MOST_VALUES - 3).unwrap().as_array().unwrap().len(), MOST_VALUES - 3);
        assert_eq!(of(MOST_VALUES), Err(Fault::Garbled("more than 262144 values")));
        assert_eq!(of(8_000_000), Err(Fault::Garbled("more than 262144 values")));
    }

    #[test]
    fn an_object_ends_where_it_ends() {
        let text = br#" {"a":["}",{"b":"\"}"}],"c":{}}{"#;
        assert_eq!(Framing::default().take(text), Ok(Some(text.len() - 1)));
        assert_eq!(Framing::default().take(b"{\"a\":1"), Ok(None));
        assert!(Framing::default().take(b"400 Parse_error").is_err());
        assert!(Framing::default().take(b"[{}]").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>, id: String) {
            let _ = parse(&bytes, &id);
            let _ = Framing::default().take(&bytes);
        }

        #[test]
        fn a_reply_is_found_in_pieces(text: String, key: String, cut: prop::sample::Index) {
            let reply = json!({"id": "7", "result": {key: [text, {}, "\\"]}});
            let bytes = reply.to_string().into_bytes();
            let (first, second) = bytes.split_at(cut.index(bytes.len()));
            let mut framing = Framing::default();
            prop_assert_eq!(framing.take(first), Ok(None));
            prop_assert_eq!(framing.take(second), Ok(Some(second.len())));
            prop_assert_eq!(parse(&bytes, "7"), Ok(reply["result"].clone()));
        }

        #[test]
        fn a_request_is_json(method: String, parameter: String) {
            let parameters = [Value::from(parameter)];
            let request = Request { id: "7", method: &method, parameters: &parameters };
            let read: Value = serde_json::from_slice(&request.to_bytes()).unwrap();
            prop_assert_eq!(&read["method"], &Value::from(method));
            prop_assert_eq!(&read["params"][0], &parameters[0]);
        }
    }
}
