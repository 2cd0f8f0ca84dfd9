//! How the answers to one request are read to their end: pure, over any stream of messages.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};

use futures_core::Stream;
use rtnetlink::packet_core::{NLM_F_DUMP_INTR, NetlinkMessage, NetlinkPayload};

use super::message::Message;
use crate::error::{Capability, Error, Result};

/// How a dump ended.
#[derive(Debug, PartialEq)]
pub(super) enum Dump<T> {
    /// With the kernel's word that this is all.
    Complete(Vec<T>),
    /// The table changed meanwhile: the picture is not consistent.
    Interrupted,
}

/// The answers to a dump: objects, then DONE.
pub(super) async fn read_dump<T>(
    operation: &str,
    answers: impl Stream<Item = NetlinkMessage<Message>>,
    keep: impl Fn(Message) -> Option<T>,
) -> Result<Dump<T>> {
    let mut answers = pin!(answers);
    let mut found = Vec::new();
    let mut interrupted = false;
    let mut unreadable = None;
    loop {
        let Some(answer) = next(&mut answers).await else {
            return Err(incomplete(operation, "the connection ended in the middle"));
        };
        interrupted |= answer.header.flags & NLM_F_DUMP_INTR != 0;
        match answer.payload {
            // Read on to the end all the same: a dump left half way keeps the socket busy.
            NetlinkPayload::InnerMessage(Message::Unreadable(error)) => unreadable = Some(error),
            NetlinkPayload::InnerMessage(message) => found.extend(keep(message)),
            NetlinkPayload::Done(done) if done.code == 0 => break,
            NetlinkPayload::Done(done) => return Err(kernel_refused(operation, done.code)),
            NetlinkPayload::Error(error) => {
                return Err(match error.code {
                    Some(code) => kernel_refused(operation, code.get()),
                    None => incomplete(operation, "acknowledged instead of answered"),
                });
            }
            NetlinkPayload::Overrun(_) => {
                return Err(incomplete(operation, "messages were lost"));
            }
            _ => {}
        }
    }
    match unreadable {
        // An interrupted dump is made again anyway.
        _ if interrupted => Ok(Dump::Interrupted),
        Some(error) => Err(incomplete(operation, &error.to_string())),
        None => Ok(Dump::Complete(found)),
    }
}

/// The answer to a request for a single object: the object or an error.
pub(super) async fn read_object(
    operation: &str,
    answers: impl Stream<Item = NetlinkMessage<Message>>,
) -> Result<Message> {
    let mut answers = pin!(answers);
    match next(&mut answers).await.map(|answer| answer.payload) {
        Some(NetlinkPayload::InnerMessage(Message::Unreadable(error))) => {
            Err(incomplete(operation, &error.to_string()))
        }
        Some(NetlinkPayload::InnerMessage(message)) => Ok(message),
        Some(NetlinkPayload::Error(error)) => Err(match error.code {
            Some(code) => kernel_refused(operation, code.get()),
            None => incomplete(operation, "acknowledged instead of answered"),
        }),
        _ => Err(incomplete(operation, "no object in it")),
    }
}

/// The answer to a change: the acknowledgement, which is an error message with code 0.
pub(super) async fn read_acknowledgement(
    operation: &str,
    answers: impl Stream<Item = NetlinkMessage<Message>>,
) -> Result<()> {
    let mut answers = pin!(answers);
    loop {
        match next(&mut answers).await.map(|answer| answer.payload) {
            Some(NetlinkPayload::Error(error)) => {
                return match error.code {
                    None => Ok(()),
                    Some(code) => Err(kernel_refused(operation, code.get())),
                };
            }
            Some(NetlinkPayload::InnerMessage(_) | NetlinkPayload::Noop) => {}
            _ => return Err(Error::NotAcknowledged { operation: operation.to_owned() }),
        }
    }
}

pub(super) fn incomplete(operation: &str, why: &str) -> Error {
    Error::DumpIncomplete { operation: operation.to_owned(), why: why.to_owned() }
}

async fn next<S: Stream>(stream: &mut Pin<&mut S>) -> Option<S::Item> {
    poll_fn(|context| stream.as_mut().poll_next(context)).await
}

