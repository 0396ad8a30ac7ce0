//! A private MySQL or MariaDB server: one that is installed on this machine, run with its own data in the data directory,
//! on a loopback port, for a user that only the app servers know. No server of the system is touched.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::getuid;
use tokio::process::Command;
use tokio::time::timeout;

use crate::console;
use crate::data_dir::{self, DataDir, cannot_write, random_hex};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::instance::{Instance, Program};
use crate::ports;

/// Above the well-known 3306, so that a server of the system and this one do not meet.
const FIRST_PORT: u16 = 13306;
const INSTALL_LIMIT: Duration = Duration::from_secs(120);
const GRACE: Duration = Duration::from_secs(30);

/// Where servers are installed besides PATH, which seldom has the directories of the system's servers.
const SERVER_DIRECTORIES: [&str; 4] = [
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/local/mysql/bin",
    "/usr/libexec",
];

/// Starts the server, making its data first if there are none, and points `environment` at it.
pub(crate) async fn start(
    data_dir: &DataDir,
    environment: &mut Environment,
) -> Result<Instance, Failure> {
    let server = find(&["mariadbd", "mysqld"]).ok_or_else(|| {
        Failure::Start(
            "no MySQL or MariaDB server is installed; install one (apt-get install mariadb-server) or leave out --database for SQLite".to_owned(),
        )
    })?;
    let home = data_dir.join("mysql");
    data_dir::make_private(&home).map_err(|error| cannot_write(&home, &error))?;
    let log = data_dir.fresh_log("mysql")?;
    let data = home.join("data");
    if !data.exists() {
        console::say(&format!(
            "making a database for {} in {}",
            server.display(),
            home.display()
        ));
        install(&server, &home, &data, &log).await?;
    }
    let password_file = data_dir.secret("mysql/password", random_hex)?;
    let password = fs::read_to_string(&password_file).map_err(|error| {
        Failure::Start(format!(
            "cannot read {}: {error}; check its permissions",
            password_file.display()
        ))
    })?;
    let accounts = data_dir.write("mysql/accounts.sql", 0o600, &accounts(password.trim()))?;
    let port = ports::choose(FIRST_PORT, 1, &[])?[0];
    environment
        .set(
            "DATABASE_URL",
            format!("mysql://lintel@127.0.0.1:{port}/flaskcrud"),
        )
        .set("DATABASE_PASSWORD_FILE", password_file);
    Instance::start(Program {
        name: "mysql".to_owned(),
        path: server,
        arguments: arguments(&home, &data, &accounts, port),
        environment: Environment::without_secrets(),
        grace: GRACE,
        log,
    })
}

/// Run by the server at each start. The password is hexadecimal, so it needs no quoting.
fn accounts(password: &str) -> String {
    format!(
        "CREATE DATABASE IF NOT EXISTS flaskcrud CHARACTER SET utf8mb4;\n\
         CREATE USER IF NOT EXISTS 'lintel'@'127.0.0.1' IDENTIFIED BY '{password}';\n\
         ALTER USER 'lintel'@'127.0.0.1' IDENTIFIED BY '{password}';\n\
         GRANT ALL PRIVILEGES ON flaskcrud.* TO 'lintel'@'127.0.0.1';\n"
    )
}

fn arguments(home: &Path, data: &Path, accounts: &Path, port: u16) -> Vec<OsString> {
    let mut arguments = vec![
        OsString::from("--no-defaults"),
        option("--datadir=", data),
        option("--init-file=", accounts),
        option("--secure-file-priv=", home),
        // Relative to the data, because the path of a socket may not be longer than 107 bytes.
        "--socket=mysqld.sock".into(),
        "--pid-file=mysqld.pid".into(),
        "--bind-address=127.0.0.1".into(),
        format!("--port={port}").into(),
        "--skip-name-resolve".into(),
        "--skip-log-bin".into(),
        "--loose-mysqlx=OFF".into(),
    ];
    arguments.extend(as_root());
    arguments
}

/// Both servers refuse to run as root unless they are told to.
fn as_root() -> Option<OsString> {
    getuid().is_root().then(|| "--user=root".into())
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}

/// Makes the system tables beside their place and moves them there, so that an attempt that was cut off leaves nothing
/// that looks finished. The accounts it makes have no way in over the network.
async fn install(server: &Path, home: &Path, data: &Path, log: &Path) -> Result<(), Failure> {
    let unfinished = home.join("data.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(|error| cannot_write(&unfinished, &error))?;
    }
    let (program, arguments) = installer(server, &unfinished)?;
    let run = async {
        let output = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(&program);
        command
            .args(arguments)
            .args(as_root())
            .current_dir(home)
            .kill_on_drop(true);
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        command.status().await
    };
    let cause = match timeout(INSTALL_LIMIT, run).await {
        Ok(Ok(status)) if status.success() => {
            return fs::rename(&unfinished, data).map_err(|error| cannot_write(data, &error));
        }
        Ok(Ok(status)) => status.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("not done after {} s", INSTALL_LIMIT.as_secs()),
    };
    Err(Failure::Start(format!(
        "{} could not make a database: {cause}; see {}",
        program.display(),
        log.display()
    )))
}

/// MariaDB has a program for it; MySQL's server does it itself.
fn installer(server: &Path, data: &Path) -> Result<(PathBuf, Vec<OsString>), Failure> {
    let version = std::process::Command::new(server)
        .arg("--version")
        .output()
        .map_err(|error| {
            Failure::Start(format!(
                "cannot run {}: {error}; install it again",
                server.display()
            ))
        })?;
    if !String::from_utf8_lossy(&version.stdout).contains("MariaDB") {
        let arguments = vec![
            "--no-defaults".into(),
            "--initialize-insecure".into(),
            option("--datadir=", data),
        ];
        return Ok((server.to_owned(), arguments));
    }
    let program = find(&["mariadb-install-db", "mysql_install_db"]).ok_or_else(|| {
        Failure::Start(
            "mariadb-install-db is missing; install the package mariadb-server again".to_owned(),
        )
    })?;
    let arguments = vec![
        "--no-defaults".into(),
        option("--datadir=", data),
        "--auth-root-authentication-method=socket".into(),
        "--skip-test-db".into(),
    ];
    Ok((program, arguments))
}

/// The first of the programs that is installed.
fn find(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(SERVER_DIRECTORIES.map(PathBuf::from))
        .collect();
    let candidates = names.iter().flat_map(|name| {
        directories
            .iter()
            .map(move |directory| directory.join(name))
    });
    candidates.into_iter().find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_the_order_of_their_names() {
        let shell = find(&["no-such-program-anywhere", "sh", "ls"]).unwrap();
        assert!(shell.ends_with("sh"), "{}", shell.display());
        assert_eq!(find(&["no-such-program-anywhere"]), None);
    }

    #[test]
    fn the_server_listens_on_loopback_only_and_reads_no_settings_of_the_system() {
        let path = Path::new("/data/mysql");
        let arguments = arguments(path, &path.join("data"), &path.join("accounts.sql"), 13306);
        assert_eq!(
            arguments[0], "--no-defaults",
            "it counts in the first place only"
        );
        for wanted in [
            "--bind-address=127.0.0.1",
            "--port=13306",
            "--datadir=/data/mysql/data",
        ] {
            assert!(arguments.contains(&OsString::from(wanted)), "{wanted}");
        }
    }
}
