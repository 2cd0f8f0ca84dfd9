//! The Management Interface of real daemons, and of servers that are none.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::libc::O_NONBLOCK;
use nix::sys::stat::Mode;
use nix::unistd::{User, mkfifo};
use testnet::{Agent, Outcome};

use crate::site::recurring;
use crate::{Site, ends, every_daemon, fails};

const FIFO: &str = "/run/opensips/fifo";
const REPLIES: &str = "/run/smartvox/mi";
/// Where a test puts what pretends to be the daemon's.
const FAKE: &str = "/run/opensips/fake";
/// Longer than the patience that the agent has with the MI, shorter than its action's timeout.
const IN_TIME: Duration = Duration::from_secs(18);

/// A recurring monitor that asks the MI.
pub(crate) fn deep(agent: &Agent) -> Outcome {
    recurring(&agent.clone().env("OCF_CHECK_LEVEL", "10"))
}

fn nobody() -> (u32, u32) {
    let user = User::from_name("nobody").unwrap().unwrap();
    (user.uid.as_raw(), user.gid.as_raw())
}

/// The site's configuration with module mi_fifo, replies in a directory of their own.
fn configure_fifo(site: &Site) {
    let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
    config.more = format!(
        "loadmodule \"mi_fifo.so\"\n\
         modparam(\"mi_fifo\", \"fifo_name\", \"{FIFO}\")\n\
         modparam(\"mi_fifo\", \"reply_dir\", \"{REPLIES}/\")\n"
    );
    site.write(&config.text());
}

fn with_mi(site: &Site, mi: &str) -> Agent {
    site.agent().param("mi", mi).param("mi_reply_dir", REPLIES)
}

/// What a monitor of a healthy instance says, whatever the transport.
#[track_caller]
fn works(agent: &Agent) {
    ends(&agent.action("start"), 0);
    ends(&recurring(agent), 0);
    ends(&deep(agent), 0);
    let outcome = deep(&agent.clone().param("shm_limit", "1"));
    fails(&outcome, 190, " MB used, over shm_limit=1%");
    ends(&agent.action("stop"), 0);
}

#[test]
fn over_a_fifo() {
    testnet::root_or_skip!();
    every_daemon("over_a_fifo", |site| {
        configure_fifo(site);
        let agent = with_mi(site, &format!("fifo:{FIFO}"));
        works(&agent);
        assert_eq!(site.files(REPLIES), [""; 0], "a reply FIFO is left");
        let mode = site.on_host(|| std::fs::metadata(REPLIES).unwrap().mode());
        assert_eq!(mode & 0o7777, 0o710);
        // Nobody makes the directory in validation.
        ends(&agent.clone().env("OCF_CHECK_LEVEL", "10").action("validate-all"), 0);
    });
}

#[test]
fn over_datagrams() {
    testnet::root_or_skip!();
    every_daemon("over_datagrams", |site| {
        for (name, mi) in [
            ("udp:127.0.0.1:8080", "datagram:127.0.0.1:8080"),
            ("/run/opensips/mi.socket", "datagram:/run/opensips/mi.socket"),
        ] {
            let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
            config.mi_datagram = Some(name.to_owned());
            site.write(&config.text());
            works(&site.agent().param("mi", mi));
        }
    });
}

#[test]
fn over_http() {
    testnet::root_or_skip!();
    let asked = AtomicBool::new(false);
    every_daemon("over_http", |site| {
        // The stand-in has none.
        if !site.has_module("mi_http") {
            return;
        }
        let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
        config.more = "loadmodule \"httpd.so\"\n\
                       modparam(\"httpd\", \"ip\", \"127.0.0.1\")\n\
                       modparam(\"httpd\", \"port\", 8888)\n\
                       loadmodule \"mi_http.so\"\n"
            .to_owned();
        site.write(&config.text());
        works(&site.agent().param("mi", "http://127.0.0.1:8888/mi"));
        asked.store(true, Ordering::Relaxed);
    });
    if !asked.into_inner() {
        testnet::skipped("mi::over_http", "needs an OpenSIPS with module mi_http");
    }
}

#[test]
fn what_has_taken_the_place_of_the_fifo_is_not_written_to() {
    testnet::root_or_skip!();
    every_daemon("what_has_taken_the_place_of_the_fifo_is_not_written_to", |site| {
        configure_fifo(site);
        let agent = with_mi(site, &format!("fifo:{FAKE}"));
        ends(&agent.action("start"), 0);
        fails(&deep(&agent), 1, "No such file or directory");

        site.on_host(|| std::fs::write(FAKE, "precious").unwrap());
        fails(&deep(&agent), 1, "is a regular file, not a FIFO");
        let validated = agent.clone().env("OCF_CHECK_LEVEL", "10").action("validate-all");
        assert!(validated.stderr.contains("is a regular file"), "{}", validated.stderr);
        assert_eq!(site.on_host(|| std::fs::read_to_string(FAKE).unwrap()), "precious");

        // A link to the daemon's own FIFO is a link all the same.
        site.on_host(|| {
            std::fs::remove_file(FAKE).unwrap();
            symlink(FIFO, FAKE).unwrap();
        });
        fails(&deep(&agent), 1, "is a symbolic link, not a FIFO");

        site.on_host(|| {
            std::fs::remove_file(FAKE).unwrap();
            make_fifo(FAKE, (4321, 4321));
        });
        fails(&deep(&agent), 1, "belongs to user 4321");
        site.on_host(|| chown(FAKE, Some(nobody().0), None).unwrap());
        fails(&deep(&agent), 1, "nobody reads from it");
        // Calls are served: without the deep look all is well.
        ends(&recurring(&agent), 0);
        site.on_host(|| std::fs::remove_file(FAKE).unwrap());
        ends(&agent.action("stop"), 0);
    });
}

