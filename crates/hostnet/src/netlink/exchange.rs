//! Reads the answers to one request to their end. Pure, from any stream of messages.

use std::fmt::Display;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;

use futures_core::Stream;
use rtnetlink::packet_core::{
    DecodeError, NLM_F_DUMP_INTR, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};

use super::message::{Object, RawMessage};
use crate::error::{Capability, Error, Result};

/// The answers to one request, or until the connection ends.
pub(super) struct Answers(Option<Pin<Box<dyn Stream<Item = NetlinkMessage<RawMessage>>>>>);

impl Answers {
    /// `None` if the connection has already ended.
    pub(super) fn new(
        stream: Option<impl Stream<Item = NetlinkMessage<RawMessage>> + 'static>,
    ) -> Self {
        Self(stream.map(|stream| Box::pin(stream) as _))
    }

    async fn next(&mut self) -> Option<(NetlinkHeader, NetlinkPayload<RawMessage>)> {
        let stream = self.0.as_mut()?;
        let message = poll_fn(|context| stream.as_mut().poll_next(context)).await?;
        Some((message.header, message.payload))
    }
}

/// How a dump ended.
#[derive(Debug, PartialEq)]
pub(super) enum Dump<T> {
    /// The kernel has marked the end.
    Complete(Vec<T>),
    /// The table changed during the dump: objects may be missing or there twice.
    Interrupted,
}

/// Reads the answers to a dump: objects, then `NLMSG_DONE`.
pub(super) async fn read_dump<T: Object>(
    operation: impl Display,
    mut answers: Answers,
) -> Result<Dump<T>> {
    let incomplete = |why: &str| incomplete(&operation, why);
    let mut found = Vec::new();
    let mut interrupted = false;
    let mut unreadable = None;
    loop {
        let Some((header, payload)) = answers.next().await else {
            return Err(lost(&operation));
        };
        interrupted |= header.flags & NLM_F_DUMP_INTR != 0;
        match payload {
            NetlinkPayload::InnerMessage(message) => match object(&message) {
                Ok(object) => found.extend(object),
                // The rest must be read: a dump that is left half way keeps the socket busy.
                Err(error) => unreadable = Some(error),
            },
            NetlinkPayload::Done(done) if done.code == 0 => break,
            NetlinkPayload::Done(done) => return Err(kernel_refused(&operation, done.code)),
            NetlinkPayload::Error(error) => {
                return Err(match error.code {
                    Some(code) => kernel_refused(&operation, code.get()),
                    None => incomplete("it was acknowledged instead of answered"),
                });
            }
            // The codec's mark.
            NetlinkPayload::Overrun(_) => return Err(incomplete("it was cut off")),
            _ => {}
        }
    }
    match unreadable {
        // An interrupted dump is made again in any case.
        _ if interrupted => Ok(Dump::Interrupted),
        Some(error) => Err(incomplete(&error.to_string())),
        None => Ok(Dump::Complete(found)),
    }
}

/// Reads the answer to a request for a single object.
pub(super) async fn read_object<T: Object>(
    operation: impl Display,
    mut answers: Answers,
) -> Result<T> {
    let incomplete = |why: &str| incomplete(&operation, why);
    match answers.next().await.map(|(_, payload)| payload) {
        Some(NetlinkPayload::InnerMessage(message)) => match object(&message) {
            Ok(Some(object)) => Ok(object),
            Ok(None) => Err(incomplete("something else was answered")),
            Err(error) => Err(incomplete(&error.to_string())),
        },
        Some(NetlinkPayload::Error(error)) => Err(match error.code {
            Some(code) => kernel_refused(&operation, code.get()),
            None => incomplete("it was acknowledged instead of answered"),
        }),
        Some(NetlinkPayload::Overrun(_)) => Err(incomplete("it was cut off")),
        Some(_) => Err(incomplete("no object is in it")),
        None => Err(lost(&operation)),
    }
}

/// Reads the answer to a change: the acknowledgement, which is an error message with code 0.
pub(super) async fn read_acknowledgement(
    operation: impl Display,
    mut answers: Answers,
) -> Result<()> {
    loop {
        match answers.next().await.map(|(_, payload)| payload) {
            Some(NetlinkPayload::Error(error)) => {
                return match error.code {
                    None => Ok(()),
                    Some(code) => Err(kernel_refused(&operation, code.get())),
                };
            }
            Some(NetlinkPayload::InnerMessage(_) | NetlinkPayload::Noop) => {}
            _ => return Err(Error::NotAcknowledged { operation: operation.to_string() }),
        }
    }
}

/// `None` for messages of another type, which a kernel without strict checking may send.
fn object<T: Object>(message: &RawMessage) -> std::result::Result<Option<T>, DecodeError> {
    if message.kind == T::KIND { T::read(&message.payload) } else { Ok(None) }
}

fn incomplete(operation: impl Display, why: &str) -> Error {
    Error::DumpIncomplete { operation: operation.to_string(), why: why.to_owned() }
}

fn lost(operation: impl Display) -> Error {
    Error::AnswerLost { operation: operation.to_string() }
}

