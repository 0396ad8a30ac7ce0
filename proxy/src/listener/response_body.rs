//! A response's body on its way to the client, and the request's record, which is complete when the body has gone out.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use crate::access_log::Record;
use crate::forward::TargetBody;
use crate::gateway_error::GatewayError;

/// What the client gets, and the record that is complete when it has got it.
pub struct ResponseBody {
    source: Source,
    record: Option<Record>,
    /// The response has no body whatever its source says (HEAD, 204, 304).
    bodiless: bool,
}

pub(super) enum Source {
    Own(Full<Bytes>),
    Target(TargetBody),
}

impl Source {
    pub(super) fn own(body: Bytes) -> Self {
        Self::Own(Full::new(body))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Target(body) => body.is_end_stream(),
        }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GatewayError>>> {
        match self {
            Self::Own(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|never: Infallible| match never {}))),
            Self::Target(body) => Pin::new(body).poll_frame(cx),
        }
    }
}

impl ResponseBody {
    /// `bodiless` as the field; over HTTP/2 nobody else leaves a body of our own out.
    pub(super) fn new(source: Source, bodiless: bool, record: Record) -> Self {
        Self {
            source: match source {
                Source::Own(_) if bodiless => Source::own(Bytes::new()),
                source => source,
            },
            record: Some(record),
            bodiless,
        }
    }

    /// Of a 101: the tunnel has the record.
    pub(super) fn unrecorded() -> Self {
        Self {
            source: Source::own(Bytes::new()),
            record: None,
            bodiless: true,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = GatewayError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GatewayError>>> {
        let polled = self.source.poll_frame(cx);
        if let Some(record) = &mut self.record {
            match &polled {
                Poll::Ready(Some(Ok(frame))) => {
                    record.sent(frame.data_ref().map_or(0, Bytes::len) as u64);
                }
                Poll::Ready(Some(Err(error))) => {
                    record.fail(*error);
                    record.finish();
                }
                Poll::Ready(None) => record.finish(),
                Poll::Pending => {}
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(body) => body.size_hint(),
            Source::Target(body) => body.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        // hyper does not poll a body that says it has ended.
        if let Some(record) = &mut self.record
            && (self.bodiless || self.source.is_end_stream())
        {
            record.finish();
        }
    }
}
