//! A new configuration onto a running proxy: all of it at once or nothing, and no request pays for it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use lintel_proxy::load_balancer::{ReloadError, StartError};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::Signal;
use tokio_tungstenite::tungstenite;

use crate::harness::client::get;
use crate::harness::tls;
use crate::harness::{Gate, Program, Proxy, Setup, Target, Wire, eventually, ok, until};

const CHECKS: &str = "health_check = { path = '/health', interval = 0.1, timeout = 0.09, healthy_threshold = 5, unhealthy_threshold = 2 }";

fn listener(address: SocketAddr, answer: &str) -> String {
    format!(
        "[[listener]]\naddress = '{}'\nport = {}\nprotocol = 'HTTP'\n\
         default_action = {{ type = 'fixed-response', status_code = '200', content_type = 'text/plain', message_body = '{answer}' }}\n",
        address.ip(),
        address.port()
    )
}

/// An address that was free a moment ago. Ports are not given out again soon.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn get_at(address: SocketAddr) -> String {
    let mut client = Wire::tcp(TcpStream::connect(address).unwrap());
    client.get("/").text().to_owned()
}

#[test]
fn rules_change_at_once_on_open_connections_too() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]);
    let proxy = setup.clone().start();
    let mut client = proxy.connect();
    assert_eq!(client.get("/x").text(), "app");
    proxy
        .reload(&setup.clone().rule(1, "{ path_pattern = ['/x'] }", "rule"))
        .unwrap();
    assert_eq!(client.get("/x").text(), "rule");
    proxy.reload(&setup).unwrap();
    assert_eq!(client.get("/x").text(), "app");
    assert_eq!(proxy.metric("reload_count_total{result=\"applied\"}"), 2);
}

#[test]
fn a_request_ends_under_the_rules_it_began_with() {
    let gate = Gate::default();
    let closed = gate.clone();
    let (old, new) = (
        Target::answering(move |_| {
            closed.pass();
            ok("old")
        }),
        Target::saying("new"),
    );
    let proxy = Setup::to([old.address]).start();
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    old.wait_for_requests(1);
    proxy.reload(&Setup::to([new.address])).unwrap();
    assert_eq!(proxy.get("/").text(), "new");
    let draining = proxy.health_of(old.address);
    assert_eq!(draining.0, "draining");
    assert_eq!(
        draining.1.as_deref(),
        Some("Target.DeregistrationInProgress")
    );
    gate.open();
    assert_eq!(client.response().unwrap().text(), "old");
    until("the old target is gone", || {
        !proxy
            .target_health()
            .to_string()
            .contains(&old.address.port().to_string())
    });
}

#[test]
fn a_group_keeps_its_health_and_its_counts() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]).group(CHECKS);
    let proxy = setup.clone().start();
    for _ in 0..3 {
        proxy.get("/");
    }
    proxy
        .reload(&setup.group("deregistration_delay = 7"))
        .unwrap();
    // Five passes would be needed to become healthy again.
    assert_eq!(proxy.health_of(target.address).0, "healthy");
    assert_eq!(proxy.metric("request_count_total{target_group=\"app\"}"), 3);
    assert_eq!(
        target
            .requests()
            .iter()
            .filter(|request| request.uri() == "/")
            .count(),
        3
    );
}

#[test]
fn a_target_that_stays_keeps_its_health_beside_a_new_one() {
    let (old, new) = (Target::saying("old"), Target::saying("new"));
    let proxy = Setup::to([old.address]).group(CHECKS).start();
    proxy
        .reload(&Setup::to([old.address, new.address]).group(CHECKS))
        .unwrap();
    assert_eq!(proxy.health_of(old.address).0, "healthy");
    proxy.wait_for_health(new.address, "healthy");
    let mut both = [
        proxy.get("/").text().to_owned(),
        proxy.get("/").text().to_owned(),
    ];
    both.sort_unstable();
    assert_eq!(both, ["new", "old"]);
}

