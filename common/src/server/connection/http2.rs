//! An HTTP/2 connection from its handshake to its end: time-outs, draining, the last bytes. What is spoken on it is its
//! handler's.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Connection, Established, Next, Watchdog, WatchedStream};
use crate::server::{Cut, Handler, Options};
use crate::shutdown::Shutdown;

/// How long an ended connection is read from, in all and while nothing comes.
const LINGER: Duration = Duration::from_secs(30);
const LINGER_SILENT: Duration = Duration::from_secs(2);

/// What a connection's driver has to hear of. It is polled whenever one of these has changed.
#[derive(Debug, Default)]
pub struct Calls {
    /// The client is to be told that no more is taken.
    pub last: Cell<bool>,
    /// The connection is older than `client_keep_alive`: one more request is taken, as over HTTP/1.1.
    pub old: Cell<bool>,
}

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
    stream: &mut WatchedStream,
    handler: Rc<H>,
    connection: &Rc<Connection>,
    options: &Options,
    shutdown: &Shutdown,
) -> Result<(), Cut> {
    let calls = Calls::default();
    let Calls { last, old } = &calls;
    let mut driver = pin!(handler.http2(stream, connection, options, &calls));
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
            () = &mut last_call, if !last.get() => last.set(true),
            () = &mut too_old, if !old.get() => old.set(true),
            next = watchdog.next(&connection.activity) => match next {
                Next::Expired => return Err(Cut::Shutdown),
                // The client was told, and has not said that it understood.
                Next::Finish if !connection.activity.exchanging() => return Ok(()),
                Next::Idle if last.get() || connection.activity.exchanging() => {
                    return Err(Cut::Idle);
                }
                Next::Idle => last.set(true),
                Next::Finish | Next::HeadOverdue => {}
            },
            () = driver.as_mut() => return Ok(()),
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
