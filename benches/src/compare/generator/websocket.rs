//! A WebSocket client (RFC 6455) that sends one prepared frame again and again and compares what comes back.

use super::stream::{Opener, Stream};
use super::{Load, malformed};
use crate::client::content::Content;
use crate::client::exchange::Answer;
use crate::client::failure::Failure;
use crate::compare::request::{Request, WEBSOCKET_ACCEPT};

const PAYLOAD: usize = 1024;
/// A frame with its header must fit into it, and so must the answer to the upgrade.
const BUFFER: usize = 4 * 1024;
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
/// Whole, binary.
const OPCODE: u8 = 0x82;
/// The next two bytes are the length.
const LONG: u8 = 126;
const MASKED: u8 = 0x80;

pub(super) struct Client {
    opener: Opener,
    upgrade: Vec<u8>,
    stream: Option<Stream>,
    sent: Vec<u8>,
    /// As it comes back: not masked.
    expected: Vec<u8>,
    buffer: Box<[u8]>,
}

impl Client {
    pub(super) fn new(load: &Load) -> Self {
        let payload: Vec<u8> = (0..PAYLOAD).map(|n| ((n * 31) >> 3) as u8).collect();
        let [high, low] = (PAYLOAD as u16).to_be_bytes();
        let masked = payload.iter().zip(MASK.iter().cycle());
        let masked: Vec<u8> = masked.map(|(byte, mask)| byte ^ mask).collect();
        Self {
            opener: Opener::new(load),
            upgrade: Request::Frame.bytes(),
            stream: None,
            sent: [&[OPCODE, MASKED | LONG, high, low], &MASK[..], &masked].concat(),
            expected: [&[OPCODE, LONG, high, low], &payload[..]].concat(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
        }
    }

    /// A frame there and back. After a failure the next one has a new connection.
    pub(super) async fn exchange(&mut self) -> Result<Answer, Failure> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.open().await?,
        };
        stream.write(&self.sent).await?;
        let mut content = Content::new(&self.expected);
        let mut left = self.expected.len();
        while left > 0 {
            let read = stream.read(&mut self.buffer).await?;
            content.take(&self.buffer[..read])?;
            left = left.saturating_sub(read);
        }
        self.stream = Some(stream);
        Ok(Answer {
            status: http::StatusCode::SWITCHING_PROTOCOLS,
            received: PAYLOAD as u64,
            sent: PAYLOAD as u64,
        })
    }

    async fn open(&mut self) -> Result<Stream, Failure> {
        let mut stream = self.opener.open().await?;
        stream.write(&self.upgrade).await?;
        let mut filled = 0;
        while !self.buffer[..filled].ends_with(b"\r\n\r\n") {
            if filled == self.buffer.len() {
                return Err(malformed("its head is too long"));
            }
            filled += stream.read(&mut self.buffer[filled..]).await?;
        }
        let head = String::from_utf8_lossy(&self.buffer[..filled]);
        if head.starts_with("HTTP/1.1 101 ") && head.contains(WEBSOCKET_ACCEPT) {
            Ok(stream)
        } else {
            let first = head.lines().next().unwrap_or_default();
            Err(malformed(&format!("no WebSocket but {first}")))
        }
    }
}
