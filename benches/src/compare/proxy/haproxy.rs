//! HAProxy, tuned as for a benchmark of its own.

use std::fmt::Write as _;

use super::Settings;

/// `large_buffers`: for bodies of a mebibyte they save it a third, while short messages cost it more with them, above all
/// over TLS. So it has the ones where they help and the default where it is better.
pub(super) fn configuration(settings: &Settings, large_buffers: bool) -> String {
    let buffers = if large_buffers {
        "    tune.bufsize 65536\n"
    } else {
        ""
    };
    let mut servers = String::new();
    for (index, origin) in settings.origins.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(
            servers,
            "    server origin-{} {origin} check inter 10s",
            index + 1
        );
    }
    format!(
        r"global
    nbthread {workers}
    maxconn {connections}
    # Of servers that go up or down; requests are not logged.
    log stderr format raw local0 warning
    ssl-default-bind-options ssl-min-ver TLSv1.2
    ssl-default-bind-curves X25519:P-256
    tune.h2.max-concurrent-streams 128
{buffers}    # Idle connections to targets are kept, not thinned out every 5 s.
    tune.pool-low-fd-ratio 50
    tune.pool-high-fd-ratio 60

defaults
    mode http
    maxconn {connections}
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    timeout http-request 60s
    timeout http-keep-alive 3600s
    timeout tunnel 3600s
    timeout check 5s
    # Every connection to a target serves every client.
    http-reuse always

frontend web
    bind {http}
    bind {https} ssl crt {certificate_and_key} alpn h2,http/1.1
    option forwardfor
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
    http-request set-header X-Forwarded-Port %[dst_port]
    http-request set-header X-Amzn-Trace-Id Root=%[uuid]
    default_backend origin

backend origin
    log global
    balance roundrobin
    option httpchk GET /health
    default-server pool-purge-delay 60s
{servers}",
        workers = settings.workers,
        connections = settings.connections,
        http = settings.http,
        https = settings.https,
        certificate_and_key = settings.certificate_and_key.display(),
    )
}