/// Netlink carries errno negated.
fn kernel_refused(operation: impl Display, code: i32) -> Error {
    let source = io::Error::from_raw_os_error(code.saturating_neg());
    Error::refused(operation.to_string(), Capability::NetAdmin, source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc;
    use rtnetlink::packet_core::{DoneMessage, ErrorMessage};
    use std::collections::VecDeque;
    use std::num::NonZeroI32;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// Ends like the stream of a connection that ends.
    struct Queue(VecDeque<NetlinkMessage<RawMessage>>);
    impl Stream for Queue {
        type Item = NetlinkMessage<RawMessage>;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.pop_front())
        }
    }

    fn answers(messages: impl Into<VecDeque<NetlinkMessage<RawMessage>>>) -> Answers {
        Answers::new(Some(Queue(messages.into())))
    }

    /// A byte in a message of type 1; 0 is not to be read.
    #[derive(Debug, PartialEq)]
    struct Byte(u8);

    impl Object for Byte {
        const KIND: u16 = 1;

        fn read(payload: &[u8]) -> std::result::Result<Option<Self>, DecodeError> {
            match payload {
                [0] => Err("cut off".into()),
                [byte] => Ok(Some(Self(*byte))),
                _ => Ok(None),
            }
        }
    }

    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("not ready"),
        }
    }

    fn message(flags: u16, payload: NetlinkPayload<RawMessage>) -> NetlinkMessage<RawMessage> {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        NetlinkMessage::new(header, payload)
    }

    fn raw(flags: u16, kind: u16, payload: &[u8]) -> NetlinkMessage<RawMessage> {
        let raw = RawMessage { kind, payload: payload.to_vec() };
        message(flags, NetlinkPayload::InnerMessage(raw))
    }

    fn object() -> NetlinkMessage<RawMessage> {
        raw(0, Byte::KIND, &[7])
    }

    fn unreadable() -> NetlinkMessage<RawMessage> {
        raw(0, Byte::KIND, &[0])
    }

    /// Of another type, and of this one but none that counts.
    fn others() -> [NetlinkMessage<RawMessage>; 2] {
        [raw(0, 2, &[0]), raw(0, Byte::KIND, &[])]
    }

    fn done(flags: u16, code: i32) -> NetlinkMessage<RawMessage> {
        let mut done = DoneMessage::default();
        done.code = code;
        message(flags, NetlinkPayload::Done(done))
    }

    /// Code 0 is the acknowledgement.
    fn error(code: i32) -> NetlinkMessage<RawMessage> {
        let mut error = ErrorMessage::default();
        error.code = NonZeroI32::new(code);
        message(0, NetlinkPayload::Error(error))
    }

    fn dump<const N: usize>(messages: [NetlinkMessage<RawMessage>; N]) -> Result<Dump<Byte>> {
        at_once(read_dump("list", answers(messages)))
    }

    fn change<const N: usize>(messages: [NetlinkMessage<RawMessage>; N]) -> Result<()> {
        at_once(read_acknowledgement("add", answers(messages)))
    }

    #[test]
    fn only_a_done_dump_is_complete() {
        let [other, none] = others();
        let two = Dump::Complete(vec![Byte(7), Byte(7)]);
        assert_eq!(dump([object(), other, none, object(), done(0, 0)]).unwrap(), two);
        assert_eq!(dump([done(0, 0)]).unwrap(), Dump::Complete(vec![]));
        let cut_off = message(0, NetlinkPayload::Overrun(Vec::new()));
        for messages in [vec![object(), cut_off], vec![error(0)]] {
            let ended = at_once(read_dump::<Byte>("list", answers(messages)));
            assert!(matches!(ended, Err(Error::DumpIncomplete { .. })), "{ended:?}");
        }
        for lost in [answers([]), answers([object()]), Answers::new(None::<Queue>)] {
            let ended = at_once(read_dump::<Byte>("list", lost));
            assert!(matches!(ended, Err(Error::AnswerLost { .. })), "{ended:?}");
        }
    }

    #[test]
    fn a_message_that_does_not_parse_makes_the_dump_incomplete() {
        let ended = dump([object(), unreadable(), object(), done(0, 0)]);
        let Err(Error::DumpIncomplete { why, .. }) = ended else { panic!("{ended:?}") };
        assert_eq!(why, "cut off");
    }

    #[test]
    fn any_message_may_have_the_mark_of_an_interrupted_dump() {
        let marked = || raw(NLM_F_DUMP_INTR, Byte::KIND, &[7]);
        assert_eq!(dump([marked(), object(), done(0, 0)]).unwrap(), Dump::Interrupted);
        assert_eq!(dump([object(), done(NLM_F_DUMP_INTR, 0)]).unwrap(), Dump::Interrupted);
        assert_eq!(dump([marked(), unreadable(), done(0, 0)]).unwrap(), Dump::Interrupted);
    }

    #[test]
    fn an_error_may_come_at_any_place() {
        for messages in [[object(), done(0, -libc::ENOMEM)], [object(), error(-libc::ENOMEM)]] {
            assert_eq!(dump(messages).unwrap_err().errno(), Some(libc::ENOMEM));
        }
        let refused = change([error(-libc::EPERM)]).unwrap_err();
        assert!(matches!(refused, Error::PermissionDenied { .. }), "{refused:?}");
    }

    #[test]
    fn only_an_acknowledged_change_is_ok() {
        change([error(0)]).unwrap();
        change([object(), error(0)]).unwrap();
        for messages in [vec![], vec![object()], vec![done(0, 0)]] {
            let ended = at_once(read_acknowledgement("add", answers(messages)));
            assert!(matches!(ended, Err(Error::NotAcknowledged { .. })), "{ended:?}");
        }
    }

    #[test]
    fn a_single_object_or_an_error() {
        let get = |message| at_once(read_object::<Byte>("get", answers([message])));
        assert_eq!(get(object()).unwrap(), Byte(7));
        assert_eq!(get(error(-libc::ENODEV)).unwrap_err().errno(), Some(libc::ENODEV));
        let [other, none] = others();
        for message in [unreadable(), other, none, done(0, 0), error(0)] {
            assert!(matches!(get(message), Err(Error::DumpIncomplete { .. })));
        }
        let ended = at_once(read_object::<Byte>("get", answers([])));
        assert!(matches!(ended, Err(Error::AnswerLost { .. })));
    }
}
