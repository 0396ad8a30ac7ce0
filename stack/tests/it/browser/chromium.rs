//! A headless Chromium as a process: with a home of its own, in which exactly the authority is trusted that the test
//! names, and gone with everything that it started when this is dropped, on a panic too.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tempfile::TempDir;

use super::devtools::DevTools;
use super::page::Page;
use crate::lintel;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const START_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

const FLAGS: [&str; 15] = [
    "--headless=new",
    // The sandbox wants privileges that containers do not have, and refuses to run as root. Only our pages are opened.
    "--no-sandbox",
    "--disable-gpu",
    // Containers have a small /dev/shm.
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--password-store=basic",
    // Nothing but what the test asks for goes over the network.
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-breakpad",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
];

/// Whether this machine is said to have no browser; else its absence is a failure.
pub(crate) fn is_excused() -> bool {
    let excused = std::env::var_os("LINTEL_TEST_WITHOUT_BROWSER").is_some_and(|value| value == "1");
    if excused {
        eprintln!("skipped: LINTEL_TEST_WITHOUT_BROWSER=1");
    }
    excused
}

/// A running browser.
pub(crate) struct Chromium {
    process: Child,
    home: TempDir,
}

impl Chromium {
    /// Starts one that trusts the usual authorities and the one in the file `authority`.
    pub(crate) fn start(authority: Option<&Path>) -> Self {
        let home = TempDir::with_prefix("lintel-browser-").expect("a temporary directory");
        let temporary = home.path().join("tmp");
        fs::create_dir(&temporary).expect("a directory in it");
        if let Some(authority) = authority {
            trust(home.path(), authority);
        }
        let log = File::create(home.path().join("log")).expect("a file in it");
        // On a leash, because its own process group takes it out of the terminal's: Ctrl-C would not reach it.
        let mut command = lintel::command();
        command
            .arg("leash")
            .arg(std::process::id().to_string())
            .arg(executable())
            .args(FLAGS)
            .arg(format!(
                "--user-data-dir={}",
                home.path().join("profile").display()
            ))
            .arg("about:blank")
            .env("HOME", home.path())
            .env("TMPDIR", temporary)
            .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0);
        for directory in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
            command.env_remove(directory);
        }
        let process = command.spawn().expect("the executable under test");
        Self { process, home }
    }

    /// An empty page.
    pub(crate) fn page(&mut self) -> Page {
        let (port, path) = self.endpoint();
        Page::new(DevTools::connect(port, &path))
    }

    /// Chromium writes port and path of DevTools to a file once it listens.
    fn endpoint(&mut self) -> (u16, String) {
        let file = self.home.path().join("profile/DevToolsActivePort");
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let mut lines = text.lines();
            if let (Some(port), Some(path)) = (lines.next(), lines.next())
                && let Ok(port) = port.parse()
            {
                return (port, path.to_owned());
            }
            let ended = self.process.try_wait().expect("a child of ours");
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
                panic!("Chromium opened no DevTools port (ended: {ended:?}); it said:\n{log}");
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let group = Pid::from_child(&self.process);
        // An error means that it has ended already.
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.process.wait();
        let deadline = Instant::now() + END_LIMIT;
        while test_kill_process_group(group).is_ok() && Instant::now() < deadline {
            std::thread::sleep(POLL); // its home goes next: nobody must be writing there
        }
    }
}

fn executable() -> PathBuf {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&paths).collect();
    NAMES
        .iter()
        .flat_map(|name| directories.iter().map(move |directory| directory.join(name)))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!(
                "there is no Chromium ({}) to test the pages with: install it (apt-get install chromium), or set \
                 LINTEL_TEST_WITHOUT_BROWSER=1 to go without these tests",
                NAMES.join(", ")
            )
        })
}

/// Puts the authority where Chromium looks for those that its user trusts.
fn trust(home: &Path, authority: &Path) {
    let database = home.join(".pki/nssdb");
    fs::create_dir_all(&database).expect("a directory of ours");
    let database = format!("sql:{}", database.display());
    certutil(&["-d", &database, "-N", "--empty-password"]);
    let file = authority.to_str().expect("a path in UTF-8");
    certutil(&[
        "-d",
        &database,
        "-A",
        "-t",
        "C,,",
        "-n",
        "under test",
        "-i",
        file,
    ]);
}

fn certutil(arguments: &[&str]) {
    let output = Command::new("certutil")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!("certutil: {error}; install it (apt-get install libnss3-tools)")
        });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "certutil {}: {said}",
        arguments.join(" ")
    );
}
