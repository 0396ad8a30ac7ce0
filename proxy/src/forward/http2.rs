//! Targets that speak HTTP/2: many exchanges on few connections, each on a stream of its own. The h2 crate reads and writes
//! the frames. Only clients that speak HTTP/2 too come here, as at an ALB.

mod connections;
mod exchange;

use http::uri::{Scheme, Uri};
use http::{Request, Version};

pub use connections::Connections;
pub use exchange::Http2Exchange;

use super::client::Http2Stream;
use super::exchange::{Failure, Outgoing};
use super::{Chosen, Forwarder, Protocol, Unanswered, Why, unless_gone};
use crate::access_log::Record;
use crate::gateway_error::GatewayError;
use crate::http1::{Length, Name, RequestHead, ResponseHead};

/// For the client's stream, with which the target's goes hand in hand.
#[derive(Debug, Clone, Copy)]
pub struct Http2;

impl Protocol<dyn Http2Stream + '_> for Http2 {
    type Exchange = Http2Exchange;

    async fn attempt(
        self,
        forwarder: &Forwarder<'_>,
        chosen: Chosen,
        request: &Outgoing,
        client: &mut (dyn Http2Stream + '_),
        record: &mut Record,
    ) -> Result<(ResponseHead, Http2Exchange), Unanswered> {
        let target = chosen.target.clone();
        let (request, length) = match outgoing(request, forwarder.group.tls.is_some()) {
            Ok(request) => request,
            Err(error) => return Err(Unanswered::new(target, Why::Gone(error))),
        };
        let open = &forwarder.pool.http2;
        let connecting = open.get(forwarder, &target, chosen.opened_after);
        let (connection, reused) = match unless_gone(client, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(Unanswered::new(target, Why::Unconnected(error))),
            Err(gone) => return Err(Unanswered::new(target, Why::Gone(gone))),
        };
        client.proceed();
        let now = record.dispatched();
        let answered = match Http2Exchange::begin(connection, chosen, request, length) {
            Ok(mut exchange) => {
                let head = exchange.response(client, forwarder.settings, now).await;
                head.map(|head| (head, exchange))
            }
            Err(error) => Err(failure(&error)),
        };
        answered.map_err(|failure| Unanswered::new(target, Why::Failed { failure, reused }))
    }
}

/// The head that was written for the target, as HTTP/2 has it.
fn outgoing(request: &Outgoing, https: bool) -> Result<(Request<()>, Length), GatewayError> {
    let Ok(Some((head, _))) = RequestHead::read(&request.head) else {
        // What we added made it too large.
        return Err(GatewayError::RequestHeadTooLarge);
    };
    let host = head.fields().get_text(Name::Host).unwrap_or_default();
    let uri = Uri::builder()
        .scheme(if https { Scheme::HTTPS } else { Scheme::HTTP })
        .authority(host)
        .path_and_query(head.path_and_query())
        .build()
        .map_err(|_| GatewayError::MalformedRequest)?;
    let (method, length) = (head.method().clone(), head.length());
    let mut outgoing = Request::new(());
    *outgoing.method_mut() = method;
    *outgoing.uri_mut() = uri;
    *outgoing.version_mut() = Version::HTTP_2;
    *outgoing.headers_mut() = head
        .into_fields()
        .into_header_map(|name, _| !matches!(name, Name::Host | Name::TransferEncoding));
    Ok((outgoing, length))
}

/// What an error says of the request.
fn failure(error: &h2::Error) -> Failure {
    // RFC 9113 8.7: a refused stream, and one that is newer than the last which a GOAWAY counts, was not looked at.
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    let unsent = error.is_remote() && (refused || error.is_go_away());
    Failure {
        error: if error.is_library() {
            GatewayError::TargetMalformedResponse
        } else {
            GatewayError::TargetClosed
        },
        // Of a connection that broke nothing is known.
        silent: unsent || error.is_io(),
        unsent,
    }
}
