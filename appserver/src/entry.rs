//! An entry and what may be in one: the rules for titles, descriptions and ids. Pure; knows neither
//! HTTP nor SQL. Everything that changes an entry goes through [`Draft::validate`] or
//! [`Change::validate`], so pages and API cannot disagree about what is valid.

use std::fmt;
use std::num::NonZeroU32;

use serde::Serialize;

/// The longest title, in characters: the column is `VARCHAR(64)`.
pub const TITLE_CHARACTERS: usize = 64;
/// The longest description, in bytes.
pub const DESCRIPTION_BYTES: usize = 65_536;

/// An entry's number: 1 to 2147483647, as the `INT` column has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct EntryId(NonZeroU32);

impl EntryId {
    /// Reads an id from a URL. One entry has one address: signs, blanks, leading zeros and digits
    /// of other scripts are not ids.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        canonical
            .then(|| text.parse().ok().and_then(Self::new))
            .flatten()
    }

    pub fn new(id: u32) -> Option<Self> {
        NonZeroU32::new(id)
            .filter(|id| i32::try_from(id.get()).is_ok())
            .map(Self)
    }

    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub id: EntryId,
    pub title: String,
    pub description: String,
    pub status: bool,
}

/// A title and a description as somebody typed them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    pub title: String,
    pub description: String,
}

/// A title and a description that may be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    pub title: String,
    pub description: String,
}

/// What is to change in an entry; `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub title: Option<String>,
    pub description: Option<String>,
    pub status: Option<bool>,
}

/// What is wrong with which field, in words for the person who typed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FieldErrors {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
}

impl FieldErrors {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Draft {
    pub fn validate(&self) -> Result<Content, FieldErrors> {
        match (title(&self.title), description(&self.description)) {
            (Ok(title), Ok(description)) => Ok(Content { title, description }),
            (title, description) => Err(FieldErrors {
                title: title.err(),
                description: description.err(),
                status: None,
            }),
        }
    }
}

impl Change {
    /// The same rules for the fields that are given.
    pub fn validate(self) -> Result<Self, FieldErrors> {
        let title = self.title.as_deref().map(title).transpose();
        let description = self.description.as_deref().map(description).transpose();
        match (title, description) {
            (Ok(title), Ok(description)) => Ok(Self {
                title,
                description,
                status: self.status,
            }),
            (title, description) => Err(FieldErrors {
                title: title.err(),
                description: description.err(),
                status: None,
            }),
        }
    }
}

impl From<Content> for Change {
    fn from(content: Content) -> Self {
        Self {
            title: Some(content.title),
            description: Some(content.description),
            status: None,
        }
    }
}

fn title(typed: &str) -> Result<String, &'static str> {
    let title = typed.trim();
    if title.is_empty() {
        return Err("Enter a title.");
    }
    if title.chars().count() > TITLE_CHARACTERS {
        return Err("Use a title of at most 64 characters.");
    }
    if title.chars().any(char::is_control) {
        return Err("Use a title without line breaks, tabs or control characters.");
    }
    Ok(title.to_owned())
}

/// Browsers send line breaks as CR LF; one LF is stored, so that a text counts the same and comes
/// back the same however it was sent.
fn description(typed: &str) -> Result<String, &'static str> {
    let description = typed.replace("\r\n", "\n").replace('\r', "\n");
    let description = description.trim();
    if description.is_empty() {
        return Err("Enter a description.");
    }
    if description.len() > DESCRIPTION_BYTES {
        return Err("Use a description of at most 65,536 bytes (about 65,000 Latin letters).");
    }
    if description
        .chars()
        .any(|c| c.is_control() && c != '\n' && c != '\t')
    {
        return Err("Remove the control characters (such as NUL) from the description.");
    }
    Ok(description.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draft(title: &str, description: &str) -> Draft {
        Draft {
            title: title.to_owned(),
            description: description.to_owned(),
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        for (text, id) in [("1", 1), ("42", 42), ("2147483647", 2_147_483_647)] {
            assert_eq!(EntryId::parse(text).map(EntryId::get), Some(id), "{text}");
        }
        for text in [
            "",
            "0",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1.0",
            "0x1",
            "１",
            "abc",
            "2147483648",
            "4294967297",
            "9223372036854775808",
            "10000000000000000000000",
        ] {
            assert_eq!(EntryId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn limits_count_characters_for_titles_and_bytes_for_descriptions() {
        let face = "😀";
        assert!(draft(&face.repeat(64), "d").validate().is_ok());
        assert!(
            draft(&face.repeat(65), "d")
                .validate()
                .unwrap_err()
                .title
                .is_some()
        );
        assert!(draft("t", &"d".repeat(65_536)).validate().is_ok());
        assert!(
            draft("t", &"d".repeat(65_537))
                .validate()
                .unwrap_err()
                .description
                .is_some()
        );
        assert!(draft("t", &face.repeat(16_384)).validate().is_ok());
        assert!(
            draft("t", &face.repeat(16_385))
                .validate()
                .unwrap_err()
                .description
                .is_some()
        );
    }

    #[test]
    fn both_fields_are_reported_at_once() {
        let errors = draft(" \t", "\r\n").validate().unwrap_err();
        assert_eq!(
            (errors.title, errors.description),
            (Some("Enter a title."), Some("Enter a description."))
        );
    }

    #[test]
    fn texts_are_trimmed_and_line_breaks_made_one() {
        let content = draft("  a title ", " one\r\ntwo\rthree\n\n")
            .validate()
            .unwrap();
        assert_eq!(
            content,
            Content {
                title: "a title".into(),
                description: "one\ntwo\nthree".into()
            }
        );
    }

    #[test]
    fn control_characters_are_refused_not_stored() {
        for title in ["a\0b", "a\nb", "a\tb", "a\u{7f}b", "a\u{85}b"] {
            assert!(
                draft(title, "d").validate().unwrap_err().title.is_some(),
                "{title:?}"
            );
        }
        assert!(
            draft("t", "a\0b")
                .validate()
                .unwrap_err()
                .description
                .is_some()
        );
        assert!(draft("t", "a\tb\nc").validate().is_ok());
    }

    #[test]
    fn a_change_checks_only_what_it_holds() {
        assert_eq!(Change::default().validate(), Ok(Change::default()));
        let errors = Change {
            title: Some(String::new()),
            ..Change::default()
        }
        .validate()
        .unwrap_err();
        assert!(errors.title.is_some() && errors.description.is_none());
    }

    proptest! {
        #[test]
        fn what_is_valid_stays_as_it_is(title in "\\PC{0,70}", description in "(?s).{0,200}") {
            if let Ok(content) = draft(&title, &description).validate() {
                prop_assert!(content.title.chars().count() <= TITLE_CHARACTERS);
                prop_assert!(content.description.len() <= DESCRIPTION_BYTES);
                prop_assert_eq!(&draft(&content.title, &content.description).validate().unwrap(), &content);
            }
        }
    }
}
