//! Targets from DNS: every address of a name is one, at the group's port. An answer replaces the one before; no answer
//! changes nothing, because a name server that is down says nothing about the targets.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::model::TargetSettings;
use crate::target_group::TargetGroup;

/// An answer takes at most this long, however often one is asked for: a slow name server is better than none.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
enum LookupError {
    #[error("{0}")]
    Failed(#[from] io::Error),
    #[error("no answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    #[error("the name has no address")]
    Empty,
}

/// The addresses of a name, as this machine resolves it.
pub(super) async fn lookup(name: &str) -> io::Result<Vec<IpAddr>> {
    let addresses = tokio::net::lookup_host((name, 0)).await?;
    Ok(addresses.map(|address| address.ip()).collect())
}

/// Looks `name` up at once and then every `refresh`, and tells the group. Never returns.
pub(super) async fn follow(
    group: &TargetGroup,
    name: &str,
    port: u16,
    refresh: Duration,
    lookup: impl AsyncFn(&str) -> io::Result<Vec<IpAddr>>,
) {
    let target_group = group.name();
    let mut failing = false;
    loop {
        match answer(lookup(name)).await {
            Ok(addresses) => {
                if failing {
                    tracing::info!(target_group, name, "discovery works again");
                }
                failing = false;
                group.discovered(targets(addresses, port));
            }
            Err(error) => {
                // Once until it works again, not at every refresh.
                if !failing {
                    tracing::warn!(target_group, name, %error, "discovery fails, the targets last known stay: \
                        check the name in the configuration file and this machine's name server");
                }
                failing = true;
            }
        }
        sleep(refresh).await;
    }
}

async fn answer(
    lookup: impl Future<Output = io::Result<Vec<IpAddr>>>,
) -> Result<Vec<IpAddr>, LookupError> {
    let addresses = timeout(LOOKUP_TIMEOUT, lookup)
        .await
        .map_err(|_| LookupError::TimedOut(LOOKUP_TIMEOUT))??;
    if addresses.is_empty() {
        return Err(LookupError::Empty);
    }
    Ok(addresses)
}

/// In a fixed order: name servers rotate their answers, and the same set must not look like a new one.
fn targets(mut addresses: Vec<IpAddr>, port: u16) -> Vec<TargetSettings> {
    addresses.sort_unstable();
    addresses.dedup();
    let target = |id| TargetSettings {
        id,
        port,
        availability_zone: None,
    };
    addresses.into_iter().map(target).collect()
}
