//! The pages, as maud markup: they work without scripts, with a keyboard and on a phone. Text of users
//! is escaped by maud, and `dir="auto"` keeps right-to-left text from turning the page around.

mod layout;

use maud::{Markup, PreEscaped, html};

use crate::app_error::{AppError, FormTarget, RefusedForm, Words};
use crate::entries::{Page, PageNumber};
use crate::entry::{Draft, Entry, EntryId, FieldErrors};
pub(crate) use layout::{Assets, Frame};

/// Characters of a description that the list shows.
pub(crate) const EXCERPT: u32 = 280;

/// The list's address.
pub(crate) fn list_url(number: PageNumber) -> String {
    url("/", number)
}

fn url(path: &str, number: PageNumber) -> String {
    if number == PageNumber::FIRST {
        path.to_owned()
    } else {
        format!("{path}?page={}", number.get())
    }
}

pub(crate) fn list(frame: &Frame<'_>, number: PageNumber, page: &Page, token: &str) -> Markup {
    let body = html! {
        div.columns {
            section.card.add aria-labelledby="add" {
                h2 #add { "Add an entry" }
                (form("/add", "Add entry", &Draft::default(), FieldErrors::default(), token))
            }
            section aria-labelledby="entries" {
                div.bar {
                    h1 #entries { "Entries" }
                    @if number != PageNumber::FIRST { span.muted { "Page " (number.get()) } }
                }
                @if page.entries.is_empty() { (nothing(number)) } @else {
                    ol.entries {
                        @for entry in &page.entries { (card(entry, number, token)) }
                    }
                }
                (pager(number, page.has_older))
            }
        }
    };
    frame.page("Entries", &body)
}

fn nothing(number: PageNumber) -> Markup {
    html! {
        div.card.empty {
            @if number == PageNumber::FIRST {
                p { strong { "No entries yet." } }
                p.muted { "Add the first one: it is stored in the database before this page comes back." }
            } @else {
                p { strong { "No entries on this page." } }
                p { a href="/" { "Go to the newest entries" } }
            }
        }
    }
}

fn card(entry: &Entry, number: PageNumber, token: &str) -> Markup {
    let id = entry.id;
    let (shown, cut) = excerpt(&entry.description);
    html! {
        li.card.entry {
            div.head {
                h3 dir="auto" { (entry.title) }
                (status(entry.status))
            }
            p.description dir="auto" { (shown) @if cut { "…" } }
            div.actions {
                form method="post" action=(url(&format!("/turn/{id}"), number)) {
                    input type="hidden" name="csrf_token" value=(token);
                    button.small type="submit" {
                        @if entry.status { "Turn off" } @else { "Turn on" }
                        span.hidden { " entry " (id) ": " (entry.title) }
                    }
                }
                a.button.small href=(url(&format!("/update/{id}"), number)) {
                    "Edit" span.hidden { " entry " (id) ": " (entry.title) }
                }
                a.button.small.danger href=(url(&format!("/delete/{id}"), number)) {
                    "Delete" span.hidden { " entry " (id) ": " (entry.title) }
                }
                span.number.muted { "#" (id) }
            }
        }
    }
}

fn status(on: bool) -> Markup {
    html! {
        @if on { span.status.on { "On" } } @else { span.status { "Off" } }
    }
}

/// The beginning of a description, and whether there is more.
fn excerpt(description: &str) -> (&str, bool) {
    match description.char_indices().nth(EXCERPT as usize) {
        Some((end, _)) => (&description[..end], true),
        None => (description, false),
    }
}

fn pager(number: PageNumber, has_older: bool) -> Markup {
    let newer = PageNumber::new(number.get() - 1);
    let older = number
        .get()
        .checked_add(1)
        .and_then(PageNumber::new)
        .filter(|_| has_older);
    html! {
        @if newer.is_some() || older.is_some() {
            nav.pager aria-label="Pages" {
                @if let Some(newer) = newer { a.button href=(list_url(newer)) rel="prev" { "← Newer" } }
                @if let Some(older) = older { a.button.last href=(list_url(older)) rel="next" { "Older →" } }
            }
        }
    }
}

