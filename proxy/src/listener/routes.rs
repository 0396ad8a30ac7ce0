//! What one listener does with requests, made of the configuration by every reload.

use std::sync::Arc;

use lintel_common::server::Connection;
use lintel_common::tls::CertificateNames;

use crate::access_log::Record;
use crate::action::Forward;
use crate::forward::Group;
use crate::forward::client_certificate::ClientCertificates;
use crate::gateway_error::GatewayError;
use crate::model::{CertificateFields, HeaderModification, LoadBalancerSettings};
use crate::rule::RuleTable;
use crate::secret_keys::Keys;
use crate::stickiness::Visit;

/// As of the last reload. A request keeps the one it began with.
#[derive(Debug, Clone)]
pub struct Routes {
    pub settings: Arc<LoadBalancerSettings>,
    pub tls: Option<Tls>,
    /// As bound.
    pub port: u16,
    pub modification: Arc<HeaderModification>,
    pub rules: RuleTable,
    /// A forward action's index points in here.
    pub groups: Arc<[Group]>,
    /// Of sticky sessions.
    pub keys: Arc<Keys>,
}

/// What an HTTPS listener has of its files.
#[derive(Debug, Clone)]
pub struct Tls {
    pub config: Arc<rustls::ServerConfig>,
    /// That its certificates are for.
    pub names: CertificateNames,
    /// When each of its certificates expires, in seconds of Unix time; `None` where that cannot be read.
    pub not_after: Vec<Option<i64>>,
    /// Where clients are asked for certificates.
    pub clients: Option<Arc<ClientCertificates>>,
}

impl Routes {
    /// The group to which the client was bound, if the action has it still; else whichever is drawn.
    pub(super) fn group_again(
        &self,
        forward: &Forward,
        visit: &Visit<'_>,
        record: &mut Record,
    ) -> Option<usize> {
        let named = |name: String| {
            let mut groups = forward.target_groups.iter().map(|group| group.target_group);
            groups.find(|group| self.groups[*group].targets.name() == name)
        };
        let bound = visit.group().and_then(named);
        if bound.is_none() && visit.has_group_cookie() {
            record.error_reason("AWSALBTGCookieInvalid");
        }
        bound.or_else(|| forward.draw(rand::random))
    }

    /// What targets are told of the client's certificate. It must have been asked for as it is now: what another
    /// configuration let pass is not what this one calls verified.
    pub(super) fn certificates<'r>(
        &'r self,
        connection: &'r Connection,
    ) -> Result<Option<(&'r ClientCertificates, &'r [u8])>, GatewayError> {
        let told = self.tls.as_ref().and_then(|tls| tls.clients.as_deref());
        let Some(told) = told else {
            return Ok(None);
        };
        let shown = connection.kept.get().and_then(|kept| kept.downcast_ref());
        match shown {
            Some(Shown { under, lines }) if **under == *told => Ok(Some((told, lines))),
            _ => Err(GatewayError::CertificateNotShown),
        }
    }

    /// Whether trailers of requests may be passed on. Not where fields that only the load balancer says have names of
    /// the listener's own: a client shall not say them behind its content either.
    pub(super) fn relays_trailers(&self) -> bool {
        let clients = self.tls.as_ref().and_then(|tls| tls.clients.as_ref());
        let renames =
            |clients: &Arc<ClientCertificates>| clients.fields != CertificateFields::default();
        !self.modification.renames_tls() && !clients.is_some_and(renames)
    }

    /// The handshake has been made: works out what targets are told, once for all requests.
    pub(super) fn keep_certificate(&self, connection: &Connection) {
        if let Some(tls) = &self.tls
            && let Some(under) = &tls.clients
            && let Some(shaken) = &connection.tls
            // Else a reload came between, and nobody knows what was asked for.
            && connection
                .tls_config
                .as_ref()
                .is_some_and(|with| Arc::ptr_eq(&tls.config, with))
        {
            let lines = under.lines(&shaken.client_certificates);
            let under = Arc::clone(under);
            // Nobody else keeps anything there.
            let _ = connection.kept.set(Box::new(Shown { under, lines }));
        }
    }
}

/// Of a connection's client: the lines about its certificate, and how that was asked for.
struct Shown {
    under: Arc<ClientCertificates>,
    lines: Vec<u8>,
}
