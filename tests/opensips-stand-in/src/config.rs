//! The part of the configuration that a supervisor can notice: sockets, workers, log settings,
//! modules and their parameters. Script blocks are passed over.

use std::path::Path;

use crate::config_text::{ConfigText, Origin, SyntaxError};
use crate::error::Error;
use crate::keywords;
use crate::listener::{Protocol, SocketSpec};
use crate::log::{self, Level};
use crate::scanner::{Scanner, Span, Token};

/// What the configuration says, defaults filled in.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The text it was read from, included files in place.
    pub(crate) text: String,
    pub(crate) sockets: Vec<SocketSpec>,
    pub(crate) udp_workers: usize,
    pub(crate) tcp_workers: usize,
    pub(crate) stderror_enabled: bool,
    pub(crate) syslog_enabled: bool,
    pub(crate) log_level: i32,
    /// As `-D`.
    pub(crate) debug_mode: bool,
    modules: Vec<String>,
    /// Module, parameter, value.
    parameters: Vec<(String, String, String)>,
}

impl Config {
    /// Reads a file; deprecated words are warned about, as by the daemon.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        Ok(Self::parse(&ConfigText::read(path)?)?)
    }

    /// Reads the text that [`Config::text`] of another process holds.
    pub(crate) fn inherited(text: String) -> Result<Self, Error> {
        Ok(Self::parse(&ConfigText::inherited(text))?)
    }

    fn parse(source: &ConfigText) -> Result<Self, Box<SyntaxError>> {
        let config = Self {
            text: source.text.clone(),
            sockets: Vec::new(),
            udp_workers: 8,
            tcp_workers: 8,
            stderror_enabled: true,
            syslog_enabled: false,
            log_level: 2,
            debug_mode: false,
            modules: Vec::new(),
            parameters: Vec::new(),
        };
        let mut parser = Parser { source, scanner: Scanner::new(&source.text), config };
        while parser.statement()? {}
        Ok(parser.config)
    }

    pub(crate) fn has_module(&self, name: &str) -> bool {
        self.modules.iter().any(|module| module == name)
    }

    /// All values given for a parameter; the module's name in `modparam` may be a list `a|b`.
    pub(crate) fn parameters<'c>(
        &'c self,
        module: &'c str,
        parameter: &'c str,
    ) -> impl Iterator<Item = &'c str> {
        self.parameters
            .iter()
            .filter(move |(modules, name, _)| {
                name == parameter && modules.split('|').any(|one| one == module)
            })
            .map(|(_, _, value)| value.as_str())
    }

    /// The value that counts: the last.
    pub(crate) fn parameter<'c>(&'c self, module: &'c str, parameter: &'c str) -> Option<&'c str> {
        self.parameters(module, parameter).last()
    }

    /// Sockets of the command line replace those of the configuration, as in the daemon. Every
    /// socket needs its protocol's module.
    pub(crate) fn socket_specs(
        &self,
        command_line: &[SocketSpec],
    ) -> Result<Vec<SocketSpec>, Error> {
        let specs = if command_line.is_empty() { self.sockets.as_slice() } else { command_line };
        let missing = specs.iter().find(|spec| !self.has_module(spec.protocol.module()));
        if let Some(spec) = missing {
            return Err(Error::NoModuleFor(spec.protocol));
        }
        if specs.is_empty() {
            return Err(Error::NoTransport);
        }
        Ok(specs.to_vec())
    }
}

struct Parser<'t> {
    source: &'t ConfigText,
    scanner: Scanner<'t>,
    config: Config,
}

