//! The name of a sharing tag.

use std::fmt;
use std::str::FromStr;

/// A sharing tag of module clusterer, in one of its clusters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SharingTag {
    pub(crate) name: String,
    /// The id of its cluster.
    pub(crate) cluster: u32,
}

const FORM: &str = "give TAG/CLUSTER, like vip/1, with a cluster id of 1 or more";

impl FromStr for SharingTag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, cluster) = text.split_once('/').ok_or(FORM)?;
        let fits = |c: char| c.is_ascii_graphic() && !"/=,\"'".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            return Err(FORM);
        }
        // The ids of clusterer are positive C ints.
        let id = cluster.parse().ok().filter(|id| (1..=2_147_483_647_u32).contains(id));
        Ok(Self { name: name.to_owned(), cluster: id.ok_or(FORM)? })
    }
}

impl fmt::Display for SharingTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.cluster)
    }
}

/// A list of tags, separated by commas or spaces; a tag that is named twice is in it once.
pub(super) fn parse_list(text: &str) -> Result<Vec<SharingTag>, &'static str> {
    let mut tags: Vec<SharingTag> = Vec::new();
    for word in text.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
        let tag = word.parse()?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    if tags.is_empty() { Err(FORM) } else { Ok(tags) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts() {
        let shown = |text: &str| -> Vec<String> {
            parse_list(text).unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(shown("vip/1"), ["vip/1"]);
        assert_eq!(shown("vip/1, sip_2/20 vip/1"), ["vip/1", "sip_2/20"]);
        for text in ["", " ", "vip", "vip/", "/1", "vip/0", "vip/-1", "vip/x", "vip/1=active"] {
            assert!(parse_list(text).is_err(), "{text}");
        }
        for text in ["vip/4294967295", "a=b/1", "a\"/1", "a/b/1", "\u{e9}/1"] {
            assert!(parse_list(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text: String) {
            if let Ok(tags) = parse_list(&text) {
                prop_assert!(!tags.is_empty());
            }
        }
    }
}
