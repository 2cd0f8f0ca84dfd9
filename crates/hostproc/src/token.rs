//! Random words.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A word of 16 hexadecimal digits that nothing outside of this process can guess: 64 bits, from the
/// keys that the standard library draws by getrandom(2). Each call gives another one.
#[must_use]
pub fn token() -> String {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_another_one() {
        let (one, other) = (token(), token());
        assert_ne!(one, other);
        for token in [one, other] {
            assert!(token.len() == 16 && token.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
    }
}
