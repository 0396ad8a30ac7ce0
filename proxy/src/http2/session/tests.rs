//! A client in bytes, and what a session makes of it.

use super::*;

fn session() -> Session {
    let limits = Limits {
        concurrent_streams: 4,
        header_list: 1024,
    };
    Session::new(limits, Rc::default())
}

#[test]
fn a_preface_that_is_none_ends_it() {
    let mut session = session();
    session.receive(b"GET / HTTP/1.1\r\n");
    assert!(session.is_over());
}
