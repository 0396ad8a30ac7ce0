//! Configuration files: what they become, and every way in which they are refused, as whole lines of `check`.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lintel_common::config_file::Severity;
use lintel_proxy::action::{Action, ContentType, FixedResponse, Forward, RedirectInput};
use lintel_proxy::config::{self, Loaded};
use lintel_proxy::http1::RequestHead;
use lintel_proxy::model::{
    Algorithm, CertificateFiles, DesyncMitigationMode, Discovery, ForwardedFor,
    HealthCheckProtocol, ListenerProtocol, LogFormat, LogPath, LogSettings, Matcher,
    ProtocolVersion, Retry, Stickiness, TargetProtocol, TargetSettings,
};
use lintel_proxy::rule::RuleInput;
use proptest::prelude::*;

mod limits;
mod quotas;
mod refused;
mod warnings;

/// The shortest file without findings, apart from `[load_balancer]`, which may stand in front of it.
const SMALLEST: &str = "\
[[target_group]]
name = 'app'
port = 8000
targets = ['10.0.0.1']
[[listener]]
port = 80
default_action = { type = 'forward', target_group = 'app' }
";

/// Everything that is found in a file, as it is printed.
fn findings(text: &str) -> Vec<String> {
    let diagnostics = match config::parse(text, Path::new("f.toml")) {
        Ok(loaded) => loaded.warnings,
        Err(diagnostics) => diagnostics,
    };
    diagnostics.iter().map(ToString::to_string).collect()
}

fn loaded(text: &str, file: &Path) -> Loaded {
    config::parse(text, file).unwrap_or_else(|diagnostics| {
        let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        panic!("refused:\n{}", lines.join("\n"))
    })
}

/// A directory with a certificate and its key in `certs/`, as `site` and `other`.
fn directory_with_certificates() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let certs = directory.path().join("certs");
    fs::create_dir(&certs).expect("a new directory");
    let authority = rcgen::generate_simple_self_signed([String::new()]).expect("a certificate");
    fs::write(directory.path().join("ca.pem"), authority.cert.pem()).expect("writable");
    for name in ["site", "other"] {
        let made = rcgen::generate_simple_self_signed([format!("{name}.example.com")])
            .expect("a certificate");
        fs::write(certs.join(format!("{name}.pem")), made.cert.pem()).expect("writable");
        fs::write(
            certs.join(format!("{name}.key")),
            made.signing_key.serialize_pem(),
        )
        .expect("writable");
    }
    directory
}

#[test]
fn keys_left_out_have_the_defaults_of_the_reference() {
    let Loaded { model, warnings } = loaded(SMALLEST, Path::new("f.toml"));
    assert_eq!(warnings, []);
    let minute = Duration::from_secs(60);
    let settings = model.load_balancer;
    assert_eq!(settings.name, "lintel");
    assert!(settings.workers >= 1);
    assert_eq!(
        settings.admin,
        Some(SocketAddr::from(([127, 0, 0, 1], 9900)))
    );
    assert_eq!(settings.shutdown_timeout, Duration::from_secs(30));
    assert_eq!(settings.connect_timeout, Duration::from_secs(10));
    assert_eq!(settings.tls_handshake_timeout, Duration::from_secs(10));
    assert_eq!(
        [
            settings.request_header_timeout,
            settings.response_timeout,
            settings.idle_timeout
        ],
        [minute; 3]
    );
    assert_eq!(settings.client_keep_alive, Duration::from_secs(3600));
    assert!(settings.enable_http2);
    assert_eq!(
        settings.desync_mitigation_mode,
        DesyncMitigationMode::Defensive
    );
    let headers = settings.request_headers;
    assert_eq!(
        headers.forwarded_for,
        ForwardedFor::Append { port: false },
        "without the client's port"
    );
    assert!(!headers.drop_invalid && !headers.preserve_host);
    assert!(!headers.tls_version_and_cipher_suite);
    let logs = [
        settings.access_logs,
        settings.connection_logs,
        settings.health_check_logs,
    ];
    assert!(logs.iter().all(Option::is_none));
    assert_eq!(settings.availability_zone, None);

    let [listener] = model.listeners.as_slice() else {
        panic!("one listener")
    };
    assert_eq!(
        (listener.addresses.as_slice(), listener.port),
        ([IpAddr::from([0, 0, 0, 0])].as_slice(), 80)
    );
    assert_eq!(listener.protocol, ListenerProtocol::Http);
    assert_eq!(
        listener.rules.default_action(),
        &Action::Forward(Forward::to(0))
    );
}

