//! A WebSocket after its 101: bytes both ways until both sides have ended, nothing has moved for `idle_timeout`, the
//! target's deregistration delay is over, or the shutdown expires. Its access record is written then.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use lintel_common::metered::Metered;
use lintel_common::shutdown::Shutdown;
use tokio::time::Instant;

use super::LOOK_AROUND;
use super::traffic::{Mark, Traffic};
use crate::access_log::Record;
use crate::gateway_error::GatewayError;
use crate::target_group::{InFlight, Target};

/// How long either side may take to hand over its connection after the 101.
const HANDOVER: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Tunnel {
    pub client_side: OnUpgrade,
    pub target_side: OnUpgrade,
    pub target: Arc<Target>,
    pub in_flight: InFlight,
    pub idle_timeout: Duration,
    pub shutdown: Shutdown,
}

impl Tunnel {
    pub async fn run(self, mut record: Record) {
        let both = async { tokio::try_join!(self.client_side, self.target_side) };
        let Ok(Ok((client, target))) = tokio::time::timeout(HANDOVER, both).await else {
            record.fail(GatewayError::TargetClosed);
            return record.finish();
        };
        let traffic = Arc::<Traffic>::default();
        let ended = relay(
            client,
            target,
            Arc::clone(&traffic),
            watch(&traffic, self.idle_timeout, &self.target, &self.shutdown),
        )
        .await;
        let Mark { received, sent } = traffic.mark();
        record.sent(sent);
        let counter = record.received();
        counter.set(counter.get() + received);
        if let Some(error) = ended {
            record.fail(error);
        }
        record.finish();
        drop(self.in_flight);
    }
}

async fn relay(
    client: Upgraded,
    target: Upgraded,
    traffic: Arc<Traffic>,
    ended: impl Future<Output = Option<GatewayError>>,
) -> Option<GatewayError> {
    let mut client = Metered::new(TokioIo::new(client), traffic);
    let mut target = TokioIo::new(target);
    tokio::select! {
        copied = tokio::io::copy_bidirectional(&mut client, &mut target) => {
            if let Err(error) = copied && error.kind() != io::ErrorKind::NotConnected {
                tracing::debug!(%error, "tunnel broke off");
            }
            None
        }
        reason = ended => reason,
    }
}

/// Returns when the tunnel has to end, and why if that was not its own doing.
async fn watch(
    traffic: &Traffic,
    idle_timeout: Duration,
    target: &Target,
    shutdown: &Shutdown,
) -> Option<GatewayError> {
    let mut seen = traffic.mark();
    let mut seen_at = Instant::now();
    let look = LOOK_AROUND
        .min(idle_timeout / 4)
        .max(Duration::from_millis(5));
    loop {
        tokio::select! {
            () = tokio::time::sleep(look) => {}
            () = shutdown.expired() => return Some(GatewayError::Shutdown),
        }
        if target.is_drained() {
            return Some(GatewayError::TargetDeregistered);
        }
        let now = traffic.mark();
        if now != seen {
            (seen, seen_at) = (now, Instant::now());
        } else if seen_at.elapsed() >= idle_timeout {
            return None;
        }
    }
}
