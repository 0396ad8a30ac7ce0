//! One request and its answer, checked.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::content::Content;
use super::endpoint::{Endpoint, Sender};
use super::failure::Failure;
use super::link::{Link, Taken};

const PROGRAM: HeaderValue =
    HeaderValue::from_static(concat!("lintel-load/", env!("CARGO_PKG_VERSION")));

/// What every request is a copy of.
#[derive(Debug)]
pub(crate) struct Template {
    head: Request<()>,
    body: Bytes,
}

/// What an answer must be like to count.
#[derive(Debug)]
pub(crate) struct Expectation {
    status: Option<StatusCode>,
    /// Of answers without a Content-Length: that of the first one, once there was one. `None` = any.
    length: Option<OnceLock<u64>>,
    /// The whole body, where it is known in advance.
    content: Option<&'static [u8]>,
}

/// One that counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Body bytes.
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Template {
    pub(crate) fn new(
        url: &Uri,
        http2: bool,
        method: Method,
        headers: &[(HeaderName, HeaderValue)],
        body_size: usize,
    ) -> anyhow::Result<Self> {
        let authority = url.authority().context("the URL names no host")?;
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name.clone(), value.clone());
        }
        all.entry(USER_AGENT).or_insert(PROGRAM);
        let host = match all.remove(HOST) {
            Some(host) => host,
            None => HeaderValue::from_str(authority.as_str())?,
        };
        let target = if http2 {
            let mut parts = url.clone().into_parts();
            parts.authority = Some(
                host.as_bytes()
                    .try_into()
                    .context("the host header names no host")?,
            );
            Uri::from_parts(parts)?
        } else {
            all.insert(HOST, host);
            url.path_and_query()
                .map_or("/", |path| path.as_str())
                .parse()?
        };
        let mut head = Request::new(());
        *head.method_mut() = method;
        *head.uri_mut() = target;
        *head.headers_mut() = all;
        Ok(Self {
            head,
            body: Bytes::from(vec![b'x'; body_size]),
        })
    }

    fn request(&self) -> Request<Full<Bytes>> {
        self.head.clone().map(|()| Full::new(self.body.clone()))
    }
}

impl Expectation {
    pub(crate) fn new(status: Option<StatusCode>, any_length: bool) -> Self {
        Self {
            status,
            length: (!any_length).then(OnceLock::new),
            content: None,
        }
    }

    /// Status 200 and exactly this body.
    pub(crate) fn of_content(content: &'static [u8]) -> Self {
        Self {
            status: Some(StatusCode::OK),
            length: None,
            content: Some(content),
        }
    }

    fn check(&self, status: StatusCode, announced: Option<u64>, got: u64) -> Result<(), Failure> {
        let welcome = match self.status {
            Some(expected) => status == expected,
            None => status.is_success() || status.is_redirection(),
        };
        if !welcome {
            return Err(Failure::Status(status));
        }
        let expected = match (announced, &self.length) {
            (Some(announced), _) => announced,
            (None, Some(first)) => *first.get_or_init(|| got),
            (None, None) => got,
        };
        if got == expected {
            Ok(())
        } else {
            Err(Failure::Length { expected, got })
        }
    }
}

/// Sends the request on this link and reads its whole answer, within `limit`, connecting included.
pub(crate) async fn exchange(
    link: &Link,
    endpoint: &Endpoint,
    template: &Template,
    expectation: &Expectation,
    limit: Duration,
) -> Result<Answer, Failure> {
    tokio::time::timeout(limit, async {
        let (response, sender) = send(link, endpoint, template).await?;
        let status = response.status();
        let announced = announced_length(template.head.method(), &response);
        let received = read(
            response.into_body(),
            expectation.content.filter(|_| status == StatusCode::OK),
        )
        .await?;
        link.put(sender).await;
        expectation.check(status, announced, received)?;
        Ok(Answer {
            status,
            received,
            sent: template.body.len() as u64,
        })
    })
    .await
    .unwrap_or(Err(Failure::Timeout(limit)))
}

