//! The same entries as JSON, under `/api/entries`. Forms cannot send `application/json`, and scripts of
//! other sites cannot without leave, so no token is asked for; the check of the origin stays.

use http::header::{HeaderValue, LOCATION};
use http::{HeaderMap, Request, StatusCode};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::app_error::AppError;
use crate::entry::{Change, DESCRIPTION_BYTES, Draft, Entry, EntryId, FieldErrors};
use crate::handlers::{changing, find, freshness, note_write, page_number, reading};
use crate::respond::{self, Answer};
use crate::{body, csrf};

const JSON: &str = "application/json";
const MISSING: &str = "Give it; or use PATCH to change single fields.";

#[derive(Serialize)]
struct List {
    entries: Vec<Entry>,
    page: u32,
    next_page: Option<u32>,
}

/// What may be sent; which fields must be depends on the method. What was read of an entry may be sent back whole.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Cannot be changed, or chosen for a new entry.
    id: Option<u64>,
    title: Option<String>,
    description: Option<String>,
    status: Option<bool>,
}

#[derive(Serialize)]
struct Problem {
    error: String,
    fields: FieldErrors,
}

pub(crate) fn error(error: &AppError) -> Answer {
    let words = error.words();
    let problem = Problem {
        error: format!("{}. {}", words.title, words.advice),
        fields: error.fields(),
    };
    respond::json(error.status(), &problem)
}

pub(crate) async fn list(app: &App, request: &Request<Incoming>) -> Result<Answer, AppError> {
    let number = page_number(request.uri())?;
    let whole = DESCRIPTION_BYTES as u32;
    let page = app
        .entries()
        .await?
        .list(number, whole, freshness(request.headers()))
        .await
        .map_err(reading)?;
    let next_page = page.has_older.then(|| number.get().saturating_add(1));
    Ok(respond::json(
        StatusCode::OK,
        &List {
            entries: page.entries,
            page: number.get(),
            next_page,
        },
    ))
}

pub(crate) async fn add(app: &App, request: Request<Incoming>) -> Result<Answer, AppError> {
    let fields = read(request, None).await?;
    let status = fields.status.unwrap_or(false);
    let draft = Draft {
        title: fields.title.unwrap_or_default(),
        description: fields.description.unwrap_or_default(),
    };
    let content = draft.validate().map_err(AppError::Fields)?;
    let id = app
        .entries()
        .await?
        .add(content.clone(), status)
        .await
        .map_err(changing)?;
    let entry = Entry {
        id,
        title: content.title,
        description: content.description,
        status,
    };
    let mut answer = respond::json(StatusCode::CREATED, &entry);
    if let Ok(location) = HeaderValue::from_str(&format!("/api/entries/{id}")) {
        answer.headers_mut().insert(LOCATION, location);
    }
    note_write(app, &mut answer);
    Ok(answer)
}

pub(crate) async fn show(app: &App, id: EntryId) -> Result<Answer, AppError> {
    Ok(respond::json(StatusCode::OK, &find(app, id).await?))
}

/// All fields must be there.
pub(crate) async fn replace(
    app: &App,
    id: EntryId,
    request: Request<Incoming>,
) -> Result<Answer, AppError> {
    let fields = read(request, Some(id)).await?;
    let missing = FieldErrors {
        title: fields.title.is_none().then_some(MISSING),
        description: fields.description.is_none().then_some(MISSING),
        status: fields.status.is_none().then_some(MISSING),
    };
    if !missing.is_empty() {
        return Err(AppError::Fields(missing));
    }
    apply(app, id, fields).await
}

/// Fields left out stay as they are.
pub(crate) async fn change(
    app: &App,
    id: EntryId,
    request: Request<Incoming>,
) -> Result<Answer, AppError> {
    let fields = read(request, Some(id)).await?;
    apply(app, id, fields).await
}

pub(crate) async fn delete(
    app: &App,
    id: EntryId,
    headers: &HeaderMap,
) -> Result<Answer, AppError> {
    if !csrf::same_site(headers) {
        return Err(AppError::CrossSite);
    }
    if !app.entries().await?.delete(id).await.map_err(changing)? {
        return Err(AppError::NotFound);
    }
    let mut answer = respond::empty(StatusCode::NO_CONTENT);
    note_write(app, &mut answer);
    Ok(answer)
}

/// The content type is asked for here too, though the body says nothing: without it another site's
/// form could post this.
pub(crate) async fn turn(
    app: &App,
    id: EntryId,
    request: Request<Incoming>,
) -> Result<Answer, AppError> {
    receive(request).await?;
    if !app.entries().await?.turn(id).await.map_err(changing)? {
        return Err(AppError::NotFound);
    }
    Ok(changed(app, id).await)
}

async fn apply(app: &App, id: EntryId, fields: Fields) -> Result<Answer, AppError> {
    let change = Change {
        title: fields.title,
        description: fields.description,
        status: fields.status,
    };
    let change = change.validate().map_err(AppError::Fields)?;
    if !app
        .entries()
        .await?
        .change(id, change)
        .await
        .map_err(changing)?
    {
        return Err(AppError::NotFound);
    }
    Ok(changed(app, id).await)
}

/// The entry as it is now. The change has been made whatever becomes of this: told of an error, a client would make it
/// again, and turn back what it turned.
async fn changed(app: &App, id: EntryId) -> Answer {
    let mut answer = show(app, id).await.unwrap_or_else(|error| {
        tracing::warn!(?error, %id, "an entry was changed, but could not be read afterwards");
        respond::empty(StatusCode::NO_CONTENT)
    });
    note_write(app, &mut answer);
    answer
}

/// `id` is that of the path.
async fn read(request: Request<Incoming>, id: Option<EntryId>) -> Result<Fields, AppError> {
    let body = receive(request).await?;
    let fields: Fields = serde_json::from_slice(&body).map_err(AppError::NotJson)?;
    let expected = id.map(|id| u64::from(id.get()));
    if fields.id.is_some() && fields.id != expected {
        return Err(AppError::OtherId);
    }
    Ok(fields)
}

async fn receive(request: Request<Incoming>) -> Result<bytes::Bytes, AppError> {
    if !csrf::same_site(request.headers()) {
        return Err(AppError::CrossSite);
    }
    body::read(request, JSON).await
}
