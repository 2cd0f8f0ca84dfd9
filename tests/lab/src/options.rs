//! What a lab is made of: the options of `lab up` and of [`crate::Lab::up`].

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{Args, ValueEnum};

use crate::{
    error::{Error, Result},
    root::{self, Root},
};

/// Where labs keep their state unless told otherwise.
pub const DEFAULT_STATE: &str = "/run/smartvox-lab";

/// Name of a lab: 1 to 32 characters of a-z, 0-9 and `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabName(String);

impl FromStr for LabName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (1..=32).contains(&text.len()) && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::LabName(text.to_owned()))
        }
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which lab: its name and where labs keep their state.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the lab; several labs can be up at once
    #[arg(long, default_value = "lab", value_name = "NAME")]
    pub name: LabName,
    /// Directory that holds the labs' state, one directory per lab
    #[arg(long, default_value = DEFAULT_STATE, value_name = "DIR")]
    pub state: PathBuf,
}

impl Default for Place {
    fn default() -> Self {
        Self { name: LabName("lab".to_owned()), state: PathBuf::from(DEFAULT_STATE) }
    }
}

impl Place {
    /// The lab `name` under the default state directory.
    ///
    /// # Errors
    /// [`Error::LabName`].
    pub fn named(name: &str) -> Result<Self> {
        Ok(Self { name: name.parse()?, ..Self::default() })
    }
}

/// A file or directory of the machine that appears at a place in each node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Path on the machine.
    pub source: PathBuf,
    /// Absolute path in the nodes; made there if it doesn't exist.
    pub destination: PathBuf,
}

impl FromStr for Bind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((source, destination)) if !source.is_empty() && destination.starts_with('/') => {
                Ok(Self { source: source.into(), destination: destination.into() })
            }
            _ => Err(Error::BindSpecification(text.to_owned())),
        }
    }
}

/// What is started in the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Cluster {
    /// Corosync and Pacemaker
    Pacemaker,
    /// Nothing: namespaces and networks only, up in a second
    None,
}

/// What the lab is made of.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Name and state directory.
    #[command(flatten)]
    pub place: Place,
    /// Number of nodes: node1, node2, ...
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub nodes: u8,
    /// Corosync's token timeout in milliseconds: how long a node may be silent. Slow and shared
    /// machines stall for seconds: below 3000 such a stall looks like a dead node
    #[arg(long, default_value_t = 10_000, value_name = "MS", value_parser = clap::value_parser!(u32).range(100..=600_000))]
    pub token: u32,
    /// What to start in the nodes
    #[arg(long, value_enum, default_value_t = Cluster::Pacemaker)]
    pub cluster: Cluster,
    /// Directory of resource agents that appears as ocf:smartvox:* in each node
    #[arg(long, value_name = "DIR")]
    pub agents: Option<PathBuf>,
    /// File or directory of this machine that appears at DST in each node and in the client;
    /// repeatable
    #[arg(long = "bind", value_name = "SRC:DST")]
    pub binds: Vec<Bind>,
    /// Root directory of another system, such as debootstrap makes one: that of NODE, or of all
    /// nodes. The last one that names a node counts; / is the machine's own. Repeatable
    #[arg(long = "root", value_name = "[NODE=]DIR")]
    pub roots: Vec<Root>,
    /// User and group that exist in each node; repeatable
    #[arg(long = "user", value_name = "NAME", default_values_t = [String::from("opensips")])]
    pub users: Vec<String>,
    /// Let Corosync use the public network as a second link
    #[arg(long)]
    pub second_link: bool,
    /// Path of the `lab` binary when another program uses this library; default: next to the
    /// running program, then in the directory above (as in cargo's target directory).
    #[arg(skip)]
    pub program: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            place: Place::default(),
            nodes: 2,
            token: 10_000,
            cluster: Cluster::Pacemaker,
            agents: None,
            binds: Vec::new(),
            roots: Vec::new(),
            users: vec!["opensips".to_owned()],
            second_link: false,
            program: None,
        }
    }
}

impl Options {
    /// The defaults, for the lab `name`.
    ///
    /// # Errors
    /// [`Error::LabName`].
    pub fn named(name: &str) -> Result<Self> {
        Ok(Self { place: Place::named(name)?, ..Self::default() })
    }