#[test]
fn replies_where_others_could_meddle_are_not_asked_for() {
    testnet::root_or_skip!();
    every_daemon("replies_where_others_could_meddle_are_not_asked_for", |site| {
        configure_fifo(site);
        let agent = with_mi(site, &format!("fifo:{FIFO}"));
        ends(&agent.action("start"), 0);
        let set = |mode: u32, owner: u32| {
            site.on_host(|| {
                std::fs::set_permissions(REPLIES, Permissions::from_mode(mode)).unwrap();
                chown(REPLIES, Some(owner), None).unwrap();
            });
        };
        set(0o777, 0);
        fails(&deep(&agent), 1, "lacks the sticky bit");
        set(0o1777, 0);
        ends(&deep(&agent), 0);
        set(0o755, 4321);
        fails(&deep(&agent), 1, "belongs to user 4321");
        let long = format!("/run/{}", "x".repeat(120));
        fails(&deep(&agent.clone().param("mi_reply_dir", &long)), 1, "too long for OpenSIPS");
        set(0o710, 0);
        ends(&deep(&agent), 0);
        ends(&agent.action("stop"), 0);
    });
}

fn make_fifo(path: &str, (uid, gid): (u32, u32)) {
    mkfifo(path, Mode::from_bits_truncate(0o660)).unwrap();
    chown(path, Some(uid), Some(gid)).unwrap();
}

/// Answers requests on the host with whatever `reply` makes of their text, while `test` runs.
fn with_fake_fifo(site: &Site, reply: impl Fn(&str) -> Vec<Vec<u8>> + Sync, test: impl FnOnce()) {
    site.on_host(|| make_fifo(FAKE, nobody()));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            site.on_host(|| {
                let mut options = OpenOptions::new();
                let options = options.read(true).write(true).custom_flags(O_NONBLOCK);
                let mut requests = options.open(FAKE).unwrap();
                let mut chunk = vec![0; 4096];
                while !over.load(Ordering::Relaxed) {
                    match requests.read(&mut chunk) {
                        Ok(length) => {
                            let request = String::from_utf8_lossy(&chunk[..length]).into_owned();
                            answer(&request, &reply(&request));
                        }
                        Err(_) => std::thread::sleep(Duration::from_millis(2)),
                    }
                }
            });
        });
        // Ends the server also if the test fails.
        let _over = Over(&over);
        test();
        drop(_over);
        server.join().unwrap();
    });
    site.on_host(|| std::fs::remove_file(FAKE).unwrap());
}

/// Set at its end.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Opens and closes the caller's FIFO for each part, as the daemon does.
fn answer(request: &str, parts: &[Vec<u8>]) {
    let name = request.split(':').nth(1).unwrap();
    for part in parts {
        let path = Path::new(REPLIES).join(name);
        let Ok(mut file) = OpenOptions::new().write(true).open(path) else { return };
        // The caller may have heard enough.
        let _ = file.write_all(part);
    }
}

/// The id of a request.
fn id(request: &str) -> &str {
    request.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap()
}

fn good(request: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"{}","result":{{"shmem:total_size":100,"shmem:real_used_size":99}}}}"#,
        id(request)
    )
}

