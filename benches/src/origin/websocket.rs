//! The WebSocket end of the origin (RFC 6455): every data frame goes back as it came, unmasked, a ping as its pong; a
//! close is answered and ends the connection, as does anything that is not well-formed.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

const BUFFER: usize = 16 * 1024;
/// Longer frames are refused.
const MAX_PAYLOAD: u64 = 1024 * 1024;

const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
/// Close frames with their status: protocol error, message too big.
const PROTOCOL_ERROR: &[u8] = &[0x88, 2, 0x03, 0xEA];
const TOO_BIG: &[u8] = &[0x88, 2, 0x03, 0xF1];

/// `received`: what came behind the request's head.
pub(super) async fn serve(
    mut stream: TcpStream,
    mut received: Vec<u8>,
    key: &[u8],
) -> io::Result<()> {
    let handshake = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key)
    );
    stream.write_all(handshake.as_bytes()).await?;
    received.reserve(BUFFER);
    let mut answer = Vec::with_capacity(BUFFER);
    loop {
        let mut at = 0;
        let goes_on = loop {
            match echo(&received[at..], &mut answer) {
                Step::Echoed(length) => at += length,
                Step::Incomplete => break true,
                Step::Over => break false,
            }
        };
        received.drain(..at);
        stream.write_all(&answer).await?;
        answer.clear();
        if !goes_on {
            return stream.shutdown().await;
        }
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// A frame of this length was answered.
    Echoed(usize),
    Incomplete,
    /// After a last frame nothing more is read.
    Over,
}

/// Answers the first frame in `received`.
fn echo(received: &[u8], answer: &mut Vec<u8>) -> Step {
    let Some((&[first, second], rest)) = received.split_first_chunk() else {
        return Step::Incomplete;
    };
    let (opcode, short_length) = (first & 0x0F, second & 0x7F);
    if !is_well_formed(first, second) {
        answer.extend_from_slice(PROTOCOL_ERROR);
        return Step::Over;
    }
    let length_bytes = match short_length {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some((long_length, rest)) = rest.split_at_checked(length_bytes) else {
        return Step::Incomplete;
    };
    let length = match short_length {
        126 | 127 => big_endian(long_length),
        short => u64::from(short),
    };
    if length > MAX_PAYLOAD {
        answer.extend_from_slice(TOO_BIG);
        return Step::Over;
    }
    let Some((mask, rest)) = rest.split_first_chunk::<4>() else {
        return Step::Incomplete;
    };
    let Some(payload) = rest.get(..length as usize) else {
        return Step::Incomplete;
    };
    if opcode != PONG {
        let opcode = if opcode == PING { PONG } else { opcode };
        answer.extend([first & 0x80 | opcode, short_length]);
        answer.extend_from_slice(long_length);
        answer.extend(std::iter::zip(payload, mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    }
    if opcode == CLOSE {
        return Step::Over;
    }
    Step::Echoed(2 + long_length.len() + mask.len() + payload.len())
}

/// By its first two bytes: masked, as a client's must be; no extension; a known opcode; control frames short and whole.
fn is_well_formed(first: u8, second: u8) -> bool {
    let opcode = first & 0x0F;
    let fits = opcode < CLOSE || (second & 0x7F <= 125 && first & 0x80 != 0);
    second & 0x80 != 0 && first & 0x70 == 0 && matches!(opcode, 0..=2 | CLOSE..=PONG) && fits
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        const MASK: [u8; 4] = [1, 2, 3, 4];
        let mut frame = vec![first];
        match payload.len() {
            length @ ..126 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0xFE);
                frame.extend((length as u16).to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(std::iter::zip(payload, MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn echoed(received: &[u8]) -> (Step, Vec<u8>) {
        let mut answer = Vec::new();
        (echo(received, &mut answer), answer)
    }

    #[test]
    fn frames_come_back_unmasked() {
        let text = frame(0x81, b"hello");
        assert_eq!(
            echoed(&text),
            (Step::Echoed(text.len()), b"\x81\x05hello".to_vec())
        );
        let fragment = frame(0x02, &[7; 300]);
        let answer = [&[0x02, 126, 1, 44][..], &[7; 300]].concat();
        assert_eq!(echoed(&fragment), (Step::Echoed(fragment.len()), answer));
        let ping = frame(0x89, b"x");
        assert_eq!(
            echoed(&ping),
            (Step::Echoed(ping.len()), b"\x8a\x01x".to_vec())
        );
        let pong = frame(0x8A, b"x");
        assert_eq!(echoed(&pong), (Step::Echoed(pong.len()), Vec::new()));
        assert_eq!(
            echoed(&frame(0x88, b"\x03\xe8")),
            (Step::Over, b"\x88\x02\x03\xe8".to_vec())
        );
    }

    #[test]
    fn unfinished_frames_wait() {
        for whole in [frame(0x81, b"hello"), frame(0x82, &[7; 300])] {
            for cut in 0..whole.len() {
                assert_eq!(
                    echoed(&whole[..cut]),
                    (Step::Incomplete, Vec::new()),
                    "{cut}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_well_formed_ends_the_connection() {
        let unmasked = b"\x81\x05hello";
        for received in [
            &unmasked[..],
            &frame(0xC1, b"x"),
            &frame(0x83, b"x"),
            &frame(0x09, b"x"),
            &frame(0x89, &[7; 126]),
        ] {
            assert_eq!(echoed(received), (Step::Over, PROTOCOL_ERROR.to_vec()));
        }
        let huge = b"\x82\xff\0\0\0\0\0\x10\0\x01";
        assert_eq!(echoed(huge), (Step::Over, TOO_BIG.to_vec()));
    }
}
