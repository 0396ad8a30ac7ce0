//! The URL table: one match from a method and a path to a [`Route`]. Pure.

use http::Method;

use crate::entry::EntryId;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    List,
    Add,
    Edit(EntryId),
    Update(EntryId),
    ConfirmDelete(EntryId),
    Delete(EntryId),
    Turn(EntryId),
    ApiList,
    ApiAdd,
    ApiShow(EntryId),
    ApiReplace(EntryId),
    ApiChange(EntryId),
    ApiDelete(EntryId),
    ApiTurn(EntryId),
    Health,
    Ready,
    Metrics,
    PoolStats,
    Style,
    Icon,
}

/// Why there is no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    NotFound,
    /// With the value of `Allow`.
    MethodNotAllowed(String),
    /// An `OPTIONS` request: with the same value.
    Options(String),
}

use Route::{
    Add, ApiAdd, ApiChange, ApiDelete, ApiList, ApiReplace, ApiShow, ApiTurn, ConfirmDelete,
    Delete, Edit, Health, Icon, List, Metrics, PoolStats, Ready, Style, Turn, Update,
};

pub(crate) fn find(method: &Method, path: &str) -> Result<Route, NoRoute> {
    let mut parts = [""; 4];
    let mut count = 0;
    for part in path.strip_prefix('/').ok_or(NoRoute::NotFound)?.split('/') {
        *parts.get_mut(count).ok_or(NoRoute::NotFound)? = part;
        count += 1;
    }
    let id = |text| EntryId::parse(text).ok_or(NoRoute::NotFound);
    let allow = |methods: &[(&str, Route)]| choose(method, methods);
    match &parts[..count] {
        ["" | "index"] => allow(&[("GET", List)]),
        ["add"] => allow(&[("POST", Add)]),
        ["update", entry] => allow(&[("GET", Edit(id(entry)?)), ("POST", Update(id(entry)?))]),
        ["delete", entry] => allow(&[
            ("GET", ConfirmDelete(id(entry)?)),
            ("POST", Delete(id(entry)?)),
        ]),
        ["turn", entry] => allow(&[("POST", Turn(id(entry)?))]),
        ["api", "entries"] => allow(&[("GET", ApiList), ("POST", ApiAdd)]),
        ["api", "entries", entry] => {
            let id = id(entry)?;
            allow(&[
                ("GET", ApiShow(id)),
                ("PUT", ApiReplace(id)),
                ("PATCH", ApiChange(id)),
                ("DELETE", ApiDelete(id)),
            ])
        }
        ["api", "entries", entry, "turn"] => allow(&[("POST", ApiTurn(id(entry)?))]),
        ["health"] => allow(&[("GET", Health)]),
        ["ready"] => allow(&[("GET", Ready)]),
        ["metrics"] => allow(&[("GET", Metrics)]),
        ["pool-stats"] => allow(&[("GET", PoolStats)]),
        // Whatever its hash: while a fleet is being rolled, the page may come from another version.
        ["assets", file] if file.starts_with("style-") => allow(&[("GET", Style)]),
        ["assets", file] if file.starts_with("icon-") => allow(&[("GET", Icon)]),
        _ => Err(NoRoute::NotFound),
    }
}

/// `HEAD` goes wherever `GET` goes; hyper leaves the body out.
fn choose(method: &Method, methods: &[(&str, Route)]) -> Result<Route, NoRoute> {
    let asked = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    if let Some((_, route)) = methods.iter().find(|(name, _)| *name == asked) {
        return Ok(*route);
    }
    let names: Vec<&str> = methods
        .iter()
        .map(|(name, _)| if *name == "GET" { "GET, HEAD" } else { name })
        .collect();
    let allow = names.join(", ");
    if method == Method::OPTIONS {
        Err(NoRoute::Options(allow))
    } else {
        Err(NoRoute::MethodNotAllowed(allow))
    }
}

impl Route {
    /// The label of its metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            List => "list",
            Add => "add",
            Edit(_) => "edit",
            Update(_) => "update",
            ConfirmDelete(_) => "confirm_delete",
            Delete(_) => "delete",
            Turn(_) => "turn",
            ApiList => "api_list",
            ApiAdd => "api_add",
            ApiShow(_) => "api_show",
            ApiReplace(_) => "api_replace",
            ApiChange(_) => "api_change",
            ApiDelete(_) => "api_delete",
            ApiTurn(_) => "api_turn",
            Health => "health",
            Ready => "ready",
            Metrics => "metrics",
            PoolStats => "pool_stats",
            Style => "style",
            Icon => "icon",
        }
    }
}

/// Errors under this path are JSON, on others pages.
pub(crate) fn is_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: u32) -> EntryId {
        EntryId::new(id).unwrap()
    }

    fn asked(method: &str, path: &str) -> Result<Route, NoRoute> {
        find(&method.parse().unwrap(), path)
    }

    #[test]
    fn every_url_leads_somewhere() {
        for (method, path, route) in [
            ("GET", "/", List),
            ("HEAD", "/", List),
            ("GET", "/index", List),
            ("POST", "/add", Add),
            ("GET", "/update/7", Edit(id(7))),
            ("POST", "/update/7", Update(id(7))),
            ("GET", "/delete/7", ConfirmDelete(id(7))),
            ("POST", "/delete/7", Delete(id(7))),
            ("POST", "/turn/7", Turn(id(7))),
            ("GET", "/api/entries", ApiList),
            ("POST", "/api/entries", ApiAdd),
            ("GET", "/api/entries/7", ApiShow(id(7))),
            ("PUT", "/api/entries/7", ApiReplace(id(7))),
            ("PATCH", "/api/entries/7", ApiChange(id(7))),
            ("DELETE", "/api/entries/7", ApiDelete(id(7))),
            ("POST", "/api/entries/7/turn", ApiTurn(id(7))),
            ("GET", "/health", Health),
            ("HEAD", "/ready", Ready),
            ("GET", "/metrics", Metrics),
            ("GET", "/pool-stats", PoolStats),
            ("GET", "/assets/style-0123.css", Style),
            ("GET", "/assets/icon-0123.svg", Icon),
        ] {
            assert_eq!(asked(method, path), Ok(route), "{method} {path}");
        }
    }

    #[test]
    fn other_paths_lead_nowhere() {
        for path in [
            "/index/",
            "/update/5/",
            "/update/",
            "/update/01",
            "/update/0",
            "/update/abc",
            "/update/-1",
            "/turn/2147483648",
            "/delete/1/2",
            "/api",
            "/api/entries/",
            "/api/entries/x",
            "/api/entries/1/turn/",
            "/a/b/c/d/e",
            "//",
            "/%31",
            "/static/x",
            "*",
            "",
        ] {
            assert_eq!(asked("GET", path), Err(NoRoute::NotFound), "{path}");
        }
    }

    #[test]
    fn other_methods_are_told_which_are_allowed() {
        for (method, path, allow) in [
            ("GET", "/turn/7", "POST"),
            ("HEAD", "/turn/7", "POST"),
            ("GET", "/add", "POST"),
            ("POST", "/", "GET, HEAD"),
            ("PUT", "/update/7", "GET, HEAD, POST"),
            ("POST", "/api/entries/7", "GET, HEAD, PUT, PATCH, DELETE"),
            ("BREW", "/health", "GET, HEAD"),
        ] {
            assert_eq!(
                asked(method, path),
                Err(NoRoute::MethodNotAllowed(allow.to_owned())),
                "{method} {path}"
            );
        }
        assert_eq!(
            asked("OPTIONS", "/add"),
            Err(NoRoute::Options("POST".to_owned()))
        );
    }
}
