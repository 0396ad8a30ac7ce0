//! The way of a request, top to bottom. `Listener::answer` calls each stage once and gets a value back; no stage calls
//! another. Around it, `http1` and `http2` speak with the client: they open the record, ask, turn an error into its
//! page, and move the response to where it belongs.

mod http1;
mod http2;
mod own;
mod routes;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::LOCATION;
use http::{Method, Response, Version};
use lintel_common::server::{
    Calls, Connection, Established, Event, Handler, Options, WatchedStream,
};
use lintel_common::shutdown::Shutdown;

use crate::access_log::{Record, Recorder};
use crate::action::Action;
use crate::connection_log::Failure;
use crate::desync::{Then, Verdict};
use crate::forward::client::Client;
use crate::forward::exchange::{Exchange, Outgoing};
use crate::forward::headers::{self, Asked, ClientSide};
use crate::forward::http1::Http1;
use crate::forward::http2::{Http2, Http2Exchange};
use crate::forward::pool::Pool;
use crate::forward::{Forwarder, Group};
use crate::gateway_error::GatewayError;
use crate::http1::{Length, RequestHead, ResponseHead};
use crate::model::{LoadBalancerSettings, ProtocolVersion};
use crate::rule::{RuleInput, Transformed, Transforms};
use crate::stickiness::Visit;
use crate::target_group::Target;
use own::{fixed_response, redirect_response};

pub use routes::{Routes, Tls};

/// On one connection; as an ALB.
const MOST_HTTP2_REQUESTS: u64 = 10_000;

/// One worker's side of a listener.
#[derive(Debug)]
pub struct Listener {
    pub routes: Arc<ArcSwap<Routes>>,
    pub pool: Rc<Pool>,
    pub recorder: Rc<Recorder>,
    pub shutdown: Shutdown,
    /// What `routes` was when a request last looked: their count of holders is shared by all workers, this one is not.
    current: RefCell<Rc<Current>>,
    options: RefCell<Option<(Arc<LoadBalancerSettings>, Rc<Options>)>>,
    crew: http2::Crew<http2::Http2Request>,
}

/// One worker's hold of the routes.
#[derive(Debug)]
struct Current(Arc<Routes>);

/// A request as it came in.
struct Inbound<'r> {
    routes: &'r Routes,
    head: &'r RequestHead,
    connection: &'r Connection,
    verdict: Verdict,
}

/// What a stage of ours or a target has said.
enum Answer {
    Own(Response<Bytes>),
    /// A target's, with what is left of the exchange; a 101 makes it a WebSocket.
    Target {
        head: ResponseHead,
        exchange: Exchange,
        trailers: bool,
    },
    /// The same of a target that speaks HTTP/2, for a client that does.
    Http2Target {
        head: ResponseHead,
        exchange: Box<Http2Exchange>,
        trailers: bool,
    },
}

impl Inbound<'_> {
    fn visit(&self, record: &Record) -> Visit<'_> {
        Visit {
            keys: &self.routes.keys,
            request: self.head.fields(),
            https: self.connection.tls.is_some(),
            now: record.started_at(),
        }
    }
}

impl Answer {
    /// A target's head, and who sent it.
    fn target(&mut self) -> Option<(&mut ResponseHead, &Target)> {
        match self {
            Self::Own(_) => None,
            Self::Target { head, exchange, .. } => Some((head, &*exchange.target)),
            Self::Http2Target { head, exchange, .. } => Some((head, &*exchange.target)),
        }
    }
}

impl Listener {
    pub fn new(
        routes: Arc<ArcSwap<Routes>>,
        pool: Rc<Pool>,
        recorder: Rc<Recorder>,
        shutdown: Shutdown,
    ) -> Self {
        let current = RefCell::new(Rc::new(Current(routes.load_full())));
        Self {
            routes,
            pool,
            recorder,
            shutdown,
            current,
            options: RefCell::default(),
            crew: http2::Crew::default(),
        }
    }

    fn current(&self) -> Rc<Current> {
        let now = self.routes.load();
        let mut current = self.current.borrow_mut();
        if !Arc::ptr_eq(&now, &current.0) {
            *current = Rc::new(Current(Arc::clone(&now)));
        }
        Rc::clone(&current)
    }

