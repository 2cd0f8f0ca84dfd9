//! Words, strings and marks of the configuration language, each with its place in the text.

/// Where something stands: index of the line in the flattened text, columns from 1,
/// the last one behind it, as the daemon counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) line: usize,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// Identifiers, numbers, file names without quotes.
    Word(String),
    Quoted(String),
    Mark(char),
    End,
}

/// Reads the text from its start; comments (`# …`, `/* … */`) and white space are passed over.
pub(crate) struct Scanner<'t> {
    rest: &'t str,
    line: usize,
    column: usize,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { rest: text, line: 0, column: 1 }
    }

    fn advance(&mut self, bytes: usize) -> &'t str {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        for character in passed.chars() {
            if character == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        passed
    }

    fn skip_blank(&mut self) {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.advance(blank);
            let comment = if self.rest.starts_with('#') {
                self.rest.find('\n').unwrap_or(self.rest.len())
            } else if self.rest.starts_with("/*") {
                self.rest.find("*/").map_or(self.rest.len(), |end| end + 2)
            } else {
                return;
            };
            self.advance(comment);
        }
    }

    /// The next token and its place; for a token over several lines, its last line.
    pub(crate) fn next(&mut self) -> (Token, Span) {
        self.skip_blank();
        let start = self.column;
        let Some(character) = self.rest.chars().next() else {
            return (Token::End, Span { line: self.line, first: start, last: start });
        };
        let word = self.rest.find(|c: char| !is_word(c)).unwrap_or(self.rest.len());
        let token = if word > 0 {
            Token::Word(self.advance(word).to_owned())
        } else if character == '"' || character == '\'' {
            Token::Quoted(self.quoted(character))
        } else {
            self.advance(character.len_utf8());
            Token::Mark(character)
        };
        let last = self.column;
        (token, Span { line: self.line, first: start.min(last), last })
    }

    /// A string that nothing closes reaches to the end of the text.
    fn quoted(&mut self, quote: char) -> String {
        self.advance(quote.len_utf8());
        let mut escaped = false;
        let end = self.rest.char_indices().find(|(_, character)| {
            let closes = *character == quote && !escaped;
            escaped = *character == '\\' && !escaped;
            closes
        });
        let content = self.advance(end.map_or(self.rest.len(), |(at, _)| at)).to_owned();
        self.advance(quote.len_utf8());
        content
    }

    /// What is left of the line, without a comment and without the white space around it.
    pub(crate) fn rest_of_line(&mut self) -> (String, Span) {
        let first = self.column;
        let line = self.line;
        let end = self.rest.find(['\n', '#']).unwrap_or(self.rest.len());
        let text = self.advance(end).trim().to_owned();
        (text, Span { line, first, last: self.column.max(first) })
    }

    /// Passes over a block whose `{` was just read; the place of the end of the text if nothing
    /// closes it.
    pub(crate) fn skip_block(&mut self) -> Result<(), Span> {
        let mut depth = 1;
        loop {
            match self.next() {
                (Token::Mark('{'), _) => depth += 1,
                (Token::Mark('}'), _) if depth == 1 => return Ok(()),
                (Token::Mark('}'), _) => depth -= 1,
                (Token::End, place) => return Err(place),
                _ => {}
            }
        }
    }
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_their_places() {
        let mut scanner = Scanner::new("a=1 # x\n/* y\n */ \"b\\\"c\"{ { '}' } } last");
        assert_eq!(scanner.next(), (Token::Word("a".into()), Span { line: 0, first: 1, last: 2 }));
        assert_eq!(scanner.next().0, Token::Mark('='));
        assert_eq!(scanner.next().0, Token::Word("1".into()));
        let (token, place) = scanner.next();
        assert_eq!(token, Token::Quoted("b\\\"c".into()));
        assert_eq!(place, Span { line: 2, first: 5, last: 11 });
        assert_eq!(scanner.next().0, Token::Mark('{'));
        assert_eq!(scanner.skip_block(), Ok(()));
        assert_eq!(scanner.next().0, Token::Word("last".into()));
        assert_eq!(scanner.next().0, Token::End);
    }

    #[test]
    fn unclosed_things_end_with_the_text() {
        assert!(Scanner::new("{ {").skip_block().is_err());
        let mut scanner = Scanner::new("\"never closed\n");
        assert_eq!(scanner.next().0, Token::Quoted("never closed\n".into()));
        assert_eq!(scanner.next().0, Token::End);
    }
}
