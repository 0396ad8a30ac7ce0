//! Target groups through a running proxy: algorithms, slow start, zones, thresholds, registration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::harness::client::get;
use crate::harness::{Gate, Proxy, Refusing, Setup, Target, ok, until};

/// Health checks that notice soon.
const CHECKS: &str = "health_check = { path = '/health', interval = 0.3, timeout = 0.3, healthy_threshold = 1, unhealthy_threshold = 2 }";

/// Well as long as the switch says so.
fn switched(name: &'static str, well: &Arc<AtomicBool>) -> Target {
    let well = Arc::clone(well);
    Target::answering(move |request| match request.uri() {
        "/health" if !well.load(SeqCst) => {
            b"HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n".to_vec()
        }
        _ => ok(name),
    })
}

/// How many of so many requests each target answered.
fn shares(proxy: &Proxy, requests: usize) -> BTreeMap<String, usize> {
    let mut client = proxy.connect();
    let mut shares = BTreeMap::new();
    for _ in 0..requests {
        *shares.entry(client.get("/").text().to_owned()).or_default() += 1;
    }
    shares
}

fn named(shares: &[(&str, usize)]) -> BTreeMap<String, usize> {
    let named = |(name, share): &(&str, usize)| ((*name).to_owned(), *share);
    shares.iter().map(named).collect()
}

fn of_zone(address: SocketAddr, zone: &str) -> String {
    let (id, port) = (address.ip(), address.port());
    format!("{{ id = '{id}', port = {port}, availability_zone = '{zone}' }}")
}

#[test]
fn a_busy_target_gets_less_by_least_outstanding_requests() {
    let gate = Gate::default();
    let held = gate.clone();
    let slow = Target::answering(move |request| {
        if request.uri() == "/slow" {
            held.pass();
        }
        ok("slow")
    });
    let quick = Target::saying("quick");
    let proxy = Setup::to([slow.address, quick.address])
        .group("load_balancing_algorithm_type = 'least_outstanding_requests'")
        .start();
    // One of two reaches the slow one.
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut client = proxy.connect();
        client.send(get("/slow")).unwrap();
        waiting.push(client);
    }
    slow.wait_for_requests(1);
    quick.wait_for_requests(1);
    until("the other has been answered", || in_flight(&proxy) == 1);
    assert_eq!(shares(&proxy, 20), named(&[("quick", 20)]));
    gate.open();
    until("nothing in flight", || in_flight(&proxy) == 0);
    assert_eq!(shares(&proxy, 20), named(&[("quick", 10), ("slow", 10)]));
}

fn in_flight(proxy: &Proxy) -> u64 {
    let health = proxy.target_health();
    let targets = health["target_groups"][0]["targets"].as_array().unwrap();
    let in_flight = targets.iter().map(|target| target["in_flight"].as_u64());
    in_flight.map(Option::unwrap).sum()
}

#[test]
fn weighted_random_reaches_every_target() {
    let targets = [Target::saying("a"), Target::saying("b")];
    let proxy = Setup::to(targets.iter().map(|target| target.address))
        .group("load_balancing_algorithm_type = 'weighted_random'")
        .start();
    let shares = shares(&proxy, 200);
    assert_eq!(shares.len(), 2);
    assert!(shares.values().all(|share| *share > 50), "{shares:?}");
}

