//! What would happen to a request, as values. Pure: a model and a question in, an explanation out.

use std::net::IpAddr;
use std::time::Duration;

use http::Method;
use lintel_common::server::TlsInfo;

use super::question::Question;
use crate::action::{Action, FixedResponse, Forward, Redirect, RedirectInput};
use crate::desync;
use crate::forward::headers::{self, Asked, ClientSide};
use crate::gateway_error::GatewayError;
use crate::http1::RequestHead;
use crate::model::{ListenerProtocol, ListenerSettings, Model, ProtocolVersion};
use crate::rule::{RuleInput, Transformed};

#[derive(Debug)]
pub(super) struct Explanation {
    /// The request's first line as it was asked for.
    pub(super) request: String,
    pub(super) from: IpAddr,
    pub(super) listener: String,
    /// The rules that were tried before the one that was chosen: priority and why not.
    pub(super) tried: Vec<(u32, String)>,
    /// `None` if the request is refused before rules are looked at; 0 = the default rule.
    pub(super) rule: Option<u32>,
    pub(super) transformed: Option<Transformed>,
    pub(super) outcome: Outcome,
}

#[derive(Debug)]
pub(super) enum Outcome {
    Refused(GatewayError),
    Fixed {
        status: u16,
        content_type: Option<&'static str>,
        body: String,
    },
    Redirect {
        status: u16,
        location: String,
    },
    Forward {
        groups: Vec<Group>,
        /// The head that the target would see, line by line; the trace id would be another one.
        head: Vec<String>,
    },
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) weight: u32,
    /// Of the requests, from 0 to 1.
    pub(super) share: f64,
    pub(super) targets: Vec<String>,
    /// A client that speaks HTTP/1.1 would get a 464 from this group.
    pub(super) http2_only: bool,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no listener speaks {asked} at port {port}; the listeners here are {known}")]
pub(super) struct NoListener {
    asked: &'static str,
    port: u16,
    known: String,
}

pub(super) fn explain(model: &Model, question: &Question) -> Result<Explanation, NoListener> {
    let listener = listener(model, question)?;
    let head = &question.head;
    let mut explanation = Explanation {
        request: format!("{} {}", head.method(), head.path_and_query()),
        from: question.from,
        listener: shown(listener),
        tried: Vec::new(),
        rule: None,
        transformed: None,
        outcome: Outcome::Refused(GatewayError::MalformedRequest),
    };
    explanation.outcome = match admitted(model, head) {
        Ok(host) => choose(model, listener, question, host, &mut explanation),
        Err(error) => Outcome::Refused(error),
    };
    Ok(explanation)
}

/// The one that the URL's port and scheme lead to; if there are several, the one with the URL's address.
fn listener<'m>(model: &'m Model, question: &Question) -> Result<&'m ListenerSettings, NoListener> {
    let fits = |listener: &&ListenerSettings| {
        listener.port == question.port && is_https(listener) == question.https
    };
    let address: Option<IpAddr> = question.host.trim_matches(['[', ']']).parse().ok();
    let has_address = |listener: &&ListenerSettings| {
        address.is_some_and(|address| listener.addresses.contains(&address))
    };
    let mut fitting = model.listeners.iter().filter(fits);
    let first = fitting.clone().next();
    fitting.find(has_address).or(first).ok_or_else(|| {
        let known: Vec<String> = model.listeners.iter().map(shown).collect();
        NoListener {
            asked: if question.https { "HTTPS" } else { "HTTP" },
            port: question.port,
            known: known.join(", "),
        }
    })
}

fn is_https(listener: &ListenerSettings) -> bool {
    matches!(listener.protocol, ListenerProtocol::Https(_))
}

/// `HTTPS 0.0.0.0:443`
fn shown(listener: &ListenerSettings) -> String {
    let protocol = if is_https(listener) { "HTTPS" } else { "HTTP" };
    let sockets = listener
        .addresses
        .iter()
        .map(|&address| std::net::SocketAddr::new(address, listener.port).to_string());
    format!("{protocol} {}", sockets.collect::<Vec<_>>().join(" and "))
}

/// The host, if the request gets as far as the rules.
fn admitted<'h>(model: &Model, head: &'h RequestHead) -> Result<&'h str, GatewayError> {
    let mode = model.load_balancer.desync_mitigation_mode;
    if desync::judge(head, mode).then == desync::Then::Refuse {
        return Err(GatewayError::DesyncMitigation);
    }
    if matches!(*head.method(), Method::TRACE | Method::CONNECT) {
        return Err(GatewayError::MethodNotAllowed);
    }
    headers::check(head)?;
    headers::host(head, model.load_balancer.request_headers.preserve_host)
}

