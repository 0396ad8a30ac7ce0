//! Listeners that a reload moves to another address of the same port, and what a reload must not leave behind.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use lintel_proxy::load_balancer::{ReloadError, StartError};

use crate::harness::client::get;
use crate::harness::{Setup, Target, Wire, until};
use crate::reload::SetAtEnd;

fn listener(address: &str, port: u16) -> String {
    format!(
        "[[listener]]\naddress = '{address}'\nport = {port}\nprotocol = 'HTTP'\n\
         default_action = {{ type = 'fixed-response', status_code = '200', content_type = 'text/plain', message_body = '{address}' }}\n"
    )
}

/// A port that was free a moment ago. Ports are not given out again soon.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// One request on a connection of its own. `None` = reset before it was answered: what a client sends between the last
/// look into a closing socket's queue and its closing, the kernel refuses so.
fn ask(port: u16) -> Option<String> {
    let stream = match TcpStream::connect(("127.0.0.1", port)) {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
        Err(error) => panic!("somebody listens at any time: {error}"),
    };
    let mut client = Wire::tcp(stream);
    client.send(get("/")).ok()?;
    let answer = client.response().ok()?;
    Some(answer.text().to_owned())
}

#[test]
fn a_listener_moves_to_all_addresses_and_back_under_requests() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]);
    let port = free_port();
    let at = |address| setup.clone().more(&listener(address, port));
    let proxy = at("127.0.0.1").start();
    let (answered, reset, done) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicBool::new(false),
    );
    std::thread::scope(|scope| {
        let _done = SetAtEnd(&done);
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    match ask(port) {
                        Some(_) => answered.fetch_add(1, SeqCst),
                        None => reset.fetch_add(1, SeqCst),
                    };
                }
            });
        }
        for address in ["0.0.0.0", "127.0.0.1", "0.0.0.0"] {
            let changes = proxy.reload(&at(address)).unwrap();
            assert_eq!(changes.listeners.added, [format!("{address}:{port}")]);
            until("the old socket is gone", || {
                ask(port).is_some_and(|from| from == address)
            });
            let before = answered.load(SeqCst);
            until("requests after the move", || {
                answered.load(SeqCst) > before + 10
            });
        }
    });
    let (answered, reset) = (answered.load(SeqCst), reset.load(SeqCst));
    assert!(
        reset <= 6,
        "{reset} of {answered} were reset by three moves"
    );
}

/// Whatever a reload makes, a start makes too: what was reloaded must survive a restart.
#[test]
fn one_port_serves_one_address_apart_from_the_others() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]);
    let both = |port| {
        let one = listener("127.0.0.1", port);
        setup.clone().more(&one).more(&listener("0.0.0.0", port))
    };
    let (started, reloaded) = (free_port(), free_port());
    let proxy = both(started).start();
    assert_eq!(ask(started).as_deref(), Some("127.0.0.1"));
    proxy.reload(&both(reloaded)).unwrap();
    assert_eq!(ask(reloaded).as_deref(), Some("127.0.0.1"));
}

#[test]
fn a_listener_that_just_left_can_come_back() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]);
    let with = setup.clone().more(&listener("127.0.0.1", free_port()));
    let proxy = setup.clone().start();
    for _ in 0..20 {
        proxy.reload(&with).unwrap();
        proxy.reload(&setup).unwrap();
    }
}

#[test]
fn a_port_of_ours_that_another_program_has_elsewhere_is_still_taken() {
    let target = Target::saying("app");
    let port = free_port();
    let other = SocketAddr::from(([127, 0, 0, 2], port));
    let _other = TcpListener::bind(other).unwrap();
    let setup = Setup::to([target.address]);
    let proxy = setup.clone().more(&listener("127.0.0.1", port)).start();
    let refused = proxy
        .reload(&setup.more(&listener("0.0.0.0", port)))
        .unwrap_err();
    assert!(
        matches!(refused, ReloadError::Start(StartError::Bind { .. })),
        "{refused}"
    );
    assert_eq!(ask(port).as_deref(), Some("127.0.0.1"));
}

/// Whatever listeners came and went before.
#[test]
fn an_idle_connection_to_a_target_ends_by_the_settings_of_now() {
    let target = Target::saying("app");
    let setup = Setup::to([target.address]);
    let proxy = setup.clone().start();
    proxy
        .reload(&setup.clone().more(&listener("127.0.0.1", free_port())))
        .unwrap();
    proxy.reload(&setup.with("idle_timeout = 1")).unwrap();
    proxy.get("/");
    until("idle connections are closed", || {
        proxy.metric("active_connection_count{side=\"target\"}") == 0
    });
}
