//! The way of every request: [`App`] answers whatever happens. Around the handlers, which may fail, it
//! puts a time limit and a net for panics, turns errors into pages or JSON, and counts.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{ALLOW, HeaderValue, RETRY_AFTER};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use ipnet::IpNet;
use lintel_common::metrics::GaugeGuard;
use lintel_common::server::{
    Connection, Established, Event, Handler, Options, Service, connection,
};
use lintel_common::shutdown::Shutdown;
use tokio::sync::watch;

use crate::app_error::{AppError, Doing};
use crate::csrf::Csrf;
use crate::entries::Entries;
use crate::metrics::Metrics;
use crate::pages::{self, Assets, Frame};
use crate::respond::{self, Answer};
use crate::routes::{self, NoRoute};
use crate::visit::Visit;
use crate::{api, handlers};

/// Bounds a request: above the limits of its parts (the body's arrival and one operation), below the
/// default shutdown timeout, so that a stop loses no answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(24);

/// How long a request waits for the database at the start of the process.
const START_LIMIT: Duration = Duration::from_secs(2);

/// What all requests of the process share.
pub(crate) struct App {
    pub(crate) instance_id: String,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) csrf: Csrf,
    pub(crate) metrics: Metrics,
    pub(crate) assets: Assets,
    entries: Entries,
    reached: watch::Sender<bool>,
    stopping: Cell<bool>,
}

impl App {
    pub(crate) fn new(
        instance_id: String,
        trusted_proxies: Vec<IpNet>,
        csrf: Csrf,
        entries: Entries,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            instance_id,
            trusted_proxies,
            csrf,
            metrics: Metrics::new()?,
            assets: Assets::new(),
            entries,
            reached: watch::Sender::new(false),
            stopping: Cell::new(false),
        })
    }

    /// The entries, once the database was reached and its tables are there. At the start that is
    /// waited for: an instance that was started again may still be among the load balancer's healthy
    /// ones, and its first requests must not fail for some milliseconds.
    pub(crate) async fn entries(&self) -> Result<&Entries, AppError> {
        let mut reached = self.reached.subscribe();
        match tokio::time::timeout(START_LIMIT, reached.wait_for(|&reached| reached)).await {
            Ok(Ok(_)) => Ok(&self.entries),
            Ok(Err(_)) | Err(_) => Err(AppError::NotReady),
        }
    }

    pub(crate) fn is_reached(&self) -> bool {
        *self.reached.borrow()
    }

    /// The entries' store, reached or not.
    pub(crate) fn store(&self) -> &Entries {
        &self.entries
    }

    pub(crate) fn database_reached(&self) {
        self.reached.send_replace(true);
        self.metrics.database_reached.set(1);
    }

    pub(crate) fn stop(&self) {
        self.stopping.set(true);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    pub(crate) fn frame<'a>(&'a self, visit: &'a Visit) -> Frame<'a> {
        Frame {
            instance_id: &self.instance_id,
            database: self.entries.database().kind(),
            assets: &self.assets,
            visit,
        }
    }

    /// A token for the forms of a page that is made now.
    pub(crate) fn csrf_token(&self) -> String {
        self.csrf.token(now())
    }

    async fn answer(&self, request: Request<Incoming>, visit: &Visit) -> (&'static str, Answer) {
        let api = routes::is_api(request.uri().path());
        let (name, result) = match routes::find(request.method(), request.uri().path()) {
            Ok(route) => {
                let doing = doing(request.method());
                let handled = handlers::call(self, route, request, visit);
                (route.name(), guarded(doing, handled).await)
            }
            Err(NoRoute::NotFound) => ("none", Err(AppError::NotFound)),
            Err(NoRoute::MethodNotAllowed(allow)) => {
                ("none", Err(AppError::MethodNotAllowed(allow)))
            }
            Err(NoRoute::Options(allow)) => {
                let mut answer = respond::empty(StatusCode::NO_CONTENT);
                set_allow(&mut answer, &allow);
                ("none", Ok(answer))
            }
        };
        let answer = result.unwrap_or_else(|error| {
            self.note(name, &error);
            self.error_answer(&error, visit, api)
        });
        (name, answer)
    }

    fn error_answer(&self, error: &AppError, visit: &Visit, api: bool) -> Answer {
        let mut answer = if api {
            api::error(error)
        } else {
            respond::page(
                error.status(),
                pages::error(&self.frame(visit), error, &self.csrf_token()),
            )
        };
        if let AppError::MethodNotAllowed(allow) = error {
            set_allow(&mut answer, allow);
        }
        if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            answer
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        answer
    }

    /// Logs what the operator must know; a person's mistakes are their own business.
    fn note(&self, route: &'static str, error: &AppError) {
        match error {
            AppError::Form(form) => self.note(route, &form.error),
            AppError::Database { error, .. } => {
                self.metrics.database_errors.inc();
                tracing::error!(%error, route, "the database did not carry out an operation");
            }
            AppError::Panicked => {
                self.metrics.panics.inc();
                tracing::error!(route, "a request ended in a panic; it was answered 500");
            }
            AppError::TimedOut(_) => {
                tracing::error!(route, "a request was given up after its time limit");
            }
            AppError::NotUtf8
            | AppError::NotJson(_)
            | AppError::OtherId
            | AppError::BodyBroken
            | AppError::CrossSite
            | AppError::Token(_)
            | AppError::NotFound
            | AppError::MethodNotAllowed(_)
            | AppError::BodyTimedOut
            | AppError::TooLarge
            | AppError::MediaType(_)
            | AppError::Fields(_)
            | AppError::NotReady => {
                tracing::debug!(route, status = error.status().as_u16(), "refused");
            }
        }
    }
}

