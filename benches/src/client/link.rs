//! One connection's place: open it when it is needed, keep it while it lives, open it again when it has ended. A server
//! may end a connection between two requests; that is not a failure.

use std::cell::Cell;

use tokio::sync::Mutex;

use super::endpoint::{Endpoint, Sender};
use super::failure::Failure;

#[derive(Default)]
pub(crate) struct Link {
    /// Held while opening, so that the streams of one connection do not open one each.
    place: Mutex<Option<Sender>>,
    opened: Cell<u64>,
}

/// A connection for the next request.
pub(crate) struct Taken {
    pub(crate) sender: Sender,
    /// It was opened for this request, so nothing but the server can have ended it.
    pub(crate) fresh: bool,
}

impl Link {
    /// The connection there is, if it still lives, else a new one.
    pub(crate) async fn take(&self, endpoint: &Endpoint) -> Result<Taken, Failure> {
        let mut place = self.place.lock().await;
        if let Some(sender) = living(&mut place).await {
            return Ok(Taken {
                sender,
                fresh: false,
            });
        }
        let sender = endpoint.connect().await?;
        self.opened.set(self.opened.get() + 1);
        if let Sender::Http2(shared) = &sender {
            *place = Some(Sender::Http2(shared.clone()));
        }
        Ok(Taken {
            sender,
            fresh: true,
        })
    }

    /// Its request has ended: the next one may have it.
    pub(crate) async fn put(&self, sender: Sender) {
        if let Sender::Http1(_) = sender {
            *self.place.lock().await = Some(sender);
        }
    }

    /// It takes no more requests.
    pub(crate) async fn discard(&self) {
        *self.place.lock().await = None;
    }

    /// How often a connection was opened.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.get()
    }
}

/// An HTTP/1.1 connection is taken out of its place, an HTTP/2 one is shared.
async fn living(place: &mut Option<Sender>) -> Option<Sender> {
    match place.take()? {
        Sender::Http1(mut sender) => sender.ready().await.ok().map(|()| Sender::Http1(sender)),
        Sender::Http2(sender) if sender.is_closed() => None,
        Sender::Http2(sender) => {
            *place = Some(Sender::Http2(sender.clone()));
            Some(Sender::Http2(sender))
        }
    }
}
