//! The environment variables of a child: this process's own, some set, some taken away. A value, so that the same
//! variables can be judged here before a child gets them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Where the application's data are, and the way in.
pub(crate) const DATABASE: [&str; 8] = [
    "DATABASE_URL",
    "DATABASE_USERNAME",
    "DATABASE_PASSWORD",
    "DATABASE_PASSWORD_FILE",
    "DATABASE_NAME",
    "DATABASE_PORT",
    "DATABASE_REPLICA_URL",
    "DATABASE_TLS_CA",
];

/// Changes to the environment that a child inherits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(BTreeMap<&'static str, Option<OsString>>);

impl Environment {
    /// For a program that has no business with the application's secrets.
    pub(crate) fn without_secrets() -> Self {
        let mut environment = Self::default();
        for name in DATABASE
            .into_iter()
            .chain(["SECRET_KEY", "SECRET_KEY_FILE"])
        {
            environment.remove(name);
        }
        environment
    }

    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<OsString>) -> &mut Self {
        self.0.insert(name, Some(value.into()));
        self
    }

    pub(crate) fn remove(&mut self, name: &'static str) -> &mut Self {
        self.0.insert(name, None);
        self
    }

    /// What the child will see.
    pub(crate) fn get(&self, name: &str) -> Option<OsString> {
        match self.0.get(name) {
            Some(changed) => changed.clone(),
            None => std::env::var_os(name),
        }
    }

    pub(crate) fn changes(&self) -> impl Iterator<Item = (&'static str, Option<&OsStr>)> {
        self.0.iter().map(|(&name, value)| (name, value.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_of_the_application_that_leads_to_a_secret_is_known_here() {
        let taken: Vec<&str> = Environment::without_secrets().0.into_keys().collect();
        for (name, ..) in lintel_appserver::config::VARIABLES {
            let harmless = ["DATABASE_POOL_SIZE", "DATABASE_ATTEMPTS"].contains(name);
            let secret = (name.starts_with("DATABASE_") && !harmless) || name.contains("SECRET");
            assert_eq!(taken.contains(name), secret, "{name}");
        }
    }
}