impl Handler for App {
    fn http1(
        self: Rc<Self>,
        established: Established,
        connection: Rc<Connection>,
        options: Rc<Options>,
        shutdown: Shutdown,
    ) -> impl Future<Output = ()> + 'static {
        connection::http1(established, self, connection, options, shutdown)
    }

    fn event(&self, event: Event<'_>) {
        match event {
            Event::Accepted | Event::Rejected { .. } => {}
            Event::Established { .. }
            | Event::HandshakeFailed { .. }
            | Event::MalformedRequest { .. }
            | Event::RequestTimeout { .. } => {
                self.metrics.malformed_requests.inc();
                tracing::debug!(?event, "no request");
            }
        }
    }
}

impl Service for App {
    type Body = Full<Bytes>;

    async fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        connection: Rc<Connection>,
    ) -> Answer {
        let begun = Instant::now();
        let _in_flight = GaugeGuard::new(&self.metrics.requests_in_flight);
        let visit = Visit::new(request.headers(), &connection, &self.trusted_proxies);
        let (route, answer) = self.answer(request, &visit).await;
        let took = begun.elapsed();
        self.metrics.answered(route, answer.status(), took);
        tracing::debug!(route, status = answer.status().as_u16(), client = %visit.client, ?took, "answered");
        answer
    }
}

/// Whatever a handler does, it ends, in time, with a result.
async fn guarded(
    doing: Doing,
    handled: impl Future<Output = Result<Answer, AppError>>,
) -> Result<Answer, AppError> {
    let handled = AssertUnwindSafe(handled).catch_unwind();
    match tokio::time::timeout(REQUEST_LIMIT, handled).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(AppError::Panicked),
        Err(_elapsed) => Err(AppError::TimedOut(doing)),
    }
}

fn doing(method: &Method) -> Doing {
    if method.is_safe() {
        Doing::Reading
    } else {
        Doing::Changing
    }
}

fn set_allow(answer: &mut Answer, allow: &str) {
    if let Ok(allow) = HeaderValue::from_str(allow) {
        answer.headers_mut().insert(ALLOW, allow);
    }
}

/// Since the Unix epoch.
pub(crate) fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_of_its_request() {
        let result = guarded(Doing::Changing, async { panic!("on purpose") }).await;
        assert!(matches!(result, Err(AppError::Panicked)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_ends_in_time() {
        let result = guarded(Doing::Changing, std::future::pending()).await;
        assert!(matches!(result, Err(AppError::TimedOut(Doing::Changing))));
    }
}
