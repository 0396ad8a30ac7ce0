//! Over sockets, because that is where content stays in the kernel.

use std::future::poll_fn;
use std::pin::Pin;

use futures_util::TryFutureExt as _;
use lintel_common::stream::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::pipe;
use super::*;

const LENGTH: usize = 3 * 1024 * 1024 + 7;

/// A socket, and the other end of it as a wire.
async fn wire() -> (TcpStream, Wire) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (outer, inner) = tokio::join!(TcpStream::connect(address), listener.accept());
    (outer.unwrap(), Wire::new(Stream::Plain(inner.unwrap().0)))
}

/// Bytes that differ from place to place.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 251 + at % 251) as u8).collect()
}

fn counted(length: usize) -> Transfer {
    Transfer::new(Decoder::new(Length::Known(length as u64)), Framing::Plain)
}

async fn moved(
    transfer: &mut Transfer,
    buffers: &Buffers,
    from: &mut Wire,
    to: &mut Wire,
) -> Result<(), Broken> {
    poll_fn(|cx| transfer.poll(cx, buffers, from, to)).await
}

fn broken(side: &Broken) -> io::Error {
    io::Error::other(format!("{side:?}"))
}

#[tokio::test]
async fn long_content_arrives_unchanged_and_was_never_here() {
    let (mut source, mut from) = wire().await;
    let (mut sink, mut to) = wire().await;
    let buffers = Buffers::default();
    let content = pattern(LENGTH);
    let mut transfer = counted(LENGTH);
    to.queue(&buffers, b"head ");
    let mut arrived = vec![0; LENGTH + 5];
    tokio::try_join!(
        source.write_all(&content),
        sink.read_exact(&mut arrived).map_ok(drop),
        moved(&mut transfer, &buffers, &mut from, &mut to).map_err(|side| broken(&side)),
    )
    .unwrap();
    assert_eq!(&arrived[..5], b"head ");
    assert!(arrived[5..] == content[..], "content differs");
    assert_eq!(transfer.moved(), LENGTH as u64);
    assert_eq!(from.received(), LENGTH as u64);
    assert_eq!(to.sent(), LENGTH as u64 + 5);
    assert!(!to.is_blocked() && transfer.is_read());
    assert_eq!(buffers.pipes(), 1, "it went through the same pipe");
}

#[tokio::test]
async fn what_comes_behind_it_is_the_next_messages() {
    let (mut source, mut from) = wire().await;
    let (mut sink, mut to) = wire().await;
    let buffers = Buffers::default();
    let content = pattern(LENGTH);
    let mut transfer = counted(LENGTH);
    let mut arrived = vec![0; LENGTH];
    let send = async {
        source.write_all(&content).await?;
        source.write_all(b"GET / HTTP/1.1").await
    };
    tokio::try_join!(
        send,
        sink.read_exact(&mut arrived).map_ok(drop),
        moved(&mut transfer, &buffers, &mut from, &mut to).map_err(|side| broken(&side)),
    )
    .unwrap();
    assert!(arrived == content, "content differs");
    let next = poll_fn(|cx| {
        from.poll_take(cx, &buffers, |_, input| {
            let whole = input.len() == 14;
            (14 * usize::from(whole), whole.then(|| input.to_vec()))
        })
    });
    assert_eq!(next.await.unwrap(), b"GET / HTTP/1.1");
}

#[tokio::test]
async fn short_and_chunked_content_is_copied() {
    for (length, framing) in [
        (LEAST_PASSED as usize - 1, Framing::Plain),
        (LENGTH, Framing::Chunked { trailers: false }),
    ] {
        let (mut source, mut from) = wire().await;
        let (mut sink, mut to) = wire().await;
        let buffers = Buffers::default();
        let content = pattern(length);
        let mut transfer = Transfer::new(Decoder::new(Length::Known(length as u64)), framing);
        let read = async {
            let mut arrived = vec![0; length];
            sink.read_exact(&mut arrived).await
        };
        let (sent, read, all) = tokio::join!(
            source.write_all(&content),
            read,
            moved(&mut transfer, &buffers, &mut from, &mut to),
        );
        sent.unwrap();
        read.unwrap();
        all.unwrap();
        assert_eq!(buffers.pipes(), 0, "{length} {framing:?}");
    }
}

#[tokio::test]
async fn where_no_pipe_is_to_be_had_content_is_copied() {
    let (mut source, mut from) = wire().await;
    let (mut sink, mut to) = wire().await;
    let buffers = Buffers::default();
    buffers.give_up_pipes();
    let content = pattern(LENGTH);
    let mut transfer = counted(LENGTH);
    let mut arrived = vec![0; LENGTH];
    tokio::try_join!(
        source.write_all(&content),
        sink.read_exact(&mut arrived).map_ok(drop),
        moved(&mut transfer, &buffers, &mut from, &mut to).map_err(|side| broken(&side)),
    )
    .unwrap();
    assert!(arrived == content, "content differs");
    assert_eq!(buffers.pipes(), 0);
}

#[tokio::test]
async fn what_the_sink_does_not_take_waits_in_the_kernel() {
    let (mut source, mut from) = wire().await;
    let (sink, mut to) = wire().await;
    let buffers = Buffers::default();
    let mut transfer = counted(1 << 40);
    let content = pattern(64 * 1024);
    poll_fn(|cx| {
        while let Poll::Ready(written) = Pin::new(&mut source).poll_write(cx, &content) {
            written.unwrap();
        }
        while let Poll::Ready(all) = transfer.poll(cx, &buffers, &mut from, &mut to) {
            all.unwrap();
        }
        if to.is_blocked() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
    let waiting = transfer.moved() - to.sent();
    assert!((1..=pipe::CAPACITY as u64).contains(&waiting), "{waiting}");
    assert_eq!(buffers.pipes(), 1);
    // Its pipe goes with the connection.
    drop((sink, to));
    assert_eq!(buffers.pipes(), 0);
}

#[tokio::test]
async fn a_source_that_ends_too_early_is_told_from_a_sink_that_is_gone() {
    let (mut source, mut from) = wire().await;
    let (mut sink, mut to) = wire().await;
    let buffers = Buffers::default();
    let mut transfer = counted(LENGTH);
    source.write_all(&pattern(LENGTH / 2)).await.unwrap();
    drop(source);
    let mut arrived = Vec::new();
    let (read, all) = tokio::join!(sink.read_to_end(&mut arrived), async {
        let all = moved(&mut transfer, &buffers, &mut from, &mut to).await;
        drop(to);
        all
    });
    read.unwrap();
    assert!(matches!(all, Err(Broken::Source(_))), "{all:?}");
    assert!(
        arrived == pattern(LENGTH)[..LENGTH / 2],
        "all that came was passed on"
    );

    let (mut source, mut from) = wire().await;
    let (sink, mut to) = wire().await;
    sink.set_zero_linger().unwrap();
    drop(sink);
    let mut transfer = counted(LENGTH);
    let content = pattern(LENGTH);
    let (_, all) = tokio::join!(source.write_all(&content), async {
        let all = moved(&mut transfer, &buffers, &mut from, &mut to).await;
        drop(from);
        all
    });
    assert!(matches!(all, Err(Broken::Sink(_))), "{all:?}");
}
