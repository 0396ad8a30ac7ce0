//! Choosing a rule: cost by the number of rules and by which of them matches.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lintel_proxy::action::{Action, Forward};
use lintel_proxy::rule::{Condition, Rule, RuleInput, RuleTable};

/// Every rule asks for a host and a path, as one service a rule would.
fn table(rules: u32) -> RuleTable {
    let forward = |target_group: u32| {
        Action::Forward(Forward {
            target_group: target_group as usize,
        })
    };
    let rules = (1..=rules).map(|number| Rule {
        priority: number,
        conditions: vec![
            Condition::host_header([format!("service-{number}.example.com").as_str()]),
            Condition::path_pattern([format!("/api/v{number}/*").as_str()]),
        ],
        action: forward(number),
    });
    RuleTable::new(rules.collect(), forward(0))
}

fn select(c: &mut Criterion) {
    let mut group = c.benchmark_group("rule/select");
    for rules in [1, 10, 100] {
        let table = table(rules);
        for (name, priority) in [("first", 1), ("last", rules), ("default", 0)] {
            let host = format!("service-{priority}.example.com:8443");
            let path = format!("/api/v{priority}/entries/4711");
            let request = RuleInput {
                host: &host,
                path: &path,
            };
            assert_eq!(table.select(&request).priority, priority);
            group.bench_function(BenchmarkId::new(name, rules), |b| {
                b.iter(|| table.select(black_box(&request)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, select);
criterion_main!(benches);
