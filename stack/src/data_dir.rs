//! The data directory: everything that `lintel` writes lies in it, and one `lintel` at a time uses it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A directory that is there, can be written and is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let failure = |error: io::Error| {
            Failure::Start(format!(
                "cannot write in {}: {error}; choose another directory with --data-dir",
                path.display()
            ))
        };
        make_private(path).map_err(failure)?;
        let path = path.canonicalize().map_err(failure)?;
        let lock = File::open(&path).map_err(failure)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::Start(format!(
                    "another lintel runs in {}; stop it or choose another directory with --data-dir",
                    path.display()
                )));
            }
            // Some shared file systems have no locks; the ports still keep two apart.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(failure(error)),
        }
        let data_dir = Self { path, _lock: lock };
        data_dir.prove_writable().map_err(failure)?;
        Ok(data_dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The log file of a child, empty; what the last run wrote stays beside it as `.log.1`.
    pub(crate) fn fresh_log(&self, name: &str) -> Result<PathBuf, Failure> {
        let directory = self.join("logs");
        let path = directory.join(format!("{name}.log"));
        let make = || {
            make_private(&directory)?;
            if path.exists() {
                fs::rename(&path, directory.join(format!("{name}.log.1")))?;
            }
            File::create(&path)
        };
        match make() {
            Ok(_) => Ok(path),
            Err(error) => Err(cannot_write(&path, &error)),
        }
    }

    /// A file that only this user can read: what is in it, or the text that `make` gives for it.
    pub(crate) fn secret(
        &self,
        name: &str,
        make: impl FnOnce() -> String,
    ) -> Result<PathBuf, Failure> {
        let path = self.join(name);
        if !path.exists() {
            self.write(name, 0o600, &make())?;
        }
        Ok(path)
    }

    /// Writes a file, whole or not at all.
    pub(crate) fn write(&self, name: &str, mode: u32, text: &str) -> Result<PathBuf, Failure> {
        let path = self.join(name);
        let temporary = path.with_added_extension("new");
        replace(&temporary, &path, mode, text).map_err(|error| cannot_write(&path, &error))?;
        Ok(path)
    }

    fn prove_writable(&self) -> io::Result<()> {
        let probe = self.join(".writable");
        File::create(&probe)?;
        fs::remove_file(probe)
    }
}

/// A directory and those above it, for this user alone.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn replace(temporary: &Path, path: &Path, mode: u32, text: &str) -> io::Result<()> {
    if temporary.exists() {
        fs::remove_file(temporary)?; // left by a run that was killed; the directory is locked
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

pub(crate) fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::Start(format!(
        "cannot write {}: {error}; check the disk and the permissions",
        path.display()
    ))
}

/// 64 hexadecimal digits that nobody can guess.
pub(crate) fn random_hex() -> String {
    let [high, low]: [u128; 2] = rand::random();
    format!("{high:032x}{low:032x}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let first = DataDir::open(&path).unwrap();
        let error = DataDir::open(&path).unwrap_err().to_string();
        assert!(
            error.contains("another lintel") && error.contains("--data-dir"),
            "{error}"
        );
        drop(first);
        DataDir::open(&path).unwrap();
        assert_eq!(
            fs::read_dir(&path).unwrap().count(),
            0,
            "opening leaves nothing behind"
        );
    }

    #[test]
    fn secrets_are_made_once_and_private() {
        let root = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(root.path()).unwrap();
        let path = data_dir.secret("secret_key", random_hex).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{text}"
        );
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        data_dir.secret("secret_key", random_hex).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn the_last_log_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(root.path()).unwrap();
        let path = data_dir.fresh_log("proxy").unwrap();
        fs::write(&path, "first").unwrap();
        assert_eq!(data_dir.fresh_log("proxy").unwrap(), path);
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
        assert_eq!(
            fs::read_to_string(path.with_added_extension("1")).unwrap(),
            "first"
        );
    }
}
