//! Which sharing tags a configuration declares, by its text.
//!
//! The one exception to the rule that the agent does not read the configuration: no version of the
//! daemon tells the declared state before it has taken the tag from the other node (`send_active_msg`
//! in modules/clusterer/sharing_tags.c).

use std::path::{Path, PathBuf};

use crate::daemon::config_text::{Quoted, Unread, each_text};
use crate::params::{Params, SharingTag};
use crate::promotion::{Error, Result};

/// Fails if the configuration, with the files that it includes by name, declares a tag as active, as far as
/// they can be read.
///
/// # Errors
/// [`Error::TagDeclaredActive`]
pub(crate) fn refuse_declared_active(params: &Params) -> Result<()> {
    match declared_active(&params.config, &params.sharing_tags) {
        Some((tag, path)) => Err(Error::TagDeclaredActive { tag: tag.clone(), path }),
        None => Ok(()),
    }
}

/// Fails if the configuration, with the files that it includes by name, does not declare a tag, as far
/// as its text shows: a preprocessor may make another text of it.
///
/// # Errors
/// [`Error::TagUndeclared`]; [`Error::DeclarationUnknown`] if a file that can't be read may declare it.
pub(crate) fn refuse_undeclared(params: &Params) -> Result<()> {
    if params.extra_options.iter().any(|option| option.starts_with("-p")) {
        return Ok(());
    }
    match undeclared(&params.config, &params.sharing_tags) {
        Some((tag, None)) => Err(Error::TagUndeclared { tag: tag.clone() }),
        Some((tag, Some(Unread { path, source }))) => {
            Err(Error::DeclarationUnknown { tag: tag.clone(), path, source })
        }
        None => Ok(()),
    }
}

fn declared_active<'t>(config: &Path, tags: &'t [SharingTag]) -> Option<(&'t SharingTag, PathBuf)> {
    let mut found = None;
    // What an unread file declares, the Management Interface tells after the start.
    let _ = each_text(config, &mut |Quoted { text, path, .. }| {
        let text = squeezed(text);
        let active = tags.iter().find(|tag| text == format!("{tag}=active"));
        found = found.take().or(active.map(|tag| (tag, path.to_owned())));
    });
    found
}

/// The first tag that no file declares, with the first file that may declare it and can't be read. One that is absent
/// declares nothing.
fn undeclared<'t>(
    config: &Path,
    tags: &'t [SharingTag],
) -> Option<(&'t SharingTag, Option<Unread>)> {
    let mut left: Vec<&SharingTag> = tags.iter().collect();
    let unread = each_text(config, &mut |Quoted { text, .. }| {
        let text = squeezed(text);
        left.retain(|tag| text != format!("{tag}=active") && text != format!("{tag}=backup"));
    });
    let unknown = unread.into_iter().find(|file| !file.is_absent());
    left.first().map(|tag| (*tag, unknown))
}

/// Without white space, which the daemon ignores there.
fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocf::InstanceName;
    use std::ffi::OsStr;

    fn declared(text: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("opensips.cfg");
        std::fs::write(&config, text).unwrap();
        let shared = "modparam(\"clusterer\", \"sharing_tag\", \"vip/1 = active\")\n";
        std::fs::write(directory.path().join("node.cfg"), shared).unwrap();
        let tags = ["other/1".parse().unwrap(), "vip/1".parse().unwrap()];
        declared_active(&config, &tags).map(|(tag, _)| tag.to_string())
    }

    #[test]
    fn what_robs_the_active_node() {
        let vip = Some("vip/1".to_owned());
        assert_eq!(declared("modparam(\"clusterer\", \"sharing_tag\", \"vip/1=active\")"), vip);
        assert_eq!(declared("modparam('clusterer','sharing_tag',' vip / 1 = active ')"), vip);
        assert_eq!(
            declared("/* x */ modparam(\"clusterer\",\n\"sharing_tag\",\"vip/1=active\")"),
            vip
        );
        assert_eq!(declared("include_file \"node.cfg\"\n"), vip);
        assert_eq!(declared("a=\"#\"\nx(\"vip/1=active\")"), vip);
    }

    #[test]
    fn what_does_not() {
        for text in [
            "modparam(\"clusterer\", \"sharing_tag\", \"vip/1=backup\")",
            "modparam(\"clusterer\", \"sharing_tag\", \"vip/2=active\")",
            "# modparam(\"clusterer\", \"sharing_tag\", \"vip/1=active\")",
            "/* \"vip/1=active\" */",
            "/* \"vip/1=active\"",
            "xlog(\"the tag vip/1=active is\")",
            "include_file \"missing.cfg\"",
            "include_file \"opensips.cfg\"",
            "include_file",
            "",
        ] {
            assert_eq!(declared(text), None, "{text}");
        }
    }

    #[test]
    fn what_declares() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("opensips.cfg");
        let tags = ["vip/1".parse().unwrap(), "vip/7".parse().unwrap()];
        let missing = |text: &str| {
            std::fs::write(&config, text).unwrap();
            let (tag, unread) = undeclared(&config, &tags)?;
            assert!(unread.is_none(), "{unread:?}");
            Some(tag.to_string())
        };
        let vip7 = Some("vip/7".to_owned());
        let both = r#"x("sharing_tag", "vip/1=backup") x("sharing_tag", "vip/7 = active")"#;
        assert_eq!(missing(both), None);
        let quoted = r#"x("say \"") y('\') "#.to_owned() + both;
        assert_eq!(missing(&quoted), None);
        assert_eq!(missing(r#"x("sharing_tag", "vip/1=backup") # "vip/7=backup""#), vip7);
        assert_eq!(missing(""), Some("vip/1".to_owned()));
        std::fs::write(directory.path().join("node.cfg"), r#""vip/7=backup""#).unwrap();
        assert_eq!(missing("include_file \"node.cfg\"\nx('vip/1=backup')"), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_may_declare_it() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("opensips.cfg");
        std::fs::create_dir(directory.path().join("node.cfg")).unwrap();
        let refused = |text: &str| {
            std::fs::write(&config, text).unwrap();
            let config = ("config", config.to_str().unwrap());
            let values = [config, ("sharing_tag", "vip/1"), ("mi", "fifo:/run/x")];
            let instance = InstanceName::new(OsStr::new("x"));
            let params = Params::read(&values.into_iter().collect(), &instance).unwrap();
            refuse_undeclared(&params).err()
        };
        let unread = "include_file \"node.cfg\"\n";
        let error = refused(unread).unwrap();
        assert!(matches!(&error, Error::DeclarationUnknown { .. }), "{error}");
        assert!(error.to_string().contains("/node.cfg can't be read (Is a directory)"), "{error}");
        assert!(refused(&format!("{unread}x('vip/1=backup')")).is_none());
        // One that is absent declares nothing, as for the digest of the configuration.
        let absent = "import_file \"none.cfg\"\n";
        assert!(matches!(refused(absent), Some(Error::TagUndeclared { .. })));
        let both = format!("{absent}{unread}");
        assert!(matches!(refused(&both), Some(Error::DeclarationUnknown { .. })));
        assert!(matches!(refused("x('other')"), Some(Error::TagUndeclared { .. })));
    }
}