#[test]
fn bad_answers_through_a_fifo_have_a_verdict_in_time() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    configure_fifo(site);
    let agent = with_mi(site, &format!("fifo:{FAKE}"));
    ends(&agent.action("start"), 0);
    let case = |reply: &(dyn Fn(&str) -> Vec<Vec<u8>> + Sync), words: &str| {
        with_fake_fifo(site, reply, || {
            let outcome = deep(&agent);
            fails(&outcome, 1, words);
            assert!(outcome.took < IN_TIME, "{:?}", outcome.took);
        });
        assert_eq!(site.files(REPLIES), [""; 0], "a reply FIFO is left");
    };
    case(&|_| vec![], "gave no complete answer within");
    case(&|request| vec![good(request).into_bytes()[..20].to_vec()], "(20 bytes of one)");
    case(&|_| vec![b"400 Parse_error".to_vec()], "not a JSON object");
    case(&|_| vec![b"{\"id\":}".to_vec()], "not JSON");
    case(&|_| vec![b"{\"id\":\"0\",\"result\":1}".to_vec()], "answers another request");
    case(&|_| vec![b"\xff\xfe\x00".to_vec()], "not a JSON object");
    case(
        &|_| {
            let mut huge = b"{\"result\":\"".to_vec();
            huge.resize(17 << 20, b'x');
            vec![huge]
        },
        "longer than 16777216 bytes",
    );
    case(
        &|request| {
            let refusal = r#"{"error":{"code":500,"message":"no\nwith a line end"},"id":"#;
            vec![format!("{refusal}\"{}\"}}", id(request)).into_bytes()]
        },
        "no with a line end (500)",
    );
    // In pieces, each through a FIFO opened anew; with the figure as proof that it was read.
    with_fake_fifo(
        site,
        |request| good(request).into_bytes().chunks(7).map(<[u8]>::to_vec).collect(),
        || fails(&deep(&agent), 190, "over shm_limit=90%"),
    );
    ends(&agent.action("stop"), 0);
}

#[test]
fn a_full_fifo_has_a_verdict_in_time() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    configure_fifo(site);
    let agent = with_mi(site, &format!("fifo:{FAKE}"));
    ends(&agent.action("start"), 0);
    let full = site.on_host(|| {
        make_fifo(FAKE, nobody());
        let mut options = OpenOptions::new();
        let mut fifo: File =
            options.read(true).write(true).custom_flags(O_NONBLOCK).open(FAKE).unwrap();
        while fifo.write(&[b'x'; 4096]).is_ok() {}
        fifo
    });
    let outcome = deep(&agent);
    fails(&outcome, 1, "gave no complete answer within");
    assert!(outcome.took < IN_TIME, "{:?}", outcome.took);
    drop(full);
    site.on_host(|| std::fs::remove_file(FAKE).unwrap());
    ends(&agent.action("stop"), 0);
}

#[test]
fn bad_answers_in_datagrams_have_a_verdict_in_time() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let agent = site.agent().param("mi", "datagram:127.0.0.1:8080");
    ends(&agent.action("start"), 0);
    fails(&deep(&agent), 1, "Connection refused");
    let socket = site.on_host(|| UdpSocket::bind("127.0.0.1:8080").unwrap());
    socket.set_read_timeout(Some(crate::LONG)).unwrap();
    let outcome = deep(&agent);
    fails(&outcome, 1, "gave no complete answer within");
    assert!(outcome.took < IN_TIME, "{:?}", outcome.took);
    let mut buffer = [0; 4096];
    socket.recv(&mut buffer).unwrap();
    std::thread::scope(|scope| {
        // Nonsense first, and the answer to another request: what counts comes after them.
        let server = scope.spawn(|| {
            for _ in 0..2 {
                let mut buffer = [0; 4096];
                let (length, peer) = socket.recv_from(&mut buffer).unwrap();
                let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let other = r#"{"id":"0","result":"OK"}"#;
                for reply in ["400 Parse_error", other, &good(&request)] {
                    socket.send_to(reply.as_bytes(), peer).unwrap();
                }
            }
        });
        let outcome = deep(&agent);
        server.join().unwrap();
        fails(&outcome, 190, "over shm_limit=90%");
    });
    ends(&agent.action("stop"), 0);
}

#[test]
fn bad_answers_over_http_have_a_verdict_in_time() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let agent = site.agent().param("mi", "http://127.0.0.1:8888/mi");
    ends(&agent.action("start"), 0);
    fails(&deep(&agent), 1, "Connection refused");
    let listener = site.on_host(|| TcpListener::bind("127.0.0.1:8888").unwrap());
    let header = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let whole = |body: &str| format!("{}{body}", header(body.len()));
    let cases: [(String, &str); 6] = [
        (String::new(), "gave no complete answer within"),
        (whole("400 Parse_error"), "not JSON"),
        (format!("{}{{", header(1000)), "gave no complete answer within"),
        (format!("{}{}", header(17 << 20), "x".repeat(17 << 20)), "longer than 16777216 bytes"),
        ("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".into(), "HTTP status 500"),
        (
            "HTTP/1.1 302 X\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n".into(),
            "HTTP status 302",
        ),
    ];
    for (reply, words) in cases {
        std::thread::scope(|scope| {
            let server = scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
                let mut buffer = [0; 4096];
                let length = stream.read(&mut buffer).unwrap();
                assert!(buffer[..length].starts_with(b"POST /mi HTTP/1.1\r\n"));
                // The agent may have heard enough; it is heard until it goes.
                let _ = stream.write_all(reply.as_bytes());
                let _ = stream.read_to_end(&mut Vec::new());
            });
            let outcome = deep(&agent);
            server.join().unwrap();
            fails(&outcome, 1, words);
            assert!(outcome.took < IN_TIME, "{:?}", outcome.took);
        });
    }
    ends(&agent.action("stop"), 0);
}
