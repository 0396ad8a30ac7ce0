//! Sticky sessions through a running proxy, by clients that keep their cookies.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::harness::http2::{Http2, empty, full, request, whole};
use crate::harness::http2_target::Http2Target;
use crate::harness::{Gate, Message, Proxy, Setup, Target, Wire, ok, until};

mod application;
mod fleet;
mod groups;

const LB_COOKIE: &str = "stickiness = { enabled = true, cookie_duration = 60 }";
const BY_APP: &str =
    "stickiness = { enabled = true, type = 'app_cookie', cookie_name = 'SESSION' }";
const NON_STICKY: &str = "non_sticky_request_count_total{target_group=\"app\"}";

/// A client's cookies, by name.
#[derive(Clone, Default)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    fn request(&self, path: &str) -> String {
        let cookies: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookie = if cookies.is_empty() {
            String::new()
        } else {
            format!("Cookie: {}\r\n", cookies.join("; "))
        };
        format!("GET {path} HTTP/1.1\r\nHost: example.com\r\n{cookie}\r\n")
    }

    fn keep(&mut self, set_cookies: &[&str]) {
        for set in set_cookies {
            let pair = set.split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }

    /// One request, whose answer is kept in mind.
    #[track_caller]
    fn get_on<S: Read + Write>(&mut self, client: &mut Wire<S>, path: &str) -> Message {
        let answer = client.exchange(self.request(path));
        self.keep(&answer.all("set-cookie"));
        answer
    }

    /// On a connection of its own.
    #[track_caller]
    fn get(&mut self, proxy: &Proxy, path: &str) -> String {
        self.get_on(&mut proxy.connect(), path).text().to_owned()
    }

    fn value(&self, name: &str) -> &str {
        &self.0[name]
    }

    fn only(cookies: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self(cookies.iter().map(owned).collect())
    }
}

/// Two targets that are as well as it says.
struct Pair {
    targets: [Target; 2],
    well: [Arc<AtomicBool>; 2],
}

impl Pair {
    fn new() -> Self {
        let well = [(); 2].map(|()| Arc::new(AtomicBool::new(true)));
        let target = |at: usize, name: &'static str| {
            let well = Arc::clone(&well[at]);
            Target::answering(move |request| {
                match request.uri() {
                "/health" if !well.load(SeqCst) => {
                    b"HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n".to_vec()
                }
                "/404" => b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_vec(),
                "/login" => format!(
                    "HTTP/1.1 200 OK\r\nSet-Cookie: SESSION=x; HttpOnly\r\nContent-Length: 1\r\n\r\n{name}"
                )
                .into_bytes(),
                _ => ok(name),
            }
            })
        };
        Self {
            targets: [target(0, "a"), target(1, "b")],
            well,
        }
    }

    fn setup(&self) -> Setup {
        Setup::to(self.targets.iter().map(|target| target.address)).group(
            "health_check = { path = '/health', interval = 0.3, timeout = 0.3, healthy_threshold = 1, unhealthy_threshold = 2 }",
        )
    }

    /// The one that says this, and how to make it ill.
    fn named(&self, name: &str) -> (&Target, &AtomicBool) {
        let at = usize::from(name == "b");
        (&self.targets[at], &self.well[at])
    }
}

fn other(name: &str) -> &'static str {
    if name == "a" { "b" } else { "a" }
}

#[test]
fn a_client_with_its_cookie_comes_back_to_its_target() {
    let pair = Pair::new();
    let proxy = pair.setup().group(LB_COOKIE).start();
    let mut jar = Jar::default();
    let first = jar.get_on(&mut proxy.connect(), "/");
    let set = first.all("set-cookie");
    assert_eq!(set.len(), 2, "{set:?}");
    let (own, cors) = (set[0], set[1]);
    assert!(
        own.starts_with("AWSALB=") && own.ends_with(" GMT; Path=/"),
        "{own}"
    );
    assert!(
        cors.starts_with("AWSALBCORS=") && cors.ends_with(" GMT; Path=/; SameSite=None"),
        "{cors}"
    );
    assert_eq!(jar.value("AWSALB"), jar.value("AWSALBCORS"));
    let sealed = jar.value("AWSALB").to_owned();
    for path in ["/", "/404", "/"].repeat(4) {
        let answer = jar.get_on(&mut proxy.connect(), path);
        assert_eq!(answer.all("set-cookie").len(), 2, "on every response");
        if path == "/" {
            assert_eq!(answer.text(), first.text());
        }
    }
    assert_ne!(jar.value("AWSALB"), sealed, "given anew each time");
    assert_eq!(proxy.metric(NON_STICKY), 1);

    // The target sees the cookie, as the ALB leaves it in.
    let (target, _) = pair.named(first.text());
    let seen = target.requests();
    let last = seen.iter().rfind(|request| request.uri() == "/").unwrap();
    assert!(last.field("cookie").unwrap().contains("AWSALB="));

    // Others have their own, in turn.
    let others: Vec<String> = (0..4).map(|_| proxy.get("/").text().to_owned()).collect();
    assert!(others.contains(&"a".to_owned()) && others.contains(&"b".to_owned()));
    assert_eq!(proxy.metric(NON_STICKY), 5);
}

