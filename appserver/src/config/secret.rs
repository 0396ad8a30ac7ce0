//! Secrets: read from a variable or from the file that its `_FILE` twin names, printed masked.

use std::collections::HashSet;
use std::fmt;

use super::Environment;

/// Bytes that must not be seen: prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// So few different bytes that it was hardly drawn at random. It works all the same.
    pub(crate) fn is_monotonous(&self) -> bool {
        let different: HashSet<u8> = self.0.bytes().collect();
        different.len() < FEW
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

const MAKE_ONE: &str = "make one with: openssl rand -hex 32";
const SHORTEST_KEY: usize = 32;
/// A random key of 32 bytes, or of 32 hexadecimal digits, has more.
const FEW: usize = 8;

/// What the applications that this one takes the place of use where none is set. Whoever reads them can sign our forms.
const PUBLISHED: &str = "you-will-never-guess";

pub(super) fn read_key(environment: &mut Environment<'_>) -> Option<Secret> {
    let problems = environment.problems.len();
    let Some(key) = read(environment, "SECRET_KEY", "SECRET_KEY_FILE") else {
        if environment.problems.len() == problems {
            environment.problem(
                "SECRET_KEY",
                format!("is required: it signs the forms, with the same key on all instances; {MAKE_ONE}"),
            );
        }
        return None;
    };
    let text = key.expose();
    let wrong = if text == PUBLISHED {
        "is a published example, so everybody knows it"
    } else if text.len() < SHORTEST_KEY {
        "is shorter than 32 bytes"
    } else {
        return Some(key);
    };
    match environment.text("SECRET_KEY_FILE") {
        Some(path) => environment.problem(
            "SECRET_KEY_FILE",
            format!("the key in {path} {wrong}; {MAKE_ONE}"),
        ),
        None => environment.problem("SECRET_KEY", format!("{wrong}; {MAKE_ONE}")),
    }
    None
}

/// The secret itself or the content of the file, whichever is set; without the line end that editors
/// and `echo` put there.
pub(super) fn read(
    environment: &mut Environment<'_>,
    variable: &'static str,
    file_variable: &'static str,
) -> Option<Secret> {
    match (environment.text(variable), environment.text(file_variable)) {
        (Some(_), Some(_)) => {
            environment.problem(
                variable,
                format!("is set, and so is {file_variable}; set one of them"),
            );
            None
        }
        (Some(text), None) => Some(Secret(text)),
        (None, Some(path)) => {
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let text = text.trim_end_matches(['\r', '\n']);
                    if text.is_empty() {
                        environment.problem(
                            file_variable,
                            format!("{path} is empty; put the secret in it"),
                        );
                        return None;
                    }
                    Some(Secret(text.to_owned()))
                }
                Err(error) => {
                    environment.problem(
                    file_variable,
                    format!("{path} cannot be read ({error}); name a file that this process may read"),
                );
                    None
                }
            }
        }
        (None, None) => None,
    }
}
