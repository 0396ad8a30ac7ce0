//! Frames: nine bytes that say what follows, and how each kind is written. What they mean is the session's.

use super::Reason;

/// Bytes in front of a payload.
pub(super) const HEAD: usize = 9;

/// The largest payload that is taken and sent: what every peer takes.
pub(super) const LARGEST: usize = 16_384;

pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const PRIORITY: u8 = 0x2;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const SETTINGS: u8 = 0x4;
pub(super) const PUSH_PROMISE: u8 = 0x5;
pub(super) const PING: u8 = 0x6;
pub(super) const GOAWAY: u8 = 0x7;
pub(super) const WINDOW_UPDATE: u8 = 0x8;
pub(super) const CONTINUATION: u8 = 0x9;

pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const WITH_PRIORITY: u8 = 0x20;

pub(super) const HEADER_TABLE_SIZE: u16 = 0x1;
pub(super) const ENABLE_PUSH: u16 = 0x2;
pub(super) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
pub(super) const INITIAL_WINDOW_SIZE: u16 = 0x4;
pub(super) const MAX_FRAME_SIZE: u16 = 0x5;
pub(super) const MAX_HEADER_LIST_SIZE: u16 = 0x6;

/// Streams and window increments have 31 bits.
const BITS: u32 = u32::MAX >> 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Head {
    pub(super) fn read(bytes: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & BITS,
        }
    }

    fn bytes(self) -> [u8; HEAD] {
        let length_and_kind = (self.length as u32) << 8 | u32::from(self.kind);
        let mut bytes = [0; HEAD];
        bytes[..4].copy_from_slice(&length_and_kind.to_be_bytes());
        bytes[4] = self.flags;
        bytes[5..].copy_from_slice(&self.stream.to_be_bytes());
        bytes
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The payload of DATA or HEADERS without its padding.
    pub(super) fn unpadded(self, payload: &[u8]) -> Result<&[u8], Reason> {
        if !self.has(PADDED) {
            return Ok(payload);
        }
        let (padding, rest) = payload.split_first().ok_or(Reason::FrameSizeError)?;
        let length = rest.len().checked_sub(usize::from(*padding));
        length
            .and_then(|length| rest.get(..length))
            .ok_or(Reason::ProtocolError)
    }

    /// Of HEADERS: on which stream this one depends, and the block.
    pub(super) fn dependency(self, payload: &[u8]) -> Result<(Option<u32>, &[u8]), Reason> {
        if !self.has(WITH_PRIORITY) {
            return Ok((None, payload));
        }
        let (priority, block) = payload.split_at_checked(5).ok_or(Reason::FrameSizeError)?;
        Ok((Some(number(priority) & BITS), block))
    }
}

/// The first four bytes; 0 if there are fewer.
pub(super) fn number(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// The one number that is all of a payload.
pub(super) fn only_number(payload: &[u8]) -> Result<u32, Reason> {
    let number = payload.try_into().map_err(|_| Reason::FrameSizeError)?;
    Ok(u32::from_be_bytes(number) & BITS)
}

/// The settings of a payload, in order.
pub(super) fn settings(payload: &[u8]) -> Result<impl Iterator<Item = (u16, u32)>, Reason> {
    let (settings, rest) = payload.as_chunks::<6>();
    if !rest.is_empty() {
        return Err(Reason::FrameSizeError);
    }
    Ok(settings.iter().map(|[a, b, value @ ..]| {
        let name = u16::from_be_bytes([*a, *b]);
        (name, u32::from_be_bytes(*value))
    }))
}

pub(super) fn write_head(kind: u8, flags: u8, stream: u32, length: usize, out: &mut Vec<u8>) {
    let head = Head {
        length,
        kind,
        flags,
        stream,
    };
    out.extend_from_slice(&head.bytes());
}

pub(super) fn write_settings(settings: &[(u16, u32)], out: &mut Vec<u8>) {
    write_head(SETTINGS, 0, 0, 6 * settings.len(), out);
    for (name, value) in settings {
        out.extend_from_slice(&name.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub(super) fn write_settings_ack(out: &mut Vec<u8>) {
    write_head(SETTINGS, ACK, 0, 0, out);
}

pub(super) fn write_ping(flags: u8, payload: [u8; 8], out: &mut Vec<u8>) {
    write_head(PING, flags, 0, payload.len(), out);
    out.extend_from_slice(&payload);
}

pub(super) fn write_window_update(stream: u32, increment: u32, out: &mut Vec<u8>) {
    write_head(WINDOW_UPDATE, 0, stream, 4, out);
    out.extend_from_slice(&increment.to_be_bytes());
}

pub(super) fn write_reset(stream: u32, reason: Reason, out: &mut Vec<u8>) {
    write_head(RST_STREAM, 0, stream, 4, out);
    out.extend_from_slice(&(reason as u32).to_be_bytes());
}

pub(super) fn write_goaway(last: u32, reason: Reason, out: &mut Vec<u8>) {
    write_head(GOAWAY, 0, 0, 8, out);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&(reason as u32).to_be_bytes());
}

/// Writes content as frames, `last` on the last one; none at all for nothing that does not end anything.
pub(super) fn write_data(stream: u32, content: &[u8], last: bool, out: &mut Vec<u8>) {
    let frames = content.len().div_ceil(LARGEST).max(usize::from(last));
    out.reserve(content.len() + frames * HEAD);
    let mut rest = content;
    for left in (0..frames).rev() {
        let (piece, behind) = rest.split_at(rest.len().min(LARGEST));
        let flags = if last && left == 0 { END_STREAM } else { 0 };
        write_head(DATA, flags, stream, piece.len(), out);
        out.extend_from_slice(piece);
        rest = behind;
    }
}

/// Writes a block of fields that `write` packs behind its frame's head, in more frames if it is large.
pub(super) fn write_block(
    stream: u32,
    last: bool,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    write(out);
    let length = out.len() - start - HEAD;
    let end_stream = if last { END_STREAM } else { 0 };
    let end_headers = if length > LARGEST { 0 } else { END_HEADERS };
    let head = Head {
        length: length.min(LARGEST),
        kind: HEADERS,
        flags: end_stream | end_headers,
        stream,
    };
    if let Some(place) = out.get_mut(start..start + HEAD) {
        place.copy_from_slice(&head.bytes());
    }
    if length > LARGEST {
        let rest = out.split_off(start + HEAD + LARGEST);
        let mut pieces = rest.chunks(LARGEST).peekable();
        while let Some(piece) = pieces.next() {
            let flags = if pieces.peek().is_some() {
                0
            } else {
                END_HEADERS
            };
            write_head(CONTINUATION, flags, stream, piece.len(), out);
            out.extend_from_slice(piece);
        }
    }
}
