//! `relay`: the floor. It accepts connections, opens one to a target for each, and passes bytes on in both directions
//! without looking at them: what any proxy on this machine pays the kernel, and nothing else. A thread a worker, sockets
//! by SO_REUSEPORT, one buffer a worker whatever the number of connections.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::LocalSet;

const COULD_NOT_START: u8 = 2;
const BACKLOG: u32 = 4096;
const BUFFER: usize = 256 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting pauses where it fails (no descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// Connections go to these in turn
    #[arg(long, value_name = "ADDR", num_args = 1.., required = true)]
    target: Vec<SocketAddr>,
    #[arg(long, value_name = "N", default_value = "1")]
    workers: NonZeroUsize,
}

/// Until a signal ends the process: there is nothing to put in order.
pub(crate) fn main(options: &Options) -> ExitCode {
    if let Err(error) = run(options) {
        eprintln!("lintel-benches: {error:#}");
    }
    ExitCode::from(COULD_NOT_START)
}

fn run(options: &Options) -> anyhow::Result<()> {
    let mut workers = Vec::new();
    for index in 0..options.workers.get() {
        let (listen, targets) = (options.listen, options.target.clone());
        let worker = thread::Builder::new()
            .name(format!("relay-{index}"))
            .spawn(move || work(listen, targets))?;
        workers.push(worker);
    }
    for worker in workers {
        worker.join().map_err(|_| anyhow!("a worker panicked"))??;
    }
    Ok(())
}

fn work(listen: SocketAddr, targets: Vec<SocketAddr>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make a runtime")?;
    LocalSet::new().block_on(&runtime, async move {
        let listener = listener(listen).with_context(|| format!("cannot listen on {listen}"))?;
        accept(listener, targets).await;
        Ok(())
    })
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Never returns.
async fn accept(listener: TcpListener, targets: Vec<SocketAddr>) {
    let buffer = Rc::new(RefCell::new(vec![0; BUFFER].into_boxed_slice()));
    let mut targets = targets.iter().copied().cycle();
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                let (target, buffer) = (targets.next(), Rc::clone(&buffer));
                tokio::task::spawn_local(async move {
                    // How a connection ends is seen at its ends.
                    if let Some(target) = target {
                        let _ = relay(client, target, &buffer).await;
                    }
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn relay(
    mut client: TcpStream,
    target: SocketAddr,
    buffer: &RefCell<Box<[u8]>>,
) -> io::Result<()> {
    let connect = TcpStream::connect(target);
    let mut target = tokio::time::timeout(CONNECT_TIMEOUT, connect).await??;
    client.set_nodelay(true)?;
    target.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_target, to_target) = target.split();
    tokio::try_join!(
        pass(from_client, to_target, buffer),
        pass(from_target, to_client, buffer)
    )?;
    Ok(())
}

/// One direction, to its end.
async fn pass(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    buffer: &RefCell<Box<[u8]>>,
) -> io::Result<()> {
    loop {
        let step = std::future::poll_fn(|context| {
            step(&mut from, &mut to, &mut buffer.borrow_mut(), context)
        });
        match step.await? {
            Step::Passed => {}
            // The buffer belongs to the next connection meanwhile.
            Step::Left(rest) => to.write_all(&rest).await?,
            Step::End => return to.shutdown().await,
        }
    }
}

enum Step {
    Passed,
    /// The receiver does not take these yet.
    Left(Vec<u8>),
    End,
}

fn step(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    buffer: &mut [u8],
    context: &mut Context<'_>,
) -> Poll<io::Result<Step>> {
    let mut read = ReadBuf::new(buffer);
    ready!(Pin::new(from).poll_read(context, &mut read))?;
    let bytes = read.filled();
    if bytes.is_empty() {
        return Poll::Ready(Ok(Step::End));
    }
    let written = match Pin::new(to).poll_write(context, bytes) {
        Poll::Ready(written) => written?,
        Poll::Pending => 0,
    };
    Poll::Ready(Ok(if written == bytes.len() {
        Step::Passed
    } else {
        Step::Left(bytes[written..].to_vec())
    }))
}
