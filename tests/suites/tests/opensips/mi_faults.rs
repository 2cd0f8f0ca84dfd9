//! The agent and what pretends to be a Management Interface: hung, garbled, partial, huge, of
//! another version.

use std::fs::{File, OpenOptions};
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{OpenOptionsExt, chown, symlink};
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::libc::{O_NONBLOCK, ucred};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, UnixCredentials, sendmsg};
use opensips_stand_in::Version;

use crate::mi::{FAKE, REPLIES, configure_fifo, deep, make_fifo, nobody, with_mi};
use crate::site::every_daemon_that;
use crate::{LONG, Site, ends, fails};
use testnet::{Agent, wait_until};

/// Longer than the patience that the agent has with the MI, shorter than its action's timeout.
const IN_TIME: Duration = Duration::from_secs(18);

/// Answers requests on the host with whatever `reply` makes of their text, while `test` runs.
fn with_fake_fifo(site: &Site, reply: impl Fn(&str) -> Vec<Vec<u8>> + Sync, test: impl FnOnce()) {
    // Open before the test asks: a FIFO that nobody reads from is another fault.
    let mut requests = site.on_host(|| {
        make_fifo(FAKE, nobody());
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(O_NONBLOCK).open(FAKE).unwrap()
    });
    let (over, reply) = (AtomicBool::new(false), &reply);
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            site.on_host(|| {
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
pub(crate) fn id(request: &str) -> &str {
    request.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap()
}

fn good(request: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"{}","result":{{"shmem:total_size":100,"shmem:real_used_size":95}}}}"#,
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
            fails(&outcome, 190, words);
            assert!(outcome.took < IN_TIME, "{:?}", outcome.took);
        });
        assert_eq!(site.files(REPLIES), [""; 0], "a reply FIFO is left");
    };
    case(&|_| vec![], "gave no complete answer within");
    case(&|request| vec![good(request).into_bytes()[..20].to_vec()], "(20 bytes)");
    case(&|_| vec![b"400 Parse_error".to_vec()], "not a JSON object");
    case(&|_| vec![b"{\"id\":}".to_vec()], "not JSON");
    case(&|_| vec![b"{\"id\":\"0\",\"result\":1}".to_vec()], "answers another request");
    case(&|_| vec![b"\xff\xfe\x00".to_vec()], "not a JSON object");
    let huge = |_: &str| {
        let mut huge = b"{\"result\":\"".to_vec();
        huge.resize(17 << 20, b'x');
        vec![huge]
    };
    with_fake_fifo(site, huge, || {
        fails(&deep(&patient(&agent)), 190, "longer than 16777216 bytes");
    });
    assert_eq!(site.files(REPLIES), [""; 0], "a reply FIFO is left");
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

/// For answers of many megabytes: on a busy machine they take longer than the patience with a busy MI.
fn patient(agent: &Agent) -> Agent {
    agent.clone().param("mi_timeout", "60s").env("OCF_RESKEY_CRM_meta_timeout", "600000")
}

/// Two bytes of JSON take a hundred of memory, and a host that has none left ends what it likes.
#[test]
fn what_an_answer_takes_is_bounded() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    configure_fifo(site);
    let agent = with_mi(site, &format!("fifo:{FAKE}"));
    ends(&agent.action("start"), 0);
    let of = |request: &str, values: &str| {
        let figures = good(request);
        let figures = figures.strip_suffix("}}").unwrap();
        vec![format!("{figures},\"more\":[{values}0]}}}}").into_bytes()]
    };
    // 64 MB, for the program and an answer of almost 16 MB.
    let small = patient(&agent).under(["/usr/bin/prlimit", "--data=67108864"]);
    for value in ["0,", "\"\",", "[],", "{\"a\":[]},"] {
        let values = value.repeat((15 << 20) / value.len());
        let reply = |request: &str| of(request, &values);
        with_fake_fifo(site, reply, || fails(&deep(&small), 190, "more than 262144 values"));
    }
    // Almost as many as are read.
    let values = "0,".repeat(250_000);
    let reply = |request: &str| of(request, &values);
    with_fake_fifo(site, reply, || fails(&deep(&small), 190, "over shm_limit=90%"));
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
    fails(&outcome, 190, "gave no complete answer within");
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
    fails(&deep(&agent), 190, "Connection refused");
    let socket = site.on_host(|| UdpSocket::bind("127.0.0.1:8080").unwrap());
    socket.set_read_timeout(Some(LONG)).unwrap();
    let outcome = deep(&agent);
    fails(&outcome, 190, "gave no complete answer within");
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

