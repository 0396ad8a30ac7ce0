//! Choosing a target, what every forwarded request does: with all targets untried, and after one has failed it.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lintel_proxy::model::{
    Algorithm, HealthCheckProtocol, HealthCheckSettings, Matcher, ProtocolVersion, Retry,
    TargetGroupSettings, TargetProtocol, TargetSettings, UnhealthyStateRouting,
};
use lintel_proxy::target_group::TargetGroup;

fn settings(targets: u8) -> TargetGroupSettings {
    TargetGroupSettings {
        name: "app".to_owned(),
        port: 3000,
        deregistration_delay: Duration::from_secs(300),
        health_check: HealthCheckSettings {
            protocol: HealthCheckProtocol::Http,
            version: ProtocolVersion::Http1,
            path: "/health".to_owned(),
            port: None,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: Matcher(vec![200..=200]),
        },
        targets: (1..=targets)
            .map(|number| TargetSettings {
                id: IpAddr::V4(Ipv4Addr::new(10, 0, 0, number)),
                port: 3000,
                availability_zone: None,
            })
            .collect(),
        discovery: None,
        retry: Retry::Safe,
        protocol: TargetProtocol::Http,
        protocol_version: ProtocolVersion::Http1,
        algorithm: Algorithm::RoundRobin,
        slow_start: Duration::ZERO,
        target_keep_alive: None,
        unhealthy_state_routing: UnhealthyStateRouting::default(),
        only_zone: None,
        stickiness: None,
    }
}

fn choose(c: &mut Criterion) {
    let mut group = c.benchmark_group("target_group/choose");
    for targets in [2, 50] {
        let target_group = TargetGroup::new(settings(targets));
        let failed = [target_group.choose(&[]).expect("has targets").target];
        group.bench_function(BenchmarkId::new("first attempt", targets), |b| {
            b.iter(|| target_group.choose(black_box(&[])));
        });
        group.bench_function(BenchmarkId::new("second attempt", targets), |b| {
            b.iter(|| target_group.choose(black_box(&failed)));
        });
    }
    group.finish();
}

criterion_group!(benches, choose);
criterion_main!(benches);
