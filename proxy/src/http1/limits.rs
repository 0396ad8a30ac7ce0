//! How large the parts of a message may be. Those of a head are the ALB's; each has its own [`Malformed`](super::Malformed).

/// Bytes of a request line, its end not counted.
pub const REQUEST_LINE: usize = 16 * 1024;

/// Bytes of one field line of a request, its end not counted. An ALB refuses one of 16 KiB.
pub const REQUEST_FIELD: usize = 16 * 1024 - 1;

/// Bytes of a request head, from its method to its empty line.
pub const REQUEST_HEAD: usize = 64 * 1024;

/// Fields of a request head. An ALB counts bytes only, and few heads of so many bytes have so many fields; a place is
/// kept for each.
pub const REQUEST_FIELDS: usize = 2048;

/// Bytes of a response head, in lines of any length.
pub const RESPONSE_HEAD: usize = 32 * 1024;

/// As [`REQUEST_FIELDS`].
pub const RESPONSE_FIELDS: usize = 2048;

/// Bytes of a chunk's size and extensions, the line's end not counted.
pub const CHUNK_LINE: usize = 512;

/// Bytes of all the chunk extensions of one body: nobody reads them, so nobody is made to read many.
pub const CHUNK_EXTENSIONS: usize = 16 * 1024;

/// Bytes of the trailer section, its empty line included: as many as of a response head, of which gRPC says the status
/// here.
pub const TRAILERS: usize = RESPONSE_HEAD;

pub const TRAILER_FIELDS: usize = RESPONSE_FIELDS;
