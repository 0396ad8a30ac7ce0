//! What every page has around its content: head, header, and the footer that tells which way the
//! request came. Style and icon are served by ourselves, so that a network without a way out sees the
//! same page.

use aws_lc_rs::digest::{SHA256, digest};
use maud::{DOCTYPE, Markup, html};

use crate::respond::{self, Answer};
use crate::visit::Visit;

const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("icon.svg");

/// The addresses of style and icon, with the digest of their content.
pub(crate) struct Assets {
    style: String,
    icon: String,
}

impl Assets {
    pub(crate) fn new() -> Self {
        Self {
            style: format!("/assets/style-{}.css", fingerprint(STYLE)),
            icon: format!("/assets/icon-{}.svg", fingerprint(ICON)),
        }
    }

    pub(crate) fn style(&self, path: &str) -> Answer {
        respond::asset("text/css; charset=utf-8", STYLE, path == self.style)
    }

    pub(crate) fn icon(&self, path: &str) -> Answer {
        respond::asset("image/svg+xml", ICON, path == self.icon)
    }
}

fn fingerprint(content: &str) -> String {
    let digest = digest(&SHA256, content.as_bytes());
    let hex: Vec<String> = digest
        .as_ref()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    hex.concat()
}

/// What stands around a page's content.
pub(crate) struct Frame<'a> {
    pub(crate) instance_id: &'a str,
    pub(crate) database: &'static str,
    pub(crate) assets: &'a Assets,
    pub(crate) visit: &'a Visit,
}

impl Frame<'_> {
    pub(crate) fn page(&self, title: &str, body: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · Lintel" }
                    link rel="stylesheet" href=(self.assets.style);
                    link rel="icon" type="image/svg+xml" href=(self.assets.icon);
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        div.wrap {
                            a.brand href="/" {
                                span.mark aria-hidden="true" {}
                                "Lintel"
                            }
                            span.tagline { "one path, from the browser to the database" }
                        }
                    }
                    main #main.wrap tabindex="-1" { (body) }
                    (self.footer())
                }
            }
        }
    }

    fn footer(&self) -> Markup {
        html! {
            footer.bottom {
                div.wrap {
                    h2 #way { "How this page reached you" }
                    ol.way aria-labelledby="way" {
                        li { span.muted { "Client" } b { (self.visit.client) } }
                        li { span.muted { "Scheme" } b { (self.visit.scheme) } }
                        @if self.visit.proxied {
                            li { span.muted { "Through" } b { "load balancer" } }
                        }
                        li { span.muted { "Instance" } b { (self.instance_id) } }
                        li { span.muted { "Database" } b { (self.database) } }
                    }
                    p.trace {
                        span.muted { "Trace " }
                        @match &self.visit.trace_id {
                            Some(id) => code { (id) },
                            None => span.muted { "none: the request came without a load balancer" },
                        }
                    }
                }
            }
        }
    }
}