#[test]
fn keys_of_groups_left_out_have_the_defaults_of_the_reference() {
    let Loaded { model, .. } = loaded(SMALLEST, Path::new("f.toml"));
    let [group] = model.target_groups.as_slice() else {
        panic!("one group")
    };
    assert_eq!(group.deregistration_delay, Duration::from_secs(300));
    assert_eq!(group.retry, Retry::Safe);
    assert_eq!(group.discovery, None);
    assert_eq!(
        (&group.protocol, group.protocol_version),
        (&TargetProtocol::Http, ProtocolVersion::Http1)
    );
    assert_eq!(group.algorithm, Algorithm::RoundRobin);
    assert_eq!(
        (group.slow_start, &group.stickiness),
        (Duration::ZERO, &None)
    );
    assert_eq!(group.only_zone, None, "cross-zone load balancing is on");
    let routing = group.unhealthy_state_routing;
    assert_eq!(routing.minimum_healthy_targets_count, 1);
    assert_eq!(routing.minimum_healthy_targets_percentage, None);
    let target = TargetSettings {
        id: IpAddr::from([10, 0, 0, 1]),
        port: 8000,
        availability_zone: None,
    };
    assert_eq!(group.targets, [target]);
    let check = &group.health_check;
    assert_eq!((check.path.as_str(), check.port), ("/", None));
    assert_eq!(check.protocol, HealthCheckProtocol::Http);
    assert_eq!(
        (check.interval, check.timeout),
        (Duration::from_secs(30), Duration::from_secs(5))
    );
    assert_eq!((check.healthy_threshold, check.unhealthy_threshold), (5, 2));
    assert_eq!(check.matcher, Matcher(vec![200..=200]));
    let empty = SMALLEST.replace("port = 8000", "port = 8000\nhealth_check = {}");
    let empty = loaded(&empty, Path::new("f.toml")).model;
    assert_eq!(empty.target_groups[0].health_check, *check);
}

#[test]
fn sessions_last_a_day_unless_set() {
    let day = Duration::from_secs(86_400);
    let name = "SESSION".to_owned();
    for (how, expected) in [
        ("", Stickiness::LbCookie { duration: day }),
        (
            ", type = 'app_cookie', cookie_name = 'SESSION'",
            Stickiness::AppCookie {
                name,
                duration: day,
            },
        ),
    ] {
        let text = SMALLEST.replace(
            "targets",
            &format!("stickiness = {{ enabled = true{how} }}\ntargets"),
        );
        let model = loaded(&text, Path::new("f.toml")).model;
        assert_eq!(model.target_groups[0].stickiness, Some(expected));
    }
}

#[test]
fn timeouts_follow_the_idle_timeout_unless_set() {
    let text = format!(
        "[load_balancer]\nidle_timeout = 7\nresponse_timeout = 0.5\nworkers = 3\nadmin = 'off'\n{SMALLEST}"
    );
    let settings = loaded(&text, Path::new("f.toml")).model.load_balancer;
    assert_eq!(settings.request_header_timeout, Duration::from_secs(7));
    assert_eq!(settings.response_timeout, Duration::from_millis(500));
    assert_eq!((settings.workers, settings.admin), (3, None));
    let text = format!("[load_balancer]\nidle_timeout = 7\n{SMALLEST}");
    let settings = loaded(&text, Path::new("f.toml")).model.load_balancer;
    assert_eq!(settings.response_timeout, Duration::from_secs(7));
}

/// The example file of the repository, as if it lay in a directory.
fn example(directory: &Path) -> Loaded {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../lintel-proxy.example.toml");
    let text = fs::read_to_string(example).expect("the example lies at the top");
    loaded(&text, &directory.join("lintel-proxy.toml"))
}

