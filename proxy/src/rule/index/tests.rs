//! The index finds what trying every rule in turn finds.

use std::net::IpAddr;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::action::{Action, Forward};
use crate::http1::RequestHead;
use crate::rule::condition::Subject;
use crate::rule::{
    Comparison, Condition, Expression, ExpressionError, Parameter, Pattern, Rule, RuleInput,
    RuleTable,
};

fn table(rules: impl IntoIterator<Item = Vec<Condition>>) -> RuleTable {
    let action = || Action::Forward(Forward::to(0));
    let rules = (1..).zip(rules).map(|(priority, conditions)| Rule {
        priority,
        conditions,
        transforms: None,
        action: action(),
    });
    RuleTable::new(rules.collect(), action())
}

/// Every rule in turn, which is what the index has to equal.
fn scanned(table: &RuleTable, request: &RuleInput<'_>) -> u32 {
    let subject = Subject::new(request);
    let found = table.rules().iter().find(|rule| rule.holds(&subject));
    found.map_or(0, |rule| rule.priority)
}

/// Small alphabets, so that patterns nest, repeat and overlap.
fn comparisons(
    wildcards: &'static str,
    case: fn(&str) -> Pattern,
    regex: fn(&str) -> Result<Expression, ExpressionError>,
) -> impl Strategy<Value = Vec<Comparison>> {
    let pattern = wildcards.prop_map(move |text| Comparison::Wildcards(case(&text)));
    let expression = "[\\^]?[ab/.]{1,3}[$]?"
        .prop_map(move |text| Comparison::Regex(regex(&text).expect("a valid one")));
    vec(prop_oneof![4 => pattern, 1 => expression], 1..3)
}

fn condition() -> impl Strategy<Value = Condition> {
    let insensitive = |wildcards| {
        comparisons(
            wildcards,
            Pattern::case_insensitive,
            Expression::case_insensitive,
        )
    };
    let paths = comparisons(
        "/[ab/*?]{0,5}|[a*?]{1,2}",
        Pattern::case_sensitive,
        Expression::case_sensitive,
    );
    let names = select(&["X-A", "x-b", "x_d", "Cookie"][..]);
    let fields = (names, insensitive("[abA =;*?]{0,5}"));
    let pattern = "[abA*?]{0,2}|\\\\\\*";
    let pattern = pattern.prop_map(|text| Pattern::with_escapes(&text).expect("a valid one"));
    let parameter = (proptest::option::of(pattern.clone()), pattern);
    let parameter = parameter.prop_map(|(key, value)| Parameter { key, value });
    let networks = ["10.0.0.0/8", "10.16.0.0/12", "10.16.0.1/32", "0.0.0.0/0"];
    let networks = [&networks[..], &["::/0", "2001:db8::/33"]].concat();
    let network = select(networks).prop_map(|network| network.parse().expect("a network"));
    prop_oneof![
        paths.prop_map(Condition::PathPattern),
        insensitive("[abA.*?]{0,5}").prop_map(Condition::HostHeader),
        fields.prop_map(|(name, values)| Condition::HttpHeader {
            name: name.to_owned(),
            values
        }),
        vec(parameter, 1..3).prop_map(Condition::QueryString),
        vec(method().prop_map(str::to_owned), 1..3).prop_map(Condition::HttpRequestMethod),
        vec(network, 1..3).prop_map(Condition::SourceIp),
    ]
}

fn method() -> impl Strategy<Value = &'static str> {
    select(&["GET", "PUT", "OPTIONS"][..])
}

/// Host, head and peer.
type Request = (String, RequestHead, IpAddr);

fn request() -> impl Strategy<Value = Request> {
    let target = "/[ab/.]{0,6}([?][abA=&*]{0,6})?";
    let field = (
        select(&["x-a", "x-b", "x-c", "x_d", "cookie", "Cookie"][..]),
        "[abA=é]{0,4}",
    );
    let peers = ["10.16.0.1", "10.0.0.1", "192.0.2.1", "2001:db8::1", "::1"];
    let peer = select(peers.to_vec()).prop_map(|peer| peer.parse().expect("an address"));
    let head = (method(), target, vec(field, 0..4), any::<bool>());
    let head = head.prop_map(|(method, target, fields, is_http2)| {
        if is_http2 {
            http2_head(method, &target, &fields)
        } else {
            http1_head(method, &target, &fields)
        }
    });
    ("[abAB.]{0,5}(:80)?", head, peer)
}

