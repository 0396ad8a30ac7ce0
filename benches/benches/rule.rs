//! Choosing a rule: cost by the number of rules, by what they ask for and by which of them matches. It must grow slower
//! than the table: a hundred rules may cost two or three times what one does.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lintel_proxy::action::{Action, Forward};
use lintel_proxy::http1::RequestHead;
use lintel_proxy::rule::{Comparison, Condition, Pattern, Rule, RuleInput, RuleTable};

/// What the conditions of the rule with this number are, as one service a rule would have them.
type Conditions = fn(u32) -> Vec<Condition>;

const SHAPES: [(&str, Conditions); 5] = [
    ("host_and_path", |number| vec![host(number), path(number)]),
    ("host", |number| vec![host(number)]),
    ("path", |number| vec![path(number)]),
    ("wildcard_host", |number| {
        vec![Condition::host_header([format!(
            "*.service-{number}.example.com"
        )
        .as_str()])]
    }),
    ("http_header", |number| {
        vec![
            path(number),
            Condition::HttpHeader {
                name: "Accept-Language".to_owned(),
                values: vec![Comparison::Wildcards(Pattern::case_insensitive("en*"))],
            },
        ]
    }),
];

fn host(number: u32) -> Condition {
    Condition::host_header([format!("www.service-{number}.example.com").as_str()])
}

fn path(number: u32) -> Condition {
    Condition::path_pattern([format!("/api/v{number}/*").as_str()])
}

fn table(rules: u32, conditions: Conditions) -> RuleTable {
    let forward = |target_group: u32| Action::Forward(Forward::to(target_group as usize));
    let rules = (1..=rules).map(|number| Rule {
        priority: number,
        conditions: conditions(number),
        transforms: None,
        action: forward(number),
    });
    RuleTable::new(rules.collect(), forward(0))
}

/// With the fields that a browser sends.
fn head(target: &str) -> RequestHead {
    let text = format!(
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html\r\n\
         Accept-Language: en\r\nAccept-Encoding: gzip, br\r\nReferer: https://localhost/\r\nCookie: a=b\r\n\r\n"
    );
    let read = RequestHead::read(text.as_bytes()).expect("a valid head");
    read.expect("a whole head").0
}

fn select(c: &mut Criterion) {
    for (shape, conditions) in SHAPES {
        let mut group = c.benchmark_group(format!("rule/select/{shape}"));
        for rules in [1, 10, 100] {
            let table = table(rules, conditions);
            for (name, priority) in [("first", 1), ("last", rules), ("default", 0)] {
                let host = format!("www.service-{priority}.example.com:8443");
                let head = head(&format!("/api/v{priority}/entries/4711?page=2"));
                let request = RuleInput {
                    host: &host,
                    head: &head,
                    peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
                    drop_invalid: false,
                };
                assert_eq!(table.select(&request).priority, priority);
                group.bench_function(BenchmarkId::new(name, rules), |b| {
                    b.iter(|| table.select(black_box(&request)));
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, select);
criterion_main!(benches);
