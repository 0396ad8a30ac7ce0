//! The action redirect: builds the Location from the request's parts. Sending it is the listener's work.

use super::template::Part;
use super::{Keyword, Template};
use crate::rule::without_port;

/// Parts that were left out of the configuration stand for themselves, as `#{host}` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// 301 or 302.
    pub status_code: u16,
    /// `HTTP`, `HTTPS` or `#{protocol}`.
    pub protocol: Template,
    pub host: Template,
    pub port: Template,
    /// Begins with `/`.
    pub path: Template,
    /// Without `?`.
    pub query: Template,
}

/// The request that is redirected.
#[derive(Debug, Clone, Copy)]
pub struct RedirectInput<'a> {
    /// `HTTP` or `HTTPS`, in any case.
    pub protocol: &'a str,
    /// As the client sent it, a port still on. Not empty: a request without Host needs a stand-in.
    pub host: &'a str,
    /// Of the listener.
    pub port: u16,
    /// With its leading `/`.
    pub path: &'a str,
    /// Without `?`; empty if there is none.
    pub query: &'a str,
}

impl Redirect {
    /// A Location longer than this is answered with 507 instead.
    pub const MAX_LOCATION_LENGTH: usize = 8 * 1024;

    /// Every part as in the request.
    pub fn unchanged(status_code: u16) -> Self {
        Self {
            status_code,
            protocol: Template::keyword(Keyword::Protocol),
            host: Template::keyword(Keyword::Host),
            port: Template::keyword(Keyword::Port),
            path: Template::whole_path(),
            query: Template::keyword(Keyword::Query),
        }
    }

    /// `protocol://host:port/path?query`, the port always written out. Visible ASCII whatever the request held, so it can
    /// neither end the header nor, in the host, lead to another one than the client named.
    pub fn location(&self, request: &RedirectInput<'_>) -> String {
        let mut location = String::with_capacity(
            64 + request.host.len() + request.path.len() + request.query.len(),
        );
        expand(&self.protocol, request, &mut location);
        location.make_ascii_lowercase();
        location.push_str("://");
        expand(&self.host, request, &mut location);
        location.push(':');
        expand(&self.port, request, &mut location);
        expand(&self.path, request, &mut location);
        location.push('?');
        let without_query = location.len();
        expand(&self.query, request, &mut location);
        if location.len() == without_query {
            location.pop();
        }
        location
    }
}

fn expand(template: &Template, request: &RedirectInput<'_>, location: &mut String) {
    for part in template.parts() {
        match part {
            Part::Literal(text) => push_encoded(text, is_visible, location),
            Part::Keyword(Keyword::Protocol) => {
                push_encoded(request.protocol, is_visible, location);
            }
            Part::Keyword(Keyword::Host) => {
                push_encoded(without_port(request.host), is_host, location);
            }
            Part::Keyword(Keyword::Port) => location.push_str(&request.port.to_string()),
            Part::Keyword(Keyword::Path) => {
                push_encoded(
                    request.path.strip_prefix('/').unwrap_or(request.path),
                    is_visible,
                    location,
                );
            }
            Part::Keyword(Keyword::Query) => push_encoded(request.query, is_visible, location),
        }
    }
}

/// What may not stand as it is goes in percent-encoded.
fn push_encoded(text: &str, allowed: fn(u8) -> bool, location: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if allowed(byte) {
            location.push(char::from(byte));
        } else {
            location.extend([
                '%',
                char::from(HEX[usize::from(byte >> 4)]),
                char::from(HEX[usize::from(byte & 15)]),
            ]);
        }
    }
}

fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

