//! The messages of a stream (RFC 3261, 18.3). Pure.

/// In bytes: longer than any answer to OPTIONS, and the limit of OpenSIPS itself (`TCP_BUF_SIZE`).
const LIMIT: usize = 65_535;

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// The stream can't be split into messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotSip;

/// Received bytes that are not yet taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Framing {
    received: Vec<u8>,
}

impl Framing {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// Takes the next complete message; `None` until there is one.
    ///
    /// Line ends before a message are keep-alives (7.5; RFC 5626, 3.5.1) and are skipped. A message
    /// without Content-Length, which 18.3 demands, is taken as one without a body.
    ///
    /// # Errors
    /// An invalid length, or a message longer than [`LIMIT`].
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, NotSip> {
        let blank = self.received.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.received.drain(..blank);
        let Some(head) = self.received.windows(END_OF_HEAD.len()).position(|w| w == END_OF_HEAD)
        else {
            return if self.received.len() > LIMIT { Err(NotSip) } else { Ok(None) };
        };
        let head = head + END_OF_HEAD.len();
        let body = body_length(self.received.get(..head).unwrap_or_default())?;
        let end = head.checked_add(body).filter(|end| *end <= LIMIT).ok_or(NotSip)?;
        Ok((end <= self.received.len()).then(|| self.received.drain(..end).collect()))
    }
}

/// The value of Content-Length, also in its compact form.
fn body_length(head: &[u8]) -> Result<usize, NotSip> {
    let field = head.split(|byte| *byte == b'\n').find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii();
        let ours = name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l");
        ours.then(|| value.get(1..).unwrap_or_default().trim_ascii())
    });
    let Some(digits) = field else { return Ok(0) };
    let number = std::str::from_utf8(digits)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    number.and_then(|text| text.parse().ok()).ok_or(NotSip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &[u8] = b"SIP/2.0 200 OK\r\nCall-ID: a\r\nContent-Length: 4\r\n\r\nbody";
    const COMPACT: &[u8] = b"SIP/2.0 483 Too Many Hops\r\nl :\t0 \r\n\r\n";
    const BARE: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n";
    const KEEP_ALIVE: &[u8] = b"\r\n\r\n";

    /// All messages that can be taken.
    fn messages(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, NotSip> {
        let mut framing = Framing::default();
        let mut found = Vec::new();
        for piece in pieces {
            framing.push(piece);
            while let Some(message) = framing.next()? {
                found.push(message);
            }
        }
        Ok(found)
    }

    #[test]
    fn several_in_one_segment() {
        let all = [KEEP_ALIVE, ANSWER, COMPACT, KEEP_ALIVE, b"\r\n", BARE, KEEP_ALIVE].concat();
        assert_eq!(messages(&[&all]).unwrap(), [ANSWER, COMPACT, BARE]);
    }

    #[test]
    fn an_incomplete_message_is_not_taken() {
        let (head, body) = ANSWER.split_at(ANSWER.len() - 1);
        assert_eq!(messages(&[head]).unwrap(), [&[] as &[u8]; 0]);
        assert_eq!(messages(&[head, body]).unwrap(), [ANSWER]);
    }

    #[test]
    fn invalid_lengths_are_refused() {
        for length in ["-1", "+1", "4 4", "", "0x4", "99999999999999999999", "65535"] {
            let text = format!("SIP/2.0 200 OK\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(messages(&[text.as_bytes()]), Err(NotSip), "{length}");
        }
        let endless = [b'x'; 1024];
        assert_eq!(messages(&[&endless as &[u8]; 65]), Err(NotSip));
        // The longest message.
        let head = "SIP/2.0 200 OK\r\nContent-Length: 65000\r\n\r\n";
        let whole = [head.as_bytes(), &[b'x'; 65_000]].concat();
        assert_eq!(messages(&[&whole]).unwrap(), [whole]);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_messages(
            order in prop::collection::vec(0usize..4, 0..8),
            mut cuts in prop::collection::vec(0usize..600, 0..20),
        ) {
            let kinds = [KEEP_ALIVE, ANSWER, COMPACT, BARE];
            let stream: Vec<u8> = order.iter().flat_map(|kind| kinds[*kind]).copied().collect();
            cuts.iter_mut().for_each(|cut| *cut = (*cut).min(stream.len()));
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &stream[w[0]..w[1]]).collect();
            let expected: Vec<&[u8]> =
                order.iter().filter(|kind| **kind > 0).map(|kind| kinds[*kind]).collect();
            prop_assert_eq!(messages(&pieces).unwrap(), expected);
        }

        #[test]
        fn any_bytes_split_anyhow_are_judged_the_same(bytes: Vec<u8>, cut in 0usize..100) {
            let (one, other) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(messages(&[one, other]), messages(&[&bytes]));
        }

        #[test]
        fn any_damage_is_judged(at in 0usize..200, byte: u8, cut in 0usize..200) {
            let mut stream = [ANSWER, COMPACT].concat();
            let at = at % stream.len();
            stream[at] = byte;
            let (one, other) = stream.split_at(cut.min(stream.len()));
            prop_assert_eq!(messages(&[one, other]), messages(&[&stream]));
        }
    }
}
