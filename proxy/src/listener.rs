//! The way of a request, top to bottom. `Listener::handle` cannot fail: it opens the record, asks
//! `Listener::answer`, and turns an error into its page. `answer` calls each stage once and gets a value back; no stage
//! calls another.

mod response_body;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode, Version, request};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use lintel_common::server::{Connection, Event, Handler, Options};
use lintel_common::shutdown::Shutdown;

use crate::access_log::{Record, Recorder};
use crate::action::{Action, FixedResponse, Redirect, RedirectInput};
use crate::forward::headers::{self, ClientSide};
use crate::forward::pool::Pool;
use crate::forward::upgrade::Tunnel;
use crate::forward::{Forwarded, Forwarder, Group, Outgoing, RequestBody, TargetBody};
use crate::gateway_error::{self, GatewayError};
use crate::model::LoadBalancerSettings;
use crate::rule::{RuleInput, RuleTable};
pub use response_body::ResponseBody;
use response_body::Source;

/// What one listener does, as of the last reload. A request keeps the one it began with.
#[derive(Debug)]
pub struct Routes {
    pub settings: Arc<LoadBalancerSettings>,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// As bound.
    pub port: u16,
    pub rules: RuleTable,
    /// A forward action's index points in here.
    pub groups: Arc<[Group]>,
}

/// One worker's side of a listener.
#[derive(Debug)]
pub struct Listener {
    pub routes: Arc<ArcSwap<Routes>>,
    pub pool: Rc<Pool>,
    pub recorder: Rc<Recorder>,
    pub shutdown: Shutdown,
    options: RefCell<Option<(Arc<LoadBalancerSettings>, Rc<Options>)>>,
}

/// What a stage of ours or a target has said, before it is recorded.
enum Answer {
    Own(Response<Bytes>),
    Target(Response<TargetBody>),
    /// 101: the tunnel takes the record along.
    Switched(Response<Bytes>, Box<Tunnel>),
}

impl Listener {
    pub fn new(
        routes: Arc<ArcSwap<Routes>>,
        pool: Rc<Pool>,
        recorder: Rc<Recorder>,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            routes,
            pool,
            recorder,
            shutdown,
            options: RefCell::default(),
        }
    }

    async fn answer(
        &self,
        routes: &Routes,
        request: Request<Incoming>,
        connection: &Rc<Connection>,
        record: &mut Record,
    ) -> Result<Answer, GatewayError> {
        let (head, body) = request.into_parts();
        if matches!(head.method, Method::TRACE | Method::CONNECT) {
            return Err(GatewayError::MethodNotAllowed);
        }
        headers::check(&head)?;
        let host = headers::host(&head)?;
        let selected = routes.rules.select(&RuleInput {
            host,
            path: head.uri.path(),
        });
        match selected.action {
            Action::FixedResponse(fixed) => {
                record.rule(selected.priority, "fixed-response");
                record.fixed_response();
                Ok(Answer::Own(fixed_response(fixed)))
            }
            Action::Redirect(redirect) => {
                record.rule(selected.priority, "redirect");
                let response = redirect_response(redirect, routes, &head, host)?;
                record.redirect(response.headers()[LOCATION].clone());
                Ok(Answer::Own(response))
            }
            Action::Forward(forward) => {
                record.rule(selected.priority, "forward");
                let group = &routes.groups[forward.target_group];
                let request = Request::from_parts(head, body);
                self.forward(routes, group, request, connection, record)
                    .await
            }
        }
    }

    async fn forward(
        &self,
        routes: &Routes,
        group: &Group,
        request: Request<Incoming>,
        connection: &Rc<Connection>,
        record: &mut Record,
    ) -> Result<Answer, GatewayError> {
        let (mut head, body) = request.into_parts();
        let settings = &routes.settings;
        let client = ClientSide {
            peer: connection.peer,
            https: connection.tls.is_some(),
            port: routes.port,
            load_balancer: &settings.name,
        };
        let client_side = head.extensions.remove::<OnUpgrade>();
        let trace_id = headers::trace_id(&head.headers, record.created_at(), rand::random());
        let rewritten = headers::to_target(&mut head, &client, trace_id)?;
        record.trace_id(rewritten.trace_id);
        let outgoing = Outgoing {
            head,
            body: RequestBody::new(
                body,
                Rc::clone(connection),
                record.received(),
                rewritten.trailers,
            ),
            trailers: rewritten.trailers,
            websocket: rewritten.websocket,
        };
        let forwarder = Forwarder {
            pool: &self.pool,
            group,
            settings,
        };
        match forwarder.forward(outgoing, record).await? {
            Forwarded::Response(mut response) => {
                record.target_answered(response.status().as_u16());
                headers::to_client(response.headers_mut(), rewritten.trailers, false);
                // The version is each hop's own: with an HTTP/1.0 target's, a broken off body would look whole.
                *response.version_mut() = Version::HTTP_11;
                if response.status() == StatusCode::NO_CONTENT {
                    response.headers_mut().remove(CONTENT_LENGTH);
                }
                Ok(Answer::Target(response))
            }
            Forwarded::Switched {
                mut response,
                target,
                in_flight,
            } => {
                record.target_answered(response.status().as_u16());
                headers::to_client(response.headers_mut(), false, true);
                let tunnel = Tunnel {
                    client_side: client_side.ok_or(GatewayError::TargetUnexpectedUpgrade)?,
                    target_side: hyper::upgrade::on(&mut response),
                    target,
                    in_flight,
                    idle_timeout: settings.idle_timeout,
                    shutdown: self.shutdown.clone(),
                };
                Ok(Answer::Switched(
                    response.map(|_| Bytes::new()),
                    Box::new(tunnel),
                ))
            }
        }
    }

    async fn respond(
        self: Rc<Self>,
        request: Request<Incoming>,
        connection: Rc<Connection>,
        mut record: Record,
    ) -> Response<ResponseBody> {
        let routes = self.routes.load_full();
        let bodiless = request.method() == Method::HEAD;
        let response = match self
            .answer(&routes, request, &connection, &mut record)
            .await
        {
            Ok(Answer::Target(response)) => {
                record.answer(response.status().as_u16(), response.headers());
                response.map(Source::Target)
            }
            Ok(Answer::Own(response)) => {
                record.answer_own(response.status().as_u16(), response.headers(), None);
                response.map(Source::own)
            }
            Ok(Answer::Switched(response, tunnel)) => {
                record.answer(response.status().as_u16(), response.headers());
                record.upgraded();
                tokio::task::spawn_local(tunnel.run(record));
                return response.map(|_| ResponseBody::unrecorded());
            }
            Err(error) => {
                if error.closes_connection() {
                    connection.close();
                }
                let response = error.response();
                record.answer_own(error.status(), response.headers(), Some(error));
                response.map(Source::own)
            }
        };
        let bodiless = bodiless
            || matches!(
                response.status(),
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            );
        response.map(|source| ResponseBody::new(source, bodiless, record))
    }
}

