//! A group's checks against real targets, and its timing. Real sockets run on real time; where only the clock matters it
//! is paused.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};

use lintel_common::shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::target_group::tests::{settings, target};

/// A target whose answer can be changed, and which notes when it was asked.
struct App {
    address: String,
    status: Arc<AtomicU16>,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl App {
    async fn start(status: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = Self {
            address: listener.local_addr().unwrap().to_string(),
            status: Arc::new(AtomicU16::new(status)),
            asked: Arc::default(),
        };
        let (status, asked) = (Arc::clone(&app.status), Arc::clone(&app.asked));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                asked
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Instant::now());
                sleep(delay).await;
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n")
                    && stream.read_buf(&mut request).await.unwrap() > 0
                {}
                let status = status.load(Ordering::SeqCst);
                let answer = format!(
                    "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        app
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn every(interval: Duration, targets: &[&str]) -> crate::model::TargetGroupSettings {
    let mut settings = settings(targets);
    settings.health_check.interval = interval;
    settings
}

const SELDOM: Duration = Duration::from_secs(3600);
const OFTEN: Duration = Duration::from_millis(20);

/// Polls until it is so; a test that waits longer is broken.
async fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        sleep(Duration::from_millis(2)).await;
    }
}

fn start(group: &Arc<TargetGroup>) -> (shutdown::ShutdownTrigger, JoinHandle<()>) {
    let (trigger, shutdown) = shutdown::channel();
    (
        trigger,
        tokio::spawn(run(Arc::clone(group), None, shutdown)),
    )
}

fn state(group: &TargetGroup, at: usize) -> (&'static str, Option<&'static str>) {
    let health = group.target_health();
    health.get(at).map_or(("absent", None), |target| {
        (target.state.as_str(), target.reason)
    })
}

#[tokio::test]
async fn targets_are_checked_at_once_and_one_pass_is_enough() {
    let (one, two) = (
        App::start(200, Duration::ZERO).await,
        App::start(200, Duration::ZERO).await,
    );
    let group = TargetGroup::new(every(SELDOM, &[&one.address, &two.address]));
    let (trigger, run) = start(&group);
    until("both healthy", || {
        state(&group, 0).0 == "healthy" && state(&group, 1).0 == "healthy"
    })
    .await;
    assert_eq!((one.asked(), two.asked()), (1, 1));

    trigger.request();
    timeout(SELDOM, run).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_target_falls_ill_and_recovers() {
    let app = App::start(200, Duration::ZERO).await;
    let group = TargetGroup::new(every(OFTEN, &[&app.address]));
    let (_trigger, _run) = start(&group);
    until("healthy", || state(&group, 0) == ("healthy", None)).await;

    app.status.store(404, Ordering::SeqCst);
    until("unhealthy", || {
        state(&group, 0) == ("unhealthy", Some("Target.ResponseCodeMismatch"))
    })
    .await;
    assert!(group.choose(&[]).unwrap().fail_open);

    app.status.store(200, Ordering::SeqCst);
    let before = app.asked();
    until("healthy again", || state(&group, 0) == ("healthy", None)).await;
    assert!(
        app.asked() - before >= 4,
        "five passes bring it back, one of which may have been under way"
    );
}

#[tokio::test]
async fn a_target_that_comes_later_is_checked_at_once() {
    let (one, two) = (
        App::start(200, Duration::ZERO).await,
        App::start(200, Duration::ZERO).await,
    );
    let group = TargetGroup::new(every(SELDOM, &[&one.address]));
    let (_trigger, _run) = start(&group);
    until("the first is healthy", || state(&group, 0).0 == "healthy").await;

    group.discovered(vec![target(&two.address)]);
    until("the second is healthy", || state(&group, 1).0 == "healthy").await;

    // Gone and back: a new registration, so a new check at once.
    group.discovered(Vec::new());
    group.discovered(vec![target(&two.address)]);
    until("checked again", || {
        two.asked() == 2 && state(&group, 1).0 == "healthy"
    })
    .await;
    assert_eq!(one.asked(), 1);
}

#[tokio::test]
async fn a_new_interval_counts_at_once() {
    let app = App::start(200, Duration::ZERO).await;
    let group = TargetGroup::new(every(SELDOM, &[&app.address]));
    let (_trigger, _run) = start(&group);
    until("checked once", || state(&group, 0).0 == "healthy").await;
    group.update(every(OFTEN, &[&app.address]));
    until("checked often", || app.asked() > 3).await;
}

#[tokio::test]
async fn the_interval_is_from_start_to_start() {
    const INTERVAL: Duration = Duration::from_millis(200);
    let app = App::start(200, Duration::from_millis(120)).await;
    let group = TargetGroup::new(every(INTERVAL, &[&app.address]));
    let (_trigger, _run) = start(&group);
    until("six checks", || app.asked() >= 6).await;
    let asked = app.asked.lock().unwrap().clone();
    let gaps: Vec<Duration> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The shortest: a busy machine makes gaps longer, never shorter. From end to start it would be 320 ms.
    let shortest = gaps.iter().min().unwrap();
    assert!(
        (INTERVAL / 2..INTERVAL * 5 / 4).contains(shortest),
        "{gaps:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn checks_do_not_fall_into_step() {
    const INTERVAL: Duration = Duration::from_secs(1000);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let group = TargetGroup::new(every(INTERVAL, &[&address]));
    let (_trigger, _run) = start(&group);
    let mut begun = Vec::new();
    while begun.len() < 40 {
        drop(listener.accept().await.unwrap());
        begun.push(Instant::now());
    }
    let gaps = begun.windows(2).map(|pair| pair[1] - pair[0]);
    let (shortest, longest) = (gaps.clone().min().unwrap(), gaps.max().unwrap());
    let shown = format!("{shortest:?} to {longest:?}");
    assert!(longest > shortest + INTERVAL / 30, "{shown}");
    assert!(shortest > INTERVAL / 100 * 94, "{shown}");
    assert!(longest < INTERVAL / 100 * 106, "{shown}");
}

#[tokio::test(start_paused = true)]
async fn an_unused_group_sends_no_checks() {
    let app = App::start(200, Duration::ZERO).await;
    let group = TargetGroup::new(settings(&[&app.address]));
    group.set_in_use(false);
    let (_trigger, run) = start(&group);
    sleep(SELDOM).await;
    assert_eq!(app.asked(), 0);
    assert!(!run.is_finished());
    group.set_in_use(true);
    until("checked", || app.asked() > 0).await;
}

#[tokio::test(start_paused = true)]
async fn first_checks_are_spread_over_a_second() {
    // Nothing listens there, so each check ends at once.
    let addresses: Vec<String> = (1..=100).map(|port| format!("127.0.0.1:{port}")).collect();
    let group = TargetGroup::new(every(
        SELDOM,
        &addresses.iter().map(String::as_str).collect::<Vec<_>>(),
    ));
    let started = Instant::now();
    let (_trigger, _run) = start(&group);
    let begun = || {
        let health = group.target_health();
        health
            .iter()
            .filter(|target| target.reason != Some("Elb.RegistrationInProgress"))
            .count()
    };
    until("the first check", || begun() > 0).await;
    assert!(started.elapsed() < Duration::from_millis(100));
    assert!(begun() < 50);
    until("every check", || begun() == 100).await;
    assert!(
        started.elapsed() > Duration::from_millis(500)
            && started.elapsed() < Duration::from_millis(1100)
    );
}

#[tokio::test(start_paused = true)]
async fn a_draining_target_goes_when_its_delay_is_over() {
    let group = TargetGroup::new(settings(&["127.0.0.1:1"]));
    let (_trigger, _run) = start(&group);
    let chosen = group.choose(&[]).unwrap().target;
    let _request = chosen.begin();
    group.update(settings(&[]));
    assert_eq!(state(&group, 0).0, "draining");
    sleep(Duration::from_secs(299)).await;
    assert!(!chosen.is_drained());
    sleep(Duration::from_secs(2)).await;
    assert!(chosen.is_drained());
    assert_eq!(state(&group, 0).0, "absent");
}

#[tokio::test(start_paused = true)]
async fn a_draining_target_goes_with_its_last_request() {
    let group = TargetGroup::new(settings(&["127.0.0.1:1"]));
    let (_trigger, _run) = start(&group);
    let request = group.choose(&[]).unwrap().target.begin();
    let started = Instant::now();
    group.update(settings(&[]));
    drop(request);
    until("gone", || state(&group, 0).0 == "absent").await;
    assert!(started.elapsed() < Duration::from_secs(1));
}
