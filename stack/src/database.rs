//! The database of the path: which one, and whether it answers. What is in it is the app servers' alone.

use std::ffi::OsString;
use std::time::Duration;

use lintel_appserver::config::Settings;
use lintel_appserver::database::{self, Source};
use lintel_common::shutdown::Shutdown;
use tokio::time::{Instant, sleep, timeout_at};

use crate::data_dir::DataDir;
use crate::environment::{self, Environment};
use crate::failure::Failure;
use crate::instance::Instance;
use crate::mysql;

/// How long a database that was configured may take to answer.
const REACH_LIMIT: Duration = Duration::from_secs(5);
/// A private server may have to recover from a power failure first.
const PRIVATE_LIMIT: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(250);

/// A database that answered.
#[derive(Debug)]
pub(crate) struct Database {
    /// With the settings of the app servers that lead to it.
    pub(crate) environment: Environment,
    /// Without the password.
    pub(crate) source: Source,
    /// Where it is a child of ours.
    pub(crate) server: Option<Instance>,
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Sqlite,
    Private,
    Given(OsString),
}

/// The flag wins over the variable. `mysql` means a private server in the flag only: in the variable it is a host name,
/// as it always was there.
fn choose(flag: Option<&str>, variable: Option<OsString>) -> Choice {
    match (flag, variable) {
        (Some("mysql"), _) => Choice::Private,
        (Some(url), _) => Choice::Given(url.into()),
        (None, Some(url)) if !url.is_empty() => Choice::Given(url),
        (None, _) => Choice::Sqlite,
    }
}

impl Database {
    /// Finds, and if it is ours starts, the database. `environment` is what the app servers get besides.
    pub(crate) async fn prepare(
        flag: Option<&str>,
        mut environment: Environment,
        data_dir: &DataDir,
    ) -> Result<Self, Failure> {
        let choice = choose(flag, std::env::var_os("DATABASE_URL"));
        // What goes with a database of the user's own would contradict one of ours.
        if !matches!(choice, Choice::Given(_)) {
            for name in environment::DATABASE {
                environment.remove(name);
            }
        }
        let (server, limit) = match choice {
            Choice::Given(url) => {
                environment.set("DATABASE_URL", url);
                (None, REACH_LIMIT)
            }
            Choice::Sqlite => {
                let mut url = OsString::from("sqlite://");
                url.push(data_dir.join("lintel.db"));
                environment.set("DATABASE_URL", url);
                (None, REACH_LIMIT)
            }
            Choice::Private => {
                let server = mysql::start(data_dir, &mut environment).await?;
                (Some(server), PRIVATE_LIMIT)
            }
        };
        let source = source(&environment, flag.is_some())?;
        reach(&source, limit).await?;
        Ok(Self {
            environment,
            source,
            server,
        })
    }

    pub(crate) async fn stop(self, hurry: &Shutdown) {
        if let Some(server) = self.server {
            server.stop(hurry).await;
        }
    }
}

/// What an app server would read from these variables, with its own words for what is wrong in them.
fn source(environment: &Environment, by_flag: bool) -> Result<Source, Failure> {
    let settings = Settings::read(|name| environment.get(name)).map_err(|mut problems| {
        for problem in &mut problems {
            if by_flag && problem.variable == "DATABASE_URL" {
                problem.variable = "--database";
            }
        }
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::Input(problems.join("; "))
    })?;
    Ok(settings.database)
}

async fn reach(source: &Source, limit: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + limit;
    let mut cause = "it does not answer".to_owned();
    loop {
        match timeout_at(deadline, database::connect_once(source)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => cause = error.to_string(),
            Err(_) => {}
        }
        if Instant::now() + RETRY >= deadline {
            let advice = match source {
                Source::MySql(_) => "start it, correct its URL",
                Source::Sqlite(_) => "make its file usable",
            };
            return Err(Failure::Start(format!(
                "the database {source} cannot be used: {cause}; {advice}, or choose another with --database"
            )));
        }
        sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_over_the_variable_over_the_default() {
        let given = |url: &str| Choice::Given(url.into());
        let variable = || Some(OsString::from("mysql://root@db/flaskcrud"));
        assert_eq!(choose(None, None), Choice::Sqlite);
        assert_eq!(choose(None, Some(OsString::new())), Choice::Sqlite);
        assert_eq!(choose(None, variable()), given("mysql://root@db/flaskcrud"));
        assert_eq!(
            choose(Some("sqlite://x.db"), variable()),
            given("sqlite://x.db")
        );
        assert_eq!(choose(Some("mysql"), variable()), Choice::Private);
        assert_eq!(choose(None, Some("mysql".into())), given("mysql"));
    }
}
