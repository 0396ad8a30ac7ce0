//! HTTP/1.1 as the proxy speaks it. This much of it is a codec without I/O: bytes in, heads and runs of content out.
//!
//! In reading order: a message begins with `lines`; [`request_head`] and [`response_head`] read them, with what both
//! share in `head` and the request's `target`; a head is mostly [`fields`], each recognised once by its [`Name`];
//! [`body`] counts a body's content off the stream that follows. What cannot be read in exactly one way is refused as
//! [`Malformed`], in both directions alike, as soon as it is seen.
//!
//! Nothing here keeps bytes between calls: the caller shows all that came and was not consumed yet, and whatever the
//! pieces in which it came, what is read from it is the same. How much a caller must be ready to keep is in [`limits`].
//!
//! What moves it is beside the codec: a [`wire`] is a connection with what is unread and unwritten, over [`buffers`] that
//! are the worker's, a [`transfer`] is content on its way from one to the other, through a `pipe` where that can be,
//! [`wait`] is for times and stops.
//!
//! Not here: what a head means for routing and forwarding (`forward::headers`), and when to read, write or give up.

pub mod body;
pub mod buffers;
pub mod fields;
pub mod limits;
pub mod request_head;
pub mod response_head;
pub mod transfer;
pub mod wait;
pub mod wire;

mod head;
mod lines;
mod malformed;
mod pipe;
pub(crate) mod scan;
mod target;

pub use body::{Decoder, Length, Piece};
pub use fields::{Field, Fields, Name};
pub use malformed::Malformed;
pub use request_head::RequestHead;
pub use response_head::ResponseHead;
pub(crate) use target::is_path_and_query;
