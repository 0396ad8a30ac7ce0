//! HTTP/2: the first byte of an input says whether the others are what a client sends, its preface and settings apart, or
//! what a client and its handlers do, each by the rules.

#[path = "../../src/http2/session/tests/play.rs"]
mod play;

use bytes::Bytes;
use http::HeaderMap;
use lintel_common::server::Connection;
use lintel_proxy::http2::session::Limits;
use lintel_proxy::http2::{Incoming, Key, Reason, Session};
use play::{PREFACE, Play, frame, pieces, read};

const SETTINGS: u8 = 4;

pub fn http2(data: &[u8]) {
    match data.split_first() {
        None => {}
        Some((how, data)) if how % 2 == 0 => check_pieces(data),
        Some((_, data)) => {
            let mut play = Play::new(data);
            play.run(|_| {});
            play.end();
        }
    }
}

/// The same is read from the whole, from pieces and from single bytes.
fn check_pieces(data: &[u8]) {
    let (frames, sizes) = data.split_at(data.len().saturating_sub(super::SIZES));
    let stream = [PREFACE, &frame(SETTINGS, 0, 0, []), frames].concat();
    let (whole, requests, output) = read([&*stream]);
    for cut in [pieces(&stream, sizes), pieces(&stream, &[0])] {
        let (session, again, said) = read(cut);
        assert_eq!(again, requests);
        assert_eq!(said, output);
        assert_eq!(session.is_over(), whole.is_over());
    }
}
