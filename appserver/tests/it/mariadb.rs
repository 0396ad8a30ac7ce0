//! A real MariaDB server in a temporary folder, on a port of its own, ended with the test.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts, OptsBuilder};
use tempfile::TempDir;

use crate::process::{command, until};

const START_LIMIT: Duration = Duration::from_secs(60);
const SERVERS: &[&str] = &[
    "/usr/sbin/mariadbd",
    "/usr/libexec/mariadbd",
    "/usr/bin/mariadbd",
];

pub(crate) struct MariaDb {
    folder: TempDir,
    program: PathBuf,
    port: u16,
    child: Option<Child>,
}

/// `None`, with a word, where the tests are to do without.
pub(crate) fn start() -> Option<MariaDb> {
    let Some(program) = SERVERS.iter().map(PathBuf::from).find(|path| path.exists()) else {
        assert!(
            std::env::var_os("LINTEL_TEST_WITHOUT_MARIADB").is_some_and(|value| value == "1"),
            "mariadbd is not installed: apt-get install mariadb-server, or set LINTEL_TEST_WITHOUT_MARIADB=1"
        );
        println!("skipped: mariadbd is not installed and LINTEL_TEST_WITHOUT_MARIADB=1");
        return None;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = command("mariadb-install-db")
        .args([
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ])
        .args(account())
        .arg(format!(
            "--datadir={}",
            folder.path().join("data").display()
        ))
        .output()
        .expect("mariadb-install-db is installed with the server");
    assert!(
        made.status.success(),
        "mariadb-install-db: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    std::fs::write(
        folder.path().join("init.sql"),
        "CREATE USER IF NOT EXISTS 'lintel'@'127.0.0.1' IDENTIFIED BY 'pass@word';\n\
         GRANT ALL ON *.* TO 'lintel'@'127.0.0.1';\n",
    )
    .expect("the folder can be written to");
    let port = free_port();
    let mut server = MariaDb {
        folder,
        program,
        port,
        child: None,
    };
    server.run();
    Some(server)
}

/// A server run by root refuses to stay root unless it is told to.
fn account() -> Option<&'static str> {
    rustix::process::geteuid()
        .is_root()
        .then_some("--user=root")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

impl MariaDb {
    /// Starts it, again after [`Self::kill`] with the same data on the same port, and waits for it.
    pub(crate) fn run(&mut self) {
        let path = |name: &str| self.folder.path().join(name);
        let log = File::create(path("log")).expect("the folder can be written to");
        let mut server = command(&self.program);
        server
            .arg("--no-defaults")
            .args(account())
            .arg(format!("--datadir={}", path("data").display()))
            .arg(format!("--socket={}", path("socket").display()))
            .arg(format!("--pid-file={}", path("pid").display()))
            .arg(format!("--init-file={}", path("init.sql").display()))
            .arg(format!("--port={}", self.port))
            // As RDS has it by default; three-byte text as old databases have it.
            .args([
                "--bind-address=127.0.0.1",
                "--sql-mode=",
                "--character-set-server=utf8mb3",
            ])
            .args(["--innodb-buffer-pool-size=16M", "--skip-name-resolve"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.child = Some(server.spawn().expect("mariadbd starts"));
        until(START_LIMIT, "MariaDB accepts", || {
            let log = || std::fs::read_to_string(path("log")).unwrap_or_default();
            let ended = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok())
                .flatten();
            assert!(ended.is_none(), "mariadbd ended: {}", log());
            log().contains("ready for connections").then_some(())
        });
    }

    /// `kill -9`: no warning, no farewell.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!(
            "mysql://lintel:pass%40word@127.0.0.1:{}/{database}",
            self.port
        )
    }

    /// A connection for the test itself.
    pub(crate) async fn connect(&self, database: Option<&str>) -> Conn {
        let opts = Opts::from_url(&self.url("mysql")).expect("the URL is valid");
        let opts = OptsBuilder::from_opts(opts)
            .prefer_socket(false)
            .db_name(database);
        Conn::new(opts).await.expect("MariaDB accepts")
    }

    /// An empty database of its own.
    pub(crate) async fn create(&self, database: &str) {
        let statement = format!("CREATE DATABASE {database}");
        self.connect(None)
            .await
            .query_drop(statement)
            .await
            .expect("the database is made");
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        self.kill();
    }
}
