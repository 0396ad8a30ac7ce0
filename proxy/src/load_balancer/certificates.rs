//! The TLS of HTTPS listeners: made of its files, made anew when they change. A listener whose files cannot be used keeps
//! what it has. The configuration file is not looked at here: that is for a reload.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lintel_common::tls::{self, MutualAuthentication, SslPolicy};
use rustls::server::ProducesTickets;

use super::StartError;
use super::control::{Control, ListenerKey, keyed};
use crate::forward::client_certificate::ClientCertificates;
use crate::listener::{Routes, Tls};
use crate::model::{ListenerProtocol, Model, TlsSettings};

/// How often the files are looked at.
pub(super) const LOOK: Duration = Duration::from_secs(2);

/// How long that may take: a disk that does not answer costs only news.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// When each file was changed last and how long it is; `None` while it is not there.
pub(super) type Seen = HashMap<PathBuf, Option<(SystemTime, u64)>>;

/// What a listener of these settings shakes hands with.
pub(super) fn make(
    settings: &TlsSettings,
    http2: bool,
    tickets: Arc<dyn ProducesTickets>,
) -> Result<Tls, StartError> {
    let certificates = std::iter::once(&settings.certificate)
        .chain(&settings.additional_certificates)
        .map(|files| tls::load_certified_key(&files.chain, &files.key))
        .collect::<Result<Vec<_>, _>>()?;
    let not_after = certificates.iter().map(tls::not_after).collect();
    let policy = SslPolicy::by_name(&settings.ssl_policy)
        .ok_or_else(|| StartError::SslPolicy(settings.ssl_policy.clone()))?;
    let mutual = &settings.mutual_authentication;
    let (config, names) = tls::named_server_config(certificates, policy, http2, tickets, mutual)?;
    Ok(Tls {
        config,
        names,
        not_after,
        clients: client_certificates(settings).map(Arc::new),
    })
}

/// What targets are told of clients' certificates, where they are asked for.
fn client_certificates(settings: &TlsSettings) -> Option<ClientCertificates> {
    let mutual = settings.mutual_authentication.clone();
    (mutual != MutualAuthentication::Off).then(|| ClientCertificates {
        mutual,
        fields: settings.certificate_fields.clone(),
    })
}

/// The files of all HTTPS listeners as they are now.
pub(super) fn see(model: &Model) -> Seen {
    let files = of_https(model).flat_map(|(_, settings)| files(settings));
    files.map(|path| (path.clone(), look_at(path))).collect()
}

fn look_at(path: &PathBuf) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn of_https(model: &Model) -> impl Iterator<Item = (ListenerKey, &TlsSettings)> {
    keyed(model).filter_map(|(key, listener)| match &listener.protocol {
        ListenerProtocol::Http => None,
        ListenerProtocol::Https(tls) => Some((key, &**tls)),
    })
}

fn files(settings: &TlsSettings) -> impl Iterator<Item = &PathBuf> {
    let certificates =
        std::iter::once(&settings.certificate).chain(&settings.additional_certificates);
    let trust_store = match &settings.mutual_authentication {
        MutualAuthentication::Verify(store) => Some(store),
        MutualAuthentication::Off | MutualAuthentication::Passthrough => None,
    };
    let trusted = trust_store.into_iter();
    certificates
        .flat_map(|files| [&files.chain, &files.key])
        .chain(
            trusted.flat_map(|store| {
                std::iter::once(&store.certificates).chain(&store.revocation_lists)
            }),
        )
}

impl Control {
    /// Takes over what has changed.
    pub(super) async fn look_at_certificates(&mut self) {
        let (model, before) = (self.model.clone(), self.certificates_seen.clone());
        let tickets = Arc::clone(&self.secrets.tickets);
        let looking = tokio::task::spawn_blocking(move || {
            let now = see(&model);
            let changed = (now != before).then(|| remade(&model, &before, &now, &tickets));
            (now, changed)
        });
        let Ok(Ok((now, Some(remade)))) = tokio::time::timeout(LOOK_LIMIT, looking).await else {
            return;
        };
        self.certificates_seen = now;
        for (key, made) in remade {
            let Some(running) = self.listeners.get(&key) else {
                continue;
            };
            let listener = running.address;
            let made = made.and_then(|tls| unless_expired(tls, running.routes.load().tls.as_ref()));
            let result = if made.is_ok() { "applied" } else { "refused" };
            let counted = &self.metrics.certificate_reloads;
            counted.with_label_values(&[result]).inc();
            match made {
                Ok(tls) => {
                    let old = running.routes.load_full();
                    running.routes.store(Arc::new(Routes {
                        tls: Some(tls),
                        ..(*old).clone()
                    }));
                    tracing::info!(%listener, "certificate files have changed and are in use");
                }
                Err(error) => {
                    tracing::warn!(%listener, %error, "certificate files have changed and cannot be used; the ones before stay in use");
                }
            }
        }
        self.publish();
    }
}

/// A certificate that has expired does not take the place of one that has not.
fn unless_expired(tls: Tls, before: Option<&Tls>) -> Result<Tls, StartError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs().cast_signed());
    let expired = |not_after: &Option<i64>| not_after.is_some_and(|not_after| not_after < now);
    let before = before.map_or(&[][..], |before| &before.not_after);
    let mut both = tls.not_after.iter().zip(before);
    if both.any(|(after, before)| expired(after) && !expired(before)) {
        return Err(StartError::ExpiredCertificate);
    }
    Ok(tls)
}

/// TLS anew for the listeners of which a file has changed.
fn remade(
    model: &Model,
    before: &Seen,
    now: &Seen,
    tickets: &Arc<dyn ProducesTickets>,
) -> Vec<(ListenerKey, Result<Tls, StartError>)> {
    let http2 = model.load_balancer.enable_http2;
    of_https(model)
        .filter(|(_, settings)| files(settings).any(|path| before.get(path) != now.get(path)))
        .map(|(key, settings)| (key, make(settings, http2, Arc::clone(tickets))))
        .collect()
}
