//! Why a request was not carried out: one variant a reason, one exhaustive match to the status, one to
//! the words. Says what happened, what it means for the data, and what to do.

use http::StatusCode;

use crate::csrf::TokenError;
use crate::database::DatabaseError;
use crate::entry::{Draft, EntryId, FieldErrors};

#[derive(Debug)]
pub(crate) enum AppError {
    NotUtf8,
    NotJson(serde_json::Error),
    /// The body's id is not that of the path.
    OtherId,
    BodyBroken,
    /// Another site's page asked for a change.
    CrossSite,
    Token(TokenError),
    NotFound,
    /// With the value of `Allow`.
    MethodNotAllowed(String),
    BodyTimedOut,
    TooLarge,
    /// With the media type that is understood.
    MediaType(&'static str),
    Fields(FieldErrors),
    Panicked,
    /// The database was not reached since the start.
    NotReady,
    Database {
        error: DatabaseError,
        doing: Doing,
    },
    TimedOut(Doing),
    /// One of the others, with the form as it was typed.
    Form(Box<RefusedForm>),
}

/// What the request was about, which decides what a failure means for the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    Reading,
    Changing,
}

/// A form that was not saved, to be shown again.
#[derive(Debug)]
pub(crate) struct RefusedForm {
    pub(crate) target: FormTarget,
    pub(crate) draft: Draft,
    pub(crate) error: AppError,
}

/// Where a form is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormTarget {
    Add,
    Update(EntryId),
}

/// What is said to the person: a heading and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) title: &'static str,
    pub(crate) advice: String,
}

impl AppError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotUtf8 | Self::NotJson(_) | Self::OtherId | Self::BodyBroken => {
                StatusCode::BAD_REQUEST
            }
            Self::CrossSite | Self::Token(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Fields(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Panicked
            | Self::Database {
                error: DatabaseError::UnreadableRow | DatabaseError::Interrupted,
                ..
            } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotReady | Self::Database { .. } | Self::TimedOut(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Form(form) => form.error.status(),
        }
    }

    pub(crate) fn words(&self) -> Words {
        let (title, advice) = match self {
            Self::NotUtf8 => ("The text could not be read", "Send it as UTF-8.".to_owned()),
            Self::NotJson(error) => ("The JSON could not be read", format!("Correct it: {error}.")),
            Self::OtherId => (
                "The id cannot be chosen",
                "Leave it out, or send it to the address of the entry that has it.".to_owned(),
            ),
            Self::BodyBroken => ("The request broke off", "Send it again.".to_owned()),
            Self::CrossSite => (
                "This request came from another site",
                "Nothing was changed. Open the list here and make the change from there.".to_owned(),
            ),
            Self::Token(error) => (
                match error {
                    TokenError::Expired => "This form was open for too long",
                    TokenError::Invalid => "This form could not be verified",
                },
                "Nothing was changed. Open the list and do it again from there.".to_owned(),
            ),
            Self::NotFound => (
                "There is nothing here",
                "The address is wrong, or the entry was deleted in the meantime.".to_owned(),
            ),
            Self::MethodNotAllowed(allow) => {
                ("That does not work here", format!("This address answers only {allow}."))
            }
            Self::BodyTimedOut => {
                ("The request took too long to arrive", "Nothing was changed. Send it again.".to_owned())
            }
            Self::TooLarge => (
                "That is too much text",
                "Nothing was changed. A description may have at most 65,536 bytes; go back and shorten it."
                    .to_owned(),
            ),
            Self::MediaType(expected) => {
                ("The format is not understood", format!("Send it with Content-Type: {expected}."))
            }
            Self::Fields(_) => ("The entry was not saved", "Correct what is marked.".to_owned()),
            Self::Panicked => ("Something went wrong on our side", unknown_outcome().to_owned()),
            Self::NotReady => (
                "The application is starting",
                "It is waiting for its database. Try again in a few seconds.".to_owned(),
            ),
            Self::Database { error, doing } => (
                if error.is_answer() { "The database could not do this" } else { "The database does not answer" },
                outcome(*doing, error.nothing_changed()).to_owned(),
            ),
            Self::TimedOut(doing) => ("That took too long", outcome(*doing, false).to_owned()),
            Self::Form(form) => match &form.error {
                Self::Token(_) => (form.error.words().title, "Nothing was changed yet. Send it again.".to_owned()),
                error => return error.words(),
            },
        };
        Words { title, advice }
    }

    pub(crate) fn fields(&self) -> FieldErrors {
        match self {
            Self::Fields(fields) => *fields,
            _ => FieldErrors::default(),
        }
    }
}

fn outcome(doing: Doing, nothing_changed: bool) -> &'static str {
    match (doing, nothing_changed) {
        (Doing::Reading, _) => "Nothing is lost. Try again in a few seconds.",
        (Doing::Changing, true) => "Your change was not made. Try again in a few seconds.",
        (Doing::Changing, false) => unknown_outcome(),
    }
}

fn unknown_outcome() -> &'static str {
    "If you were changing something, look at the list before you try again: the change may have been made."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_change_says_what_became_of_it() {
        let said = |error, doing| AppError::Database { error, doing }.words().advice;
        assert!(said(DatabaseError::NoConnection, Doing::Changing).contains("was not made"));
        assert!(said(DatabaseError::TimedOut, Doing::Changing).contains("may have been made"));
        assert!(said(DatabaseError::TimedOut, Doing::Reading).contains("Nothing is lost"));
    }

    #[test]
    fn only_a_form_that_comes_back_can_be_sent_again() {
        for error in [TokenError::Expired, TokenError::Invalid] {
            let form = RefusedForm {
                target: FormTarget::Add,
                draft: Draft::default(),
                error: AppError::Token(error),
            };
            let (bare, back) = (
                AppError::Token(error).words(),
                AppError::Form(Box::new(form)).words(),
            );
            assert_eq!(bare.title, back.title);
            assert!(bare.advice.contains("from there") && back.advice.contains("Send it again"));
        }
    }
}
