//! The environment variables of a child: this process's own, some set, some taken away. A value, so that the same
//! variables can be judged here before a child gets them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Changes to the environment that a child inherits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(BTreeMap<&'static str, Option<OsString>>);

impl Environment {
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