    async fn answer<C: Client>(
        &self,
        inbound: &Inbound<'_>,
        client: &mut C,
        record: &mut Record,
    ) -> Result<Answer, GatewayError> {
        let Inbound {
            routes,
            head,
            connection,
            verdict,
        } = *inbound;
        if let Some(classification) = verdict.classification {
            record.classified(classification);
        }
        if verdict.then == Then::Refuse {
            return Err(GatewayError::DesyncMitigation);
        }
        routes.certificates(connection)?;
        if matches!(*head.method(), Method::TRACE | Method::CONNECT) {
            return Err(GatewayError::MethodNotAllowed);
        }
        headers::check(head)?;
        let host = headers::host(head, routes.settings.request_headers.preserve_host)?;
        let selected = routes.rules.select(&RuleInput {
            host,
            head,
            peer: connection.peer.ip(),
            drop_invalid: routes.settings.request_headers.drop_invalid,
        });
        record.rules_evaluated(selected.evaluations);
        match selected.action {
            Action::FixedResponse(fixed) => {
                record.rule(selected.priority, "fixed-response");
                record.fixed_response();
                Ok(Answer::Own(fixed_response(fixed)))
            }
            Action::Redirect(redirect) => {
                record.rule(selected.priority, "redirect");
                let response = redirect_response(redirect, routes, head, host)?;
                record.redirect(response.headers()[LOCATION].clone());
                Ok(Answer::Own(response))
            }
            Action::Forward(forward) => {
                record.rule(selected.priority, "forward");
                let transformed = match selected.transforms {
                    Some(transforms) => Some(transform(transforms, head, host, record)?),
                    None => None,
                };
                let asked = Asked::of(head, host, transformed.as_deref());
                let visit = inbound.visit(record);
                let group = match forward.stickiness {
                    Some(_) => routes.group_again(forward, &visit, record),
                    None => forward.draw(rand::random),
                };
                let group = &routes.groups[group.ok_or(GatewayError::NoTargetGroup)?];
                let mut answer = self.forward(group, &asked, inbound, client, record).await?;
                if let Some(duration) = forward.stickiness
                    && let Some((head, _)) = answer.target()
                {
                    visit.bind_group(group.targets.name(), duration, head.fields_mut());
                }
                Ok(answer)
            }
        }
    }

    async fn forward<C: Client>(
        &self,
        group: &Group,
        asked: &Asked<'_>,
        inbound: &Inbound<'_>,
        client: &mut C,
        record: &mut Record,
    ) -> Result<Answer, GatewayError> {
        let Inbound {
            routes,
            head,
            connection,
            verdict,
        } = *inbound;
        if !is_spoken(group.version, head) {
            record.group(&group.metrics);
            return Err(GatewayError::ProtocolMismatch);
        }
        let settings = &routes.settings;
        let client_side = ClientSide {
            address: connection.peer_address(),
            address_port: connection.peer.port(),
            tls: connection.tls.as_ref(),
            certificates: routes.certificates(connection)?,
            port: routes.port,
            load_balancer: &settings.name,
            headers: settings.request_headers,
            modification: &routes.modification,
        };
        let buffers = &self.pool.buffers;
        let (mut trace_id, mut bytes) = (buffers.lend(), buffers.lend());
        let (now, random) = (record.created_at(), rand::random());
        headers::trace_id(head, now, random, &mut trace_id);
        let rewritten = headers::to_target(head, asked, &client_side, &trace_id, &mut bytes);
        record.trace_id(&trace_id);
        buffers.give_back(trace_id);
        let request = Outgoing {
            head: bytes,
            method: head.method().clone(),
            websocket: rewritten.websocket,
            has_body: head.length() != Length::Empty,
            last: verdict.then == Then::PassAndClose,
        };
        let trailers = rewritten.trailers || group.version == ProtocolVersion::Grpc;
        if head.fields().have_invalid_name() {
            record.invalid_names(head, settings.request_headers.drop_invalid);
        }
        let visit = inbound.visit(record);
        let bound = group.stickiness.as_ref();
        let bound = bound.and_then(|how| visit.target(how, group.targets.name()));
        let forwarder = Forwarder {
            pool: &self.pool,
            group,
            settings,
            bound,
        };
        let mut answer = match client.http2() {
            Some(stream) if group.version != ProtocolVersion::Http1 => {
                let forwarded = Box::pin(forwarder.forward(Http2, &request, stream, record)).await;
                forwarded.map(|(head, exchange)| Answer::Http2Target {
                    head,
                    exchange: Box::new(exchange),
                    trailers,
                })
            }
            _ => {
                let forwarded = forwarder.forward(Http1, &request, client, record).await;
                forwarded.map(|(head, exchange)| Answer::Target {
                    head,
                    exchange,
                    trailers,
                })
            }
        };
        buffers.give_back(request.head);
        if let Ok(answer) = &mut answer {
            answered(answer, group, &visit, bound, record);
        }
        answer
    }
}

