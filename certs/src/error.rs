//! What can be wrong with a directory of development certificates. Nothing is repaired by deleting: the message says
//! which files to delete, and the person decides.

use std::io;
use std::path::PathBuf;

/// Why the certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    #[error("{name:?} is no name for a certificate: {reason}")]
    Name { name: String, reason: &'static str },
    #[error("cannot {action} {}: {source}; check that the directory exists or can be made and that this user may write there", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("another process has been making certificates in {} for too long; end it and try again", dir.display())]
    Busy { dir: PathBuf },
    #[error(
        "{} is there but {} is missing; put it back, or delete {} and start again to have new ones made",
        present.display(),
        missing.display(),
        list(delete)
    )]
    Incomplete {
        present: PathBuf,
        missing: PathBuf,
        delete: Vec<PathBuf>,
    },
    #[error("{} {problem}; delete {} and start again to have it made anew", path.display(), list(delete))]
    Unusable {
        path: PathBuf,
        problem: &'static str,
        delete: Vec<PathBuf>,
    },
    #[error(
        "{} is for {names}, not for {lacking}, and still good; delete {} and start again with all names that it is to have",
        path.display(),
        list(delete)
    )]
    Lacking {
        path: PathBuf,
        names: String,
        lacking: String,
        delete: Vec<PathBuf>,
    },
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(" ")
}