fn http1_head(method: &str, target: &str, fields: &[(&str, String)]) -> RequestHead {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n");
    for (name, value) in fields {
        text.extend([name, ": ", value, "\r\n"]);
    }
    text.push_str("\r\n");
    let read = RequestHead::read(text.as_bytes()).expect("a valid head");
    read.expect("a whole head").0
}

fn http2_head(method: &str, target: &str, fields: &[(&str, String)]) -> RequestHead {
    let lower: Vec<_> = fields
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.as_bytes()))
        .collect();
    let fields: Vec<_> = lower
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    crate::http2::asked(method, target, &fields)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_index_finds_what_a_scan_finds(
        // In front, so that a table has more than one block.
        others in prop_oneof![3 => Just(0), 1 => 120_usize..130],
        rules in vec(vec(condition(), 0..4), 0..12),
        requests in vec(request(), 1..8),
        drop_invalid in any::<bool>(),
    ) {
        let never = vec![Condition::HttpRequestMethod(vec!["NEVER".to_owned()])];
        let table = table(std::iter::repeat_n(never, others).chain(rules));
        for (host, head, peer) in &requests {
            let request = RuleInput { host, head, peer: *peer, drop_invalid };
            let found = table.select(&request).priority;
            prop_assert_eq!(found, scanned(&table, &request), "{:?}", request);
            let trials = table.trials(&request);
            let last = trials.last().filter(|trial| trial.mismatch.is_none());
            prop_assert_eq!(last.map_or(0, |trial| trial.rule.priority), found);
        }
    }
}

/// What each kind of conditions leaves possible of a hundred rules.
#[test]
fn rules_that_differ_in_anything_are_told_apart() {
    let of_fields = |name: &str, value: &str| Condition::HttpHeader {
        name: name.to_owned(),
        values: vec![Comparison::Wildcards(Pattern::case_insensitive(value))],
    };
    let parameter = |number| Parameter {
        key: Pattern::with_escapes("key"),
        value: Pattern::with_escapes(&format!("{number}-")).expect("a pattern"),
    };
    let network = |number| {
        let network = format!("10.{number}.0.0/16");
        network.parse().expect("a network")
    };
    let (host, head, peer) = (
        "service-41.example.com",
        http1_head(
            "M41-",
            "/41/?other=1&key=41-",
            &[("x-a", "v41-".into()), ("x-41", String::new())],
        ),
        IpAddr::from([10, 41, 0, 1]),
    );
    let request = RuleInput {
        host,
        head: &head,
        peer,
        drop_invalid: false,
    };
    let kinds: [&dyn Fn(u32) -> Vec<Condition>; 12] = [
        &|n| vec![Condition::path_pattern([&*format!("/{n}/*")])],
        &|n| vec![Condition::host_header([&*format!("*-{n}.example.com")])],
        &|n| vec![Condition::HttpRequestMethod(vec![format!("M{n}-")])],
        &|n| vec![Condition::SourceIp(vec![network(n)])],
        &|n| vec![Condition::QueryString(vec![parameter(n)])],
        &|n| vec![of_fields("X-A", &format!("V{n}-*"))],
        &|n| vec![of_fields(&format!("X-{n}"), "*")],
        &|n| vec![Condition::path_pattern([&*format!("*/{n}/*")])],
        &|n| vec![Condition::host_header([&*format!("s*-{n}.?*")])],
        &|n| vec![of_fields("x-a", &format!("*V{n}-*"))],
        &|n| vec![of_fields("x-a", "*"), of_fields("x-a", &format!("*V{n}-"))],
        // What all rules demand tells none of them from another.
        &|n| {
            vec![
                of_fields("X-A", "v*"),
                of_fields("Host", "a"),
                of_fields("X-A", &format!("v{n}-")),
            ]
        },
    ];
    for (nth, conditions) in kinds.into_iter().enumerate() {
        let table = table((1..=100).map(conditions));
        let tried = std::cell::RefCell::new(Vec::new());
        let first = table.index.first(&Subject::new(&request), |position| {
            tried.borrow_mut().push(position);
            position == 40
        });
        assert_eq!(
            (first, tried.into_inner()),
            (Some(40), vec![40]),
            "kind {nth}"
        );
    }
}