/// Notes what the target has said, and binds the client to it where the group is sticky. `bound` is where its session was.
fn answered(
    answer: &mut Answer,
    group: &Group,
    visit: &Visit<'_>,
    bound: Option<SocketAddr>,
    record: &mut Record,
) {
    let Some((head, target)) = answer.target() else {
        return;
    };
    record.target_answered(head.status());
    if head.status() >= 500 {
        target.count_error();
    }
    if let Some(how) = &group.stickiness {
        let (name, target) = (group.targets.name(), target.address());
        visit.bind(how, name, bound, target, head.fields_mut());
        if bound != Some(target) {
            group.metrics.not_sticky(how);
        }
    }
}

impl Handler for Listener {
    fn http1(
        self: Rc<Self>,
        established: Established,
        connection: Rc<Connection>,
        options: Rc<Options>,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + 'static {
        http1::serve(self, established, connection, options, shutdown)
    }

    fn http2(
        self: Rc<Self>,
        stream: &mut WatchedStream,
        connection: &Rc<Connection>,
        options: &Options,
        calls: &Calls,
    ) -> impl Future<Output = ()> {
        http2::connection::drive(self, stream, connection, options, calls)
    }

    fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        let routes = self.routes.load();
        let tls = routes.tls.as_ref()?;
        Some(Arc::clone(&tls.config))
    }

    fn has_certificate_for(&self, name: &str) -> bool {
        let routes = self.routes.load();
        routes.tls.as_ref().is_some_and(|tls| tls.names.cover(name))
    }

    fn options(&self) -> Option<Rc<Options>> {
        let settings = Arc::clone(&self.routes.load().settings);
        let mut cached = self.options.borrow_mut();
        if let Some((of, options)) = &*cached
            && Arc::ptr_eq(of, &settings)
        {
            return Some(Rc::clone(options));
        }
        let gauge = &self.recorder.metrics.active_client_connections;
        let options = Rc::new(server_options(&settings, gauge));
        *cached = Some((settings, Rc::clone(&options)));
        Some(options)
    }

    fn event(&self, event: Event<'_>) {
        match event {
            Event::Accepted => self.recorder.metrics.new_client_connections.inc(),
            Event::Rejected { peer } => {
                tracing::debug!(%peer, "rejected: there are max_connections already");
                self.recorder.metrics.rejected_connections.inc();
            }
            Event::Established { connection } => {
                self.routes.load().keep_certificate(connection);
                self.recorder.connection(connection, None);
            }
            Event::HandshakeFailed {
                connection,
                failure,
            } => {
                let error = &failure.error;
                tracing::debug!(peer = %connection.peer, %error, "TLS handshake failed");
                self.recorder.metrics.client_tls_negotiation_errors.inc();
                let routes = self.routes.load();
                let mutual = routes.tls.as_ref().is_some_and(|tls| tls.clients.is_some());
                let failure = Failure { failure, mutual };
                self.recorder.connection(connection, Some(failure));
            }
            // Of hyper's HTTP/1.1, which this listener does not use.
            Event::MalformedRequest { .. } | Event::RequestTimeout { .. } => {}
        }
    }
}

/// What the target is to see; the record keeps what the client sent.
fn transform(
    transforms: &Transforms,
    head: &RequestHead,
    host: &str,
    record: &mut Record,
) -> Result<Rc<Transformed>, GatewayError> {
    let transformed = transforms.apply(host, head.path_and_query());
    let transformed = Rc::new(transformed.map_err(GatewayError::Transform)?);
    record.transformed(&transformed);
    Ok(transformed)
}

pub fn server_options(settings: &LoadBalancerSettings, active: &prometheus::IntGauge) -> Options {
    Options {
        tls_handshake_timeout: settings.tls_handshake_timeout,
        request_header_timeout: settings.request_header_timeout,
        idle_timeout: settings.idle_timeout,
        client_keep_alive: Some(settings.client_keep_alive),
        max_http2_requests: Some(MOST_HTTP2_REQUESTS),
        date_header: false,
        active_connections: Some(active.clone()),
        max_connections: settings.max_connections.or_else(most_connections),
        ..Options::default()
    }
}

/// Three of four descriptors: targets, logs and the admin endpoints need some too, and clients who only hold what they have
/// must not take these.
fn most_connections() -> Option<usize> {
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    usize::try_from(descriptors / 4 * 3).ok()
}

/// The ALB's matrix of what a client sends and what a group speaks.
fn is_spoken(version: ProtocolVersion, head: &RequestHead) -> bool {
    let http2 = head.version() == Version::HTTP_2;
    match version {
        ProtocolVersion::Http1 => !(http2 && headers::is_grpc(head)),
        ProtocolVersion::Http2 => http2,
        ProtocolVersion::Grpc => http2 && *head.method() == Method::POST,
    }
}
