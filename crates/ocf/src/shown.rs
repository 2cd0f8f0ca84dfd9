//! Foreign text in one line of ours.

/// Longest part of a foreign value that is shown, in characters.
const LIMIT: usize = 60;

/// A value from outside, fit for one line of a log or an exit reason: non-UTF-8 and control
/// characters escaped, cut after 60 characters with the full length told.
///
/// Pacemaker ends an exit reason at the end of the line; a value with a newline must not be able
/// to forge one.
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
    fn one_line_whatever_comes() {
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
