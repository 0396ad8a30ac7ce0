//! What the proxy says of its targets, told as news: one line for each change of state.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::console;

/// Until the path is ready somebody waits for each line.
const POLL_AT_START: Duration = Duration::from_millis(50);
const POLL: Duration = Duration::from_millis(250);
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
const LARGEST_ANSWER: usize = 1024 * 1024;

/// Tells of every change, and calls `ready` once, when the path first answers. Never ends: the caller drops it.
pub(crate) async fn watch(admin_port: u16, names: &BTreeMap<u16, String>, ready: impl FnOnce()) {
    let mut ready = Some(ready);
    let mut known = States::new();
    loop {
        // A proxy that does not answer has ended or is starting, which is told elsewhere.
        if let Ok((StatusCode::OK, body)) = get(admin_port, "/target-health").await
            && let Ok(now) = states(&body)
        {
            for line in changes(&known, &now, names) {
                console::say(&line);
            }
            known = now;
        }
        if ready.is_some()
            && let Ok((StatusCode::OK, _)) = get(admin_port, "/ready").await
            && let Some(ready) = ready.take()
        {
            ready();
        }
        sleep(if ready.is_some() { POLL_AT_START } else { POLL }).await;
    }
}

async fn get(port: u16, path: &str) -> Result<(StatusCode, Bytes), Box<dyn Error + Send + Sync>> {
    timeout(ANSWER_LIMIT, exchange(port, path)).await?
}

async fn exchange(
    port: u16,
    path: &str,
) -> Result<(StatusCode, Bytes), Box<dyn Error + Send + Sync>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get(path)
        .header(http::header::HOST, "localhost")
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER)
            .collect()
            .await?;
        // Without the sender the connection comes to its end.
        drop(sender);
        Ok((status, body.to_bytes()))
    };
    let (answer, _) = tokio::join!(answer, connection);
    answer
}

/// State and reason by port.
type States = BTreeMap<u16, (String, Option<String>)>;

#[derive(Deserialize)]
struct Answer {
    target_groups: Vec<TargetGroup>,
}

#[derive(Deserialize)]
struct TargetGroup {
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    port: u16,
    state: String,
    reason: Option<String>,
}

fn states(body: &[u8]) -> serde_json::Result<States> {
    let answer: Answer = serde_json::from_slice(body)?;
    let targets = answer
        .target_groups
        .into_iter()
        .flat_map(|group| group.targets);
    Ok(targets
        .map(|target| (target.port, (target.state, target.reason)))
        .collect())
}

fn changes(known: &States, now: &States, names: &BTreeMap<u16, String>) -> Vec<String> {
    let changed = now
        .iter()
        .filter(|(port, state)| known.get(port) != Some(*state));
    changed
        .map(|(port, (state, reason))| {
            let name = names.get(port).map_or("target", String::as_str);
            let reason = reason
                .as_ref()
                .map(|reason| format!(" ({reason})"))
                .unwrap_or_default();
            format!("{name} on port {port} is {state}{reason}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_news() {
        let names = BTreeMap::from([(8001, "app-1".to_owned()), (8002, "app-2".to_owned())]);
        let answer = |first: &str, second: &str| {
            let target = |port: u16, rest: &str| {
                format!(
                    r#"{{"id":"127.0.0.1","port":{port},"in_flight":0,"description":null,{rest}}}"#
                )
            };
            let body = format!(
                r#"{{"target_groups":[{{"name":"app","targets":[{},{}]}}]}}"#,
                target(8001, first),
                target(8002, second)
            );
            states(body.as_bytes()).unwrap()
        };
        let healthy = r#""state":"healthy","reason":null"#;
        let failing = r#""state":"unhealthy","reason":"Target.Timeout""#;
        let start = answer(healthy, failing);
        assert_eq!(
            changes(&States::new(), &start, &names),
            [
                "app-1 on port 8001 is healthy",
                "app-2 on port 8002 is unhealthy (Target.Timeout)"
            ]
        );
        assert!(changes(&start, &answer(healthy, failing), &names).is_empty());
        assert_eq!(
            changes(&start, &answer(healthy, healthy), &names),
            ["app-2 on port 8002 is healthy"]
        );
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        assert!(states(b"{}").is_err());
        assert!(states(b"not json").is_err());
    }
}