#[test]
fn the_example_file_is_at_its_defaults() {
    let directory = directory_with_certificates();
    let Loaded { model, warnings } = example(directory.path());
    assert_eq!(warnings, [], "the example is an example");
    assert_eq!((model.listeners.len(), model.target_groups.len()), (2, 1));

    let mut settings = model.load_balancer;
    let defaults = loaded(SMALLEST, Path::new("f.toml")).model.load_balancer;
    let logs = LogSettings {
        path: LogPath::StandardOutput,
        format: LogFormat::Json,
    };
    assert_eq!(settings.access_logs.take(), Some(logs));
    settings.name.clone_from(&defaults.name);
    assert_eq!(settings, defaults, "apart from those two keys");

    let group = &model.target_groups[0];
    let refresh = Duration::from_secs(5);
    assert_eq!(
        group.discovery,
        Some(Discovery::Dns {
            name: "appserver.internal".to_owned(),
            refresh
        })
    );
    let addresses: Vec<String> = group
        .targets
        .iter()
        .map(|target| SocketAddr::new(target.id, target.port).to_string())
        .collect();
    assert_eq!(
        addresses,
        [
            "10.0.3.11:8000",
            "10.0.4.12:8001",
            "[fd00::13]:8001",
            "10.0.3.14:8002"
        ]
    );
    assert_eq!(
        group.targets[3].availability_zone.as_deref(),
        Some("us-east-1a")
    );
}

#[test]
fn the_example_file_says_what_its_comments_say() {
    let directory = directory_with_certificates();
    let Loaded { model, .. } = example(directory.path());
    let files = |name: &str| CertificateFiles {
        chain: directory.path().join(format!("certs/{name}.pem")),
        key: directory.path().join(format!("certs/{name}.key")),
    };
    let ListenerProtocol::Https(tls) = &model.listeners[1].protocol else {
        panic!("HTTPS")
    };
    assert_eq!(
        (&tls.certificate, tls.additional_certificates.as_slice()),
        (&files("site"), [files("site")].as_slice())
    );
    assert_eq!(tls.ssl_policy, lintel_common::tls::SslPolicy::DEFAULT);

    let selected = |host, path: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        let (head, _) = RequestHead::read(text.as_bytes()).unwrap().unwrap();
        let peer = IpAddr::from([127, 0, 0, 1]);
        let rules = &model.listeners[1].rules;
        rules.select(&RuleInput {
            host,
            head: &head,
            peer,
            drop_invalid: false,
        })
    };
    assert_eq!(selected("www.example.com", "/api/x").priority, 10);
    assert_eq!(selected("localhost", "/api/x").priority, 0);
    let teapot = FixedResponse {
        status_code: 418,
        content_type: Some(ContentType::TextPlain),
        message_body: "short and stout".to_owned(),
    };
    assert_eq!(
        selected("localhost", "/teapot").action,
        &Action::FixedResponse(teapot)
    );

    let Action::Redirect(redirect) = model.listeners[0].rules.default_action() else {
        panic!("a redirect")
    };
    let request = RedirectInput {
        protocol: "HTTP",
        host: "localhost:8080",
        port: 80,
        path: "/a",
        query: "b=c",
    };
    assert_eq!(
        (redirect.status_code, redirect.location(&request).as_str()),
        (301, "https://localhost:443/a?b=c")
    );
}

/// `contract.toml` has every key that is promised to keep its meaning.
#[test]
fn what_is_promised_works_or_is_refused_by_name() {
    let directory = directory_with_certificates();
    let file = directory.path().join("f.toml");
    let diagnostics = config::parse(include_str!("config/contract.toml"), &file)
        .expect_err("not all of it is built");
    let found: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| format!("{}: {}", diagnostic.key, diagnostic.message))
        .collect();
    let rule = "listener[1].rule[0]";
    assert_eq!(
        found,
        [
            "target_group[0].tls: changes nothing, as the targets are spoken to without TLS; set protocol = \"HTTPS\", or leave it out".to_owned(),
            format!(
                "{rule}.condition: has 6 values, which works here but not on an ALB; an ALB takes at most 5 in a rule"
            ),
            format!(
                "{rule}.action.target_group[1].name: there is no target group `canary`; the target groups here are app"
            ),
        ]
    );
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let directory = directory_with_certificates();
    let file = directory.path().join("lintel-proxy.toml");
    fs::write(
        &file,
        "[load_balancer]\naccess_logs = { path = 'access.log' }\n[[listener]]\nport = 0\nprotocol = 'HTTPS'\n\
         certificate = { chain = 'certs/site.pem', key = 'certs/site.key' }\n\
         default_action = { type = 'fixed-response', status_code = 204 }\n",
    )
    .expect("writable");
    let model = config::load(&file).expect("a good file").model;
    let path: PathBuf = directory.path().join("access.log");
    assert_eq!(
        model.load_balancer.access_logs.map(|logs| logs.path),
        Some(LogPath::File(path))
    );
    assert_eq!(model.target_groups, []);
}

