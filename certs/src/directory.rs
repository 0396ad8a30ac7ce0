//! The directory of the certificates: one process at a time, files that are whole or not there, keys that nobody else can
//! read at any moment. It knows nothing of what the files hold.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::CertsError;

/// Making all four files takes milliseconds; who holds the lock longer is stuck.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_POLL: Duration = Duration::from_millis(20);

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Public,
    Secret,
}

/// An open directory, locked until it is dropped.
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
    written: Vec<PathBuf>,
}

impl Directory {
    pub(crate) fn open(path: &Path) -> Result<Self, CertsError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(path)
            .map_err(|source| io_error("make", path, source))?;
        let lock = File::open(path).map_err(|source| io_error("open", path, source))?;
        lock_within(&lock, path, LOCK_WAIT)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
            written: Vec::new(),
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn into_written(self) -> Vec<PathBuf> {
        self.written
    }

    /// The text of a file; `None` when there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>, CertsError> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io_error("read", &path, source)),
        }
    }

    /// Those of the files that are there.
    pub(crate) fn present(&self, names: &[&str]) -> Vec<PathBuf> {
        names
            .iter()
            .map(|name| self.path(name))
            .filter(|path| path.symlink_metadata().is_ok())
            .collect()
    }

    /// The complaint that one half of a pair is missing; `group` can only be made anew together.
    pub(crate) fn incomplete(&self, present: &str, missing: &str, group: &[&str]) -> CertsError {
        CertsError::Incomplete {
            present: self.path(present),
            missing: self.path(missing),
            delete: self.present(group),
        }
    }

    /// The complaint that a file cannot be used; `group` can only be made anew together.
    pub(crate) fn unusable(
        &self,
        path: PathBuf,
        problem: &'static str,
        group: &[&str],
    ) -> CertsError {
        CertsError::Unusable {
            path,
            problem,
            delete: self.present(group),
        }
    }

    /// Writes a file that is not there yet; one that is there is an error and stays as it is.
    pub(crate) fn create(
        &mut self,
        name: &str,
        access: Access,
        text: &str,
    ) -> Result<(), CertsError> {
        // A link, unlike a rename, fails when the name is taken.
        self.write(name, access, text, |temporary, path| {
            fs::hard_link(temporary, path)?;
            fs::remove_file(temporary)
        })
    }

    /// Puts a new version in the place of a file. Readers see the old one or the new one, never a part.
    pub(crate) fn replace(
        &mut self,
        name: &str,
        access: Access,
        text: &str,
    ) -> Result<(), CertsError> {
        self.write(name, access, text, |temporary, path| {
            fs::rename(temporary, path)
        })
    }

    fn write(
        &mut self,
        name: &str,
        access: Access,
        text: &str,
        publish: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> Result<(), CertsError> {
        let path = self.path(name);
        // One that is left over is from a process that died while it held the lock.
        let temporary = self.path(&format!(".{name}.new"));
        let written = write_new(&temporary, access, text).and_then(|()| publish(&temporary, &path));
        if let Err(source) = written {
            // It may be there or not; the error to tell is the one that came first.
            drop(fs::remove_file(&temporary));
            return Err(io_error("write", &path, source));
        }
        self.written.push(path);
        Ok(())
    }
}

fn write_new(path: &Path, access: Access, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mode = match access {
        Access::Public => 0o644,
        Access::Secret => 0o600,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn lock_within(lock: &File, path: &Path, wait: Duration) -> Result<(), CertsError> {
    let deadline = Instant::now() + wait;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            // Some shared file systems have no locks. Files still appear whole and none is overwritten.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                return Ok(());
            }
            Err(TryLockError::Error(source)) => return Err(io_error("lock", path, source)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(CertsError::Busy {
                    dir: path.to_owned(),
                });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_POLL),
        }
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> CertsError {
    CertsError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn secrets_are_private_and_nothing_is_overwritten() {
        let root = tempfile::tempdir().unwrap();
        let mut directory = Directory::open(&root.path().join("deep/down")).unwrap();
        directory.create("key", Access::Secret, "one").unwrap();
        let mode = fs::metadata(directory.path("key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);

        let error = directory
            .create("key", Access::Secret, "two")
            .unwrap_err()
            .to_string();
        assert!(error.contains("key") && error.contains("exists"), "{error}");
        assert_eq!(directory.read("key").unwrap().as_deref(), Some("one"));
        directory.replace("key", Access::Secret, "three").unwrap();
        assert_eq!(directory.read("key").unwrap().as_deref(), Some("three"));

        let left: Vec<_> = fs::read_dir(root.path().join("deep/down"))
            .unwrap()
            .collect();
        assert_eq!(left.len(), 1, "no temporary file stays: {left:?}");
    }

    #[test]
    fn a_directory_in_use_is_waited_for_but_not_for_ever() {
        let root = tempfile::tempdir().unwrap();
        let held = Directory::open(root.path()).unwrap();
        let second = File::open(root.path()).unwrap();
        let error = lock_within(&second, root.path(), Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, CertsError::Busy { .. }), "{error}");
        drop(held);
        lock_within(&second, root.path(), Duration::ZERO).unwrap();
    }
}
