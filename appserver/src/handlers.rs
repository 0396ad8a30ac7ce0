//! What each route does: the pages here, the rest by the module that has it.

use http::header::{COOKIE, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode, Uri};
use hyper::body::Incoming;

use crate::app::{App, now};
use crate::app_error::{AppError, Doing, FormTarget, RefusedForm};
use crate::database::DatabaseError;
use crate::entries::{Freshness, PageNumber};
use crate::entry::{Draft, Entry, EntryId};
use crate::form::Form;
use crate::respond::{self, Answer};
use crate::routes::Route;
use crate::visit::Visit;
use crate::{api, body, csrf, pages, probes};

const FORM: &str = "application/x-www-form-urlencoded";

/// After a change, lists are read from the primary for a few seconds, so that whoever made it sees it
/// even if the replica lags. The browser carries this, because the next request may come to another
/// instance.
const WROTE: &str = "lintel_wrote=1; Path=/; Max-Age=5; HttpOnly; SameSite=Lax";

pub(crate) async fn call(
    app: &App,
    route: Route,
    request: Request<Incoming>,
    visit: &Visit,
) -> Result<Answer, AppError> {
    match route {
        Route::List => list(app, &request, visit).await,
        Route::Add => add(app, request).await,
        Route::Edit(id) => edit(app, id, &request, visit).await,
        Route::Update(id) => update(app, id, request).await,
        Route::ConfirmDelete(id) => confirm_delete(app, id, &request, visit).await,
        Route::Delete(id) => delete(app, id, request).await,
        Route::Turn(id) => turn(app, id, request).await,
        Route::ApiList => api::list(app, &request).await,
        Route::ApiAdd => api::add(app, request).await,
        Route::ApiShow(id) => api::show(app, id).await,
        Route::ApiReplace(id) => api::replace(app, id, request).await,
        Route::ApiChange(id) => api::change(app, id, request).await,
        Route::ApiDelete(id) => api::delete(app, id, request.headers()).await,
        Route::ApiTurn(id) => api::turn(app, id, request).await,
        Route::Health => Ok(probes::health(app)),
        Route::Ready => Ok(probes::ready(app).await),
        Route::Metrics => Ok(probes::metrics(app)),
        Route::PoolStats => Ok(probes::pool_stats(app).await),
        Route::Style => Ok(app.assets.style(request.uri().path())),
        Route::Icon => Ok(app.assets.icon(request.uri().path())),
    }
}

async fn list(app: &App, request: &Request<Incoming>, visit: &Visit) -> Result<Answer, AppError> {
    let number = page_number(request.uri())?;
    let freshness = freshness(request.headers());
    let page = app
        .entries()
        .await?
        .list(number, pages::EXCERPT + 1, freshness)
        .await
        .map_err(reading)?;
    let markup = pages::list(&app.frame(visit), number, &page, &app.csrf_token());
    Ok(respond::page(StatusCode::OK, markup))
}

async fn add(app: &App, request: Request<Incoming>) -> Result<Answer, AppError> {
    let form = read_form(request).await?;
    let saved = async {
        check(app, &form)?;
        let content = form.draft.validate().map_err(AppError::Fields)?;
        app.entries()
            .await?
            .add(content, false)
            .await
            .map_err(changing)
    };
    match saved.await {
        Ok(_id) => Ok(back_to_list(app, PageNumber::FIRST)),
        Err(error) => Err(typed(FormTarget::Add, form.draft, error)),
    }
}

async fn edit(
    app: &App,
    id: EntryId,
    request: &Request<Incoming>,
    visit: &Visit,
) -> Result<Answer, AppError> {
    let number = page_number(request.uri())?;
    let entry = find(app, id).await?;
    let draft = Draft {
        title: entry.title,
        description: entry.description,
    };
    let markup = pages::edit(&app.frame(visit), id, number, &draft, &app.csrf_token());
    Ok(respond::page(StatusCode::OK, markup))
}