#[test]
fn a_missing_file_is_one_line() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("none.toml");
    let diagnostics = config::load(&file).expect_err("there is no file");
    let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    let expected = format!(
        "{}:1:1: error: file: cannot be read (No such file or directory (os error 2)); name a file that exists and that this user may read",
        file.display()
    );
    assert_eq!(lines, [expected]);
}

#[test]
fn five_different_mistakes_are_all_reported_with_their_places() {
    let text = "\
[load_balancer]
idle_timeout = -1
idel_timeout = 60

[[target_group]]
name = 'app'
port = 8000
targets = ['10.0.0.1', 'app.internal:8000']

[[listener]]
port = 80x
default_action = { type = 'forward', target_group = 'ap' }

  [[listener.rule]]
  condition = [{ path_pattern = ['api/*'] }]
  action = { type = 'forward', target_group = 'app' }
  priority = 70000
";
    assert_eq!(
        findings(text),
        [
            "f.toml:2:16: error: load_balancer.idle_timeout: `-1` is out of range; write 1 to 4000 seconds",
            "f.toml:3:1: error: load_balancer.idel_timeout: unknown key; did you mean `idle_timeout`?",
            "f.toml:8:24: error: target_group[0].targets[1]: `app.internal:8000` is not an IP address; \
             write an address such as \"10.0.3.11:8000\" (names are found by discovery = { dns = \"...\" })",
            "f.toml:11:8: error: syntax: string values must be quoted; expected literal string",
            "f.toml:15:34: error: listener[0].rule[0].condition[0].path_pattern[0]: `api/*` can never match; \
             begin it with / or *, as a path begins with /",
            "f.toml:17:14: error: listener[0].rule[0].priority: `70000` is out of range; write 1 to 50000",
        ]
    );
    assert_eq!(
        findings(&text.replace("80x", "80"))[3],
        "f.toml:12:53: error: listener[0].default_action.target_group: there is no target group `ap`; \
         the target groups here are app",
        "whether a name is missing can only be told of a file that was understood whole"
    );
}

/// The example without what needs certificates on the disk.
fn example_without_tls() -> String {
    let example = include_str!("../../../lintel-proxy.example.toml");
    let needs_files = [
        "protocol = \"HTTPS\"",
        "ssl_policy",
        "certificate",
        "additional",
    ];
    let lines = example
        .lines()
        .filter(|line| !needs_files.iter().any(|start| line.starts_with(start)));
    lines.collect::<Vec<_>>().join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// However a file is damaged: either there is an error, or the model holds together.
    #[test]
    fn no_damage_gets_into_a_model(
        from in 0..5000_usize,
        length in 0..40_usize,
        put in "[a-z0-9=\\[\\]{}'\",. \n#-]{0,12}",
    ) {
        let text = example_without_tls();
        let from = text.floor_char_boundary(from % text.len());
        let to = text.floor_char_boundary((from + length).min(text.len()));
        let damaged = format!("{}{put}{}", &text[..from], &text[to..]);
        match config::parse(&damaged, Path::new("f.toml")) {
            Err(diagnostics) => {
                prop_assert!(diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error));
                prop_assert!(diagnostics.iter().all(|diagnostic| diagnostic.line >= 1 && diagnostic.column >= 1));
            }
            Ok(Loaded { model, .. }) => {
                let groups = model.target_groups.len();
                let actions = model.listeners.iter().flat_map(|listener| listener.rules.actions());
                let mut weighted = actions.flat_map(Action::target_groups);
                prop_assert!(weighted.all(|weighted| weighted.target_group < groups));
                prop_assert!(model.target_groups.iter().all(|group| group.port != 0 && !group.name.is_empty()));
                prop_assert!(model.listeners.iter().all(|listener| !listener.addresses.is_empty()));
            }
        }
    }
}

#[test]
fn the_undamaged_example_without_tls_is_good() {
    assert_eq!(findings(&example_without_tls()), [""; 0]);
}