#[test]
fn what_is_forged_truncated_or_expired_is_a_new_client() {
    let pair = Pair::new();
    let proxy = pair
        .setup()
        .group("stickiness = { enabled = true, cookie_duration = 0.2 }")
        .start();
    let mut jar = Jar::default();
    jar.get(&proxy, "/");
    let value = jar.value("AWSALB").to_owned();
    let mut flipped = value.clone();
    let replaced = if flipped.starts_with('A') { "B" } else { "A" };
    flipped.replace_range(..1, replaced);
    let forged = [
        flipped,
        value[..value.len() - 4].to_owned(),
        format!("{value}AAAA"),
        value.replace(['+', '/'], "%2F"),
        "A".repeat(value.len()),
        "A".repeat(8000),
        String::new(),
        "\u{1f36a}".to_owned(),
        pair.targets[0].address.to_string(),
    ];
    let mut client = proxy.connect();
    for (nth, value) in forged.iter().enumerate() {
        let mut jar = Jar::only(&[("AWSALB", value)]);
        let visited = [(); 2].map(|()| {
            let mut jar = jar.clone();
            jar.get_on(&mut client, "/").text().to_owned()
        });
        if !visited.iter().any(|name| name == "a") || !visited.iter().any(|name| name == "b") {
            // One that has no special character stays what it was.
            assert!(nth == 3 && !forged[3].contains('%'), "{value}: {visited:?}");
        }
        let answer = jar.get_on(&mut client, "/");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.all("set-cookie").len(), 2);
    }
    // In time it is good, and then it is not: each visit counts from its own.
    let before = proxy.metric(NON_STICKY);
    jar.get(&proxy, "/");
    until("the session is over", || {
        let mut old = Jar::only(&[("AWSALB", jar.value("AWSALB"))]);
        old.get(&proxy, "/");
        proxy.metric(NON_STICKY) > before + 1
    });
}

#[test]
fn a_session_moves_away_from_an_unhealthy_target_and_stays_there() {
    let pair = Pair::new();
    let proxy = pair.setup().group(LB_COOKIE).start();
    let mut jar = Jar::default();
    let first = jar.get(&proxy, "/");
    let (target, well) = pair.named(&first);
    well.store(false, SeqCst);
    proxy.wait_for_health(target.address, "unhealthy");
    assert_eq!(jar.get(&proxy, "/"), other(&first));
    well.store(true, SeqCst);
    proxy.wait_for_health(target.address, "healthy");
    for _ in 0..4 {
        assert_eq!(jar.get(&proxy, "/"), other(&first));
    }
    assert_eq!(proxy.metric(NON_STICKY), 2);
}

#[test]
fn a_session_moves_away_from_a_draining_target() {
    let gate = Gate::default();
    let targets = ["a", "b"].map(|name| {
        let held = gate.clone();
        Target::answering(move |request| {
            if request.uri() == "/slow" {
                held.pass();
            }
            ok(name)
        })
    });
    let proxy = Setup::to(targets.iter().map(|target| target.address))
        .group(LB_COOKIE)
        .start();
    let mut jar = Jar::default();
    let first = jar.get(&proxy, "/");
    let target = &targets[usize::from(first == "b")];
    let seen = target.requests().len();
    let mut slow = proxy.connect();
    slow.send(jar.request("/slow")).unwrap();
    target.wait_for_requests(seen + 1);
    let path = format!("/target-groups/app/targets/{}", target.address);
    assert_eq!(proxy.admin("DELETE", &path).status(), 202);
    assert_eq!(proxy.health_of(target.address).0, "draining");
    assert_eq!(jar.get(&proxy, "/"), other(&first));
    assert_eq!(jar.get(&proxy, "/"), other(&first));
    gate.open();
    assert_eq!(slow.response_to("GET").unwrap().text(), first);
}

#[test]
fn a_target_that_cannot_be_connected_to_loses_its_sessions() {
    // One request on a connection: who has stopped listening is not reached over an old one.
    let mut targets = Vec::from(["a", "b"].map(|name| {
        Target::scripted(move |connection| {
            connection.request()?;
            let close = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n";
            connection.send(format!("{close}{name}"))
        })
    }));
    let proxy = Setup::to(targets.iter().map(|target| target.address))
        .group(LB_COOKIE)
        .start();
    let mut jar = Jar::default();
    let first = jar.get(&proxy, "/");
    // It stops listening; health checks, which go elsewhere, do not see it.
    let gone = targets.remove(usize::from(first == "b"));
    let address = gone.address;
    drop(gone);
    until("nobody listens", || TcpStream::connect(address).is_err());
    for _ in 0..3 {
        assert_eq!(jar.get(&proxy, "/"), other(&first));
    }
    assert_eq!(proxy.metric("retry_count_total{target_group=\"app\"}"), 1);
}