fn choose(
    model: &Model,
    listener: &ListenerSettings,
    question: &Question,
    host: &str,
    explanation: &mut Explanation,
) -> Outcome {
    let head = &question.head;
    let request = RuleInput {
        host,
        head,
        peer: question.from,
        drop_invalid: model.load_balancer.request_headers.drop_invalid,
    };
    let trials = listener.rules.trials(&request).into_iter();
    explanation.tried = trials
        .filter_map(|trial| Some((trial.rule.priority, trial.mismatch?)))
        .collect();
    let selected = listener.rules.select(&request);
    explanation.rule = Some(selected.priority);
    let outcome = match selected.action {
        Action::FixedResponse(fixed) => Ok(fixed_response(fixed)),
        Action::Redirect(redirect) => redirected(redirect, listener, head, host),
        Action::Forward(forward) => {
            let transformed = selected
                .transforms
                .map(|transforms| transforms.apply(host, head.path_and_query()))
                .transpose()
                .map_err(GatewayError::Transform);
            transformed.and_then(|transformed| {
                explanation.transformed = transformed;
                let made = explanation.transformed.as_ref();
                forwarded(
                    model,
                    listener,
                    question,
                    forward,
                    &Asked::of(head, host, made),
                )
            })
        }
    };
    outcome.unwrap_or_else(Outcome::Refused)
}

fn fixed_response(fixed: &FixedResponse) -> Outcome {
    Outcome::Fixed {
        status: fixed.status_code,
        content_type: fixed.content_type_header(),
        body: fixed.message_body.clone(),
    }
}

fn redirected(
    redirect: &Redirect,
    listener: &ListenerSettings,
    head: &RequestHead,
    host: &str,
) -> Result<Outcome, GatewayError> {
    let location = redirect.location(&RedirectInput {
        protocol: if is_https(listener) { "HTTPS" } else { "HTTP" },
        host,
        port: listener.port,
        path: head.path(),
        query: head.query().unwrap_or_default(),
    });
    if location.len() > Redirect::MAX_LOCATION_LENGTH {
        return Err(GatewayError::RedirectTooLong);
    }
    Ok(Outcome::Redirect {
        status: redirect.status_code,
        location,
    })
}

fn forwarded(
    model: &Model,
    listener: &ListenerSettings,
    question: &Question,
    forward: &Forward,
    asked: &Asked<'_>,
) -> Result<Outcome, GatewayError> {
    let weights = forward.target_groups.iter().map(|weighted| weighted.weight);
    let sum: u32 = weights.sum();
    if sum == 0 {
        return Err(GatewayError::NoTargetGroup);
    }
    let groups = forward.target_groups.iter().map(|weighted| {
        let settings = &model.target_groups[weighted.target_group];
        let targets = settings.targets.iter();
        Group {
            name: settings.name.clone(),
            weight: weighted.weight,
            share: f64::from(weighted.weight) / f64::from(sum),
            targets: targets.map(|target| target.address().to_string()).collect(),
            http2_only: settings.protocol_version != ProtocolVersion::Http1,
        }
    });
    Ok(Outcome::Forward {
        groups: groups.collect(),
        head: targets_head(model, listener, question, asked),
    })
}

/// A client's port and its TLS are not part of the question: the first of dynamic ports, and what most clients agree on.
fn targets_head(
    model: &Model,
    listener: &ListenerSettings,
    question: &Question,
    asked: &Asked<'_>,
) -> Vec<String> {
    let tls = is_https(listener).then(|| TlsInfo {
        protocol: rustls::ProtocolVersion::TLSv1_3,
        cipher_suite: rustls::CipherSuite::TLS13_AES_128_GCM_SHA256,
        server_name: None,
        key_exchange: None,
        handshake: Duration::ZERO,
        resumed: false,
        client_certificates: Vec::new(),
    });
    let address = question.from.to_string();
    let client = ClientSide {
        address: &address,
        address_port: 49152,
        tls: tls.as_ref(),
        certificates: None,
        port: listener.port,
        load_balancer: &model.load_balancer.name,
        headers: model.load_balancer.request_headers,
        modification: &listener.headers,
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    let (mut trace_id, mut bytes) = (Vec::new(), Vec::new());
    headers::trace_id(&question.head, now, rand::random(), &mut trace_id);
    headers::to_target(&question.head, asked, &client, &trace_id, &mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    text.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}