impl Handler for Listener {
    type Body = ResponseBody;

    /// The record is opened at once and not when the answer is first polled: by then its client may have gone.
    fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        connection: Rc<Connection>,
    ) -> impl Future<Output = Response<ResponseBody>> + 'static {
        let record = Record::open(&self.recorder, &connection, &request);
        self.respond(request, connection, record)
    }

    fn tls(&self) -> Option<Arc<rustls::ServerConfig>> {
        self.routes.load().tls.clone()
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
            Event::HandshakeFailed { peer, error } => {
                tracing::debug!(%peer, %error, "TLS handshake failed");
                self.recorder.metrics.client_tls_negotiation_errors.inc();
            }
            Event::MalformedRequest { connection, error } => {
                tracing::debug!(peer = %connection.peer, %error, "malformed request");
                let error = if error.is_parse_too_large() {
                    GatewayError::RequestHeadTooLarge
                } else {
                    GatewayError::MalformedRequest
                };
                Record::unreadable(&self.recorder, connection, error);
            }
            Event::RequestTimeout { connection } => {
                Record::unreadable(&self.recorder, connection, GatewayError::RequestTimeout);
            }
        }
    }
}

pub fn server_options(settings: &LoadBalancerSettings, active: &prometheus::IntGauge) -> Options {
    Options {
        tls_handshake_timeout: settings.tls_handshake_timeout,
        request_header_timeout: settings.request_header_timeout,
        idle_timeout: settings.idle_timeout,
        client_keep_alive: Some(settings.client_keep_alive),
        date_header: false,
        preserve_header_case: true,
        active_connections: Some(active.clone()),
        ..Options::default()
    }
}

fn fixed_response(fixed: &FixedResponse) -> Response<Bytes> {
    let body = Bytes::copy_from_slice(fixed.message_body.as_bytes());
    let mut response = gateway_error::own(fixed.status_code, body);
    if let Some(content_type) = fixed.content_type_header() {
        let content_type = HeaderValue::from_static(content_type);
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, content_type);
    }
    response
}

fn redirect_response(
    redirect: &Redirect,
    routes: &Routes,
    head: &request::Parts,
    host: &str,
) -> Result<Response<Bytes>, GatewayError> {
    let location = redirect.location(&RedirectInput {
        protocol: if routes.tls.is_some() {
            "HTTPS"
        } else {
            "HTTP"
        },
        host: if host.is_empty() {
            &routes.settings.name
        } else {
            host
        },
        port: routes.port,
        path: head.uri.path(),
        query: head.uri.query().unwrap_or_default(),
    });
    if location.len() > Redirect::MAX_LOCATION_LENGTH {
        return Err(GatewayError::RedirectTooLong);
    }
    let location = HeaderValue::try_from(location).map_err(|_| GatewayError::MalformedRequest)?;
    let mut response = gateway_error::page(redirect.status_code);
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}
