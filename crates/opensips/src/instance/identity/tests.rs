use super::*;
use std::os::unix::fs::symlink;

fn identity(config: Option<&str>, pidfile: Option<&str>) -> Identity {
    Identity {
        executables: vec![Program { path: "/usr/sbin/opensips".into(), unseen: None }],
        config: config.map(PathBuf::from),
        former_config: None,
        pidfiles: pidfile.map(PathBuf::from).into_iter().collect(),
        remembered: None,
        session: None,
        namespaces: None,
        mounts: Mounts::default(),
        claims: Claims::default(),
        user: DaemonUser::default(),
        own: Pid::new(1).unwrap(),
    }
}

#[test]
fn arguments_tell_instances_apart() {
    let ours = identity(Some("/etc/a.cfg"), Some("/run/a.pid"));
    let claim = |identity: &Identity, words: &[&str]| identity.matches(&Arguments::read(words));
    let own = Some(Match::Own);
    assert_eq!(claim(&ours, &["-P", "/run/a.pid", "-f", "/etc/a.cfg"]), own);
    assert_eq!(claim(&ours, &["-P", "/run/a.pid"]), own);
    assert_eq!(claim(&ours, &["-f", "/etc/a.cfg"]), Some(Match::Elsewhere));
    let elsewhere = claim(&ours, &["-P", "/run/b.pid", "-f", "/etc/a.cfg"]);
    assert_eq!(elsewhere, Some(Match::Elsewhere));
    assert_eq!(claim(&ours, &["-P", "/run/a.pid", "-f", "/etc/b.cfg"]), None);
    assert_eq!(claim(&ours, &["-P", "/run/b.pid"]), None);
    assert_eq!(claim(&ours, &["-C", "-f", "/etc/a.cfg"]), None);
    assert_eq!(claim(&ours, &["monitor"]), None);
    assert_eq!(claim(&ours, &[]), None);
    let invalid = identity(None, Some("/run/a.pid"));
    assert_eq!(claim(&invalid, &["-P", "/run/a.pid", "-f", "/etc/b.cfg"]), own);
    assert_eq!(claim(&invalid, &["-f", "/etc/b.cfg"]), None);
    let unknown = identity(None, None);
    assert_eq!(claim(&unknown, &["-P", "/run/a.pid", "-f", "/etc/a.cfg"]), None);
    assert_eq!(claim(&unknown, &["-f", "/etc/a.cfg"]), None);
}

#[test]
fn a_changed_pid_file_is_still_of_this_instance() {
    let mut ours = identity(Some("/etc/a.cfg"), Some("/run/new.pid"));
    ours.pidfiles.push("/run/old.pid".into());
    let old = Arguments::read(&["-P", "/run/old.pid", "-f", "/etc/a.cfg"]);
    assert_eq!(ours.matches(&old), Some(Match::Own));
    assert_eq!(ours.pidfile(), Some(Path::new("/run/new.pid")));
}

#[test]
fn a_changed_configuration_is_still_of_this_instance() {
    let mut ours = identity(Some("/etc/new.cfg"), Some("/run/a.pid"));
    let claim = |ours: &Identity, words: &[&str]| ours.matches(&Arguments::read(words));
    let orphan = ["-P", "/run/a.pid", "-f", "/etc/old.cfg"];
    assert_eq!(claim(&ours, &orphan), None);
    ours.former_config = Some("/etc/old.cfg".into());
    assert_eq!(claim(&ours, &orphan), Some(Match::Own));
    // Another instance has got it meanwhile, or has still another one.
    assert_eq!(claim(&ours, &["-P", "/run/b.pid", "-f", "/etc/old.cfg"]), None);
    assert_eq!(claim(&ours, &["-f", "/etc/old.cfg"]), None);
    assert_eq!(claim(&ours, &["-P", "/run/a.pid", "-f", "/etc/third.cfg"]), None);
    assert_eq!(claim(&ours, &["-P", "/run/a.pid", "-f", "/etc/new.cfg"]), Some(Match::Own));
}

