use std::collections::HashMap;

use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn read(variables: &[(&str, &str)]) -> Result<Settings, Vec<Problem>> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    Settings::read(|name| variables.get(name).map(OsString::from))
}

fn with(variables: &[(&str, &str)]) -> Settings {
    let base = [("SECRET_KEY", KEY), ("DATABASE_URL", "sqlite://x.db")];
    read(&[&base, variables].concat()).unwrap()
}

/// The variables that are complained of, in order.
fn wrong(variables: &[(&str, &str)]) -> Vec<&'static str> {
    let base = [("SECRET_KEY", KEY), ("DATABASE_URL", "sqlite://x.db")];
    read(&[&base, variables].concat())
        .unwrap_err()
        .iter()
        .map(|problem| problem.variable)
        .collect()
}

fn mysql(variables: &[(&str, &str)]) -> mysql_async::Opts {
    match with(variables).database {
        Source::MySql(opts) => *opts,
        Source::Sqlite(path) => panic!("SQLite at {}", path.display()),
    }
}

#[test]
fn defaults_are_those_of_the_help_text() {
    let settings = with(&[]);
    let expected: HashMap<_, _> = VARIABLES
        .iter()
        .map(|(name, default, _)| (*name, *default))
        .collect();
    assert_eq!(settings.bind.to_string(), expected["BIND"]);
    assert_eq!(
        settings.pool_size.to_string(),
        expected["DATABASE_POOL_SIZE"]
    );
    assert_eq!(settings.attempts.to_string(), expected["DATABASE_ATTEMPTS"]);
    assert_eq!(settings.log_format.to_string(), expected["LOG_FORMAT"]);
    assert_eq!(
        settings.shutdown_delay.as_secs().to_string(),
        expected["SHUTDOWN_DELAY"]
    );
    assert_eq!(
        settings.shutdown_timeout.as_secs().to_string(),
        expected["SHUTDOWN_TIMEOUT"]
    );
    assert_eq!(settings.trusted_proxies.len(), 6);
    assert!(!settings.instance_id.is_empty() && settings.replica.is_none());
    let opts = mysql(&[("DATABASE_URL", "db")]);
    assert_eq!(opts.db_name(), Some(expected["DATABASE_NAME"]));
    assert_eq!(opts.tcp_port().to_string(), expected["DATABASE_PORT"]);
}

