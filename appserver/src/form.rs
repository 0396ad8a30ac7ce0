//! Reads `application/x-www-form-urlencoded` bodies. Pure: bytes in, fields out. Stricter than a
//! browser's own reading in one point: text that is not UTF-8 is refused, so that nothing is stored
//! other than it was typed.

use crate::entry::{DESCRIPTION_BYTES, Draft, TITLE_CHARACTERS};

/// Large enough for every valid entry. The worst cases: a line break is one byte stored and six
/// sent (`%0D%0A`, in JSON `\u000a`), a character of a title is four bytes stored and twelve sent.
pub(crate) const BODY_LIMIT: usize = 6 * DESCRIPTION_BYTES + 12 * TITLE_CHARACTERS + 4096;

/// The fields of the forms of our pages; of a name that comes twice, the first counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) draft: Draft,
    pub(crate) csrf_token: String,
}

/// The form's text is not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotUtf8;

impl Form {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, NotUtf8> {
        let (mut title, mut description, mut csrf_token) = (None, None, None);
        for pair in body.split(|byte| *byte == b'&') {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default());
            let field = match name.as_slice() {
                b"title" => &mut title,
                b"description" => &mut description,
                b"csrf_token" => &mut csrf_token,
                _ => continue,
            };
            if field.is_none() {
                let value = decode(halves.next().unwrap_or_default());
                *field = Some(String::from_utf8(value).map_err(|_| NotUtf8)?);
            }
        }
        let draft = Draft {
            title: title.unwrap_or_default(),
            description: description.unwrap_or_default(),
        };
        Ok(Self {
            draft,
            csrf_token: csrf_token.unwrap_or_default(),
        })
    }
}

/// `+` is a blank, `%XX` a byte; a percent sign that starts no such byte stands for itself, as in
/// browsers.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        decoded.push(match (first, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            (byte, _) => *byte,
        });
    }
    decoded
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draft(body: &str) -> (String, String) {
        let form = Form::parse(body.as_bytes()).unwrap();
        (form.draft.title, form.draft.description)
    }

    #[test]
    fn fields_are_found_and_decoded() {
        for (body, title, description) in [
            ("title=a&description=b", "a", "b"),
            ("description=b&title=a", "a", "b"),
            ("title=a+b%20c%2B&description=%F0%9F%98%80", "a b c+", "😀"),
            ("title=a=b&description", "a=b", ""),
            ("%74itle=coded+name", "coded name", ""),
            ("title=first&title=second", "first", ""),
            ("title=100%&description=%zz%4", "100%", "%zz%4"),
            ("&&other=x&", "", ""),
            ("", "", ""),
        ] {
            assert_eq!(
                draft(body),
                (title.to_owned(), description.to_owned()),
                "{body}"
            );
        }
    }

    #[test]
    fn other_encodings_are_refused() {
        assert_eq!(Form::parse(b"title=%FF"), Err(NotUtf8));
        assert_eq!(Form::parse(b"title=\xff"), Err(NotUtf8));
    }

    #[test]
    fn the_longest_valid_entry_fits() {
        let longest = format!(
            "csrf_token={}&title={}&description=x{}x",
            "t".repeat(200),
            "%F0%9F%98%80".repeat(TITLE_CHARACTERS),
            "%0D%0A".repeat(DESCRIPTION_BYTES - 2)
        );
        assert!(longest.len() <= BODY_LIMIT);
        assert!(
            Form::parse(longest.as_bytes())
                .unwrap()
                .draft
                .validate()
                .is_ok()
        );
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(title in "(?s).{0,40}", description in "(?s).{0,80}") {
            let coded = |text: &str| {
                text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
            };
            prop_assert_eq!(
                draft(&format!("title={}&description={}", coded(&title), coded(&description))),
                (title, description)
            );
        }

        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Form::parse(&body);
        }
    }
}
