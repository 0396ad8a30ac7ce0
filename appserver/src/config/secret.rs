//! Secrets: read from a variable or from the file that its `_FILE` twin names, printed masked.

use std::fmt;

use super::Environment;

/// Bytes that must not be seen: prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

const MAKE_ONE: &str = "make one with: openssl rand -hex 32";
const SHORTEST_KEY: usize = 32;

/// Keys that were published with example applications, or parts of them. Whoever reads those can sign
/// our forms.
const PUBLISHED: &[&str] = &[
    "you-will-never-guess",
    "you_will_never_guess",
    "hard to guess string",
    "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
    "django-insecure",
    "secret-key",
    "secret_key",
    "secretkey",
    "change-me",
    "changeme",
    "change_me",
    "change-this",
    "replace-me",
];

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
    let lower = text.to_ascii_lowercase();
    let distinct = text.bytes().collect::<std::collections::HashSet<_>>().len();
    let wrong = if PUBLISHED.iter().any(|published| lower.contains(published)) {
        "is a published example, so everybody knows it"
    } else if text.len() < SHORTEST_KEY {
        "is shorter than 32 bytes"
    } else if distinct < 8 {
        "repeats too few characters to be a secret"
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
