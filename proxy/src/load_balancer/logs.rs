//! The logs that the configuration asks for, each behind a thread of its own.

use std::time::Duration;

use prometheus::IntCounter;

use super::StartError;
use crate::log_file::LogFile;
use crate::metrics::Metrics;
use crate::model::{LoadBalancerSettings, LogPath, LogSettings};

#[derive(Debug)]
pub(super) struct Logs {
    pub(super) access: Option<LogFile>,
    pub(super) connection: Option<LogFile>,
    pub(super) health_check: Option<LogFile>,
}

impl Logs {
    pub(super) fn start(
        settings: &LoadBalancerSettings,
        metrics: &Metrics,
    ) -> Result<Self, StartError> {
        Ok(Self {
            access: start(
                ("access log", "access_logs"),
                settings.access_logs.as_ref(),
                &metrics.access_log_dropped,
            )?,
            connection: start(
                ("connection log", "connection_logs"),
                settings.connection_logs.as_ref(),
                &metrics.connection_log_dropped,
            )?,
            health_check: start(
                ("health check log", "health_check_logs"),
                settings.health_check_logs.as_ref(),
                &metrics.health_check_log_dropped,
            )?,
        })
    }

    fn all(&self) -> impl Iterator<Item = &LogFile> {
        let all = [&self.access, &self.connection, &self.health_check];
        all.into_iter().flatten()
    }

    /// The files were renamed: go on with new ones of the old names.
    pub(super) fn reopen(&self) {
        self.all().for_each(LogFile::reopen);
    }

    /// Waits until all lines are written, at most `bound` for each log.
    pub(super) fn flush(&self, bound: Duration) {
        for log in self.all() {
            let lost = log.flush(bound);
            if lost > 0 {
                log.lost.inc_by(lost as u64);
                tracing::error!(
                    lines = lost,
                    "the {} does not take its last lines; they are lost",
                    log.name
                );
            }
        }
    }
}

fn start(
    (name, key): (&'static str, &'static str),
    settings: Option<&LogSettings>,
    lost: &IntCounter,
) -> Result<Option<LogFile>, StartError> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    let started = LogFile::start(name, settings, lost.clone());
    let log = started.map_err(|source| StartError::Log {
        name,
        key,
        path: match &settings.path {
            LogPath::StandardOutput => "-".into(),
            LogPath::File(path) => path.display().to_string(),
        },
        source,
    })?;
    Ok(Some(log))
}
