//! The certificate that every proxy shows: ECDSA P-256, one for everybody.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

pub(super) struct Certificates {
    pub(super) authority: PathBuf,
    pub(super) site: PathBuf,
    pub(super) key: PathBuf,
    pub(super) both: PathBuf,
}

impl Certificates {
    /// In a directory of their own in this one.
    pub(super) fn make(directory: &Path) -> anyhow::Result<Self> {
        let directory = directory.join("certs");
        let files = lintel_certs::ensure(&directory, &[])?;
        let both = directory.join("both.pem");
        let text = [fs::read(&files.site)?, fs::read(&files.site_key)?].concat();
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&both)?;
        file.write_all(&text)?;
        Ok(Self {
            authority: files.ca,
            site: files.site,
            key: files.site_key,
            both,
        })
    }
}