#[test]
fn a_listener_comes_and_goes() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]);
    let proxy = setup.clone().start();
    let address = free_address();
    let changes = proxy
        .reload(&setup.clone().more(&listener(address, "second")))
        .unwrap();
    assert_eq!(changes.listeners.added, [address.to_string()]);
    for _ in 0..10 {
        assert_eq!(get_at(address), "second", "every worker serves it");
    }
    let mut kept = Wire::tcp(TcpStream::connect(address).unwrap());
    assert_eq!(kept.get("/").text(), "second");
    let changes = proxy.reload(&setup).unwrap();
    assert_eq!(changes.listeners.removed, [address.to_string()]);
    until("nobody listens", || TcpStream::connect(address).is_err());
    kept.assert_closed();
    assert_eq!(proxy.get("/").text(), "app");
}

#[test]
fn a_file_with_mistakes_changes_nothing() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]);
    let proxy = setup.clone().start();
    let text = setup
        .rule(1, "{ path_pattern = ['/'] }", "new")
        .text()
        .replace("workers", "worker");
    let refused = proxy.reload_text(&text).unwrap_err();
    let ReloadError::Config(found) = refused else {
        panic!("{refused}");
    };
    assert!(found[0].to_string().contains("worker"), "{}", found[0]);
    assert_eq!(proxy.get("/").text(), "app");
    assert_eq!(proxy.metric("reload_count_total{result=\"refused\"}"), 1);
}

/// As on a network file system whose server is gone.
#[test]
fn a_file_that_does_not_come_holds_up_neither_the_admin_endpoints_nor_the_stop() {
    let mut program = Program::start(&Setup::to([]), Stdio::null());
    let file = program.directory.path().join("lintel-proxy.toml");
    std::fs::remove_file(&file).unwrap();
    rustix::fs::mkfifoat(CWD, &file, Mode::RUSR | Mode::WUSR).unwrap();
    program.signal(Signal::HUP);
    let mut options = std::fs::OpenOptions::new();
    options.write(true);
    options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    // There is no writing end before somebody reads.
    let _silent = eventually("the reload", || options.open(&file).ok());
    let health = program.admin("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(health.status(), 200);
    until("the reload to be given up", || {
        let metrics = program.admin("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        metrics
            .text()
            .contains("reload_count_total{result=\"refused\"} 1")
    });
    program.signal(Signal::HUP);
    program.stop();
}

#[test]
fn a_port_that_is_taken_changes_nothing() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]);
    let proxy = setup.clone().start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let free = free_address();
    let changed = setup
        .rule(1, "{ path_pattern = ['/'] }", "new")
        .more(&listener(free, "never"))
        .more(&listener(address, "never"));
    let refused = proxy.reload(&changed).unwrap_err();
    assert!(
        matches!(refused, ReloadError::Start(StartError::Bind { address: at, .. }) if at == address),
        "{refused}"
    );
    assert_eq!(proxy.get("/").text(), "app");
    assert!(TcpStream::connect(free).is_err(), "half of it was applied");
    assert_eq!(proxy.metric("reload_count_total{result=\"refused\"}"), 1);
}

#[test]
fn what_threads_and_files_were_made_of_needs_a_restart() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]);
    let proxy = setup.clone().start();
    for (line, key) in [("workers = 3", "workers"), ("name = 'other'", "name")] {
        let refused = proxy.reload(&setup.clone().with(line)).unwrap_err();
        assert!(
            matches!(refused, ReloadError::NeedsRestart(named) if named == key),
            "{refused}"
        );
    }
    assert_eq!(proxy.get("/").text(), "app");
}

#[test]
fn new_connections_see_a_new_certificate() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]).https();
    let proxy = setup.clone().start();
    let mut open = proxy.connect_tls();
    assert!(tls::handshake(proxy.stream(), "renewed.test", &[]).is_err());
    tls::write_certificate(proxy.path("").as_path(), "other", &["renewed.test"]);
    proxy.reload(&setup).unwrap();
    let mut client = proxy.connect_tls_as("renewed.test", &["http/1.1"]);
    assert_eq!(client.get("/").text(), "app");
    assert_eq!(open.get("/").text(), "app", "an open connection stays");
}