pub(crate) fn edit(
    frame: &Frame<'_>,
    id: EntryId,
    number: PageNumber,
    draft: &Draft,
    token: &str,
) -> Markup {
    let action = url(&format!("/update/{id}"), number);
    let body = html! {
        section.card.narrow {
            h1 { "Edit entry " span.muted { "#" (id) } }
            (form(&action, "Save changes", draft, FieldErrors::default(), token))
            p { a href=(list_url(number)) { "Back to the list without saving" } }
        }
    };
    frame.page("Edit entry", &body)
}

pub(crate) fn confirm_delete(
    frame: &Frame<'_>,
    entry: &Entry,
    number: PageNumber,
    token: &str,
) -> Markup {
    let id = entry.id;
    let (shown, cut) = excerpt(&entry.description);
    let body = html! {
        section.card.narrow {
            h1 { "Delete this entry?" }
            p { "It will be gone for good." }
            blockquote {
                div.head { h2 dir="auto" { (entry.title) } (status(entry.status)) }
                p.description dir="auto" { (shown) @if cut { "…" } }
            }
            div.actions {
                form method="post" action=(url(&format!("/delete/{id}"), number)) {
                    input type="hidden" name="csrf_token" value=(token);
                    button.danger.solid type="submit" { "Delete entry " (id) }
                }
                a.button href=(list_url(number)) { "Keep it" }
            }
        }
    };
    frame.page("Delete entry", &body)
}

/// An error as a page; a form that was not saved comes back with what was typed.
pub(crate) fn error(frame: &Frame<'_>, error: &AppError, token: &str) -> Markup {
    let words = error.words();
    let body = if let AppError::Form(refused) = error {
        refused_form(refused, &words, token)
    } else {
        html! {
            section.card.narrow.problem {
                p.code aria-hidden="true" { (error.status().as_u16()) }
                h1 { (words.title) }
                p { (words.advice) }
                p { a.button href="/" { "Go to the entries" } }
            }
        }
    };
    frame.page(words.title, &body)
}

fn refused_form(refused: &RefusedForm, words: &Words, token: &str) -> Markup {
    let (heading, action, button) = match refused.target {
        FormTarget::Add => ("Add an entry".to_owned(), "/add".to_owned(), "Add entry"),
        FormTarget::Update(id) => (
            format!("Edit entry #{id}"),
            format!("/update/{id}"),
            "Save changes",
        ),
    };
    html! {
        section.card.narrow {
            h1 { (heading) }
            div.alert role="alert" {
                strong { (words.title) }
                p { (words.advice) " What you typed is still here." }
            }
            (form(&action, button, &refused.draft, refused.error.fields(), token))
            p { a href="/" { "Back to the list without saving" } }
        }
    }
}

fn form(action: &str, button: &str, draft: &Draft, errors: FieldErrors, token: &str) -> Markup {
    let (title_wrong, description_wrong) = (errors.title.is_some(), errors.description.is_some());
    html! {
        form method="post" action=(action) {
            input type="hidden" name="csrf_token" value=(token);
            div.field {
                label for="title" { "Title" }
                input #title type="text" name="title" value=(draft.title) required dir="auto"
                    autocomplete="off" aria-invalid=[title_wrong.then_some("true")]
                    aria-describedby="title-help" autofocus[title_wrong];
                (help("title-help", errors.title, "Up to 64 characters."))
            }
            div.field {
                label for="description" { "Description" }
                // A browser drops the first line break of a text area; this one is for it to drop.
                textarea #description name="description" rows="5" required dir="auto"
                    aria-invalid=[description_wrong.then_some("true")] aria-describedby="description-help"
                    autofocus[description_wrong && !title_wrong] { (PreEscaped("\n")) (draft.description) }
                (help("description-help", errors.description, "As long as you like, up to 65,536 bytes."))
            }
            button.primary type="submit" { (button) }
        }
    }
}

fn help(id: &str, error: Option<&str>, otherwise: &str) -> Markup {
    html! {
        @match error {
            Some(error) => p.help.wrong id=(id) { "Error: " (error) },
            None => p.help.muted id=(id) { (otherwise) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        let exact = "é".repeat(EXCERPT as usize);
        assert_eq!(excerpt(&exact), (exact.as_str(), false));
        assert_eq!(excerpt(&format!("{exact}é")), (exact.as_str(), true));
        assert_eq!(excerpt(""), ("", false));
    }
}
