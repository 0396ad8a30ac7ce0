//! `lintel up`, from top to bottom: look, prepare, start, tell, wait, stop. Each step is somebody else's; the order is
//! decided here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use lintel_common::leash;
use lintel_common::shutdown::{self, Shutdown};
use lintel_common::telemetry::FILTER_VARIABLE;
use tokio::task::{LocalSet, spawn_local};

use crate::data_dir::{DataDir, random_hex};
use crate::database::Database;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::group::{AppServer, Group};
use crate::instance::{Instance, Program};
use crate::options::UpOptions;
use crate::proxy_config::ProxyConfig;
use crate::{console, health, ports};

/// Longer than the proxy's own bound, `shutdown_timeout`.
const PROXY_GRACE: Duration = Duration::from_secs(35);
/// Everything is killed that runs this long after the first signal.
const STOP_LIMIT: Duration = Duration::from_secs(120);

/// Runs the whole path until a signal. On the main thread: children are tied to the thread that starts them.
pub(crate) fn run(options: &UpOptions) -> Result<(), Failure> {
    let failure = |error: io::Error| {
        Failure::Start(format!(
            "cannot set up this process: {error}; check the limits"
        ))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failure)?;
    let tasks = LocalSet::new();
    runtime.block_on(tasks.run_until(up(options)))
}

async fn up(options: &UpOptions) -> Result<(), Failure> {
    let (trigger, stopping) = shutdown::channel();
    spawn_local(shutdown::on_signals(trigger, STOP_LIMIT));
    let path = tokio::select! {
        started = Path::start(options) => started?,
        () = stopping.requested() => return Ok(()),
    };
    console::say(&path.table(options));
    let names = path.names();
    tokio::select! {
        () = health::watch(options.admin_port, &names, || console::say(&path.invitation(options))) => {}
        () = stopping.requested() => {}
    }
    console::say("stopping; once more to stop at once");
    path.stop(&stopping).await;
    console::say("stopped");
    Ok(())
}

/// Everything that runs.
struct Path {
    data_dir: DataDir,
    addresses: Vec<IpAddr>,
    proxy: Instance,
    app_servers: Group,
    database: Database,
}

impl Path {
    async fn start(options: &UpOptions) -> Result<Self, Failure> {
        let app_servers = options.app_servers()?;
        let data_dir = DataDir::open(&options.data_dir)?;
        let addresses = ports::listen_addresses(&options.listen);
        ports::check(options, &addresses)?;
        lintel_certs::ensure(&data_dir.join("certs"), &[])
            .map_err(|error| Failure::Start(error.to_string()))?;
        let mut environment = Environment::default();
        environment.remove("SECRET_KEY").set(
            "SECRET_KEY_FILE",
            data_dir.secret("secret_key", random_hex)?,
        );
        let database =
            Database::prepare(options.database.as_deref(), environment, &data_dir).await?;

        let promised = [options.http_port, options.https_port, options.admin_port];
        let ports = ports::choose(options.app_port, app_servers.into(), &promised)?;
        let app_servers = Group::start(&ports, &database.environment, &data_dir)?;
        let proxy = start_proxy(options, &addresses, &ports, &data_dir)?;
        Ok(Self {
            data_dir,
            addresses,
            proxy,
            app_servers,
            database,
        })
    }

    /// Those who are asked first, so that each finds those behind it still there.
    async fn stop(self, hurry: &Shutdown) {
        self.proxy.stop(hurry).await;
        self.app_servers.stop(hurry).await;
        self.database.stop(hurry).await;
    }

    /// The app servers by their ports.
    fn names(&self) -> BTreeMap<u16, String> {
        let servers = self.app_servers.servers.iter();
        servers
            .map(|server| (server.port, server.instance.name().to_owned()))
            .collect()
    }

    /// What runs where.
    fn table(&self, options: &UpOptions) -> String {
        let UpOptions {
            http_port,
            https_port,
            admin_port,
            ..
        } = options;
        let addresses: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        let addresses = addresses.join(" and ");
        let proxy = format!("{addresses}: https on port {https_port}, http on port {http_port}");
        let admin = format!("http://127.0.0.1:{admin_port}/ target-health, ready, metrics");
        let data = format!("{}, logs in logs/", self.data_dir.path().display());
        let server = self.database.server.as_ref();
        let mut rows = vec![("proxy", Some(&self.proxy), proxy), ("admin", None, admin)];
        for AppServer { port, instance } in &self.app_servers.servers {
            rows.push((
                instance.name(),
                Some(instance),
                format!("http://127.0.0.1:{port}/"),
            ));
        }
        rows.push(("database", server, self.database.source.to_string()));
        rows.push(("data", None, data));

        let mut table = String::from("browser -> proxy -> app servers -> database\n\n");
        for (name, instance, place) in rows {
            let pid = instance
                .map(|instance| format!("pid {}", instance.pid()))
                .unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(table, "  {name:<10}{pid:<13}{place}");
        }
        table
    }

    fn invitation(&self, options: &UpOptions) -> String {
        let port = options.https_port;
        let authority = self.data_dir.join("certs/ca.pem");
        let authority = authority.display();
        format!(
            "\nready: open https://localhost:{port}/\n\
             (a certificate of its own: let the browser trust {authority}, or curl --cacert {authority} https://localhost:{port}/)\n\
             Ctrl-C stops everything.\n"
        )
    }
}

fn start_proxy(
    options: &UpOptions,
    addresses: &[IpAddr],
    targets: &[u16],
    data_dir: &DataDir,
) -> Result<Instance, Failure> {
    let config = ProxyConfig {
        addresses,
        http_port: options.http_port,
        https_port: options.https_port,
        admin_port: options.admin_port,
        targets,
        access_log: options.access_log,
    };
    let file = data_dir.write("lintel-proxy.toml", 0o600, &config.render())?;
    Instance::start(Program {
        name: "proxy".to_owned(),
        path: leash::this_executable(),
        arguments: vec![
            OsString::from("proxy"),
            "run".into(),
            "--config".into(),
            file.into(),
        ],
        environment: proxy_environment(),
        grace: PROXY_GRACE,
        log: data_dir.fresh_log("proxy")?,
    })
}

/// It knows nothing of the application. Its file was made here, so what it thinks of that is no news to anybody.
fn proxy_environment() -> Environment {
    let mut environment = Environment::without_secrets();
    if environment.get(FILTER_VARIABLE).is_none() {
        environment.set(FILTER_VARIABLE, "info,lintel_proxy::config=error");
    }
    environment
}
