//! Where a group's targets come from besides the file: keeps the group told of what its discovery source knows. The
//! sources themselves are below; what becomes of a target that is gone is the target group's matter.

pub mod dns;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use lintel_common::shutdown::Shutdown;

use crate::model::Discovery;
use crate::target_group::TargetGroup;

/// Follows whatever source the group's settings name, also when a reload changes them, until a stop is requested.
pub async fn run(group: Arc<TargetGroup>, shutdown: Shutdown) {
    tokio::select! {
        () = shutdown.requested() => {}
        () = follow(&group, dns::lookup) => {}
    }
}

/// `lookup` answers a name with the addresses it has now.
async fn follow(group: &TargetGroup, lookup: impl AsyncFn(&str) -> io::Result<Vec<IpAddr>>) {
    let mut changes = group.changes();
    loop {
        let source = group.discovery();
        let replaced = async {
            while changes.changed().await.is_ok() {
                if group.discovery() != source {
                    return;
                }
            }
        };
        let followed = async {
            match &source {
                Some((Discovery::Dns { name, refresh }, port)) => {
                    dns::follow(group, name, *port, *refresh, &lookup).await;
                }
                None => {
                    group.discovered(Vec::new());
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            () = replaced => {}
            () = followed => {}
        }
    }
}

#[cfg(test)]
mod tests;
