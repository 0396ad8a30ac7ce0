//! The app servers: as many instances as are desired, each with a port and a name of its own.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use lintel_common::leash;
use lintel_common::shutdown::Shutdown;

use crate::data_dir::DataDir;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::instance::{Instance, Program};

/// Longer than an app server's own bound, as far as SHUTDOWN_TIMEOUT does not raise it.
const GRACE: Duration = Duration::from_secs(30);

/// All app servers, in the order of their ports.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) servers: Vec<AppServer>,
}

#[derive(Debug)]
pub(crate) struct AppServer {
    pub(crate) port: u16,
    pub(crate) instance: Instance,
}

impl Group {
    /// Starts one app server for each port.
    pub(crate) fn start(
        ports: &[u16],
        environment: &Environment,
        data_dir: &DataDir,
    ) -> Result<Self, Failure> {
        let start = |(index, &port): (usize, &u16)| {
            let name = format!("app-{}", index + 1);
            let mut environment = environment.clone();
            environment
                .set(
                    "BIND",
                    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string(),
                )
                .set("INSTANCE_ID", name.as_str())
                // Nobody needs time to notice: the proxy is stopped first.
                .set("SHUTDOWN_DELAY", "0");
            let instance = Instance::start(Program {
                log: data_dir.fresh_log(&name)?,
                name,
                path: leash::this_executable(),
                arguments: ["appserver", "run"].map(OsString::from).into(),
                environment,
                grace: GRACE,
            })?;
            Ok(AppServer { port, instance })
        };
        Ok(Self {
            servers: ports
                .iter()
                .enumerate()
                .map(start)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Stops all at the same time.
    pub(crate) async fn stop(self, hurry: &Shutdown) {
        for server in &self.servers {
            server.instance.request_stop();
        }
        for server in self.servers {
            server.instance.stop(hurry).await;
        }
    }
}
