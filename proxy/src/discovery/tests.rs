//! What the group learns from a name server that answers, fails, is silent or changes its mind. The clock is paused.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::*;
use crate::model::TargetGroupSettings;
use crate::target_group::tests::settings;

const REFRESH: Duration = Duration::from_secs(10);

fn by_dns(name: &str) -> TargetGroupSettings {
    let mut settings = settings(&[]);
    settings.discovery = Some(Discovery::Dns {
        name: name.to_owned(),
        refresh: REFRESH,
    });
    settings
}

fn addresses(addresses: &[&str]) -> Vec<IpAddr> {
    addresses
        .iter()
        .map(|address| address.parse().unwrap())
        .collect()
}

fn known(group: &TargetGroup) -> Vec<String> {
    group
        .target_health()
        .iter()
        .map(|target| format!("{}:{}", target.id, target.port))
        .collect()
}

/// Follows the group's discovery until `script` has ended.
async fn during(
    group: &TargetGroup,
    lookup: impl AsyncFn(&str) -> io::Result<Vec<IpAddr>>,
    script: impl Future<Output = ()>,
) {
    tokio::select! {
        () = follow(group, lookup) => unreachable!("discovery has no end of its own"),
        () = script => {}
    }
}

/// Long enough for anything that happens at once.
async fn a_moment() {
    sleep(Duration::from_millis(10)).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_replaces_and_no_answer_keeps() {
    let group = TargetGroup::new(by_dns("app"));
    let answer = RefCell::new(Ok(addresses(&["10.0.0.2", "10.0.0.1", "10.0.0.2"])));
    let lookup = async |name: &str| {
        assert_eq!(name, "app");
        answer.replace(Err(io::ErrorKind::Other.into()))
    };
    let script = async {
        a_moment().await;
        assert_eq!(
            known(&group),
            ["10.0.0.1:8000", "10.0.0.2:8000"],
            "at once, each once"
        );
        sleep(REFRESH).await;
        assert_eq!(
            known(&group),
            ["10.0.0.1:8000", "10.0.0.2:8000"],
            "an error keeps them"
        );
        *answer.borrow_mut() = Ok(addresses(&[]));
        sleep(REFRESH).await;
        assert_eq!(
            known(&group),
            ["10.0.0.1:8000", "10.0.0.2:8000"],
            "an empty answer keeps them"
        );
        *answer.borrow_mut() = Ok(addresses(&["10.0.0.3", "10.0.0.1"]));
        sleep(REFRESH).await;
        assert_eq!(
            known(&group),
            ["10.0.0.1:8000", "10.0.0.3:8000"],
            "an answer replaces them"
        );
    };
    during(&group, lookup, script).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_name_server_is_asked_again() {
    let group = TargetGroup::new(by_dns("app"));
    let asked = Cell::new(0);
    let lookup = async |_: &str| {
        asked.set(asked.get() + 1);
        if asked.get() < 3 {
            std::future::pending::<()>().await;
        }
        Ok(addresses(&["10.0.0.1"]))
    };
    let script = async {
        // Two lookups of 5 s and the times after them are over in 30 s.
        sleep(Duration::from_millis(29_990)).await;
        assert_eq!((asked.get(), known(&group).len()), (2, 0));
        sleep(Duration::from_millis(20)).await;
        assert_eq!((asked.get(), known(&group).len()), (3, 1));
    };
    during(&group, lookup, script).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_server_slower_than_the_refresh_is_waited_for() {
    let mut settings = by_dns("app");
    settings.discovery = settings.discovery.map(|discovery| match discovery {
        Discovery::Dns { name, .. } => Discovery::Dns {
            name,
            refresh: Duration::from_secs(1),
        },
    });
    let group = TargetGroup::new(settings);
    let lookup = async |_: &str| {
        sleep(Duration::from_secs(4)).await;
        Ok(addresses(&["10.0.0.1"]))
    };
    let script = async {
        sleep(Duration::from_millis(4_010)).await;
        assert_eq!(known(&group), ["10.0.0.1:8000"]);
    };
    during(&group, lookup, script).await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_changes_the_name_the_port_or_ends_it() {
    let group = TargetGroup::new(by_dns("one"));
    let lookup = async |name: &str| {
        Ok(addresses(if name == "one" {
            &["10.0.0.1"]
        } else {
            &["10.0.0.2"]
        }))
    };
    let script = async {
        a_moment().await;
        assert_eq!(known(&group), ["10.0.0.1:8000"]);
        group.update(by_dns("two"));
        a_moment().await;
        assert_eq!(known(&group), ["10.0.0.2:8000"]);
        let mut other_port = by_dns("two");
        other_port.port = 9000;
        group.update(other_port);
        a_moment().await;
        assert_eq!(known(&group), ["10.0.0.2:9000"]);
        group.update(settings(&["10.0.0.9:80"]));
        a_moment().await;
        assert_eq!(known(&group), ["10.0.0.9:80"]);
        group.update(by_dns("one"));
        a_moment().await;
        assert_eq!(known(&group), ["10.0.0.1:8000"]);
    };
    during(&group, lookup, script).await;
}

#[tokio::test]
async fn this_machine_resolves_localhost() {
    let found = timeout(Duration::from_secs(20), dns::lookup("localhost"))
        .await
        .unwrap()
        .unwrap();
    assert!(
        found.iter().all(IpAddr::is_loopback) && !found.is_empty(),
        "{found:?}"
    );
}

#[tokio::test]
async fn it_ends_at_shutdown() {
    let (trigger, shutdown) = lintel_common::shutdown::channel();
    let stop = async { trigger.request() };
    tokio::join!(run(TargetGroup::new(by_dns("localhost")), shutdown), stop);
}
