//! What ends a connection, a request or a wait in HTTP/1.1 when it does not end by itself, and what must not end it.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lintel_common::shutdown;
use lintel_proxy::http1::wait::{StopWatch, Timer};
use tokio::time::Instant;

/// Leaves the task nothing of what the runtime lets it do in one turn.
fn use_up_the_turn(cx: &mut Context<'_>) {
    while pin!(tokio::task::coop::consume_budget())
        .as_mut()
        .poll(cx)
        .is_ready()
    {}
}

/// A big transfer uses up the turn in which the first timer is set.
#[tokio::test(start_paused = true)]
async fn a_timer_that_is_set_at_the_end_of_a_turn_wakes_its_task() {
    let mut timer = Timer::default();
    let at = Instant::now() + Duration::from_secs(1);
    let mut turns = 0;
    let waited = poll_fn(|cx| {
        turns += 1;
        if turns == 1 {
            use_up_the_turn(cx);
        }
        timer.poll_until(cx, at)
    });
    let waited = tokio::time::timeout(Duration::from_secs(60), waited).await;
    assert!(waited.is_ok(), "nobody was woken");
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_watched_from_the_end_of_a_turn_wakes_its_task() {
    let (trigger, stop) = shutdown::channel();
    let mut stop = StopWatch::new(stop);
    let mut turns = 0;
    let watched = poll_fn(|cx| {
        turns += 1;
        if turns == 1 {
            use_up_the_turn(cx);
        }
        stop.watch(cx);
        if stop.is_requested() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    // In a task of its own: what wakes this one is the watch alone.
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        trigger.request();
        std::future::pending::<()>().await;
    });
    let woken = tokio::time::timeout(Duration::from_secs(60), watched).await;
    assert!(woken.is_ok(), "nobody was woken");
}