#[test]
fn a_target_that_fails_more_than_its_peers_is_shown_and_gets_less() {
    let failing = Target::answering(|request| match request.uri() {
        "/health" => ok("well"),
        _ => b"HTTP/1.1 500 Broken\r\nContent-Length: 1\r\n\r\nc".to_vec(),
    });
    let well = [Target::saying("a"), Target::saying("b")];
    let proxy = Setup::to([well[0].address, well[1].address, failing.address])
        .group("load_balancing_algorithm_type = 'weighted_random'")
        .group("load_balancing_anomaly_mitigation = 'on'")
        .start();
    let anomalous = "anomalous_host_count{target_group=\"app\"}";
    let mitigated = "mitigated_host_count{target_group=\"app\"}";
    assert_eq!((proxy.metric(anomalous), proxy.metric(mitigated)), (0, 0));
    let mut client = proxy.connect();
    until("the look at the end of a window", || {
        (0..50).for_each(|_| drop(client.get("/")));
        proxy.metric(anomalous) == 1
    });
    assert_eq!(proxy.metric(mitigated), 1);
    let answer = proxy.admin("GET", "/target-health?include=AnomalyDetection");
    let health: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let target = &health["target_groups"][0]["targets"][2];
    let expected = serde_json::json!({"result": "anomalous", "mitigation_in_effect": "yes"});
    assert_eq!(target["anomaly_detection"], expected);
    assert_eq!(target["state"], "healthy", "checks know nothing of it");
    let share = shares(&proxy, 500)["c"];
    assert!(share < 140, "not {share} of 500, which would be a third");
}

#[test]
fn a_target_that_comes_back_starts_slowly() {
    let well = Arc::new(AtomicBool::new(true));
    let (steady, shaky) = (Target::saying("steady"), switched("shaky", &well));
    let proxy = Setup::to([steady.address, shaky.address])
        .group(CHECKS)
        .group("slow_start = 900")
        .start();
    assert_eq!(
        shares(&proxy, 20),
        named(&[("shaky", 10), ("steady", 10)]),
        "who came first has its share"
    );
    well.store(false, SeqCst);
    proxy.wait_for_health(shaky.address, "unhealthy");
    well.store(true, SeqCst);
    proxy.wait_for_health(shaky.address, "healthy");
    let shares = shares(&proxy, 400);
    assert!((1..=40).contains(&shares["shaky"]), "{shares:?}");
}

#[test]
fn a_target_that_joins_later_starts_slowly_and_gets_its_share_in_the_end() {
    for (slow_start, at_first) in [(900, 0..=33), (0, 100..=100)] {
        let (settled, joining) = (Target::saying("settled"), Target::saying("joining"));
        let proxy = Setup::to([settled.address])
            .group(&format!("slow_start = {slow_start}"))
            .start();
        assert_eq!(
            proxy.admin("PUT", &target_path(joining.address)).status(),
            201
        );
        proxy.wait_for_health(joining.address, "healthy");
        let shares = shares(&proxy, 200);
        let share = shares.get("joining").copied().unwrap_or_default();
        assert!(at_first.contains(&share), "{slow_start}: {shares:?}");
    }

    let (settled, joining) = (Target::saying("settled"), Target::saying("joining"));
    let proxy = Setup::to([settled.address]).group("slow_start = 1").start();
    proxy.admin("PUT", &target_path(joining.address));
    let equal = named(&[("joining", 20), ("settled", 20)]);
    until("an equal share", || shares(&proxy, 40) == equal);
}

#[test]
fn too_few_healthy_targets_are_as_none() {
    let well = Arc::new(AtomicBool::new(true));
    let (steady, shaky) = (Target::saying("steady"), switched("shaky", &well));
    let proxy = Setup::to([steady.address, shaky.address])
        .group(CHECKS)
        .group("target_group_health = { unhealthy_state_routing = { minimum_healthy_targets_percentage = '60' } }")
        .start();
    let healthy = "healthy_state_routing{target_group=\"app\"}";
    let unhealthy = "unhealthy_state_routing{target_group=\"app\"}";
    assert_eq!((proxy.metric(healthy), proxy.metric(unhealthy)), (1, 0));
    let counted = "unhealthy_routing_request_count_total{target_group=\"app\"}";
    assert_eq!(shares(&proxy, 10), named(&[("shaky", 5), ("steady", 5)]));
    assert_eq!(proxy.metric(counted), 0);
    well.store(false, SeqCst);
    proxy.wait_for_health(shaky.address, "unhealthy");
    assert_eq!(shares(&proxy, 10), named(&[("shaky", 5), ("steady", 5)]));
    assert_eq!((proxy.metric(healthy), proxy.metric(unhealthy)), (0, 1));
    assert_eq!(proxy.metric(counted), 10);
    assert_eq!(proxy.admin("GET", "/ready").status(), 200, "one is healthy");
}

