//! The configuration file: the only place where a file becomes a [`Model`]. `docs/configuration.md` describes its keys.
//!
//! [`lintel_common::config_file`] knows TOML and places; the files below this one know what the keys mean, one file a table.
//! Reading never stops at a mistake: whatever cannot be used is reported and something harmless stands in for it, and a
//! file with an error yields no model.

mod action;
mod balancing;
mod build;
mod condition;
mod header_modification;
mod health_check;
mod listener;
mod load_balancer;
mod not_supported;
mod quotas;
mod redirect;
mod rule;
mod stickiness;
mod target;
mod target_group;
mod tls;
mod transform;
mod values;

#[cfg(test)]
mod documentation;

use std::path::Path;

use lintel_common::config_file::{self, Diagnostic, Severity};

use crate::model::Model;

/// A configuration without errors.
#[derive(Debug)]
pub struct Loaded {
    pub model: Model,
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks a configuration file; on failure every error and warning, in the order of the file.
pub fn load(path: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    let text = config_file::read_text(path).map_err(|diagnostic| vec![diagnostic])?;
    parse(&text, path)
}

/// Checks the text of a configuration file. Relative paths in it are relative to the directory of `file`; certificates
/// are loaded to see that they are there and fit, but not kept.
pub fn parse(text: &str, file: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    let directory = file.parent().unwrap_or(Path::new(""));
    let outcome = config_file::read(text, file, |root| build::model(root, directory));
    let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
    if outcome.diagnostics.iter().any(is_error) {
        return Err(outcome.diagnostics);
    }
    Ok(Loaded {
        model: outcome.value,
        warnings: outcome.diagnostics,
    })
}
