//! The whole application behind the proxies: `lintel` with two app servers and a private MariaDB or MySQL server, and
//! some entries to list. Its own proxy stands idle; those that are measured stand in its place.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context as _, bail};
use lintel_common::shutdown::Shutdown;
use serde_json::{Value, json};

use super::ask;
use super::candidate::find;
use super::child::Child;
use super::ports::Ports;
use super::usage::Processes;

/// A new database is made meanwhile.
const START_TIMEOUT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);

/// A page full.
const ENTRIES: usize = 20;

pub(super) struct Application {
    child: Child,
    pub(super) servers: Vec<SocketAddr>,
}

/// The program, if everything that is needed is installed; else what to do.
pub(super) fn program() -> anyhow::Result<PathBuf> {
    let beside = env::current_exe()?.with_file_name("lintel");
    let program = if beside.is_file() {
        Some(beside)
    } else {
        find("lintel")
    };
    let program = program.context(
        "the program lintel is neither beside this one nor on PATH: cargo build --release -p lintel",
    )?;
    if find("mariadbd").or_else(|| find("mysqld")).is_none() {
        bail!("neither MariaDB nor MySQL is installed: apt-get install mariadb-server");
    }
    Ok(program)
}

impl Application {
    pub(super) fn start(
        directory: &Path,
        ports: &mut Ports,
        stop: &Shutdown,
    ) -> anyhow::Result<Self> {
        fs::create_dir(directory)?;
        let (http, https) = (ports.free()?, ports.free()?);
        let (admin, servers) = (ports.free()?, ports.free()?);
        let data = directory.display().to_string();
        let mut arguments = vec!["up", "--database", "mysql", "--data-dir", &data];
        let flags = ["--http-port", "--https-port", "--admin-port", "--app-port"];
        let numbers = [http, https, admin, servers].map(|address| address.port().to_string());
        for (flag, number) in std::iter::zip(flags, &numbers) {
            arguments.extend([flag, number]);
        }
        arguments.extend(["--listen", "127.0.0.1"]);
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        let messages = directory.join("messages");
        let mut child = Child::start(&program()?, &arguments, messages)?;
        let patience = Instant::now() + START_TIMEOUT;
        while let Err(reason) = ask::get(admin, "/ready") {
            if let Some(status) = child.ended()? {
                bail!("lintel ended at once ({status}): {}", child.last_words());
            }
            if stop.is_requested() {
                bail!("interrupted");
            }
            if Instant::now() > patience {
                bail!(
                    "lintel does not become ready ({reason}): {}",
                    child.last_words()
                );
            }
            std::thread::sleep(POLL);
        }
        let health = ask::get(admin, "/target-health").context("lintel shows no targets")?;
        let servers =
            addresses(&serde_json::from_slice(&health)?).context("lintel has no targets")?;
        let application = Self { child, servers };
        application.fill()?;
        Ok(application)
    }

    fn fill(&self) -> anyhow::Result<()> {
        let server = self.servers.first().context("no app server")?;
        for number in 1..=ENTRIES {
            let entry = json!({
                "title": format!("Entry number {number}"),
                "description": "The quick brown fox jumps over the lazy dog. ".repeat(4),
            });
            ask::post_json(*server, "/api/entries", &entry.to_string())
                .context("the application takes no entry")?;
        }
        Ok(())
    }

    /// The app servers' processes, and the database's.
    pub(super) fn processes(&self) -> anyhow::Result<(Processes, Processes)> {
        let all = self.child.processes()?;
        let servers =
            all.of_command(|command| command.get(1).is_some_and(|word| word == "appserver"));
        let database = all.of_command(|command| {
            let program = command.first().map(Path::new).and_then(Path::file_name);
            program.is_some_and(|name| name == "mariadbd" || name == "mysqld")
        });
        Ok((servers, database))
    }
}

fn addresses(health: &Value) -> Option<Vec<SocketAddr>> {
    let groups = health["target_groups"].as_array()?;
    let targets = groups.first()?["targets"].as_array()?;
    targets
        .iter()
        .map(|target| {
            let port = u16::try_from(target["port"].as_u64()?).ok()?;
            Some(SocketAddr::new(target["id"].as_str()?.parse().ok()?, port))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_servers_are_found_in_what_the_proxy_tells() {
        let health = json!({"target_groups": [{"name": "app", "targets": [
            {"id": "127.0.0.1", "port": 8001, "state": "healthy"},
            {"id": "127.0.0.1", "port": 8003, "state": "initial"},
        ]}]});
        let found = addresses(&health).unwrap();
        assert_eq!(
            found,
            ["127.0.0.1:8001", "127.0.0.1:8003"].map(|a| a.parse().unwrap())
        );
        assert_eq!(addresses(&json!({"target_groups": []})), None);
    }
}