/// A request that a connection ended before it went out goes out on another one: the server may end idle connections.
async fn send(
    link: &Link,
    endpoint: &Endpoint,
    template: &Template,
) -> Result<(Response<Incoming>, Sender), Failure> {
    loop {
        let Taken { mut sender, fresh } = link.take(endpoint).await?;
        let sent = match &mut sender {
            Sender::Http1(sender) => sender.try_send_request(template.request()).await,
            Sender::Http2(sender) => sender.try_send_request(template.request()).await,
        };
        match sent {
            Ok(response) => return Ok((response, sender)),
            Err(error) if !fresh && never_sent(&error) => link.discard().await,
            Err(error) => return Err(Failure::broken(error.error())),
        }
    }
}

fn never_sent<B>(error: &TrySendError<B>) -> bool {
    error.message().is_some()
}

/// `None` where the length says nothing of this answer's body, or is not said.
fn announced_length(method: &Method, response: &Response<Incoming>) -> Option<u64> {
    if *method == Method::HEAD || response.status() == StatusCode::NOT_MODIFIED {
        return None;
    }
    let value = response.headers().get(CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}

async fn read(mut body: Incoming, expected: Option<&[u8]>) -> Result<u64, Failure> {
    let mut content = expected.map(Content::new);
    let mut received = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::broken(&error))?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        received += data.len() as u64;
        if let Some(content) = &mut content {
            content.take(data)?;
        }
    }
    content.map_or(Ok(()), |content| content.finish())?;
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(http2: bool, headers: &[(HeaderName, HeaderValue)]) -> Request<Full<Bytes>> {
        let url = Uri::from_static("https://localhost:8443/a?b=c");
        Template::new(&url, http2, Method::GET, headers, 0)
            .unwrap()
            .request()
    }

    #[test]
    fn the_host_is_the_urls_unless_a_header_says_otherwise() {
        let other = [(HOST, HeaderValue::from_static("other"))];
        let plain = template(false, &[]);
        assert_eq!(plain.uri(), "/a?b=c");
        assert_eq!(plain.headers()[HOST], "localhost:8443");
        assert_eq!(template(false, &other).headers()[HOST], "other");
        assert_eq!(template(true, &[]).uri(), "https://localhost:8443/a?b=c");
        let shared = template(true, &other);
        assert_eq!(shared.uri(), "https://other/a?b=c");
        assert!(!shared.headers().contains_key(HOST));
    }

    #[test]
    fn answers_count_by_status_and_length() {
        let any = Expectation::new(None, false);
        let ok = StatusCode::OK;
        let wrong = |expected, got| Err(Failure::Length { expected, got });
        assert_eq!(any.check(ok, Some(5), 5), Ok(()));
        assert_eq!(any.check(ok, Some(5), 4), wrong(5, 4));
        assert_eq!(any.check(ok, None, 7), Ok(()), "the first without a length");
        assert_eq!(any.check(ok, None, 7), Ok(()));
        assert_eq!(any.check(ok, None, 8), wrong(7, 8));
        assert_eq!(any.check(StatusCode::FOUND, Some(0), 0), Ok(()));
        for status in [StatusCode::NOT_FOUND, StatusCode::BAD_GATEWAY] {
            assert_eq!(any.check(status, Some(5), 5), Err(Failure::Status(status)));
        }
        let teapot = Expectation::new(Some(StatusCode::IM_A_TEAPOT), true);
        assert_eq!(teapot.check(StatusCode::IM_A_TEAPOT, None, 1), Ok(()));
        assert_eq!(teapot.check(StatusCode::IM_A_TEAPOT, None, 2), Ok(()));
        assert_eq!(teapot.check(ok, None, 2), Err(Failure::Status(ok)));
    }
}
