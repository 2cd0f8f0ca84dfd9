//! What the Management Interface answers as targets of a fuzzer (tests/fuzz).

use serde_json::Value;

use super::answers::{self, Statistics};
use super::message::{self, Fault, Framing};

/// A reply, as a datagram and as what comes out of a FIFO.
pub(crate) fn reply(bytes: &[u8]) {
    let parsed = message::parse(bytes, "7");
    if let Err(Fault::Refused { message, .. }) = &parsed {
        assert!(!message.contains(char::is_control), "{message:?}");
    }
    let whole = Framing::default().take(bytes);
    // How it is cut makes no difference.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut framing = Framing::default();
    let cut = match framing.take(first) {
        Ok(None) => framing.take(second).map(|end| end.map(|end| first.len() + end)),
        ended => ended,
    };
    assert_eq!(whole, cut);
    if parsed.is_ok() {
        assert!(matches!(whole, Ok(Some(_))), "{whole:?}");
    }
    if let Ok(result) = parsed {
        answer(&result);
    }
}

/// The result of any command.
fn answer(result: &Value) {
    let _ = answers::up_time(result);
    let _ = answers::tags(result);
    let _ = answers::neighbours(result);
    let is_line = |text: &str| !text.contains(char::is_control);
    assert!(answers::capabilities(result).iter().all(|one| is_line(&one.name)));
    assert!(answers::unready(result).iter().all(|one| is_line(&one.name)));
    let statistics = Statistics::read(result);
    for process in answers::processes(result) {
        assert!(is_line(&process.role), "{process:?}");
        assert!(process.busy(&statistics).is_none_or(|percent| percent <= 100));
    }
}
