//! Between target groups: AWSALBTG beside the weights of an action, and sessions of targets that speak HTTP/2.

use super::*;

/// Everything goes to either of two groups.
fn weighted(a: u32, b: u32, stickiness: &str) -> String {
    format!(
        "{{ type = 'forward', target_group = [{{ name = 'app', weight = {a} }}, {{ name = 'other', weight = {b} }}]{stickiness} }}"
    )
}

const GROUP_STICKY: &str = ", stickiness = { enabled = true, duration = 60 }";
const EVERYTHING: &str = "{ path_pattern = ['/*'] }";

#[test]
fn a_client_with_its_cookie_comes_back_to_its_group() {
    let (app, second) = (Target::saying("app"), Target::saying("other"));
    let setup = |a, b| {
        Setup::to([app.address])
            .other_group("other", &[second.address])
            .rule_action(1, EVERYTHING, &weighted(a, b, GROUP_STICKY))
    };
    let proxy = setup(1, 0).start();
    let mut jar = Jar::default();
    let first = jar.get_on(&mut proxy.connect(), "/");
    let set = first.all("set-cookie");
    assert_eq!(
        set.len(),
        2,
        "the group has no stickiness of its own: {set:?}"
    );
    assert!(set[0].starts_with("AWSALBTG=") && set[0].ends_with("; Path=/"));
    assert!(set[1].starts_with("AWSALBTGCORS=") && set[1].ends_with("; SameSite=None"));
    assert_eq!(first.text(), "app");

    proxy.reload(&setup(0, 1)).unwrap();
    for _ in 0..5 {
        assert_eq!(
            jar.get(&proxy, "/"),
            "app",
            "the cookie goes before the weights"
        );
    }
    assert_eq!(proxy.get("/").text(), "other");
    let mut forged = Jar::only(&[("AWSALBTG", &"A".repeat(120)), ("AWSALBTGCORS", "x")]);
    assert_eq!(forged.get(&proxy, "/"), "other");
    let reasons = |count: usize| proxy.log(count).pop().unwrap()["error_reason"].clone();
    assert_eq!(reasons(8), "AWSALBTGCookieInvalid");

    // The group is no longer in the rule.
    let only_other = Setup::to([app.address])
        .other_group("other", &[second.address])
        .rule_action(
            1,
            EVERYTHING,
            &format!("{{ type = 'forward', target_group = [{{ name = 'other' }}]{GROUP_STICKY} }}"),
        );
    proxy.reload(&only_other).unwrap();
    assert_eq!(jar.get(&proxy, "/"), "other");
    assert_eq!(reasons(9), "AWSALBTGCookieInvalid");
    assert_eq!(jar.get(&proxy, "/"), "other");
    assert_eq!(reasons(10), serde_json::Value::Null);
}

#[test]
fn in_its_group_a_client_has_its_target() {
    let pair = Pair::new();
    let proxy = pair
        .setup()
        .group(LB_COOKIE)
        .other_group("other", &[])
        .rule_action(1, EVERYTHING, &weighted(1, 1, GROUP_STICKY))
        .start();
    // Some draws come to the group that has no targets: no cookie binds anybody to it.
    let mut jar = Jar::default();
    until("the group with targets is drawn", || {
        let answer = jar.get_on(&mut proxy.connect(), "/");
        assert_eq!(answer.has("set-cookie"), answer.status() == 200);
        answer.status() == 200
    });
    assert_eq!(jar.0.len(), 4);
    let mine = jar.get(&proxy, "/");
    for _ in 0..6 {
        assert_eq!(jar.get(&proxy, "/"), mine);
    }
}

#[tokio::test]
async fn targets_that_speak_http2_have_sessions_too() {
    let saying = |name: &'static str| {
        Http2Target::answering(move |_| Box::pin(async move { http::Response::new(full(name)) }))
    };
    let targets = [saying("a"), saying("b")];
    let proxy = Setup::to(targets.iter().map(|target| target.address))
        .https()
        .group("protocol_version = 'HTTP2'")
        .group("health_check = { interval = 0.2, matcher = '200' }")
        .group(LB_COOKIE)
        .start();
    let client = Http2::connect(proxy.address()).await;
    let mut jar = Jar::default();
    let mut names = Vec::new();
    for _ in 0..4 {
        let mut request = request("GET", "/", empty());
        for (name, value) in &jar.0 {
            let crumb = format!("{name}={value}").parse().unwrap();
            request.headers_mut().append("cookie", crumb);
        }
        let response = client.send(request).await.unwrap();
        let set = response.headers().get_all("set-cookie").iter();
        let set: Vec<&str> = set.map(|value| value.to_str().unwrap()).collect();
        assert_eq!(set.len(), 2);
        jar.keep(&set);
        names.push(whole(response).await.1);
    }
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    assert_eq!(proxy.metric(NON_STICKY), 1);
}
