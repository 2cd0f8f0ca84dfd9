//! Text from outside in messages.

/// Text of unknown length and content, cut to fit into one line of a message.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 48;
    if text.chars().count() <= LONGEST {
        text.to_owned()
    } else {
        text.chars().take(LONGEST).chain(['…']).collect()
    }
}
