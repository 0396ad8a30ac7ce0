//! A new configuration onto a running load balancer: everything that can fail is done first, then all of it is put in
//! place. Groups of the same name keep their targets' health, counts and connections; listeners on the same address keep
//! their socket and their clients; requests under way end under the rules they began with.

use std::path::PathBuf;
use std::sync::Arc;

use lintel_common::tls::TargetTls;
use serde::Serialize;

use super::control::{Control, ListenerKey, RunningGroup, RunningListener, Secrets, bind, keyed};
use super::{ReloadError, StartError, certificates};
use crate::forward::{Group, RetryBudget};
use crate::listener::Routes;
use crate::model::{
    ListenerProtocol, ListenerSettings, LoadBalancerSettings, Model, ProtocolVersion,
    TargetGroupSettings, TargetProtocol,
};

use crate::secret_keys::{Keys, Purpose};
use crate::session_tickets::SessionTickets;
use crate::target_group::TargetGroup;

/// What a reload did, by name.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Changes {
    pub listeners: Difference,
    pub target_groups: Difference,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
}

impl Control {
    pub(super) async fn apply(&mut self, mut model: Model) -> Result<Changes, ReloadError> {
        needs_restart(&self.model.load_balancer, &model.load_balancer)?;
        // `workers = 0` may be resolved differently when the machine's cores change; the threads stay what they are.
        model.load_balancer.workers = self.workers.len();
        let seen = certificates::see(&model);
        let groups = self.groups_of(&model);
        let tls = target_tls(&model, &groups)?;
        let routing = self.routing_groups(&model, &groups, &tls);
        let secrets = self.secrets_of(&model)?;
        self.retired
            .retain(|listener| listener.trigger.is_watched());
        let mut opened = Vec::<(_, (RunningListener, _))>::new();
        let mut replaced = Vec::new();
        for (key, listener) in keyed(&model) {
            if let Some(running) = self.listeners.get(&key) {
                let port = running.address.port();
                replaced.push((
                    key,
                    Self::routes(&model, listener, port, &routing, &secrets)?,
                ));
                continue;
            }
            let ours = self.holds(key.1) || opened.iter().any(|(_, (other, _))| other.has(key.1));
            let bound = bind(key, model.load_balancer.workers, ours)?;
            let address = bound
                .first()
                .map_or_else(|| (key.0, key.1).into(), |bound| bound.1);
            let routes = Self::routes(&model, listener, address.port(), &routing, &secrets)?;
            opened.push((key, RunningListener::open(address, routes, bound)));
        }
        let changes = self.changes(&model);
        // Nothing below can fail.
        self.replace_groups(&model, groups, tls);
        for (key, routes) in replaced {
            if let Some(running) = self.listeners.get(&key) {
                running.routes.store(Arc::new(routes));
            }
        }
        self.remove_listeners(&model);
        for (key, (running, sockets)) in opened {
            self.listeners.insert(key, running);
            for (worker, socket) in self.workers.iter().zip(sockets) {
                if worker.sockets.send(socket).await.is_err() {
                    tracing::error!("a worker is gone; its share of a new listener is not served");
                }
            }
        }
        self.model = model;
        self.certificates_seen = seen;
        self.secrets = secrets;
        self.publish();
        tracing::info!(?changes, "configuration reloaded");
        Ok(changes)
    }

    /// The groups that the model asks for: those of a known name as they run, the others new.
    pub(super) fn groups_of(&self, model: &Model) -> Vec<Arc<TargetGroup>> {
        let running = |name: &str| {
            self.groups
                .iter()
                .find(|running| running.group.name() == name)
        };
        model
            .target_groups
            .iter()
            .map(|settings| match running(&settings.name) {
                Some(running) => Arc::clone(&running.group),
                None => TargetGroup::new(settings.clone()),
            })
            .collect()
    }

    pub(super) fn routing_groups(
        &self,
        model: &Model,
        groups: &[Arc<TargetGroup>],
        tls: &[Arc<TargetTls>],
    ) -> Arc<[Group]> {
        let before = self.listeners.values().next();
        let before = before.map(|running| Arc::clone(&running.routes.load().groups));
        let budget = |group: &Arc<TargetGroup>| -> Arc<RetryBudget> {
            let known = before.iter().flat_map(|groups| groups.iter());
            let mut known = known.filter(|known| Arc::ptr_eq(&known.targets, group));
            let budget = known.next().map(|known| Arc::clone(&known.budget));
            budget.unwrap_or_default()
        };
        let routing =
            |((settings, group), tls): ((&TargetGroupSettings, &Arc<_>), &Arc<_>)| Group {
                targets: Arc::clone(group),
                metrics: self.metrics.group(&settings.name),
                // What was spent stays spent.
                budget: budget(group),
                version: settings.protocol_version,
                stickiness: settings.stickiness.clone(),
                target_keep_alive: settings.target_keep_alive,
                tls: match settings.protocol {
                    TargetProtocol::Http => None,
                    TargetProtocol::Https(_) => Some(Arc::clone(tls)),
                },
            };
        let groups = model.target_groups.iter().zip(groups);
        groups.zip(tls).map(routing).collect()
    }