#[test]
fn a_program_whose_links_can_not_be_looked_at() {
    let unseen = Some(PathBuf::from("/mnt/far"));
    let program = Program { path: "/mnt/far/current/opensips".into(), unseen };
    assert!(program.is(Path::new("/mnt/far/3.6/sbin/opensips")));
    assert!(!program.is(Path::new("/mnt/far/bin/vi")));
    assert!(!program.is(Path::new("/usr/sbin/opensips")));
    let seen = Program { unseen: None, ..program };
    assert!(seen.is(Path::new("/mnt/far/current/opensips")));
    assert!(!seen.is(Path::new("/mnt/far/3.6/sbin/opensips")));
}

#[test]
fn nothing_is_alive_when_it_was_seen_twice() {
    let process = Process { pid: Pid::new(11).unwrap(), start_time: 1 };
    let state = hostproc::State::Alive;
    let stat = Stat { process, state, parent: Pid::new(1), group: 10, session: 10 };
    let missed = Survey { members: vec![stat], ..Survey::default() };
    let seen = |passes: &[&Survey]| {
        let mut left = passes.iter();
        let survey = confirmed(|| Ok((*left.next().unwrap()).clone())).unwrap();
        (survey, left.len())
    };
    let nothing = Survey::default();
    assert_eq!(seen(&[&nothing, &missed]), (missed.clone(), 0));
    assert_eq!(seen(&[&nothing, &nothing]), (nothing, 0));
    assert_eq!(seen(&[&missed, &missed]), (missed.clone(), 1));
}

/// A `/proc` with one daemon of [`identity`], pid 11, beside the process that looks.
fn proc_with_a_daemon() -> (tempfile::TempDir, ProcFs, Stat) {
    let root = tempfile::tempdir().unwrap();
    for pid in ["1", "11"] {
        let directory = root.path().join(pid);
        std::fs::create_dir_all(directory.join("ns")).unwrap();
        symlink("net:[4026531840]", directory.join("ns/net")).unwrap();
        symlink("pid:[4026531836]", directory.join("ns/pid")).unwrap();
    }
    let file = |name: &str| root.path().join("11").join(name);
    symlink("/usr/sbin/opensips", file("exe")).unwrap();
    symlink("/", file("cwd")).unwrap();
    let arguments = "/usr/sbin/opensips\0-P\0run/a.pid\0-f\0/etc/a.cfg\0";
    std::fs::write(file("cmdline"), arguments).unwrap();
    std::fs::write(file("environ"), "PWD=/\0").unwrap();
    std::fs::write(file("status"), "Uid:\t0\t0\t0\t0\n").unwrap();
    let process = Process { pid: Pid::new(11).unwrap(), start_time: 1 };
    let state = hostproc::State::Alive;
    let stat = Stat { process, state, parent: Pid::new(1), group: 10, session: 10 };
    let proc = ProcFs::at(root.path());
    (root, proc, stat)
}

/// Taken for another one's, it would be left alive by a stop that succeeds.
#[test]
fn a_daemon_that_cannot_be_looked_at_is_not_another_ones() {
    let ours = identity(Some("/etc/a.cfg"), Some("/run/a.pid"));
    let (_root, proc, stat) = proc_with_a_daemon();
    assert!(ours.recognises(&proc, &stat).unwrap());
    for name in ["11/ns/net", "11/ns/pid", "11/environ", "11/cwd", "1/ns/net"] {
        let (root, proc, stat) = proc_with_a_daemon();
        let path = root.path().join(name);
        std::fs::remove_file(&path).unwrap();
        // Neither a link nor a file: reading fails, and the process is neither gone nor hidden.
        std::fs::create_dir(&path).unwrap();
        let error = ours.recognises(&proc, &stat).unwrap_err();
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
}
