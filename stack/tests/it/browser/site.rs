//! Where the pages come from: a `lintel` of the test's own, or a path that runs already and that the environment names.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::lintel::Lintel;

const URL: &str = "LINTEL_BROWSER_URL";
const AUTHORITY: &str = "LINTEL_BROWSER_CA";

/// The application behind its proxy.
pub(crate) struct Site {
    base: String,
    pub(crate) authority: PathBuf,
    /// With the directory that everything is in; that goes last.
    pub(crate) lintel: Option<(Lintel, TempDir)>,
}

impl Site {
    /// Starts everything with two app servers.
    pub(crate) fn start() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let lintel = Lintel::start(&root, &["--app-servers", "2"]);
        Self {
            base: lintel.page(""),
            authority: lintel.file("certs/ca.pem"),
            lintel: Some((lintel, root)),
        }
    }

    /// What `LINTEL_BROWSER_URL` names, with the authority in the file `LINTEL_BROWSER_CA`; without them one is started.
    pub(crate) fn given_or_started() -> Self {
        let Ok(url) = std::env::var(URL) else {
            return Self::start();
        };
        let authority = std::env::var_os(AUTHORITY).unwrap_or_else(|| {
            panic!("{URL} is set, {AUTHORITY} is not: set it to the path of that site's ca.pem")
        });
        Self {
            base: url.trim_end_matches('/').to_owned(),
            authority: authority.into(),
            lintel: None,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Stops what was started, in order.
    pub(crate) fn stop(self) {
        if let Some((lintel, _root)) = self.lintel {
            lintel.stop();
        }
    }
}