#[test]
fn a_connection_that_was_merely_old_does_not_cost_the_session() {
    // Answers one request on a connection and ends it with the second, as if it had been idle for too long.
    let targets = ["a", "b"].map(|name| {
        Target::scripted(move |connection| {
            connection.request()?;
            connection.send(ok(name))?;
            connection.request().map(drop)
        })
    });
    let proxy = Setup::to(targets.iter().map(|target| target.address))
        .with("workers = 1")
        .group(LB_COOKIE)
        .start();
    let mut jar = Jar::default();
    let mut client = proxy.connect();
    let first = jar.get_on(&mut client, "/").text().to_owned();
    for _ in 0..4 {
        assert_eq!(jar.get_on(&mut client, "/").text(), first);
    }
    assert!(proxy.metric("retry_count_total{target_group=\"app\"}") >= 1);
    assert_eq!(proxy.metric(NON_STICKY), 1);
}

#[test]
fn responses_of_our_own_have_no_cookies() {
    let pair = Pair::new();
    let broken = Target::scripted(|connection| connection.request().map(drop));
    let proxy = pair
        .setup()
        .group(LB_COOKIE)
        .rule(1, "{ path_pattern = ['/fixed'] }", "fixed")
        .rule_action(
            2,
            "{ path_pattern = ['/moved'] }",
            "{ type = 'redirect', path = '/', status_code = 'HTTP_302' }",
        )
        .rule_action(
            3,
            "{ path_pattern = ['/broken'] }",
            "{ type = 'forward', target_group = 'broken' }",
        )
        .more(&format!(
            "[[target_group]]\nname = 'broken'\nport = 1\ntargets = ['{}']\n{LB_COOKIE}\nhealth_check = {{ port = {} }}\n",
            broken.address, pair.targets[0].address.port()
        ))
        .start_unhealthy();
    for (path, status) in [("/fixed", 200), ("/moved", 302), ("/broken", 502)] {
        let answer = Jar::default().get_on(&mut proxy.connect(), path);
        assert_eq!(answer.status(), status, "{path}");
        assert!(!answer.has("set-cookie"), "{path}");
    }
}

#[test]
fn over_tls_and_http2_the_cookies_are_the_same() {
    let pair = Pair::new();
    let proxy = pair.setup().https().group(LB_COOKIE).start();
    let mut jar = Jar::default();
    let mut client = proxy.connect_tls();
    let first = jar.get_on(&mut client, "/");
    let cors = first.all("set-cookie")[1];
    assert!(cors.ends_with("; Path=/; SameSite=None; Secure"), "{cors}");
    let first = first.text().to_owned();

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = Http2::connect(proxy.address()).await;
        for _ in 0..4 {
            let mut request = request("GET", "/", empty());
            // In crumbs, as browsers send them.
            for (name, value) in &jar.0 {
                let crumb = format!("{name}={value}").parse().unwrap();
                request.headers_mut().append("cookie", crumb);
            }
            let response = client.send(request).await.unwrap();
            let set: Vec<String> = response
                .headers()
                .get_all("set-cookie")
                .iter()
                .map(|value| value.to_str().unwrap().to_owned())
                .collect();
            assert_eq!(set.len(), 2);
            assert!(
                set[1].ends_with("; Path=/; SameSite=None; Secure"),
                "{set:?}"
            );
            let (_, body) = whole(response).await;
            assert_eq!(body, first);
            jar.keep(&set.iter().map(String::as_str).collect::<Vec<_>>());
        }
    });
    assert_eq!(proxy.metric(NON_STICKY), 1);
}

#[test]
fn a_websocket_is_given_the_cookie_with_its_101_and_nothing_after() {
    let targets = ["a", "b"].map(|name| {
        Target::scripted(move |connection| {
            connection.request_head()?;
            connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")?;
            connection.send(name)
        })
    });
    let proxy = Setup::to(targets.iter().map(|target| target.address))
        .group(LB_COOKIE)
        .start();
    let mut jar = Jar::default();
    let mut names = Vec::new();
    for _ in 0..3 {
        let mut client = proxy.connect();
        let request = jar.request("/").replacen(
            "\r\n",
            "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
            1,
        );
        client.send(request).unwrap();
        let answer = client.head().unwrap();
        assert_eq!(answer.status(), 101);
        assert_eq!(answer.all("set-cookie").len(), 2);
        jar.keep(&answer.all("set-cookie"));
        names.push(client.rest().unwrap());
    }
    assert_eq!(names[0].len(), 1);
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
}