    /// From the files that the model names; without any those that this process has made for itself.
    pub(super) fn secrets_of(&self, model: &Model) -> Result<Secrets, StartError> {
        let files = &model.load_balancer.secret_key_files;
        if files.is_empty() {
            return Ok(self.random_secrets.clone());
        }
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| StartError::SecretKey {
                path: path.display().to_string(),
                source,
            })
        };
        let secrets = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let tickets = Keys::derived(&secrets, Purpose::SessionTickets)?;
        Ok(Secrets {
            stickiness: Arc::new(Keys::derived(&secrets, Purpose::Stickiness)?),
            tickets: Arc::new(SessionTickets(tickets)),
        })
    }

    pub(super) fn routes(
        model: &Model,
        listener: &ListenerSettings,
        port: u16,
        groups: &Arc<[Group]>,
        secrets: &Secrets,
    ) -> Result<Routes, StartError> {
        let settings = Arc::new(model.load_balancer.clone());
        let tls = match &listener.protocol {
            ListenerProtocol::Http => None,
            ListenerProtocol::Https(tls) => Some(certificates::make(
                tls,
                settings.enable_http2,
                Arc::clone(&secrets.tickets),
            )?),
        };
        Ok(Routes {
            settings,
            tls,
            port,
            modification: Arc::clone(&listener.headers),
            rules: listener.rules.clone(),
            groups: Arc::clone(groups),
            keys: Arc::clone(&secrets.stickiness),
        })
    }

    fn replace_groups(
        &mut self,
        model: &Model,
        groups: Vec<Arc<TargetGroup>>,
        tls: Vec<Arc<TargetTls>>,
    ) {
        let log = self.health_check_log();
        let mut old = std::mem::take(&mut self.groups);
        let groups = groups.into_iter().zip(tls);
        for ((group, tls), settings) in groups.zip(&model.target_groups) {
            group.set_tls(tls);
            let known = old
                .iter()
                .position(|running| Arc::ptr_eq(&running.group, &group));
            if let Some(at) = known {
                group.update(settings.clone());
                self.groups.push(old.swap_remove(at));
            } else {
                let running = RunningGroup::new(group);
                running.spawn(log.as_ref());
                self.groups.push(running);
            }
        }
        old.iter().for_each(RunningGroup::stop);
    }

    fn remove_listeners(&mut self, model: &Model) {
        let wanted: Vec<ListenerKey> = keyed(model).map(|(key, _)| key).collect();
        let bound = model.load_balancer.shutdown_timeout;
        let removed = self.listeners.extract_if(|key, _| !wanted.contains(key));
        for (_, listener) in removed {
            let trigger = listener.trigger.clone();
            trigger.request();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(bound).await;
                trigger.expire();
            });
            self.retired.push(listener);
        }
    }

    fn changes(&self, model: &Model) -> Changes {
        let mut changes = Changes::default();
        let settings_changed = self.model.load_balancer != model.load_balancer;
        let old: Vec<_> = keyed(&self.model).collect();
        let new: Vec<_> = keyed(model).collect();
        let name = |key: &ListenerKey| std::net::SocketAddr::new(key.0, key.1).to_string();
        for (key, listener) in &new {
            match old.iter().find(|(known, _)| known == key) {
                None => changes.listeners.added.push(name(key)),
                Some((_, before)) if settings_changed || *before != *listener => {
                    changes.listeners.changed.push(name(key));
                }
                Some(_) => {}
            }
        }
        for (key, _) in old
            .iter()
            .filter(|(key, _)| !new.iter().any(|(known, _)| known == key))
        {
            changes.listeners.removed.push(name(key));
        }
        let before = &self.model.target_groups;
        let groups = &mut changes.target_groups;
        for group in &model.target_groups {
            match before.iter().find(|known| known.name == group.name) {
                None => groups.added.push(group.name.clone()),
                Some(known) if known != group => groups.changed.push(group.name.clone()),
                Some(_) => {}
            }
        }
        let gone = |known: &&TargetGroupSettings| {
            !model
                .target_groups
                .iter()
                .any(|group| group.name == known.name)
        };
        groups
            .removed
            .extend(before.iter().filter(gone).map(|known| known.name.clone()));
        changes
    }
}

/// TLS towards the targets of each group: what the group has, unless its files or names have changed.
pub(super) fn target_tls(
    model: &Model,
    groups: &[Arc<TargetGroup>],
) -> Result<Vec<Arc<TargetTls>>, StartError> {
    let made = |(settings, group): (&TargetGroupSettings, &Arc<TargetGroup>)| {
        let alpn: &[&[u8]] = match settings.protocol_version {
            ProtocolVersion::Http1 => &[b"http/1.1"],
            ProtocolVersion::Http2 | ProtocolVersion::Grpc => &[b"h2"],
        };
        let new = match &settings.protocol {
            TargetProtocol::Http | TargetProtocol::Https(None) => TargetTls::unverified(alpn),
            TargetProtocol::Https(Some(how)) => {
                TargetTls::verified(&how.ca, how.server_name.as_deref(), alpn)
            }
        }?;
        let known = group.tls().filter(|known| known.is_like(&new));
        Ok(known.unwrap_or_else(|| Arc::new(new)))
    };
    model.target_groups.iter().zip(groups).map(made).collect()
}

/// What threads and open files were made of cannot be exchanged under them.
fn needs_restart(
    old: &LoadBalancerSettings,
    new: &LoadBalancerSettings,
) -> Result<(), ReloadError> {
    let fixed = [
        ("name", old.name == new.name),
        ("workers", old.workers == new.workers),
        ("admin", old.admin == new.admin),
        (
            "admin_token_file",
            old.admin_token_file == new.admin_token_file,
        ),
        ("access_logs", old.access_logs == new.access_logs),
        (
            "connection_logs",
            old.connection_logs == new.connection_logs,
        ),
        (
            "health_check_logs",
            old.health_check_logs == new.health_check_logs,
        ),
    ];
    match fixed.iter().find(|(_, same)| !same) {
        Some((key, _)) => Err(ReloadError::NeedsRestart(key)),
        None => Ok(()),
    }
}
