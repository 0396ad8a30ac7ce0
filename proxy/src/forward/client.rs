//! What an exchange with a target asks of the client's side: the request's body, and whether anybody still waits. HTTP/1.1
//! and HTTP/2 connections differ in how they know; the exchange does not.

use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::time::Instant;

use crate::gateway_error::GatewayError;
use crate::http1::transfer::Broken;
use crate::http1::wire::Wire;
use crate::http1::{Fields, ResponseHead};

pub trait Client {
    /// Moves what has come of the request's body to the target, behind what waits there. Ready once all of it has been
    /// written.
    fn poll_send(&mut self, cx: &mut Context<'_>, to: &mut Wire) -> Poll<Result<(), Broken>>;

    /// Nothing of the body has gone to a target, so that another one can have it whole.
    fn is_untouched(&self) -> bool;

    /// A target has been found: a client that waits for the word to send its body gets it.
    fn proceed(&mut self);

    /// An interim response, for a client that can be told.
    fn interim(&mut self, cx: &mut Context<'_>, head: &ResponseHead);

    /// Ready when the client has gone or the time for answering it is over.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<GatewayError>;

    /// Ready at that time, or earlier if there is something to look at.
    fn poll_until(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()>;

    /// Itself, if it speaks HTTP/2: targets that do have no other clients.
    fn http2(&mut self) -> Option<&mut dyn Http2Stream>;
}

/// What an exchange with a target that speaks HTTP/2 asks of the client's side besides.
pub trait Http2Stream: Client {
    /// The next piece of the body, and whether nothing follows it; `None` at the end. Its room in the client's window is
    /// given back by [`release`](Self::release).
    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<(Bytes, bool), Broken>>>;

    /// Behind the body.
    fn trailers(&mut self) -> Result<Option<Fields>, Broken>;

    /// So much of the body is on its way to the target.
    fn release(&mut self, bytes: usize);
}