#[test]
fn a_request_that_goes_to_everybody_counts_once_whatever_it_tries() {
    let (one, two) = (Refusing::new(), Refusing::new());
    let proxy = Setup::to([one.address, two.address])
        .group("target_group_health = { unhealthy_state_routing = { minimum_healthy_targets_count = 3 } }")
        .start();
    assert_eq!(proxy.get("/").status(), 502);
    let count = |what: &str| proxy.metric(&format!("{what}_total{{target_group=\"app\"}}"));
    assert_eq!(count("target_connection_error_count"), 2, "tried both");
    assert_eq!(count("unhealthy_routing_request_count"), 1);
}

#[test]
fn without_cross_zone_a_zone_is_on_its_own() {
    let well = Arc::new(AtomicBool::new(true));
    let (here, there) = (switched("here", &well), Target::saying("there"));
    let refusing = Refusing::new();
    let targets = |addresses: &[(SocketAddr, &str)]| {
        let targets = addresses
            .iter()
            .map(|(address, zone)| of_zone(*address, zone));
        format!("targets = [{}]", targets.collect::<Vec<_>>().join(", "))
    };
    let zonal = |targets: &str| {
        Setup::default()
            .with("availability_zone = 'a'")
            .group(CHECKS)
            .group("load_balancing_cross_zone_enabled = 'false'")
            .group(targets)
    };
    let both = targets(&[(here.address, "a"), (there.address, "b")]);
    let proxy = zonal(&both).start();
    assert_eq!(shares(&proxy, 10), named(&[("here", 10)]));
    let hosts = |what: &str, zone: &str| {
        let labels = format!("{{availability_zone=\"{zone}\",target_group=\"app\"}}");
        proxy.metric(&format!("{what}_host_count{labels}"))
    };
    for zone in ["a", "b"] {
        let counts = (hosts("healthy", zone), hosts("unhealthy", zone));
        assert_eq!(counts, (1, 0), "{zone}");
    }

    well.store(false, SeqCst);
    proxy.wait_for_health(here.address, "unhealthy");
    assert_eq!((hosts("healthy", "a"), hosts("unhealthy", "a")), (0, 1));
    assert_eq!((hosts("healthy", "b"), hosts("unhealthy", "b")), (1, 0));
    assert_eq!(
        shares(&proxy, 10),
        named(&[("here", 10)]),
        "all in the zone are ill: open within the zone"
    );
    assert_eq!(proxy.admin("GET", "/ready").status(), 503);

    let elsewhere = zonal(&targets(&[(there.address, "b"), (refusing.address, "c")]));
    proxy.reload(&elsewhere).unwrap();
    let answer = proxy.get("/");
    assert_eq!(answer.status(), 503, "{}", answer.text());
    assert_eq!(proxy.log(21)[20]["reason"], "no_targets");
}

fn target_path(address: SocketAddr) -> String {
    format!("/target-groups/app/targets/{address}")
}

