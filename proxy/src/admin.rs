//! The admin endpoints, on loopback unless configured otherwise:
//!
//! | endpoint | answers |
//! |---|---|
//! | `GET /health` | 200 while the process lives; needs no token |
//! | `GET /ready` | 200 when every target group in use has a healthy target, else 503 with what is missing |
//! | `GET /metrics` | Prometheus text |
//! | `GET /target-health` | every group's targets with state, reason and requests in flight, as JSON; `?include=AnomalyDetection` adds that |
//! | `PUT /target-groups/NAME/targets/ID:PORT` | registers a target: 201, or 200 if it was registered |
//! | `DELETE /target-groups/NAME/targets/ID:PORT` | 202; the target starts draining |
//! | `POST /reload` | 200 with what changed, or 422 with what is wrong, as JSON |
//!
//! It shows what runs, tells target groups which targets to have (`registration`), and passes reloads on to the control
//! thread. Whom it answers is `admission`'s.

mod admission;
mod registration;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use lintel_common::server::{self, Connection, Established, Handler, Options, Service, connection};
use lintel_common::shutdown::Shutdown;
use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc;

use admission::Refused;

use crate::check;
use crate::load_balancer::{Overview, Request as ControlRequest, StartError, request_reload};
use crate::metrics::Metrics;
use crate::model::LoadBalancerSettings;
use crate::socket;
use crate::target_group::{AnomalyDetection, TargetHealthDescription};

/// Bound, not served yet.
pub(crate) struct Admin {
    socket: std::net::TcpListener,
    address: SocketAddr,
    token: Option<Vec<u8>>,
    metrics: Arc<Metrics>,
    overview: Arc<ArcSwap<Overview>>,
    /// Of the load balancer: once it is requested, nothing is ready any more.
    stopping: Shutdown,
}

impl Admin {
    /// `None` if the admin endpoints are switched off.
    pub(crate) fn bind(
        settings: &LoadBalancerSettings,
        metrics: &Arc<Metrics>,
        overview: &Arc<ArcSwap<Overview>>,
        stopping: &Shutdown,
    ) -> Result<Option<Self>, StartError> {
        let Some(address) = settings.admin else {
            return Ok(None);
        };
        let failed = |source| StartError::Bind {
            address,
            key: "load_balancer.admin".into(),
            source,
        };
        let Some(socket) = socket::listen(address, 1, false).map_err(failed)?.pop() else {
            return Ok(None);
        };
        let address = socket.local_addr().map_err(failed)?;
        let token = settings.admin_token_file.as_ref().map(|path| {
            let path_shown = path.display().to_string();
            let token = std::fs::read(path).map_err(|source| StartError::AdminToken {
                path: path_shown.clone(),
                source,
            })?;
            let token = token.trim_ascii().to_vec();
            if token.is_empty() {
                let source =
                    std::io::Error::new(std::io::ErrorKind::InvalidData, "the file is empty");
                return Err(StartError::AdminToken {
                    path: path_shown,
                    source,
                });
            }
            Ok(token)
        });
        Ok(Some(Self {
            socket,
            address,
            token: token.transpose()?,
            metrics: Arc::clone(metrics),
            overview: Arc::clone(overview),
            stopping: stopping.clone(),
        }))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `config` is the file that reloads read.
    pub(crate) async fn run(
        self,
        control: mpsc::Sender<ControlRequest>,
        config: PathBuf,
        shutdown: Shutdown,
    ) {
        let listener = match tokio::net::TcpListener::from_std(self.socket) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the admin socket could not be used"),
        };
        let endpoints = Rc::new(Endpoints {
            token: self.token,
            metrics: self.metrics,
            overview: self.overview,
            stopping: self.stopping,
            control,
            config,
        });
        server::serve(listener, endpoints, Options::default(), shutdown).await;
    }
}

struct Endpoints {
    token: Option<Vec<u8>>,
    metrics: Arc<Metrics>,
    overview: Arc<ArcSwap<Overview>>,
    stopping: Shutdown,
    control: mpsc::Sender<ControlRequest>,
    config: PathBuf,
}

#[derive(Serialize)]
struct TargetHealth<'a> {
    target_groups: Vec<TargetGroupHealth<'a>>,
}

#[derive(Serialize)]
struct TargetGroupHealth<'a> {
    name: &'a str,
    targets: Vec<ShownTarget>,
}

#[derive(Serialize)]
struct ShownTarget {
    #[serde(flatten)]
    health: TargetHealthDescription,
    #[serde(skip_serializing_if = "Option::is_none")]
    anomaly_detection: Option<AnomalyDetection>,
}

impl Handler for Endpoints {
    fn http1(
        self: Rc<Self>,
        established: Established,
        connection: Rc<Connection>,
        options: Rc<Options>,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + 'static {
        connection::http1(established, self, connection, options, shutdown)
    }
}

