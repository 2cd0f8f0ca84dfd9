//! Tells whether a configuration has changed since the daemon read it, and where: the daemon can load its
//! routes anew while it serves, and nothing else (`reload_routing_script()` in cfg_reload.c).

use std::path::Path;

use super::config_text::{Token, Unread, each_token};
use crate::instance::state::Digests;

/// What begins a block of the script (cfg.lex of 3.0 to 4.0).
const ROUTES: [&str; 9] = [
    "route",
    "failure_route",
    "onreply_route",
    "branch_route",
    "error_route",
    "local_route",
    "startup_route",
    "timer_route",
    "event_route",
];

/// The digests of a configuration with the files that it includes by name; `None` if there is nothing to read, or
/// one of them exists and can't be read: what it holds may be what it was. White space and comments do not count.
pub(crate) fn digests(config: &Path) -> Option<Digests> {
    let mut reader = Reader::default();
    let unread = each_token(config, &mut |token, _| reader.take(token));
    let is_known = reader.is_anything && unread.iter().all(Unread::is_absent);
    is_known.then(|| reader.digests())
}

#[derive(Debug, Default)]
struct Reader {
    is_anything: bool,
    /// How many blocks are open.
    depth: usize,
    /// From the word that begins a block of the script to its end.
    in_route: bool,
    /// Such a word, until the next sign tells whether it begins one: it may be a part of a name.
    held: Option<String>,
    routes: Fnv,
    settings: Fnv,
}

impl Reader {
    fn take(&mut self, token: &Token) {
        self.is_anything = true;
        if let Some(word) = self.held.take() {
            self.in_route = matches!(token, Token::Sign(b'[' | b'{'));
            self.add(&Token::Word(word));
        }
        if let Token::Word(word) = token
            && self.depth == 0
            && !self.in_route
            && ROUTES.contains(&word.as_str())
        {
            self.held = Some(word.clone());
            return;
        }
        self.add(token);
        match token {
            Token::Sign(b'{') => self.depth += 1,
            Token::Sign(b'}') => {
                self.depth = self.depth.saturating_sub(1);
                self.in_route &= self.depth > 0;
            }
            _ => {}
        }
    }

    fn add(&mut self, token: &Token) {
        let digest = if self.in_route { &mut self.routes } else { &mut self.settings };
        match token {
            Token::Word(word) => digest.add(b'w', word.as_bytes()),
            Token::Text(text) => digest.add(b't', text.as_bytes()),
            Token::Sign(sign) => digest.add(b's', &[*sign]),
        }
    }

    fn digests(mut self) -> Digests {
        if let Some(word) = self.held.take() {
            self.add(&Token::Word(word));
        }
        Digests { routes: self.routes.0, settings: self.settings.0 }
    }
}

/// FNV-1a of 64 bits: nobody has an interest in a collision.
#[derive(Debug)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, kind: u8, bytes: &[u8]) {
        // A zero ends each part: none of them contains one that the daemon would read.
        for byte in [kind].iter().chain(bytes).chain(&[0]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Digests {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("opensips.cfg");
        std::fs::write(&config, text).unwrap();
        std::fs::write(directory.path().join("in.cfg"), "xlog(\"in\");\n").unwrap();
        digests(&config).unwrap()
    }

    const GOOD: &str = "log_level=3 # three\nmodparam(\"x\", \"y\", 1)\nroute[a b] { if (1) { exit; } }\n\
                        timer_route[t, 5] { drop(\"}\"); }\nsocket=udp:1.2.3.4\n";

    #[test]
    fn what_is_no_change() {
        for text in [
            GOOD.replace("# three", "# 3"),
            GOOD.replace("\n", "\n\n\t /* } */\n"),
            GOOD.replace("{ exit; }", "{\n\texit;\n}"),
        ] {
            assert_eq!(of(GOOD), of(&text), "{text}");
        }
    }

    #[test]
    fn where_a_change_is() {
        let before = of(GOOD);
        for (from, to) in [
            ("exit;", "return;"),
            ("a b", "c"),
            ("drop(\"}\")", "drop(\"{\")"),
            ("5] {", "5] { include_file \"in.cfg\""),
        ] {
            let after = of(&GOOD.replace(from, to));
            assert_eq!(after.settings, before.settings, "{from} to {to}");
            assert_ne!(after.routes, before.routes, "{from} to {to}");
        }
        for (from, to) in [
            ("log_level=3", "log_level=4"),
            ("udp:", "tcp:"),
            ("1.2.3.4", "route.example alias=1"),
            ("\"y\"", "'z'"),
            ("log", "include_file \"in.cfg\" log"),
        ] {
            let after = of(&GOOD.replacen(from, to, 1));
            assert_ne!(after.settings, before.settings, "{from} to {to}");
            assert_eq!(after.routes, before.routes, "{from} to {to}");
        }
        assert_eq!(digests(Path::new("/no/such/file")), None);
    }

    #[test]
    fn an_included_file_counts() {
        let directory = tempfile::tempdir().unwrap();
        let (config, other) = (directory.path().join("a.cfg"), directory.path().join("b.cfg"));
        std::fs::write(&config, "include_file \"b.cfg\"\nlog_level=3\n").unwrap();
        std::fs::write(&other, "route { exit; }\n").unwrap();
        let before = digests(&config).unwrap();
        std::fs::write(&other, "route { drop(); }\n").unwrap();
        let after = digests(&config).unwrap();
        assert_eq!(after.settings, before.settings);
        assert_ne!(after.routes, before.routes);
    }

    /// As if it had changed, an operator would be told to restart a daemon that serves.
    #[test]
    fn a_file_that_cannot_be_read_is_not_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let (config, other) = (directory.path().join("a.cfg"), directory.path().join("b.cfg"));
        std::fs::write(&config, "include_file \"b.cfg\"\nlog_level=3\n").unwrap();
        std::fs::write(&other, "route { exit; }\n").unwrap();
        let before = digests(&config);
        assert!(before.is_some());
        std::fs::remove_file(&other).unwrap();
        // That it is not there is known, and is a change.
        let without = digests(&config);
        assert!(without.is_some() && without != before, "{without:?}");
        // As root, no mode makes a file unreadable.
        std::fs::create_dir(&other).unwrap();
        assert_eq!(digests(&config), None);
    }

    /// Other versions of this agent and other nodes compute the same.
    #[test]
    fn the_digest_is_fnv_1a() {
        let mut digest = Fnv::default();
        assert_eq!(digest.0, 0xcbf2_9ce4_8422_2325);
        digest.add(b'a', b"");
        assert_eq!(digest.0, 0xaf63_dc4c_8601_ec8c_u64.wrapping_mul(0x0100_0000_01b3));
    }

    proptest! {
        #[test]
        fn any_file_has_a_digest(bytes: Vec<u8>) {
            let directory = tempfile::tempdir().unwrap();
            let config = directory.path().join("opensips.cfg");
            std::fs::write(&config, &bytes).unwrap();
            prop_assert_eq!(digests(&config), digests(&config));
        }
    }
}
