//! Every way to end: nothing may stay behind.

use std::time::Duration;

use rustix::process::Signal;

use crate::lintel::{LIMIT, Lintel, is_alive, send, wait_for};

#[test]
fn sigterm_stops_like_ctrl_c_and_at_once_when_idle() {
    let root = tempfile::tempdir().unwrap();
    let mut lintel = Lintel::start(&root, &[]);
    let children = lintel.children();
    assert_eq!(children.len(), 3, "{children:?}");
    lintel.signal(Signal::TERM);
    let status = lintel.wait(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0));
    assert!(children.iter().all(|&(pid, _)| !is_alive(pid)));
    let output = lintel.output();
    assert!(
        output.trim_end().ends_with("stopped") && !output.contains("killed"),
        "{output}"
    );
}

#[test]
fn the_children_end_when_the_parent_is_killed() {
    let root = tempfile::tempdir().unwrap();
    let mut lintel = Lintel::start(&root, &[]);
    let children = lintel.children();
    assert_eq!(children.len(), 3, "{children:?}");
    lintel.signal(Signal::KILL);
    lintel.wait(LIMIT);
    for (pid, command_line) in children {
        wait_for(&format!("the end of {command_line}"), LIMIT, || {
            (!is_alive(pid)).then_some(())
        });
    }
}

#[test]
fn a_second_signal_stops_what_hangs() {
    let root = tempfile::tempdir().unwrap();
    let mut lintel = Lintel::start(&root, &[]);
    let children = lintel.children();
    let stuck = lintel.child("appserver run");
    send(stuck, Signal::STOP);
    lintel.signal(Signal::INT);
    let proxy = lintel
        .children()
        .into_iter()
        .find(|(_, command_line)| command_line.contains("proxy run"));
    wait_for("the proxy to end first", LIMIT, || {
        proxy
            .as_ref()
            .is_none_or(|&(pid, _)| !is_alive(pid))
            .then_some(())
    });
    assert!(is_alive(stuck), "one that hangs is given time");
    lintel.signal(Signal::INT);
    let status = lintel.wait(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0));
    assert!(children.iter().all(|&(pid, _)| !is_alive(pid)));
}