/// Answers datagrams at the socket with what `reply` makes of their text, while `test` runs.
pub(crate) fn with_fake_socket(
    site: &Site,
    path: &str,
    reply: impl Fn(&str) -> Vec<Vec<u8>> + Sync,
    test: impl FnOnce(),
) {
    let socket = site.on_host(|| {
        let socket = UnixDatagram::bind(path).unwrap();
        chown(path, Some(nobody().0), Some(nobody().1)).unwrap();
        socket
    });
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = vec![0; 4096];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
                let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                for datagram in reply(&request) {
                    // The caller may have heard enough.
                    let _ = socket.send_to_addr(&datagram, &peer);
                }
            }
        });
        let _over = Over(&over);
        test();
    });
    site.on_host(|| std::fs::remove_file(path).unwrap());
}

#[test]
fn bad_answers_at_a_unix_socket_have_a_verdict_in_time() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let agent = site.agent().param("mi", format!("datagram:{FAKE}"));
    ends(&agent.action("start"), 0);
    fails(&deep(&agent), 190, "No such file or directory");
    let case = |reply: &(dyn Fn(&str) -> Vec<Vec<u8>> + Sync), code: i32, words: &str| {
        with_fake_socket(site, FAKE, reply, || {
            let outcome = deep(&agent);
            fails(&outcome, code, words);
            assert!(outcome.took < IN_TIME, "{:?}", outcome.took);
        });
    };
    case(&|_| vec![], 190, "gave no complete answer within");
    case(&|request| vec![good(request).into_bytes()[..20].to_vec()], 190, "not JSON");
    case(&|_| vec![b"\xff\xfe\x00".to_vec()], 190, "not JSON");
    case(&|_| vec![vec![b'['; 65_000]], 190, "not JSON");
    case(&|_| vec![br#"{"id":"0","result":"OK"}"#.to_vec()], 190, "answers another request");
    let after_nonsense = |request: &str| vec![b"nonsense".to_vec(), good(request).into_bytes()];
    case(&after_nonsense, 190, "over shm_limit=90%");

    // A socket that nobody empties.
    let full = site.on_host(|| {
        let (full, sender) = (UnixDatagram::bind(FAKE).unwrap(), UnixDatagram::unbound().unwrap());
        sender.set_nonblocking(true).unwrap();
        while sender.send_to(&[b'x'; 1000], FAKE).is_ok() {}
        full
    });
    let outcome = deep(&agent);
    fails(&outcome, 190, "gave no complete answer within");
    assert!(outcome.took < IN_TIME, "{:?}", outcome.took);
    drop(full);
    // A child that another test is starting has the socket open until it executes its program.
    wait_until("the socket is closed", LONG, || {
        let reason = deep(&agent).exit_reason.unwrap_or_default();
        reason.contains("Connection refused")
    });
    fails(&deep(&agent), 190, "Connection refused");
    site.on_host(|| chown(FAKE, Some(4321), None).unwrap());
    fails(&deep(&agent), 190, "belongs to user 4321");
    site.on_host(|| {
        std::fs::rename(FAKE, "/run/opensips/elsewhere").unwrap();
        symlink("/run/opensips/elsewhere", FAKE).unwrap();
    });
    fails(&deep(&agent), 190, "is a symbolic link, not a socket");
    site.on_host(|| {
        for path in [FAKE, "/run/opensips/elsewhere"] {
            std::fs::remove_file(path).unwrap();
        }
    });
    ends(&agent.action("stop"), 0);
}

/// Sends a datagram as a process of this user does.
fn send_as(user: u32, socket: &UnixDatagram, peer: &UnixAddress, datagram: &[u8]) {
    let name = UnixAddr::new_abstract(peer.as_abstract_name().unwrap()).unwrap();
    let pid = nix::unistd::getpid().as_raw();
    let credentials = UnixCredentials::from(ucred { pid, uid: user, gid: user });
    let control = [ControlMessage::ScmCredentials(&credentials)];
    let parts = [IoSlice::new(datagram)];
    // The caller may have heard enough.
    let _ = sendmsg(socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), Some(&name));
}

