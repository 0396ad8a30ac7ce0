//! Health checking of one target group: when each target is checked, and who is told. What a check is, is in `probe`;
//! what its result means, in `state`; what follows from it, in the target group.

pub mod probe;
pub mod state;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use lintel_common::shutdown::Shutdown;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::health_check_log::HealthCheckLog;
use crate::target_group::{Registration, TargetGroup};
use probe::Found;

/// Targets that come together get their first checks this far apart at most, all of them within [`FIRST_CHECKS`].
const FIRST_CHECK_STEP: Duration = Duration::from_millis(100);
const FIRST_CHECKS: Duration = Duration::from_secs(1);

/// How far the time between two checks strays from the interval, so that the checks of many targets and of many load
/// balancers do not fall into step. The mean is the interval.
const JITTER: std::ops::RangeInclusive<f64> = 0.95..=1.05;

/// Checks the group's targets, and has it do in time what time makes due, until a stop is requested.
pub async fn run(group: Arc<TargetGroup>, log: Option<HealthCheckLog>, shutdown: Shutdown) {
    tokio::select! {
        () = shutdown.requested() => {}
        () = follow(&group, log.as_ref()) => {}
    }
}

/// Keeps one sequence of checks going for every registration. Each ends by itself when its registration does.
async fn follow(group: &TargetGroup, log: Option<&HealthCheckLog>) {
    let mut changes = group.changes();
    let mut checks = FuturesUnordered::new();
    let mut newest = None;
    loop {
        changes.mark_unchanged();
        let next_due = group.advance(Instant::now());

        let new = group.registrations_after(newest);
        let step = (FIRST_CHECKS / new.len().max(1) as u32).min(FIRST_CHECK_STEP);
        for (at, registration) in new.into_iter().enumerate() {
            checks.push(check_repeatedly(group, log, registration, step * at as u32));
            newest = Some(registration);
        }
        wait(&mut changes, next_due, &mut checks).await;
    }
}

/// Until there is something to do for `follow`; drives the checks meanwhile.
async fn wait(
    changes: &mut watch::Receiver<()>,
    deadline: Option<Instant>,
    checks: &mut FuturesUnordered<impl Future<Output = ()>>,
) {
    let deadline_passed = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending::<()>().await,
        }
    };
    let all_ended = async {
        while checks.next().await.is_some() {}
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = changes.changed() => {}
        () = deadline_passed => {}
        () = all_ended => {}
    }
}

async fn check_repeatedly(
    group: &TargetGroup,
    log: Option<&HealthCheckLog>,
    registration: Registration,
    first_after: Duration,
) {
    let mut changes = group.changes();
    sleep(first_after).await;
    while let Some(check) = group.begin_check(registration) {
        let (started, started_at) = (Instant::now(), SystemTime::now());
        let checked = AssertUnwindSafe(probe::probe(
            check.address,
            &check.settings,
            group.tls().as_deref(),
        ))
        .catch_unwind()
        .await;
        let found = checked.unwrap_or_else(|_| Found::internal_error());
        if let Some(log) = log {
            let time = (started_at, started.elapsed());
            log.write(group.name(), check.address, &check.settings, time, &found);
        }
        group.record(registration, found.outcome);

        // From start to start: how long the answer took does not shift the next check. Asked again after every change,
        // so that a new interval counts at once.
        let stray = rand::random_range(JITTER);
        while let Some(interval) = group.check_interval(registration) {
            tokio::select! {
                () = sleep_until(started + interval.mul_f64(stray)) => break,
                _ = changes.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
