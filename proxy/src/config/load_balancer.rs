//! The table `[load_balancer]`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use lintel_common::config_file::{Table, Value};

use super::not_supported::{self, choice};
use super::quotas;
use super::values::{self, Count, Seconds, count, flag, seconds};
use crate::model::{
    DesyncMitigationMode, ForwardedFor, LoadBalancerSettings, LogFormat, LogPath, LogSettings,
    Quotas, RequestHeaders,
};
use crate::secret_keys::SHORTEST_SECRET;

/// As many as the kernel could ever give descriptors for.
const MOST_CONNECTIONS: u32 = 1 << 30;

/// What an ALB can be told and Lintel cannot, with an ALB's defaults.
const ONLY_DEFAULT: [(&str, bool); 4] = [
    ("enable_cross_zone_load_balancing", true),
    ("enable_deletion_protection", false),
    ("enable_waf_fail_open", false),
    ("enable_zonal_shift", false),
];

const DEFAULT_NAME: &str = "lintel";
const DEFAULT_ADMIN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9900);

impl Default for LoadBalancerSettings {
    /// Every key left out.
    fn default() -> Self {
        let idle_timeout = Duration::from_secs(60);
        Self {
            name: DEFAULT_NAME.to_owned(),
            workers: available_cores(),
            admin: Some(DEFAULT_ADMIN),
            admin_token_file: None,
            shutdown_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            tls_handshake_timeout: Duration::from_secs(10),
            request_header_timeout: idle_timeout,
            response_timeout: idle_timeout,
            idle_timeout,
            client_keep_alive: Duration::from_secs(3600),
            max_connections: None,
            enable_http2: true,
            desync_mitigation_mode: DesyncMitigationMode::Defensive,
            request_headers: RequestHeaders::DEFAULT,
            access_logs: None,
            connection_logs: None,
            health_check_logs: None,
            availability_zone: None,
            secret_key_files: Vec::new(),
            quotas: Quotas::default(),
        }
    }
}

/// Reads the table from the root of the file; it may be left out.
pub(super) fn read(root: &mut Table<'_>, directory: &Path) -> LoadBalancerSettings {
    root.get("load_balancer")
        .and_then(|value| value.table(|table| settings(table, directory)))
        .unwrap_or_default()
}

fn settings(table: &mut Table<'_>, directory: &Path) -> LoadBalancerSettings {
    const TIMEOUT: Seconds = Seconds::up_to(4000);
    let default = LoadBalancerSettings::default();
    let idle_timeout = seconds(
        table,
        "idle_timeout",
        Seconds::of_alb(1, 4000),
        default.idle_timeout,
    );
    for (key, default) in ONLY_DEFAULT {
        not_supported::flag(table, key, default);
    }
    let admin_token_file = table
        .get("admin_token_file")
        .and_then(|value| token_file(&value, directory));
    LoadBalancerSettings {
        name: table
            .get("name")
            .and_then(|value| name(&value))
            .unwrap_or(default.name),
        workers: workers(table),
        admin: admin(table, admin_token_file.is_some()),
        admin_token_file,
        shutdown_timeout: seconds(
            table,
            "shutdown_timeout",
            Seconds::up_to(3600).or_zero(),
            default.shutdown_timeout,
        ),
        connect_timeout: seconds(table, "connect_timeout", TIMEOUT, default.connect_timeout),
        tls_handshake_timeout: seconds(
            table,
            "tls_handshake_timeout",
            TIMEOUT,
            default.tls_handshake_timeout,
        ),
        request_header_timeout: seconds(table, "request_header_timeout", TIMEOUT, idle_timeout),
        response_timeout: seconds(table, "response_timeout", TIMEOUT, idle_timeout),
        idle_timeout,
        client_keep_alive: seconds(
            table,
            "client_keep_alive",
            Seconds::of_alb(60, 604_800),
            default.client_keep_alive,
        ),
        max_connections: table
            .get("max_connections")
            .and_then(|value| max_connections(&value)),
        enable_http2: flag(table, "enable_http2", default.enable_http2),
        desync_mitigation_mode: desync_mitigation_mode(table),
        request_headers: request_headers(table),
        access_logs: logs(table, "access_logs", directory),
        connection_logs: logs(table, "connection_logs", directory),
        health_check_logs: logs(table, "health_check_logs", directory),
        availability_zone: table
            .get("availability_zone")
            .and_then(|value| values::zone(&value)),
        secret_key_files: table
            .get("secret_key_files")
            .map(|value| secret_key_files(&value, directory))
            .unwrap_or_default(),
        quotas: quotas::read(table),
    }
}

fn max_connections(value: &Value<'_>) -> Option<usize> {
    let most = values::whole(value, 1, MOST_CONNECTIONS)?;
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    if let Some(files) = files.filter(|files| u64::from(most) > files / 4 * 3) {
        value.warn(
            format_args!(
                "leaves few of the {files} files that this user may open for connections to targets"
            ),
            format_args!(
                "write at most {}, or raise the limit (ulimit -n, LimitNOFILE=)",
                files / 4 * 3
            ),
        );
    }
    Some(most as usize)
}

