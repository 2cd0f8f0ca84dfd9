//! What the machine must have, asked before anything is made.

use std::path::{Path, PathBuf};

use crate::{
    error::{Error, Result},
    options::{Cluster, Options},
};

/// Where programs of Debian's packages are.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Programs that any lab runs, with their Debian packages.
const ALWAYS: [(&str, &str); 1] = [("ip", "iproute2")];

/// Programs that a lab with a cluster runs besides.
const CLUSTER: [(&str, &str); 7] = [
    ("corosync", "corosync"),
    ("corosync-cfgtool", "corosync"),
    ("pacemakerd", "pacemaker"),
    ("crm_mon", "pacemaker-cli-utils"),
    ("cibadmin", "pacemaker-cli-utils"),
    ("pcs", "pcs"),
    ("setsid", "util-linux"),
];

/// Root, and the programs.
pub(crate) fn check(options: &Options) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::NotRoot);
    }
    let known: Vec<String> = options.node_names().collect();
    for root in &options.roots {
        if let Some(host) = root.node.as_ref().filter(|node| !known.contains(node)) {
            return Err(Error::NoSuchHost { host: host.clone(), known: known.join(", ") });
        }
    }
    let cluster = if options.cluster == Cluster::Pacemaker { &CLUSTER[..] } else { &[] };
    missing(ALWAYS.iter(), None, PATH)?;
    let mut roots: Vec<Option<&Path>> = known.iter().map(|node| options.root_of(node)).collect();
    roots.dedup();
    roots.into_iter().try_for_each(|root| missing(ALWAYS.iter().chain(cluster), root, PATH))
}

fn missing<'a>(
    wanted: impl Iterator<Item = &'a (&'static str, &'static str)>,
    root: Option<&Path>,
    path: &str,
) -> Result<()> {
    let top = root.unwrap_or_else(|| Path::new("/"));
    // A program may be a symbolic link with an absolute path, which means another file out here.
    let absent = |(program, _): &&(&str, &str)| {
        !path.split(':').any(|directory| {
            let directory = top.join(directory.trim_start_matches('/'));
            directory.join(program).symlink_metadata().is_ok()
        })
    };
    let (programs, mut packages): (Vec<_>, Vec<_>) = wanted.filter(absent).copied().unzip();
    packages.dedup();
    if programs.is_empty() {
        return Ok(());
    }
    Err(Error::MissingPrograms { root: root.map(Path::to_owned), programs, packages })
}

/// The `lab` binary, of which the lab's own processes are made.
pub(crate) fn lab_program(options: &Options) -> Result<PathBuf> {
    if let Some(program) = &options.program {
        let looked_at = program.clone();
        return if program.is_file() {
            Ok(looked_at)
        } else {
            Err(Error::NoLabProgram { looked_at })
        };
    }
    let own = std::env::current_exe().map_err(crate::error::at("/proc/self/exe"))?;
    let candidates = own.ancestors().skip(1).take(2).map(|directory| directory.join("lab"));
    let mut looked_at = own.clone();
    for candidate in candidates {
        if candidate.is_file() {
            return Ok(candidate);
        }
        looked_at = candidate;
    }
    Err(Error::NoLabProgram { looked_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_name_each_package_once() {
        let error = missing(CLUSTER.iter(), None, "/nonexistent").unwrap_err().to_string();
        assert!(error.ends_with(
            "apt-get install --no-install-recommends corosync pacemaker pacemaker-cli-utils pcs util-linux"
        ));
        assert!(missing([("sh", "dash")].iter(), None, PATH).is_ok());
        let root = Some(Path::new("/nonexistent"));
        let error = missing([("sh", "dash")].iter(), root, PATH).unwrap_err().to_string();
        assert_eq!(
            error,
            "missing in /nonexistent: sh; install with: chroot /nonexistent apt-get install \
             --no-install-recommends dash"
        );
    }

    #[test]
    fn a_root_for_a_node_that_the_lab_does_not_have() {
        if !nix::unistd::geteuid().is_root() {
            return; // Refused before that.
        }
        let options = Options { roots: vec!["node3=/".parse().unwrap()], ..Options::default() };
        let error = check(&options).unwrap_err().to_string();
        assert_eq!(error, "no host `node3` in this lab: it has node1, node2");
    }

    #[test]
    fn a_program_that_is_not_there() {
        let options = Options { program: Some("/nonexistent/lab".into()), ..Options::default() };
        assert!(matches!(lab_program(&options), Err(Error::NoLabProgram { .. })));
    }
}
