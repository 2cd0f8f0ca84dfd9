//! Foreign text within one line of a log or an exit reason.

/// The number of characters of a value that are shown.
const LIMIT: usize = 60;

/// A foreign value as text for one line. Control characters and bytes that are not UTF-8 are escaped
/// (`\n`, `\xff`); after 60 characters follow `…` and the length of the whole value in bytes.
///
/// An exit reason is one line to Pacemaker: without the escapes, a value with a newline could forge
/// another one.
pub fn shown(value: &[u8]) -> String {
    let mut text = String::new();
    let mut characters = 0;
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            if characters == LIMIT {
                return format!("{text}… ({} bytes)", value.len());
            }
            characters += 1;
            if c.is_control() { text.extend(c.escape_default()) } else { text.push(c) }
        }
        for byte in chunk.invalid() {
            if characters == LIMIT {
                return format!("{text}… ({} bytes)", value.len());
            }
            characters += 1;
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_one_short_line() {
        assert_eq!(shown(b"192.0.2.10"), "192.0.2.10");
        assert_eq!(shown(b"a\nocf-exit-reason:b"), "a\\nocf-exit-reason:b");
        assert_eq!(shown(b"\xff\xfe"), "\\xff\\xfe");
        let long = shown(&vec![b'x'; 1 << 20]);
        assert!(long.starts_with("xxxx") && long.ends_with("… (1048576 bytes)"), "{long}");
        assert!(long.len() < 100);
    }

    proptest::proptest! {
        #[test]
        fn never_a_control_character(bytes: Vec<u8>) {
            let text = shown(&bytes);
            assert!(!text.chars().any(char::is_control));
        }
    }
}
