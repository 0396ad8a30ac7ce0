//! An HTTP/2 connection from its handshake to its end. The h2 crate reads and writes its frames and counts its windows;
//! what becomes of a request is its handler's.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Connection, Established, Next, Watchdog};
use crate::server::{Cut, Handler, Options};
use crate::shutdown::Shutdown;

/// What may wait of a response until its client takes it.
const MOST_UNSENT: usize = 64 * 1024;

/// What may come of a request before its handler takes it, and of all of a connection's.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Streams that were reset because of the client's own mistakes, before its connection is given up.
const MOST_MISTAKES: usize = 1024;

/// How long an ended connection is read from, in all and while nothing comes.
const LINGER: Duration = Duration::from_secs(30);
const LINGER_SILENT: Duration = Duration::from_secs(2);

/// Requests that a client may reset before they are answered, besides half of all that it sends. Each may have cost a
/// connection to a target.
const MOST_ABANDONED: u64 = 200;

pub(super) async fn serve<H: Handler>(
    established: Established,
    handler: Rc<H>,
    connection: Rc<Connection>,
    options: Rc<Options>,
    shutdown: Shutdown,
) {
    let mut stream = connection.watched(established);
    let ended = until_end(&mut stream, handler, &connection, &options, &shutdown).await;
    if let Err(cut) = ended {
        return connection.activity.cut(cut);
    }
    tokio::select! {
        () = linger(stream) => {}
        () = shutdown.expired() => {}
    }
}

async fn until_end<H: Handler>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: Rc<H>,
    connection: &Rc<Connection>,
    options: &Options,
    shutdown: &Shutdown,
) -> Result<(), Cut> {
    let (called, old) = (Cell::new(false), Cell::new(false));
    let mut driver = pin!(drive(stream, handler, connection, options, &called, &old));
    let too_old = async {
        match options.client_keep_alive {
            Some(age) => tokio::time::sleep_until(connection.accepted_at + age).await,
            None => std::future::pending().await,
        }
    };
    let (mut last_call, mut too_old) = (pin!(shutdown.requested()), pin!(too_old));
    let mut watchdog = Watchdog::new(options, shutdown.clone());
    loop {
        // The driver last: it hears of a last call in the same turn.
        tokio::select! {
            biased;
            () = &mut last_call, if !called.get() => called.set(true),
            () = &mut too_old, if !old.get() => old.set(true),
            next = watchdog.next(&connection.activity) => match next {
                Next::Expired => return Err(Cut::Shutdown),
                // The client was told, and has not said that it understood.
                Next::Finish if !connection.activity.exchanging() => return Ok(()),
                Next::Idle if called.get() || connection.activity.exchanging() => {
                    return Err(Cut::Idle);
                }
                Next::Idle => called.set(true),
                Next::Finish | Next::HeadOverdue => {}
            },
            _ = driver.as_mut() => return Ok(()),
        }
    }
}

/// Says that nothing more comes, and reads what the client still says: at a closed socket that would be answered by a
/// reset, and a reset takes back what is on its way.
async fn linger(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let until_closed = async {
        let _ = stream.shutdown().await;
        let mut forgotten = [0; 1024];
        while let Ok(Ok(1..)) =
            tokio::time::timeout(LINGER_SILENT, stream.read(&mut forgotten)).await
        {}
    };
    let _ = tokio::time::timeout(LINGER, until_closed).await;
}

/// Until the client has gone, or was told by the last call that no more is taken and has got its answers.
async fn drive<H: Handler>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    handler: Rc<H>,
    connection: &Rc<Connection>,
    options: &Options,
    called: &Cell<bool>,
    old: &Cell<bool>,
) -> Result<(), h2::Error> {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(options.max_concurrent_streams)
        // What is larger h2 refuses by itself, and nobody hears of it.
        .max_header_list_size(u32::try_from(2 * options.max_head_size).unwrap_or(u32::MAX))
        .max_send_buffer_size(MOST_UNSENT)
        .max_local_error_reset_streams(Some(MOST_MISTAKES))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let mut requests = builder.handshake::<_, Bytes>(stream).await?;
    let (mut told, mut sent_away) = (false, false);
    // In one future to the end: requests are large, and each await would move them about.
    poll_fn(|cx| {
        loop {
            let requested = connection.activity.requests();
            let most = options.max_http2_requests;
            if most.is_some_and(|most| requested >= most) {
                // Those under way are answered, and those that its client sends before it hears of this.
                called.set(true);
            }
            if called.get() && !told {
                told = true;
                requests.graceful_shutdown();
            }
            let most = MOST_ABANDONED + requested / 2;
            if connection.activity.abandoned() > most && !sent_away {
                sent_away = true;
                requests.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
            match ready!(requests.poll_accept(cx)) {
                Some(Ok((request, answer))) => {
                    if old.get() {
                        // One more is taken, as over HTTP/1.1.
                        called.set(true);
                    }
                    let ongoing = connection.activity.begin();
                    Rc::clone(&handler).http2(request, answer, Rc::clone(connection), ongoing);
                }
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
    })
    .await
}