#[test]
fn targets_come_and_go_by_hand() {
    let (a, b) = (Target::saying("a"), Target::saying("b"));
    let setup = Setup::to([a.address]);
    let proxy = setup.clone().start();
    assert_eq!(proxy.admin("PUT", &target_path(a.address)).status(), 200);
    let registered = proxy.admin("PUT", &target_path(b.address));
    assert_eq!(registered.status(), 201);
    let shown: serde_json::Value = serde_json::from_slice(&registered.body).unwrap();
    assert_eq!(shown["port"], b.address.port());
    assert_eq!(shown["state"], "initial");
    assert_eq!(proxy.admin("PUT", &target_path(b.address)).status(), 200);
    proxy.wait_for_health(b.address, "healthy");
    assert_eq!(shares(&proxy, 10), named(&[("a", 5), ("b", 5)]));

    assert_eq!(proxy.admin("DELETE", &target_path(a.address)).status(), 202);
    until("it is gone with its last request", || {
        proxy.admin("DELETE", &target_path(a.address)).status() == 404
    });
    assert_eq!(shares(&proxy, 10), named(&[("b", 10)]));

    // A reload that says nothing new of the targets changes nothing of them.
    proxy
        .reload(&setup.clone().group("retry = 'none'"))
        .unwrap();
    assert_eq!(shares(&proxy, 10), named(&[("b", 10)]));

    assert_eq!(proxy.admin("PUT", &target_path(a.address)).status(), 201);
    proxy.wait_for_health(a.address, "healthy");
    assert_eq!(shares(&proxy, 10), named(&[("a", 5), ("b", 5)]));
    for address in [a.address, b.address] {
        assert_eq!(proxy.admin("DELETE", &target_path(address)).status(), 202);
    }
    assert_eq!(proxy.get("/").status(), 503);
}