#[test]
fn answers_of_other_users_do_not_count() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let agent = site.agent().param("mi", format!("datagram:{FAKE}"));
    ends(&agent.action("start"), 0);
    let stranger = 4321;
    let cases: [(&[u32], i32, &str); 4] = [
        (&[stranger], 190, "from a user that is neither root nor the daemon's"),
        (&[stranger, 0], 190, "over shm_limit=90%"),
        (&[nobody().0], 190, "over shm_limit=90%"),
        (&[0], 190, "over shm_limit=90%"),
    ];
    for (users, code, words) in cases {
        let socket = site.on_host(|| {
            let socket = UnixDatagram::bind(FAKE).unwrap();
            chown(FAKE, Some(nobody().0), Some(nobody().1)).unwrap();
            socket
        });
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let server = scope.spawn(|| {
                let mut buffer = vec![0; 4096];
                while !over.load(Ordering::Relaxed) {
                    let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
                    let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    // Everybody reads the name, and with it must not know what makes an answer.
                    let name = String::from_utf8_lossy(peer.as_abstract_name().unwrap());
                    assert!(!name.contains(id(&request)), "{name} tells the id");
                    for user in users {
                        send_as(*user, &socket, &peer, good(&request).as_bytes());
                    }
                }
            });
            let _over = Over(&over);
            fails(&deep(&agent), code, words);
            drop(_over);
            server.join().unwrap();
        });
        site.on_host(|| std::fs::remove_file(FAKE).unwrap());
    }
    ends(&agent.action("stop"), 0);
}

#[test]
fn a_command_that_is_not_known_is_asked_for_by_its_newer_name() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let agent = site.agent().param("mi", format!("datagram:{FAKE}"));
    ends(&agent.action("start"), 0);
    let newer = |request: &str| {
        let unknown = r#"{"error":{"code":-32601,"message":"Method not found"},"id":"#;
        let reply = match request.contains("\"method\":\"core:uptime\"")
            || request.contains("\"method\":\"statistics:get\"")
        {
            true => good(request),
            false => format!("{unknown}\"{}\"}}", id(request)),
        };
        vec![reply.into_bytes()]
    };
    with_fake_socket(site, FAKE, newer, || fails(&deep(&agent), 190, "over shm_limit=90%"));
    ends(&agent.action("stop"), 0);
}

#[test]
fn the_mi_of_2_x_is_refused() {
    testnet::root_or_skip!();
    // As mi_datagram of 2.x answers JSON.
    let site = &Site::stand_in();
    let agent = site.agent().param("mi", format!("datagram:{FAKE}"));
    ends(&agent.action("start"), 0);
    let old = |_: &str| vec![b"500 command not available\n".to_vec()];
    with_fake_socket(site, FAKE, old, || {
        fails(&deep(&agent), 190, "in the form of OpenSIPS 2.x");
    });
    ends(&agent.action("stop"), 0);

    let is_old = |version: Version| !version.has_json_mi();
    let found = every_daemon_that(is_old, "the_mi_of_2_x_is_refused", |site| {
        let mut config = site.config_with(&["udp:127.0.0.1:5060"]);
        config.mi_datagram = Some("udp:127.0.0.1:8080".to_owned());
        site.write(&config.text());
        let agent = site.agent().param("mi", "datagram:127.0.0.1:8080");
        fails(&agent.action("start"), 2, "is OpenSIPS 2.4, whose MI has no JSON-RPC");
        site.nothing_is_left();
        let validate = agent.clone().env("OCF_CHECK_LEVEL", "10");
        fails(&validate.action("validate-all"), 2, "is OpenSIPS 2.4, whose MI has no JSON-RPC");
        // Without it, it serves.
        site.start();
        fails(&deep(&agent), 190, "in the form of OpenSIPS 2.x");
        site.stop();
    });
    if !found {
        testnet::skipped("mi::the_mi_of_2_x_is_refused", "needs an OpenSIPS 2.x");
    }
}

#[test]
fn bad_answers_over_http_have_a_verdict_in_time() {
    testnet::root_or_skip!();
    let site = &Site::stand_in();
    let agent = site.agent().param("mi", "http://127.0.0.1:8888/mi");
    ends(&agent.action("start"), 0);
    fails(&deep(&agent), 190, "Connection refused");
    let listener = site.on_host(|| TcpListener::bind("127.0.0.1:8888").unwrap());
    let header = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let whole = |body: &str| format!("{}{body}", header(body.len()));
    let cases: [(String, &str); 6] = [
        (String::new(), "gave no complete answer within"),
        (whole("nonsense"), "not JSON"),
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
            fails(&outcome, 190, words);
            assert!(outcome.took < IN_TIME, "{:?}", outcome.took);
        });
    }
    ends(&agent.action("stop"), 0);
}
