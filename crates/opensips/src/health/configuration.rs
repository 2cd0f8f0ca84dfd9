//! Whether the daemon runs with its configuration as it is on disk.

use hostproc::Pid;

use crate::instance::state::{Digests, Loaded};
use crate::params::Params;

/// What an operator should know about a daemon that has loaded this; `now` is of the files on disk. Pure.
pub(crate) fn remarks(
    params: &Params,
    main: Pid,
    loaded: &Loaded,
    now: Option<Digests>,
) -> Vec<String> {
    let config = params.config.display();
    let mut remarks = Vec::new();
    let is_refused = match (&params.routes_version, &loaded.routes_version) {
        (Some(wanted), Some(known)) if wanted != known => {
            let refused = loaded.refused.as_ref().filter(|(version, _)| version == wanted);
            let why = refused.map_or("it was not tried yet", |(_, why)| why.as_str());
            remarks.push(format!(
                "routes_version={wanted} is not loaded ({why}): correct that, then set another value"
            ));
            true
        }
        _ => false,
    };
    // That it can't be read concerns the next start, which says so.
    let (Some(then), Some(now)) = (loaded.digests, now) else { return remarks };
    if then.settings != now.settings {
        remarks.push(format!(
            "{config} has changed since OpenSIPS (pid {main}) was started, not only in its routes: restart \
             OpenSIPS when calls allow it"
        ));
    } else if then.routes != now.routes && !is_refused {
        let way_out =
            if params.mi.is_some() { "set routes_version to a new value, or " } else { "" };
        remarks.push(format!(
            "the routes of {config} have changed since the agent had OpenSIPS (pid {main}) load them: \
             {way_out}restart OpenSIPS when calls allow it"
        ));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocf::InstanceName;
    use std::ffi::OsStr;

    fn told(pairs: &[(&str, &str)], loaded: &Loaded, now: Option<(u64, u64)>) -> Vec<String> {
        let values = pairs.iter().copied().collect();
        let params = Params::read(&values, &InstanceName::new(OsStr::new("x"))).unwrap();
        let now = now.map(|(routes, settings)| Digests { routes, settings });
        remarks(&params, Pid::new(7).unwrap(), loaded, now)
    }

    #[test]
    fn what_has_changed() {
        let digests = Some(Digests { routes: 1, settings: 2 });
        let loaded = Loaded { digests, routes_version: Some("a".into()), refused: None };
        let none: Vec<String> = Vec::new();
        assert_eq!(told(&[], &loaded, Some((1, 2))), none);
        assert_eq!(told(&[], &loaded, None), none);
        // Of one that this agent has not started, nothing is known.
        let version = [("routes_version", "b"), ("mi", "fifo:/run/x")];
        assert_eq!(told(&version, &Loaded::default(), Some((1, 2))), none);
        let routes = told(&[], &loaded, Some((3, 2)));
        assert!(
            routes[0].ends_with(" load them: restart OpenSIPS when calls allow it"),
            "{routes:?}"
        );
        let routes = told(&[("mi", "fifo:/run/x")], &loaded, Some((3, 2)));
        assert!(routes[0].contains("set routes_version to a new value, or restart"), "{routes:?}");
        for now in [(1, 3), (3, 3)] {
            let all = told(&[], &loaded, Some(now));
            assert!(all.len() == 1 && all[0].contains("not only in its routes"), "{all:?}");
        }
        let refused = told(&version, &loaded, Some((3, 2)));
        assert!(refused.len() == 1 && refused[0].starts_with("routes_version=b is not loaded"));
        assert!(refused[0].contains("(it was not tried yet)"), "{refused:?}");
        let why = |version: &str| Loaded {
            refused: Some((version.into(), "no".into())),
            ..loaded.clone()
        };
        assert!(told(&version, &why("b"), None)[0].contains("(no)"));
        assert!(told(&version, &why("c"), None)[0].contains("(it was not tried yet)"));
        let loaded_version = [("routes_version", "a"), ("mi", "fifo:/run/x")];
        assert_eq!(told(&loaded_version, &loaded, Some((1, 2))), none);
    }
}