#[test]
fn a_certificate_that_cannot_be_read_changes_nothing() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]).https();
    let proxy = setup.clone().start();
    // Half-written, as when a renewal is under way.
    std::fs::write(proxy.path("site.key"), "-----BEGIN PRIVATE KEY-----\n").unwrap();
    assert!(proxy.reload(&setup).is_err());
    assert_eq!(proxy.connect_tls().get("/").text(), "app");
}

/// Says again what it hears.
fn websockets() -> Target {
    Target::scripted(|connection| {
        let stream = connection.stream().try_clone()?;
        let mut socket = tungstenite::accept(stream).map_err(std::io::Error::other)?;
        while let Ok(message) = socket.read() {
            if socket.send(message).is_err() {
                break;
            }
        }
        Ok(())
    })
}

#[test]
fn a_websocket_stays_open() {
    let target = websockets();
    let setup = Setup::to([target.address]);
    let proxy = setup.clone().start();
    let (mut socket, _) = tungstenite::client("ws://a/ws", proxy.stream()).unwrap();
    for nth in 0..10 {
        let text = format!("after reload {nth}");
        proxy
            .reload(&setup.clone().rule(1, "{ path_pattern = ['/ws'] }", &text))
            .unwrap();
        let message = tungstenite::Message::text(text);
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
}

/// The path's rule, the second target and a second listener come and go all the time.
#[test]
fn two_hundred_reloads_under_load_cost_no_request_and_no_websocket() {
    let (one, two, sockets) = (Target::saying("app"), Target::saying("app"), websockets());
    let to_sockets = |setup: Setup| {
        let forward = "{ type = 'forward', target_group = 'sockets' }";
        setup
            .other_group("sockets", &[sockets.address])
            .rule_action(2, "{ path_pattern = ['/ws'] }", forward)
    };
    let plain = to_sockets(Setup::to([one.address]));
    let other = to_sockets(Setup::to([one.address, two.address]))
        .rule(1, "{ path_pattern = ['/rule'] }", "app")
        .with("client_keep_alive = 77");
    let proxy = plain.clone().start();
    let mut open: Vec<_> = (0..10)
        .map(|_| tungstenite::client("ws://a/ws", proxy.stream()).unwrap().0)
        .collect();
    let (answered, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _done = SetAtEnd(&done);
        for path in ["/rule", "/", "/rule", "/"] {
            let (proxy, answered, done) = (&proxy, &answered, &done);
            scope.spawn(move || {
                while !done.load(SeqCst) {
                    answered.fetch_add(ask_ten_times(proxy, path), SeqCst);
                }
            });
        }
        for nth in 0..100 {
            let second = listener(free_address(), "second");
            for setup in [&other.clone().more(&second), &plain] {
                proxy.reload(setup).unwrap();
                let before = answered.load(SeqCst);
                until("requests between reloads", || {
                    answered.load(SeqCst) > before
                });
            }
            let message = tungstenite::Message::text(format!("after {nth}"));
            for socket in &mut open {
                socket.send(message.clone()).unwrap();
                assert_eq!(socket.read().unwrap(), message);
            }
        }
    });
    let answered = answered.load(SeqCst);
    drop(open);
    proxy.wait_for_metric("active_connection_count{side=\"client\"}", 0);
    let stopped = proxy.stop();
    assert_eq!(stopped.log.len(), answered + 10);
    assert!(stopped.log.iter().all(|line| line["reason"].is_null()));
}

/// Lets the other threads end, also when this one fails.
pub(crate) struct SetAtEnd<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn ask_ten_times(proxy: &Proxy, path: &str) -> usize {
    let mut client = proxy.connect();
    for _ in 0..10 {
        assert_eq!(client.get(path).text(), "app");
    }
    10
}

/// The workers may still be about to close the sockets that the first reload took away.
#[test]
fn a_listener_that_was_removed_can_come_back_at_once() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]);
    let with = setup.clone().more(&listener(free_address(), "second"));
    let proxy = with.clone().start();
    for _ in 0..20 {
        proxy.reload(&setup).unwrap();
        proxy.reload(&with).unwrap();
    }
}