/// Netlink carries errno negated.
fn kernel_refused(operation: &str, code: i32) -> Error {
    let source = io::Error::from_raw_os_error(code.saturating_neg());
    Error::refused(operation, Capability::NetAdmin, source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::libc;
    use rtnetlink::packet_core::{DoneMessage, ErrorMessage, NetlinkHeader};
    use std::collections::VecDeque;
    use std::num::NonZeroI32;
    use std::task::{Context, Poll, Waker};

    /// Ends where the connection would.
    struct Answers(VecDeque<NetlinkMessage<Message>>);
    impl Stream for Answers {
        type Item = NetlinkMessage<Message>;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.pop_front())
        }
    }

    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("not ready"),
        }
    }

    fn message(flags: u16, payload: NetlinkPayload<Message>) -> NetlinkMessage<Message> {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        NetlinkMessage::new(header, payload)
    }

    fn object() -> NetlinkMessage<Message> {
        message(0, NetlinkPayload::InnerMessage(Message::Other))
    }

    fn unreadable() -> NetlinkMessage<Message> {
        message(0, NetlinkPayload::InnerMessage(Message::Unreadable("cut off".into())))
    }

    fn done(flags: u16, code: i32) -> NetlinkMessage<Message> {
        let mut done = DoneMessage::default();
        done.code = code;
        message(flags, NetlinkPayload::Done(done))
    }

    /// Code 0 is the acknowledgement.
    fn error(code: i32) -> NetlinkMessage<Message> {
        let mut error = ErrorMessage::default();
        error.code = NonZeroI32::new(code);
        message(0, NetlinkPayload::Error(error))
    }

    fn dump<const N: usize>(answers: [NetlinkMessage<Message>; N]) -> Result<Dump<()>> {
        at_once(read_dump("list", Answers(answers.into()), |_| Some(())))
    }

    fn change<const N: usize>(answers: [NetlinkMessage<Message>; N]) -> Result<()> {
        at_once(read_acknowledgement("add", Answers(answers.into())))
    }

    #[test]
    fn only_a_done_dump_is_complete() {
        assert_eq!(dump([object(), object(), done(0, 0)]).unwrap(), Dump::Complete(vec![(), ()]));
        assert_eq!(dump([done(0, 0)]).unwrap(), Dump::Complete(vec![]));
        let lost = message(0, NetlinkPayload::Overrun(Vec::new()));
        for answers in [vec![], vec![object()], vec![object(), lost], vec![error(0)]] {
            let ended = at_once(read_dump("list", Answers(answers.into()), |_| Some(())));
            assert!(matches!(ended, Err(Error::DumpIncomplete { .. })), "{ended:?}");
        }
    }

    #[test]
    fn a_message_that_does_not_parse_makes_the_dump_incomplete() {
        let ended = dump([object(), unreadable(), object(), done(0, 0)]);
        let Err(Error::DumpIncomplete { why, .. }) = ended else { panic!("{ended:?}") };
        assert_eq!(why, "cut off");
    }

    #[test]
    fn an_interrupted_dump_says_so_wherever_the_mark_is() {
        let marked = || message(NLM_F_DUMP_INTR, NetlinkPayload::InnerMessage(Message::Other));
        assert_eq!(dump([marked(), object(), done(0, 0)]).unwrap(), Dump::Interrupted);
        assert_eq!(dump([object(), done(NLM_F_DUMP_INTR, 0)]).unwrap(), Dump::Interrupted);
        assert_eq!(dump([marked(), unreadable(), done(0, 0)]).unwrap(), Dump::Interrupted);
    }

    #[test]
    fn an_error_is_told_wherever_it_is() {
        for answers in [[object(), done(0, -libc::ENOMEM)], [object(), error(-libc::ENOMEM)]] {
            assert_eq!(dump(answers).unwrap_err().errno(), Some(libc::ENOMEM));
        }
        let refused = change([error(-libc::EPERM)]).unwrap_err();
        assert!(matches!(refused, Error::PermissionDenied { .. }), "{refused:?}");
    }

    #[test]
    fn only_an_acknowledged_change_is_made() {
        change([error(0)]).unwrap();
        change([object(), error(0)]).unwrap();
        for answers in [vec![], vec![object()], vec![done(0, 0)]] {
            let ended = at_once(read_acknowledgement("add", Answers(answers.into())));
            assert!(matches!(ended, Err(Error::NotAcknowledged { .. })), "{ended:?}");
        }
    }

    #[test]
    fn a_single_object_or_an_error() {
        let get = |answer| at_once(read_object("get", Answers([answer].into())));
        assert!(matches!(get(object()), Ok(Message::Other)));
        assert_eq!(get(error(-libc::ENODEV)).unwrap_err().errno(), Some(libc::ENODEV));
        for answer in [unreadable(), done(0, 0), error(0)] {
            assert!(matches!(get(answer), Err(Error::DumpIncomplete { .. })));
        }
        let ended = at_once(read_object("get", Answers([].into())));
        assert!(matches!(ended, Err(Error::DumpIncomplete { .. })));
    }
}