impl Parser<'_> {
    fn syntax_error(&self, place: Span) -> Box<SyntaxError> {
        self.source.error(place, "syntax error".to_owned(), Origin::Grammar)
    }

    /// Reads one statement; false at the end of the text.
    fn statement(&mut self) -> Result<bool, Box<SyntaxError>> {
        let (word, place) = match self.scanner.next() {
            (Token::End, _) => return Ok(false),
            (Token::Mark(';'), _) => return Ok(true),
            (Token::Word(word), place) => (word, place),
            (_, place) => return Err(self.syntax_error(place)),
        };
        match word.as_str() {
            "loadmodule" => self.load_module()?,
            "modparam" => self.module_parameter()?,
            word if keywords::contains(keywords::ROUTES, word) => self.block()?,
            word if keywords::contains(keywords::ASSIGNED, word) => {
                self.expect('=')?;
                self.assignment(word, place)?;
            }
            _ => return Err(self.syntax_error(place)),
        }
        Ok(true)
    }

    fn expect(&mut self, mark: char) -> Result<(), Box<SyntaxError>> {
        match self.scanner.next() {
            (Token::Mark(found), _) if found == mark => Ok(()),
            (_, place) => Err(self.syntax_error(place)),
        }
    }

    fn string(&mut self) -> Result<(String, Span), Box<SyntaxError>> {
        match self.scanner.next() {
            (Token::Quoted(text), place) => Ok((text, place)),
            (_, place) => Err(self.syntax_error(place)),
        }
    }

    fn load_module(&mut self) -> Result<(), Box<SyntaxError>> {
        let (path, place) = self.string()?;
        let name = path.rsplit('/').next().and_then(|file| file.strip_suffix(".so"));
        match name.filter(|name| keywords::contains(keywords::MODULES, name)) {
            Some(name) => self.config.modules.push(name.to_owned()),
            None => {
                let reason = format!("failed to load module {path}\n");
                return Err(self.source.error(place, reason, Origin::LoadModule(path)));
            }
        }
        Ok(())
    }

    /// `modparam("module", "parameter", value)`
    fn module_parameter(&mut self) -> Result<(), Box<SyntaxError>> {
        self.expect('(')?;
        let (module, _) = self.string()?;
        self.expect(',')?;
        let (parameter, _) = self.string()?;
        self.expect(',')?;
        let value = match self.scanner.next() {
            (Token::Quoted(value) | Token::Word(value), _) => value,
            (_, place) => return Err(self.syntax_error(place)),
        };
        let (token, place) = self.scanner.next();
        if token != Token::Mark(')') {
            return Err(self.syntax_error(place));
        }
        if !module.split('|').any(|module| self.config.has_module(module)) {
            let reason =
                format!("Parameter <{parameter}> not found in module <{module}> - can't set");
            return Err(self.source.error(place, reason, Origin::ModuleParameter(module)));
        }
        self.config.parameters.push((module, parameter, value));
        Ok(())
    }

    /// `route{…}`, `route[name]{…}`, `timer_route[name, 5] {…}`
    fn block(&mut self) -> Result<(), Box<SyntaxError>> {
        let (mut token, mut place) = self.scanner.next();
        if token == Token::Mark('[') {
            loop {
                match self.scanner.next() {
                    (Token::Mark(']'), _) => break,
                    (Token::Word(_) | Token::Quoted(_) | Token::Mark(','), _) => {}
                    (_, place) => return Err(self.syntax_error(place)),
                }
            }
            (token, place) = self.scanner.next();
        }
        if token != Token::Mark('{') {
            return Err(self.syntax_error(place));
        }
        self.scanner.skip_block().map_err(|place| self.syntax_error(place))
    }

    fn assignment(&mut self, word: &str, place: Span) -> Result<(), Box<SyntaxError>> {
        match word {
            "socket" | "listen" => {
                let (text, value_place) = self.scanner.rest_of_line();
                match socket(&text) {
                    Some(Some(socket)) => self.config.sockets.push(socket),
                    // A protocol of which nothing is opened here: hep, smpp…
                    Some(None) => {}
                    None => return Err(self.syntax_error(value_place)),
                }
                if word == "listen" {
                    self.deprecated("listen", "use 'socket' instead", place);
                }
            }
            "log_stderror" => {
                self.config.stderror_enabled = self.switch()?;
                let instead = "use 'stderror_enabled' and/or'syslog_enabled' instead";
                self.deprecated("log_stderror", instead, place);
            }
            "stderror_enabled" => self.config.stderror_enabled = self.switch()?,
            "syslog_enabled" => self.config.syslog_enabled = self.switch()?,
            "debug_mode" => self.config.debug_mode = self.switch()?,
            "udp_workers" => self.config.udp_workers = self.number()?,
            "tcp_workers" => self.config.tcp_workers = self.number()?,
            "log_level" => self.config.log_level = self.number()?,
            "alias" | "dst_blacklist" | "auto_scaling_profile" => {
                let (text, _) = self.scanner.rest_of_line();
                let opened = text.matches('{').count();
                if opened > text.matches('}').count() {
                    self.scanner.skip_block().map_err(|place| self.syntax_error(place))?;
                }
            }
            _ => match self.scanner.next() {
                (Token::Word(_) | Token::Quoted(_), _) => {}
                (_, place) => return Err(self.syntax_error(place)),
            },
        }
        Ok(())
    }

    fn switch(&mut self) -> Result<bool, Box<SyntaxError>> {
        let (token, place) = self.scanner.next();
        let Token::Word(word) = token else { return Err(self.syntax_error(place)) };
        match word.as_str() {
            "yes" | "true" | "on" | "enable" | "1" => Ok(true),
            "no" | "false" | "off" | "disable" | "0" => Ok(false),
            _ => Err(self.syntax_error(place)),
        }
    }

    fn number<N: std::str::FromStr>(&mut self) -> Result<N, Box<SyntaxError>> {
        let (token, place) = self.scanner.next();
        let Token::Word(word) = token else { return Err(self.syntax_error(place)) };
        word.parse().map_err(|_| self.syntax_error(place))
    }

    fn deprecated(&self, word: &str, instead: &str, place: Span) {
        let reason = format!("'{word}' is deprecated, {instead}");
        let error = self.source.error(place, reason, Origin::Grammar);
        log::line(Level::Warning, "core:warn", error.warning());
    }
}

/// The right side of `socket =`: `None` for what the grammar refuses, `Some(None)` for protocols
/// that the stand-in does not open. Of the words that may follow, `use_workers N` has an effect.
fn socket(text: &str) -> Option<Option<SocketSpec>> {
    let mut words = text.split_whitespace();
    let address = words.next()?;
    let protocol = address.split_once(':')?.0;
    if Protocol::parse(protocol).is_none() {
        let known = ["hep_udp", "hep_tcp", "bins", "smpp", "msrp"];
        return known.contains(&protocol).then_some(None);
    }
    let mut spec = SocketSpec::parse(address)?;
    if let Some(host) = address.split_once(':').map(|(_, rest)| rest) {
        let dotted = host.split(':').next().unwrap_or(host);
        let digits = dotted.chars().all(|c| c.is_ascii_digit() || c == '.');
        if digits && dotted.parse::<std::net::Ipv4Addr>().is_err() {
            return None;
        }
    }
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("use_workers") {
            spec.workers = Some(words.next()?.parse().ok()?);
        }
        if word.eq_ignore_ascii_case("as") {
            spec.advertised = Some(words.next()?.to_owned());
        }
    }
    Some(Some(spec))
}
