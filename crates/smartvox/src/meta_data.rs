//! What an agent's meta-data says of its operations and parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use roxmltree::Document;

/// The part of the meta-data that the rules need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MetaData {
    /// That of the agent, not of the format.
    pub(crate) version: Option<String>,
    pub(crate) parameters: BTreeSet<String>,
    /// Of the parameters that have one.
    pub(crate) defaults: BTreeMap<String, String>,
    /// The shortest timeout for each operation.
    pub(crate) timeouts: Vec<(String, Duration)>,
}

impl MetaData {
    /// Reads what `AGENT meta-data` prints; `None` if it is no meta-data.
    pub(crate) fn read(xml: &str) -> Option<Self> {
        let document = Document::parse(xml).ok()?;
        let named =
            |tag: &'static str| document.descendants().filter(move |node| node.has_tag_name(tag));
        let timeouts = named("action").filter_map(|action| {
            let seconds = action.attribute("timeout")?.trim_end_matches('s').parse().ok()?;
            Some((action.attribute("name")?.to_owned(), Duration::from_secs(seconds)))
        });
        let parameters = named("parameter").filter_map(|one| one.attribute("name"));
        let defaults = named("parameter").filter_map(|one| {
            let content = one.children().find(|child| child.has_tag_name("content"))?;
            Some((one.attribute("name")?.to_owned(), content.attribute("default")?.to_owned()))
        });
        let version = document.root_element().attribute("version");
        Some(Self {
            version: version.map(str::to_owned),
            parameters: parameters.map(str::to_owned).collect(),
            defaults: defaults.collect(),
            timeouts: timeouts.collect(),
        })
    }

    /// The timeout that an operation needs.
    pub(crate) fn timeout(&self, operation: &str) -> Option<Duration> {
        let timeouts = self.timeouts.iter().filter(|(name, _)| name == operation);
        timeouts.map(|(_, timeout)| *timeout).max()
    }
}
