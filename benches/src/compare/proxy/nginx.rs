//! nginx, tuned as for a benchmark of its own.

use std::fmt::Write as _;

use super::Settings;

/// From here on HTTP/2 is switched on by a directive; before, by a word of `listen`.
const HTTP2_DIRECTIVE: (u32, u32, u32) = (1, 25, 1);

pub(super) fn configuration(settings: &Settings, version: &str) -> String {
    let mut servers = String::new();
    for origin in &settings.origins {
        // Writing to a String cannot fail.
        let _ = writeln!(servers, "        server {origin};");
    }
    format!(
        r"# One process a worker, in the foreground.
daemon off;
worker_processes {workers};
worker_rlimit_nofile {files};
pid {directory}/nginx.pid;
error_log {directory}/nginx-errors.log warn;

events {{
    worker_connections {connections};
}}

http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;

    # Connections stay as long as clients and targets let them be.
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    gzip off;
    client_max_body_size 64m;
    # A browser's request head in one buffer.
    client_header_buffer_size 4k;

    upstream origin {{
{servers}        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 3600s;
    }}

{server}}}
",
        workers = settings.workers,
        files = settings.connections * 2,
        connections = settings.connections,
        directory = settings.directory.display(),
        server = server(settings, version),
    )
}

fn server(settings: &Settings, version: &str) -> String {
    let directive = parse(version).is_none_or(|version| version >= HTTP2_DIRECTIVE);
    let (http2_word, http2_directive) = if directive {
        ("", "        http2 on;\n")
    } else {
        (" http2", "")
    };
    format!(
        r#"    server {{
        listen {http} reuseport backlog=4096;
        listen {https} ssl{http2_word} reuseport backlog=4096;
{http2_directive}        server_name localhost;
        http2_max_concurrent_streams 128;

        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_ecdh_curve X25519:prime256v1;
        ssl_session_cache shared:tls:10m;
        ssl_session_timeout 1h;

        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Port $server_port;
        proxy_set_header X-Amzn-Trace-Id Root=$request_id;
        proxy_connect_timeout 10s;
        proxy_read_timeout 60s;
        # Bodies stream in both directions and never touch a disk; a page with its head fits into the first buffer.
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        proxy_buffer_size 16k;
        proxy_buffers 8 32k;
        proxy_busy_buffers_size 64k;
        client_body_buffer_size 32k;

        location / {{
            proxy_pass http://origin;
        }}

        # As above but for the upgrade; a header set here switches off those inherited.
        location /ws {{
            proxy_pass http://origin;
            proxy_set_header Connection upgrade;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Port $server_port;
            proxy_set_header X-Amzn-Trace-Id Root=$request_id;
        }}
    }}
"#,
        http = settings.http,
        https = settings.https,
        certificate = settings.certificate.display(),
        key = settings.key.display(),
    )
}

/// Of `1.22.1`, or of a longer text that ends in it.
fn parse(version: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = version.rsplit(['/', ' ']).next()?.splitn(3, '.');
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number() {
        assert_eq!(parse("1.22.1"), Some((1, 22, 1)));
        assert!(parse("1.9.15") < Some(HTTP2_DIRECTIVE));
        assert!(parse("1.26.3") > Some(HTTP2_DIRECTIVE));
        assert_eq!(parse("openresty"), None);
    }
}