#[test]
fn everything_wrong_is_said_at_once() {
    let problems = read(&[
        ("BIND", "localhost"),
        ("DATABASE_POOL_SIZE", "0"),
        ("DATABASE_ATTEMPTS", "many"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,nowhere"),
        ("LOG_FORMAT", "xml"),
        ("SHUTDOWN_DELAY", "-1"),
        ("SHUTDOWN_TIMEOUT", "NaN"),
        ("INSTANCE_ID", "two words"),
    ])
    .unwrap_err();
    let mut variables: Vec<_> = problems.iter().map(|problem| problem.variable).collect();
    variables.sort_unstable();
    assert_eq!(
        variables,
        [
            "BIND",
            "DATABASE_ATTEMPTS",
            "DATABASE_POOL_SIZE",
            "DATABASE_URL",
            "INSTANCE_ID",
            "LOG_FORMAT",
            "SECRET_KEY",
            "SHUTDOWN_DELAY",
            "SHUTDOWN_TIMEOUT",
            "TRUSTED_PROXIES"
        ]
    );
}

#[test]
fn any_key_of_32_bytes_is_taken() {
    let repeated = "k".repeat(32);
    for (key, monotonous) in [
        ("integration-test-secret-key-0123456789abcdef", false),
        ("you-will-never-guess-you-will-never-guess", false),
        (KEY, false),
        (repeated.as_str(), true),
    ] {
        let secret = with(&[("SECRET_KEY", key)]).secret_key;
        assert_eq!(secret.expose(), key);
        assert_eq!(secret.is_monotonous(), monotonous, "{key}");
    }
}

#[test]
fn short_and_published_keys_are_refused_with_a_command_that_makes_one() {
    for key in [
        "you-will-never-guess",
        "tiny-key-42",
        "0123456789abcdef0123456789abcde",
        "",
    ] {
        let problems = read(&[("DATABASE_URL", "sqlite://x.db"), ("SECRET_KEY", key)]).unwrap_err();
        assert_eq!(problems.len(), 1, "{key}");
        assert!(
            problems[0].message.contains("openssl rand -hex 32"),
            "{}",
            problems[0]
        );
        assert!(
            key.is_empty() || !problems[0].message.contains(key),
            "the key is repeated"
        );
    }
}

#[test]
fn the_forms_of_the_original_deployments_are_read() {
    for url in [
        "mysql://user:p%40ss@db.internal:3307/flaskcrud",
        "mysql+pymysql://user:p%40ss@db.internal:3307/flaskcrud",
        "mysql+pymysql://user:p%40ss@db.internal:3307/flaskcrud?charset=utf8mb4",
    ] {
        let opts = mysql(&[("DATABASE_URL", url)]);
        assert_eq!(
            (
                opts.user(),
                opts.pass(),
                opts.ip_or_hostname(),
                opts.tcp_port(),
                opts.db_name()
            ),
            (
                Some("user"),
                Some("p@ss"),
                "db.internal",
                3307,
                Some("flaskcrud")
            )
        );
    }
    let apart = [
        ("DATABASE_USERNAME", "admin"),
        ("DATABASE_PASSWORD", "s3cret"),
        ("DATABASE_NAME", "crud"),
        ("DATABASE_PORT", "3310"),
    ];
    let opts = mysql(&[&apart[..], &[("DATABASE_URL", "db.rds.amazonaws.com")]].concat());
    assert_eq!(
        (
            opts.user(),
            opts.pass(),
            opts.ip_or_hostname(),
            opts.tcp_port(),
            opts.db_name()
        ),
        (
            Some("admin"),
            Some("s3cret"),
            "db.rds.amazonaws.com",
            3310,
            Some("crud")
        )
    );
    let opts = mysql(&[&apart[..], &[("DATABASE_URL", "mysql://db/x")]].concat());
    assert_eq!((opts.user(), opts.pass()), (Some("admin"), Some("s3cret")));
    assert_eq!(
        mysql(&[("DATABASE_URL", "mysql://u@[::1]/x")]).ip_or_hostname(),
        "::1"
    );
    assert_eq!(mysql(&[("DATABASE_URL", "db:3311")]).tcp_port(), 3311);
}

#[test]
fn sqlite_paths_are_absolute_or_relative() {
    for (url, path) in [
        ("sqlite:///var/lib/x.db", "/var/lib/x.db"),
        ("sqlite://data/x.db", "data/x.db"),
    ] {
        assert!(
            matches!(with(&[("DATABASE_URL", url)]).database, Source::Sqlite(found) if found.as_os_str() == path)
        );
    }
}

#[test]
fn wrong_addresses_are_refused_without_repeating_the_password() {
    for url in [
        "mysql://user:hunter2@db",
        "mysql://user:hunter2@:3306/x",
        "mysql://user:hunter2#@db/x",
        "postgres://user:hunter2@db/x",
        "mysql://user:hunter2@db/x?sslmode=on",
        "user:hunter2@db/x",
        "sqlite://",
        "sqlite://:memory:",
        "mysql://user:hunter2@db:port/x",
    ] {
        let problems = read(&[("SECRET_KEY", KEY), ("DATABASE_URL", url)]).unwrap_err();
        assert_eq!(problems.len(), 1, "{url}: {problems:?}");
        assert_eq!(problems[0].variable, "DATABASE_URL");
        assert!(!problems[0].message.contains("hunter2"), "{}", problems[0]);
    }
}

#[test]
fn a_replica_goes_with_mysql_only() {
    let mysql = ("DATABASE_URL", "mysql://u@db/x");
    assert!(
        with(&[mysql, ("DATABASE_REPLICA_URL", "mysql://u@replica/x")])
            .replica
            .is_some()
    );
    assert_eq!(
        wrong(&[("DATABASE_REPLICA_URL", "mysql://u@replica/x")]),
        ["DATABASE_REPLICA_URL"]
    );
    assert_eq!(
        wrong(&[mysql, ("DATABASE_REPLICA_URL", "sqlite://x.db")]),
        ["DATABASE_REPLICA_URL"]
    );
}

#[test]
fn secrets_come_from_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (key, password) = (
        path("key", &format!("{KEY}\n")),
        path("password", "hunter2\r\n"),
    );
    let settings = read(&[
        ("SECRET_KEY_FILE", &key),
        ("DATABASE_PASSWORD_FILE", &password),
        ("DATABASE_URL", "mysql://u@db/x"),
    ])
    .unwrap();
    assert_eq!(settings.secret_key.expose(), KEY);
    let Source::MySql(opts) = &settings.database else {
        panic!("not MySQL")
    };
    assert_eq!(opts.pass(), Some("hunter2"));
    let printed = format!("{settings:?}");
    assert!(
        !printed.contains("hunter2") && !printed.contains(KEY),
        "{printed}"
    );
    assert_eq!(wrong(&[("SECRET_KEY_FILE", &key)]), ["SECRET_KEY"]);
    let weak = [
        ("SECRET_KEY_FILE", password.as_str()),
        ("DATABASE_URL", "sqlite://x.db"),
    ];
    let problem = read(&weak).unwrap_err().remove(0).to_string();
    assert!(
        problem.starts_with("SECRET_KEY_FILE: ") && problem.contains(&password),
        "{problem}"
    );
    assert_eq!(
        wrong(&[("DATABASE_PASSWORD_FILE", "/nowhere/password")]),
        ["DATABASE_PASSWORD_FILE"]
    );
}

#[test]
fn trusted_proxies_are_networks_addresses_or_none() {
    assert_eq!(
        with(&[("TRUSTED_PROXIES", "10.1.0.0/16, 192.0.2.7 ,2001:db8::/32")])
            .trusted_proxies
            .len(),
        3
    );
    assert!(
        with(&[("TRUSTED_PROXIES", "none")])
            .trusted_proxies
            .is_empty()
    );
    assert_eq!(
        with(&[("SHUTDOWN_DELAY", "0.5")]).shutdown_delay,
        Duration::from_millis(500)
    );
}