async fn update(app: &App, id: EntryId, request: Request<Incoming>) -> Result<Answer, AppError> {
    let number = page_number(request.uri())?;
    let form = read_form(request).await?;
    let saved = async {
        check(app, &form)?;
        let content = form.draft.validate().map_err(AppError::Fields)?;
        let found = app
            .entries()
            .await?
            .change(id, content.into())
            .await
            .map_err(changing)?;
        if found {
            Ok(())
        } else {
            Err(AppError::NotFound)
        }
    };
    match saved.await {
        Ok(()) => Ok(back_to_list(app, number)),
        // Deleted meanwhile: what was typed can still be added as a new entry.
        Err(AppError::NotFound) => Err(typed(FormTarget::Add, form.draft, AppError::NotFound)),
        Err(error) => Err(typed(FormTarget::Update(id), form.draft, error)),
    }
}

async fn confirm_delete(
    app: &App,
    id: EntryId,
    request: &Request<Incoming>,
    visit: &Visit,
) -> Result<Answer, AppError> {
    let number = page_number(request.uri())?;
    let entry = find(app, id).await?;
    let markup = pages::confirm_delete(&app.frame(visit), &entry, number, &app.csrf_token());
    Ok(respond::page(StatusCode::OK, markup))
}

async fn delete(app: &App, id: EntryId, request: Request<Incoming>) -> Result<Answer, AppError> {
    let number = page_number(request.uri())?;
    check(app, &read_form(request).await?)?;
    let found = app.entries().await?.delete(id).await.map_err(changing)?;
    if found {
        Ok(back_to_list(app, number))
    } else {
        Err(AppError::NotFound)
    }
}

async fn turn(app: &App, id: EntryId, request: Request<Incoming>) -> Result<Answer, AppError> {
    let number = page_number(request.uri())?;
    check(app, &read_form(request).await?)?;
    let found = app.entries().await?.turn(id).await.map_err(changing)?;
    if found {
        Ok(back_to_list(app, number))
    } else {
        Err(AppError::NotFound)
    }
}

async fn read_form(request: Request<Incoming>) -> Result<Form, AppError> {
    if !csrf::same_site(request.headers()) {
        return Err(AppError::CrossSite);
    }
    let body = body::read(request, FORM).await?;
    Form::parse(&body).map_err(|_| AppError::NotUtf8)
}

fn check(app: &App, form: &Form) -> Result<(), AppError> {
    app.csrf
        .check(&form.csrf_token, now())
        .map_err(AppError::Token)
}

fn typed(target: FormTarget, draft: Draft, error: AppError) -> AppError {
    AppError::Form(Box::new(RefusedForm {
        target,
        draft,
        error,
    }))
}

pub(crate) async fn find(app: &App, id: EntryId) -> Result<Entry, AppError> {
    app.entries()
        .await?
        .find(id)
        .await
        .map_err(reading)?
        .ok_or(AppError::NotFound)
}

pub(crate) fn reading(error: DatabaseError) -> AppError {
    AppError::Database {
        error,
        doing: Doing::Reading,
    }
}

pub(crate) fn changing(error: DatabaseError) -> AppError {
    AppError::Database {
        error,
        doing: Doing::Changing,
    }
}

/// `?page=`; left out it is 1, and what is no number of a page is no page.
pub(crate) fn page_number(uri: &Uri) -> Result<PageNumber, AppError> {
    let mut pairs = uri.query().unwrap_or_default().split('&');
    let Some(page) = pairs.find_map(|pair| pair.strip_prefix("page=")) else {
        return Ok(PageNumber::FIRST);
    };
    let digits = page.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits {
        page.parse().ok().and_then(PageNumber::new)
    } else {
        None
    };
    number.ok_or(AppError::NotFound)
}

pub(crate) fn freshness(headers: &HeaderMap) -> Freshness {
    let cookies = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok());
    let mut cookies = cookies.flat_map(|line| line.split(';')).map(str::trim);
    if cookies.any(|cookie| cookie == "lintel_wrote=1") {
        Freshness::Latest
    } else {
        Freshness::Replica
    }
}

fn back_to_list(app: &App, number: PageNumber) -> Answer {
    let location = HeaderValue::from_str(&pages::list_url(number));
    let mut answer = respond::see_other(location.unwrap_or(HeaderValue::from_static("/")));
    note_write(app, &mut answer);
    answer
}

pub(crate) fn note_write(app: &App, answer: &mut Answer) {
    if app.store().has_replica() {
        answer
            .headers_mut()
            .insert(SET_COOKIE, HeaderValue::from_static(WROTE));
    }
}