fn desync_mitigation_mode(table: &mut Table<'_>) -> DesyncMitigationMode {
    let modes = [
        ("defensive", DesyncMitigationMode::Defensive),
        ("monitor", DesyncMitigationMode::Monitor),
        ("strictest", DesyncMitigationMode::Strictest),
    ];
    choice(table, "desync_mitigation_mode", &modes, &[]).unwrap_or(modes[0].1)
}

fn request_headers(table: &mut Table<'_>) -> RequestHeaders {
    let port = flag(table, "enable_xff_client_port", false);
    let modes = [
        ("append", ForwardedFor::Append { port }),
        ("preserve", ForwardedFor::Preserve),
        ("remove", ForwardedFor::Remove),
    ];
    RequestHeaders {
        drop_invalid: flag(table, "drop_invalid_header_fields", false),
        preserve_host: flag(table, "preserve_host_header", false),
        forwarded_for: choice(table, "xff_header_processing_mode", &modes, &[])
            .unwrap_or(modes[0].1),
        tls_version_and_cipher_suite: flag(
            table,
            "enable_tls_version_and_cipher_suite_headers",
            false,
        ),
    }
}

fn name(value: &Value<'_>) -> Option<String> {
    let name = values::name(value)?;
    if name.starts_with("internal-") {
        value.error(
            "begins with `internal-`",
            "choose another beginning, as the ALB demands",
        );
    }
    Some(name)
}

fn workers(table: &mut Table<'_>) -> usize {
    let range = Count {
        least: 0,
        alb_least: 0,
        most: 1024,
    };
    match count(table, "workers", range, 0) {
        0 => available_cores(),
        workers => workers as usize,
    }
}

fn available_cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn admin(table: &mut Table<'_>, has_token: bool) -> Option<SocketAddr> {
    let Some(value) = table.get("admin") else {
        return Some(DEFAULT_ADMIN);
    };
    let text = value.string()?;
    if text == "off" {
        return None;
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        value.error(
            format_args!("`{}` is not an address with a port", value.shown()),
            format_args!("write an address such as \"{DEFAULT_ADMIN}\" or \"off\""),
        );
        return None;
    };
    if !address.ip().to_canonical().is_loopback() && !has_token {
        value.error(
            format_args!("`{address}` can be reached from other machines and asks for no token"),
            "set admin_token_file, or listen on 127.0.0.1",
        );
    }
    Some(address)
}

fn token_file(value: &Value<'_>, directory: &Path) -> Option<PathBuf> {
    let path = values::readable_file(value, directory)?;
    if fs::read_to_string(&path).is_ok_and(|token| token.trim().is_empty()) {
        value.error(
            format_args!("{} is empty", path.display()),
            "write a long random token into it",
        );
    }
    Some(path)
}

fn secret_key_files(value: &Value<'_>, directory: &Path) -> Vec<PathBuf> {
    let files = value.list().unwrap_or_default();
    if files.is_empty() {
        value.error("names no file", "name one, or leave it out");
    }
    let file = |value: &Value<'_>| {
        let path = values::readable_file(value, directory)?;
        let length = fs::read(&path).map_or(0, |secret| secret.trim_ascii_end().len());
        if length < SHORTEST_SECRET {
            value.error(
                format_args!("{} has {length} bytes, which can be guessed", path.display()),
                format_args!(
                    "write at least {SHORTEST_SECRET} random bytes into it, such as those of `openssl rand -base64 48`"
                ),
            );
        }
        Some(path)
    };
    files.iter().filter_map(file).collect()
}

fn logs(table: &mut Table<'_>, key: &'static str, directory: &Path) -> Option<LogSettings> {
    let value = table.get(key)?;
    value.table(|table| log(table, directory)).flatten()
}

fn log(table: &mut Table<'_>, directory: &Path) -> Option<LogSettings> {
    let formats = [("json", LogFormat::Json), ("alb", LogFormat::Alb)];
    let format = choice(table, "format", &formats, &[]);
    // Delivery to S3.
    not_supported::key(table, "bucket");
    not_supported::key(table, "prefix");
    let value = table.required("path", "path = \"-\"")?;
    let format = format?;
    if value.string()? == "-" {
        return Some(LogSettings {
            path: LogPath::StandardOutput,
            format,
        });
    }
    let path = values::path(&value, directory)?;
    // Joined with a directory of "" when the configuration file was named without one.
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !parent.is_dir() {
        value.error(
            format_args!("there is no directory {}", parent.display()),
            "make it first, or write \"-\" for standard output",
        );
    } else if path.is_dir() {
        value.error(
            format_args!("{} is a directory", path.display()),
            "write the path of a file, or \"-\" for standard output",
        );
    }
    Some(LogSettings {
        path: LogPath::File(path),
        format,
    })
}