    /// Names of the nodes.
    pub fn node_names(&self) -> impl Iterator<Item = String> + use<> {
        (1..=self.nodes).map(|number| format!("node{number}"))
    }

    /// The root directory of this host, if it is not the machine's: of a node by its name or of all,
    /// the last one that fits. The client has the machine's, whose programs measure.
    pub(crate) fn root_of(&self, host: &str) -> Option<&Path> {
        let fits = |root: &&Root| match &root.node {
            Some(node) => node == host,
            None => self.node_names().any(|node| node == host),
        };
        let root = self.roots.iter().rev().find(fits)?;
        (root.directory != Path::new("/")).then_some(&root.directory)
    }

    /// The command-line options that parse to this value again: the lab's processes hand it on.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |option: &str, value: OsString| arguments.extend([option.into(), value]);
        add("--name", self.place.name.to_string().into());
        add("--state", self.place.state.clone().into());
        add("--nodes", self.nodes.to_string().into());
        add("--token", self.token.to_string().into());
        let cluster = if self.cluster == Cluster::Pacemaker { "pacemaker" } else { "none" };
        add("--cluster", cluster.into());
        if let Some(agents) = &self.agents {
            add("--agents", agents.into());
        }
        for bind in &self.binds {
            let mut value = OsString::from(&bind.source);
            value.push(":");
            value.push(&bind.destination);
            add("--bind", value);
        }
        for root in &self.roots {
            let mut value = OsString::new();
            if let Some(node) = &root.node {
                value.push(node);
                value.push("=");
            }
            value.push(&root.directory);
            add("--root", value);
        }
        for user in &self.users {
            add("--user", user.into());
        }
        if self.second_link {
            arguments.push("--second-link".into());
        }
        arguments
    }

    /// The same with absolute paths, and every source known to exist.
    pub(crate) fn resolved(&self) -> Result<Self> {
        let mut options = self.clone();
        options.agents = self.agents.as_deref().map(root::resolved).transpose()?;
        for bind in &mut options.binds {
            bind.source = root::resolved(&bind.source)?;
        }
        for root in &mut options.roots {
            root.directory = root::resolved(&root.directory)?;
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_command_line_s_defaults_are_the_library_s() {
        assert_eq!(CommandLine::parse_from(["lab"]).options, Options::default());
    }

    #[test]
    fn options_survive_the_way_to_another_process() {
        let options = Options {
            nodes: 3,
            token: 1000,
            cluster: Cluster::None,
            agents: Some("/tmp/agents dir".into()),
            binds: vec!["/a:/usr/sbin/a".parse().unwrap(), "/b c:/etc/b".parse().unwrap()],
            roots: vec!["/debian 13".parse().unwrap(), "node2=/".parse().unwrap()],
            users: vec!["sip".into(), "media".into()],
            second_link: true,
            ..Options::named("other").unwrap()
        };
        let arguments = [OsString::from("lab")].into_iter().chain(options.arguments());
        assert_eq!(CommandLine::parse_from(arguments).options, options);
    }

    #[test]
    fn names_and_binds_are_checked() {
        for name in ["", "Lab", "a/b", "..", "a b", &"x".repeat(33)] {
            assert!(matches!(name.parse::<LabName>(), Err(Error::LabName(_))), "{name}");
        }
        for bind in ["", "/a", ":/b", "/a:", "/a:b"] {
            assert!(matches!(bind.parse::<Bind>(), Err(Error::BindSpecification(_))), "{bind}");
        }
    }

    #[test]
    fn the_last_root_that_names_a_node_is_its_own() {
        let roots = |words: &[&str]| Options {
            roots: words.iter().map(|word| word.parse().unwrap()).collect(),
            ..Options::default()
        };
        let options = roots(&["node1=/one", "/all", "node2=/two"]);
        assert_eq!(options.root_of("node1"), Some(Path::new("/all")));
        assert_eq!(options.root_of("node2"), Some(Path::new("/two")));
        assert_eq!(options.root_of("client"), None, "its programs measure");
        let mixed = roots(&["/all", "node1=/"]);
        assert_eq!(
            (mixed.root_of("node1"), mixed.root_of("node2")),
            (None, Some(Path::new("/all")))
        );
        assert_eq!(roots(&[]).root_of("node1"), None);
    }
}