#[test]
fn what_cannot_be_registered_says_why() {
    let target = Target::saying("a");
    let setup = Setup::default()
        .with("availability_zone = 'a'")
        .other_group("zonal", &[])
        .rule_action(
            1,
            "{ path_pattern = ['/zonal'] }",
            "{ type = 'forward', target_group = 'zonal' }",
        );
    let text = setup.text().replace(
        "name = 'zonal'",
        "name = 'zonal'\nload_balancing_cross_zone_enabled = 'false'",
    );
    let proxy = setup.start_unhealthy();
    proxy.reload_text(&text).unwrap();
    let put = |path: &str, body: &str| {
        let length = body.len();
        proxy.admin_exchange(&format!(
            "PUT {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
    };
    let zonal = format!("/target-groups/zonal/targets/{}", target.address);
    for (path, body, status, says) in [
        ("/target-groups/none/targets/10.0.0.1:80", "", 404, "group"),
        ("/target-groups/app/targets/10.0.0.1", "", 400, "port"),
        ("/target-groups/app/targets/app:80", "", 400, "address"),
        ("/target-groups/app/targets/10.0.0.1:80", "{", 400, "body"),
        (
            "/target-groups/app/targets/10.0.0.1:80",
            "{\"zone\": \"a\"}",
            400,
            "unknown field",
        ),
        (&zonal, "", 400, "cross-zone"),
        (
            &zonal,
            "{\"availability_zone\": \"all\"}",
            400,
            "cross-zone",
        ),
        (&zonal, "{\"availability_zone\": \"a\"}", 201, "initial"),
    ] {
        let answer = put(path, body);
        assert_eq!(answer.status(), status, "{path} {body}");
        assert!(
            answer.text().contains(says),
            "{path} {body}: {}",
            answer.text()
        );
    }
    until("healthy", || proxy.health_of(target.address).0 == "healthy");
    assert_eq!(proxy.get("/zonal").text(), "a");
    let v6 = put("/target-groups/app/targets/[::1]:80", "");
    assert_eq!(v6.status(), 201);
    let encoded = proxy.admin("DELETE", "/target-groups/app/targets/%5B::1%5D:80");
    assert_eq!(encoded.status(), 202);
    let unknown = proxy.admin("DELETE", "/target-groups/app/targets/[::1]:80");
    assert_eq!(unknown.status(), 404);
}

#[test]
fn registrations_beyond_a_quota_are_refused() {
    let target = Target::saying("a");
    let setup = Setup::to([target.address])
        .with(
            "quotas = { targets_per_target_group = 2, targets_per_application_load_balancer = 3 }",
        )
        .other_group("other", &[target.address])
        .rule_action(
            1,
            "{ path_pattern = ['/other'] }",
            "{ type = 'forward', target_group = 'other' }",
        );
    let proxy = setup.start();
    let register = |group: &str, target: &str| {
        proxy.admin("PUT", &format!("/target-groups/{group}/targets/{target}"))
    };
    assert_eq!(register("app", "127.0.0.1:1").status(), 201);
    let of_group = register("app", "127.0.0.1:2");
    assert_eq!(of_group.status(), 400);
    let of_all = register("other", "127.0.0.1:2");
    assert_eq!(of_all.status(), 400);
    for (refused, key) in [
        (of_group, "targets_per_target_group"),
        (of_all, "targets_per_application_load_balancer"),
    ] {
        let says = refused.text();
        assert!(says.contains("TooManyTargets"), "{says}");
        assert!(
            says.contains(&format!("load_balancer.quotas.{key}")),
            "{says}"
        );
    }
    assert_eq!(register("app", "127.0.0.1:1").status(), 200, "known");
    let gone = proxy.admin("DELETE", "/target-groups/app/targets/127.0.0.1:1");
    assert_eq!(gone.status(), 202);
    assert_eq!(register("other", "127.0.0.1:2").status(), 201);
}

#[test]
fn a_websocket_goes_on_while_its_target_drains_and_ends_with_the_delay() {
    let target = Target::scripted(|connection| {
        connection.request_head()?;
        connection.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )?;
        loop {
            let said = connection.bytes(5)?;
            connection.send(said)?;
        }
    });
    let proxy = Setup::to([target.address])
        .group("deregistration_delay = 2")
        .start();
    let mut client = proxy.connect();
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .unwrap();
    assert_eq!(client.head().unwrap().status(), 101);
    proxy.admin("DELETE", &target_path(target.address));
    client.send("hello").unwrap();
    assert_eq!(client.bytes(5).unwrap(), b"hello", "it drains");
    assert_eq!(proxy.health_of(target.address).0, "draining");
    client.assert_closed();
    let record = proxy.log_line();
    assert_eq!(record["elb_status_code"], 101);
    assert_eq!(record["reason"], "target_deregistered");
}

#[test]
fn a_deregistered_target_finishes_its_requests() {
    let gate = Gate::default();
    let held = gate.clone();
    let target = Target::answering(move |request| {
        if request.uri() == "/slow" {
            held.pass();
        }
        ok("old")
    });
    let proxy = Setup::to([target.address]).start();
    let mut client = proxy.connect();
    client.send(get("/slow")).unwrap();
    target.wait_for_requests(1);
    let hosts = |what: &str| proxy.metric(&format!("{what}_host_count{{target_group=\"app\"}}"));
    assert_eq!((hosts("healthy"), hosts("unhealthy")), (1, 0));
    let path = target_path(target.address);
    assert_eq!(proxy.admin("DELETE", &path).status(), 202);
    assert_eq!(proxy.health_of(target.address).0, "draining");
    assert_eq!((hosts("healthy"), hosts("unhealthy")), (0, 0));
    assert_eq!(
        proxy.admin("DELETE", &path).status(),
        202,
        "it is known still"
    );
    assert_eq!(proxy.get("/").status(), 503, "no new requests");
    gate.open();
    assert_eq!(client.response_to("GET").unwrap().text(), "old");
    until("it is gone", || {
        proxy.target_health()["target_groups"][0]["targets"] == serde_json::json!([])
    });
}

#[test]
fn when_the_delay_is_over_requests_in_flight_end_with_502() {
    let target = Target::scripted(|connection| {
        connection.request()?;
        connection.rest().map(drop)
    });
    let proxy = Setup::to([target.address])
        .group("deregistration_delay = 0.2")
        .start();
    let mut client = proxy.connect();
    client.send(get("/")).unwrap();
    target.wait_for_requests(1);
    proxy.admin("DELETE", &target_path(target.address));
    assert_eq!(client.response_to("GET").unwrap().status(), 502);
    assert_eq!(proxy.log_line()["reason"], "target_deregistered");
}
