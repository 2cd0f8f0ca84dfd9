//! What an operator can do about an error of the daemon whose own words do not say it.

use std::path::Path;

use super::config_text::module_paths;

/// An error of the daemon, in a sentence of this agent where that is more helpful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Advised {
    pub(super) text: String,
    /// The error is in the configuration, and the daemon names no place there.
    pub(super) of_the_configuration: bool,
}

/// The words of a daemon with this configuration, or a better sentence.
pub(crate) fn of(said: &str, config: &Path) -> String {
    advised(said, || module_paths(config)).text
}

/// The words as they are, or with what to do. `module_paths` are those of the configuration.
pub(super) fn advised(said: &str, module_paths: impl FnOnce() -> Vec<String>) -> Advised {
    if let Some(text) = transport_without_module(said) {
        return Advised { text, of_the_configuration: true };
    }
    let text = match missing_module(said) {
        Some(_) => format!("{said}: {}", about_module_paths(&module_paths())),
        None => match remedy(said) {
            Some(remedy) => format!("{said}: {remedy}"),
            None => said.to_owned(),
        },
    };
    Advised { text, of_the_configuration: false }
}

/// `fix_all_socket_lists()` in net/socket_info.c, `main()` in main.c.
fn transport_without_module(said: &str) -> Option<String> {
    const NO_MODULE: &str = "listeners found for protocol ";
    if said.contains("no transport protocol loaded") {
        let sentence = "no transport module is loaded: add loadmodule \"proto_udp.so\" to it";
        return Some(sentence.to_owned());
    }
    let (_, rest) = said.split_once(NO_MODULE)?;
    let (protocol, _) = rest.split_once(", but no module can handle it")?;
    // `hep_udp` and `hep_tcp` are of one module.
    let module = protocol.split('_').next().unwrap_or(protocol);
    Some(format!(
        "socket={protocol}:... needs a transport module: add loadmodule \"proto_{module}.so\" to it"
    ))
}

/// `load_module()` in sr_module.c and the rule of cfg.y that calls it.
fn missing_module(said: &str) -> Option<&str> {
    let (_, module) = said.split_once("failed to load module ")?;
    module.contains(".so").then_some(module)
}

fn about_module_paths(paths: &[String]) -> String {
    match paths {
        [] => "install it or set mpath to the directory of the modules".to_owned(),
        paths => format!("install it in {} or correct mpath", paths.join(" or ")),
    }
}

/// By the words of module mi_fifo and of daemonize.c.
fn remedy(said: &str) -> Option<&'static str> {
    const REMEDIES: [(&str, &str); 4] = [
        ("directory stat failed", "create the directory reply_dir of module mi_fifo"),
        ("can't create FIFO", "let its user create the FIFO fifo_name of module mi_fifo there"),
        ("Cannot chroot to", "correct -t in extra_options"),
        ("Cannot chdir to", "correct -w in extra_options"),
    ];
    REMEDIES.iter().find(|(words, _)| said.contains(words)).map(|(_, remedy)| *remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(said: &str, paths: &[&str]) -> (String, bool) {
        let paths = || paths.iter().map(ToString::to_string).collect();
        let Advised { text, of_the_configuration } = advised(said, paths);
        (text, of_the_configuration)
    }

    #[test]
    fn what_the_daemon_does_not_say() {
        // 3.6.8 and 4.0.1, as printed.
        let tls = "listeners found for protocol tls, but no module can handle it, 3, 0 ; failed to \
                   initialize list addresses";
        let sentence =
            "socket=tls:... needs a transport module: add loadmodule \"proto_tls.so\" to it";
        assert_eq!(told(tls, &[]), (sentence.to_owned(), true));
        assert!(
            told("listeners found for protocol hep_udp, but no module can handle it", &[])
                .0
                .contains("\"proto_hep.so\"")
        );
        assert!(told("no transport protocol loaded", &[]).1);
        let module = "o.cfg:6:13-14: failed to load module sl.so";
        assert_eq!(
            told(module, &["/a/", "/b/"]),
            (format!("{module}: install it in /a/ or /b/ or correct mpath"), false)
        );
        assert!(
            told(module, &[])
                .0
                .ends_with(": install it or set mpath to the directory of the modules")
        );
        let fifo =
            "directory stat failed: No such file or directory; failed to initialize modules!";
        assert!(told(fifo, &[]).0.ends_with(": create the directory reply_dir of module mi_fifo"));
    }

    #[test]
    fn what_it_says_itself() {
        for said in ["o.cfg:12:50-51: syntax error", "no memory left", ""] {
            assert_eq!(told(said, &["/a/"]), (said.to_owned(), false));
        }
    }
}
