//! The two tables of RFC 7541 (section 2.3): the static one, and the dynamic one as either end keeps it. Which index
//! means which entry is for the decoder and the encoder.

/// A name and a value.
pub(super) type Field<'a> = (&'a [u8], &'a [u8]);

/// What an entry counts beyond its bytes.
pub(super) const OVERHEAD: usize = 32;

/// What both ends begin with, whatever is announced.
pub(super) const DEFAULT_MOST: usize = 4096;

/// The first index of the dynamic table.
pub(super) const DYNAMIC: usize = STATIC.len() + 1;

/// From index one on.
pub(super) static STATIC: [Field<'static>; 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// The first static index with that name, in any case, and the name as the table has it. By length and first letter:
/// hardly ever more than one is compared.
pub(super) fn static_name(name: &[u8]) -> Option<(usize, &'static [u8])> {
    let candidates: &[usize] = match (name.len(), name.first()? | 0x20) {
        (3, b'a') => &[21],
        (3, b'v') => &[60],
        (4, b'd') => &[33],
        (4, b'e') => &[34],
        (4, b'f') => &[37],
        (4, b'h') => &[38],
        (4, b'l') => &[45],
        (4, b'v') => &[59],
        (5, b':') => &[4],
        (5, b'a') => &[22],
        (5, b'r') => &[50],
        (6, b'a') => &[19],
        (6, b'c') => &[32],
        (6, b'e') => &[35],
        (6, b's') => &[54],
        (7, b':') => &[8, 2, 6],
        (7, b'e') => &[36],
        (7, b'r') => &[51, 52],
        (8, b'i') => &[39, 42],
        (8, b'l') => &[46],
        (10, b':') => &[1],
        (10, b's') => &[55],
        (10, b'u') => &[58],
        (11, b'r') => &[53],
        (12, b'c') => &[31],
        (12, b'm') => &[47],
        (13, b'a') => &[18, 23],
        (13, b'c') => &[24, 30],
        (13, b'i') => &[41],
        (13, b'l') => &[44],
        (14, b'a') => &[15],
        (14, b'c') => &[28],
        (15, b'a') => &[16, 17],
        (16, b'c') => &[26, 29, 27],
        (16, b'w') => &[61],
        (17, b'i') => &[40],
        (17, b't') => &[57],
        (18, b'p') => &[48],
        (19, b'c') => &[25],
        (19, b'i') => &[43],
        (19, b'p') => &[49],
        (25, b's') => &[56],
        (27, b'a') => &[20],
        _ => &[],
    };
    candidates.iter().find_map(|index| {
        let (known, _) = STATIC.get(index - 1)?;
        known.eq_ignore_ascii_case(name).then_some((*index, *known))
    })
}

/// The dynamic table: its entries one behind the other, the newest last. Those that were dropped lie before the first
/// until as much has been dropped as is left, so each byte is moved once at most for each that comes in.
#[derive(Debug, Default)]
pub(super) struct Table {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// The oldest that is still there.
    first: usize,
    /// As RFC 7541 counts (section 4.1): what is there, what has been dropped and not yet cleared away, and the limit.
    size: usize,
    dropped: usize,
    most: usize,
}

/// Where an entry's name begins, where its value, and where it ends.
#[derive(Debug, Clone, Copy)]
struct Entry {
    name: u32,
    value: u32,
    end: u32,
}

impl Table {
    /// Allocates nothing.
    pub(super) const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            entries: Vec::new(),
            first: 0,
            size: 0,
            dropped: 0,
            most: DEFAULT_MOST,
        }
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn set_most(&mut self, most: usize) {
        self.most = most;
        self.drop_until_fits(0);
    }

    /// The newest is number zero.
    #[inline]
    pub(super) fn get(&self, number: usize) -> Option<Field<'_>> {
        let last = self.entries.len().wrapping_sub(1);
        let at = last.wrapping_sub(number);
        if at < self.first {
            return None;
        }
        let entry = self.entries.get(at)?;
        let both = self.bytes.get(entry.name as usize..entry.end as usize)?;
        both.split_at_checked((entry.value - entry.name) as usize)
    }

    /// A field larger than the table empties it, and is no error.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        self.clear_away();
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.insert_from(start, value);
    }

    /// With the name of an entry, which may be dropped for it.
    pub(super) fn insert_named_as(&mut self, number: usize, value: &[u8]) {
        self.clear_away();
        let Some((name, _)) = self.get(number) else {
            return;
        };
        let length = name.len();
        let at = self.entries.len() - 1 - number;
        let from = self.entries.get(at).map_or(0, |entry| entry.name as usize);
        let start = self.bytes.len();
        self.bytes.extend_from_within(from..from + length);
        self.insert_from(start, value);
    }

    /// With the name that has been appended here.
    fn insert_from(&mut self, start: usize, value: &[u8]) {
        let middle = self.bytes.len();
        let size = middle - start + value.len() + OVERHEAD;
        self.drop_until_fits(size);
        if size > self.most {
            self.bytes.truncate(start);
            return;
        }
        self.bytes.extend_from_slice(value);
        self.size += size;
        self.entries.push(Entry {
            name: start as u32,
            value: middle as u32,
            end: self.bytes.len() as u32,
        });
    }

    fn drop_until_fits(&mut self, size: usize) {
        while self.size + size > self.most {
            let Some(entry) = self.entries.get(self.first) else {
                return;
            };
            let dropped = (entry.end - entry.name) as usize + OVERHEAD;
            self.first += 1;
            self.size -= dropped;
            self.dropped += dropped;
        }
    }

    fn clear_away(&mut self) {
        if self.dropped == 0 || self.dropped < self.size {
            return;
        }
        let start = self.entries.get(self.first);
        let start = start.map_or(self.bytes.len(), |entry| entry.name as usize);
        self.bytes.drain(..start);
        self.entries.drain(..self.first);
        for entry in &mut self.entries {
            entry.name -= start as u32;
            entry.value -= start as u32;
            entry.end -= start as u32;
        }
        self.first = 0;
        self.dropped = 0;
    }
}

#[cfg(test)]
mod tests;