impl Service for Endpoints {
    type Body = Full<Bytes>;

    async fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        _connection: Rc<Connection>,
    ) -> Response<Full<Bytes>> {
        if let Some(refused) = self.refused(&request) {
            return refusal(refused);
        }
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        if let Some((group, target)) = registration::parts(path) {
            let overview = self.overview.load_full();
            return registration::answer(&overview, group, target, &parts.method, body).await;
        }
        let get = matches!(parts.method, Method::GET | Method::HEAD);
        let post = parts.method == Method::POST;
        match path {
            "/health" if get => text(StatusCode::OK, "text/plain", "ok\n".into()),
            "/ready" if get => self.ready(),
            "/metrics" if get => self.metrics(),
            "/target-health" if get => self.target_health(parts.uri.query()),
            "/reload" if post => self.reload().await,
            "/health" | "/ready" | "/metrics" | "/target-health" => not_allowed("GET, HEAD"),
            "/reload" => not_allowed("POST"),
            _ => json_response(StatusCode::NOT_FOUND, &json!({"error": "no such endpoint"})),
        }
    }
}

impl Endpoints {
    fn refused(&self, request: &Request<Incoming>) -> Option<Refused> {
        if request.uri().path() == "/health" {
            return None;
        }
        admission::check(self.token.as_deref(), request).err()
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        if self.stopping.is_requested() {
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain",
                "stopping\n".into(),
            );
        }
        let overview = self.overview.load();
        let waiting: Vec<&str> = overview
            .groups
            .iter()
            .filter(|group| group.takes_requests && !group.group.has_healthy_target())
            .map(|group| group.group.name())
            .collect();
        if waiting.is_empty() {
            return text(StatusCode::OK, "text/plain", "ready\n".into());
        }
        let waiting = format!("no healthy target in: {}\n", waiting.join(", "));
        text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", waiting)
    }

    fn metrics(&self) -> Response<Full<Bytes>> {
        let overview = self.overview.load();
        let groups = overview.groups.iter().map(|group| &*group.group);
        text(
            StatusCode::OK,
            lintel_common::metrics::CONTENT_TYPE,
            self.metrics
                .render(groups, overview.settings.availability_zone.as_deref()),
        )
    }

    fn target_health(&self, query: Option<&str>) -> Response<Full<Bytes>> {
        let with_anomalies = match includes_anomalies(query.unwrap_or_default()) {
            Ok(with_anomalies) => with_anomalies,
            Err(error) => return json_response(StatusCode::BAD_REQUEST, &json!({"error": error})),
        };
        let shown = |health: TargetHealthDescription| ShownTarget {
            anomaly_detection: with_anomalies.then_some(health.anomaly_detection),
            health,
        };
        let overview = self.overview.load();
        let target_groups = overview
            .groups
            .iter()
            .map(|group| TargetGroupHealth {
                name: group.group.name(),
                targets: group.group.target_health().into_iter().map(shown).collect(),
            })
            .collect();
        json_response(StatusCode::OK, &TargetHealth { target_groups })
    }

    async fn reload(&self) -> Response<Full<Bytes>> {
        match request_reload(&self.control).await {
            Ok(changes) => json_response(StatusCode::OK, &changes),
            Err(error) => {
                let reason = error.to_string();
                let mut body = check::json(Err(error.into_diagnostics(&self.config)));
                body["error"] = json!(reason);
                json_response(StatusCode::UNPROCESSABLE_ENTITY, &body)
            }
        }
    }
}

/// As the parameter `Include` of DescribeTargetHealth.
fn includes_anomalies(query: &str) -> Result<bool, String> {
    let mut found = false;
    let included = query
        .split('&')
        .filter_map(|parameter| parameter.strip_prefix("include="));
    for what in included {
        match what {
            "AnomalyDetection" | "All" => found = true,
            _ => {
                return Err(format!(
                    "`{what}` cannot be included; write include=AnomalyDetection or leave it out"
                ));
            }
        }
    }
    Ok(found)
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn json_response(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_string(body) {
        Ok(body) => text(status, "application/json", body + "\n"),
        Err(error) => {
            tracing::error!(%error, "an admin answer could not be written");
            text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "text/plain",
                String::new(),
            )
        }
    }
}

fn refusal(refused: Refused) -> Response<Full<Bytes>> {
    let body = json!({"error": refused.to_string()});
    if refused != Refused::Token {
        return json_response(StatusCode::FORBIDDEN, &body);
    }
    let mut response = json_response(StatusCode::UNAUTHORIZED, &body);
    let bearer = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    response
}

fn not_allowed(allow: &'static str) -> Response<Full<Bytes>> {
    let body = json!({"error": format!("allowed here: {allow}")});
    let mut response = json_response(StatusCode::METHOD_NOT_ALLOWED, &body);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}
