//! A certificate authority for development and the certificate of a site under it, in four PEM files. It writes only into
//! the directory it is given, and it is no authority for anything but the machine it runs on: nobody else trusts it.
//!
//! What is there is kept. The one file that is ever replaced is `site.pem` once it has expired: under the same authority,
//! for the same key and with the names it already had. So a client that once trusted `ca.pem` goes on trusting, and
//! `site.pem` and `site.key` fit each other at every moment.

mod authority;
mod directory;
mod error;
mod name;
mod site;

use std::fmt;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use authority::Authority;
use directory::Directory;
pub use error::CertsError;
use site::Site;

/// All files there are, the authority's first.
const FILES: [&str; 4] = [
    authority::CERTIFICATE,
    authority::KEY,
    site::CERTIFICATE,
    site::KEY,
];

/// The files, and what was done to have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevCertificates {
    pub ca: PathBuf,
    pub ca_key: PathBuf,
    /// The site's certificate, then the authority's.
    pub site: PathBuf,
    pub site_key: PathBuf,
    /// Host names and addresses that `site` speaks for.
    pub names: Vec<String>,
    pub expires: OffsetDateTime,
    /// Those of the four files that this call made or, for `site`, renewed.
    pub written: Vec<PathBuf>,
}

/// Makes what is missing of `ca.pem`, `ca.key`, `site.pem` and `site.key` in `dir`, which is made too. The certificate
/// speaks for localhost, *.localhost, 127.0.0.1, ::1 and `names` (host names, `*.` wildcards, addresses); one that is
/// there and lacks any of `names` is an error. Safe against other processes that do the same at the same time.
pub fn ensure(dir: &Path, names: &[String]) -> Result<DevCertificates, CertsError> {
    ensure_at(dir, names, OffsetDateTime::now_utc())
}

fn ensure_at(
    dir: &Path,
    names: &[String],
    now: OffsetDateTime,
) -> Result<DevCertificates, CertsError> {
    let asked = name::read(names)?;
    let mut directory = Directory::open(dir)?;
    let authority = Authority::ensure(&mut directory, now)?;
    let site = Site::ensure(&mut directory, &authority, &asked, now)?;
    Ok(DevCertificates {
        ca: directory.path(authority::CERTIFICATE),
        ca_key: directory.path(authority::KEY),
        site: directory.path(site::CERTIFICATE),
        site_key: directory.path(site::KEY),
        names: site.names.iter().map(ToString::to_string).collect(),
        expires: site.expires,
        written: directory.into_written(),
    })
}

impl fmt::Display for DevCertificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = |path| {
            if self.written.contains(path) {
                "written"
            } else {
                "kept"
            }
        };
        writeln!(
            formatter,
            "{:7}  {}  the authority; clients that are to trust the site need it",
            state(&self.ca),
            self.ca.display()
        )?;
        writeln!(
            formatter,
            "{:7}  {}",
            state(&self.ca_key),
            self.ca_key.display()
        )?;
        writeln!(
            formatter,
            "{:7}  {}  until {}, for {}",
            state(&self.site),
            self.site.display(),
            self.expires.date(),
            self.names.join(", ")
        )?;
        write!(
            formatter,
            "{:7}  {}",
            state(&self.site_key),
            self.site_key.display()
        )
    }
}

#[cfg(test)]
mod tests;