/// RFC 3986 `host`: nothing that would end it early (`/ ? # @ \`).
fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%[]:!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REQUEST: RedirectInput<'_> = RedirectInput {
        protocol: "HTTP",
        host: "Example.com:8080",
        port: 8080,
        path: "/a/b",
        query: "c=d",
    };

    fn template(text: &str) -> Template {
        Template::parse(text, &Keyword::ALL).expect("a valid template")
    }

    #[test]
    fn every_part_can_be_replaced() {
        let unchanged = Redirect::unchanged(301);
        let cases = [
            (unchanged.clone(), "http://Example.com:8080/a/b?c=d"),
            (
                Redirect {
                    protocol: template("HTTPS"),
                    port: template("443"),
                    ..unchanged.clone()
                },
                "https://Example.com:443/a/b?c=d",
            ),
            (
                Redirect {
                    host: template("www.#{host}"),
                    ..unchanged.clone()
                },
                "http://www.Example.com:8080/a/b?c=d",
            ),
            (
                Redirect {
                    path: template("/new/#{path}"),
                    ..unchanged.clone()
                },
                "http://Example.com:8080/new/a/b?c=d",
            ),
            (
                Redirect {
                    path: template("/#{host}/#{port}"),
                    ..unchanged.clone()
                },
                "http://Example.com:8080/Example.com/8080?c=d",
            ),
            (
                Redirect {
                    query: template("x=1&#{query}"),
                    ..unchanged.clone()
                },
                "http://Example.com:8080/a/b?x=1&c=d",
            ),
            (
                Redirect {
                    query: template(""),
                    ..unchanged.clone()
                },
                "http://Example.com:8080/a/b",
            ),
            (
                Redirect {
                    query: template("#{protocol}|#{host}|#{port}|#{path}|#{query}"),
                    ..unchanged
                },
                "http://Example.com:8080/a/b?HTTP|Example.com|8080|a/b|c=d",
            ),
        ];
        for (redirect, expected) in cases {
            assert_eq!(redirect.location(&REQUEST), expected);
        }
    }

    #[test]
    fn takes_the_request_as_it_comes() {
        let unchanged = Redirect::unchanged(302);
        let cases = [
            (
                RedirectInput {
                    query: "",
                    ..REQUEST
                },
                "http://Example.com:8080/a/b",
            ),
            (
                RedirectInput {
                    path: "/",
                    query: "",
                    ..REQUEST
                },
                "http://Example.com:8080/",
            ),
            (
                RedirectInput {
                    path: "",
                    query: "",
                    ..REQUEST
                },
                "http://Example.com:8080/",
            ),
            (
                RedirectInput {
                    path: "//evil.com",
                    query: "",
                    ..REQUEST
                },
                "http://Example.com:8080//evil.com",
            ),
            (
                RedirectInput {
                    path: "/%2e%2F",
                    query: "a=?&b",
                    ..REQUEST
                },
                "http://Example.com:8080/%2e%2F?a=?&b",
            ),
            (
                RedirectInput {
                    host: "[::1]:443",
                    protocol: "https",
                    port: 443,
                    ..REQUEST
                },
                "https://[::1]:443/a/b?c=d",
            ),
            (
                RedirectInput {
                    host: "a@evil.com/x",
                    query: "",
                    ..REQUEST
                },
                "http://a%40evil.com%2Fx:8080/a/b",
            ),
            (
                RedirectInput {
                    path: "/a\r\nSet-Cookie: x",
                    query: "ä",
                    ..REQUEST
                },
                "http://Example.com:8080/a%0D%0ASet-Cookie:%20x?%C3%A4",
            ),
        ];
        for (request, expected) in cases {
            assert_eq!(unchanged.location(&request), expected);
        }
    }

    proptest! {
        #[test]
        fn a_location_is_a_header_value_whatever_comes_in(literal in any::<String>(), host in any::<String>(), path in any::<String>(), query in any::<String>()) {
            let redirect = Redirect { query: Template::literal(&literal), ..Redirect::unchanged(301) };
            for redirect in [redirect, Redirect::unchanged(301)] {
                let location = redirect.location(&RedirectInput { host: &host, path: &path, query: &query, ..REQUEST });
                prop_assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{}", location);
            }
        }
    }
}
