//! HPACK (RFC 7541): how the fields of HTTP/2 are spelled in header blocks, read and written. A decoder or an encoder is
//! one direction of one connection; neither knows of frames, nor what a field means.

mod decoder;
mod encoder;
mod huffman;
mod table;

pub use decoder::{Broken, Decoder};
pub use encoder::Encoder;
