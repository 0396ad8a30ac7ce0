//! The responses of actions that no target answers.

use bytes::Bytes;
use http::Response;
use http::header::{HeaderValue, LOCATION};

use super::Routes;
use crate::action::{FixedResponse, Redirect, RedirectInput};
use crate::gateway_error::{self, GatewayError, may_have_content};
use crate::http1::RequestHead;

pub(super) fn fixed_response(fixed: &FixedResponse) -> Response<Bytes> {
    let body = Bytes::copy_from_slice(fixed.message_body.as_bytes());
    let has_content = !body.is_empty() && may_have_content(fixed.status_code);
    let content_type = fixed.content_type_header().filter(|_| has_content);
    gateway_error::own(fixed.status_code, content_type, body)
}

pub(super) fn redirect_response(
    redirect: &Redirect,
    routes: &Routes,
    head: &RequestHead,
    host: &str,
) -> Result<Response<Bytes>, GatewayError> {
    let location = redirect.location(&RedirectInput {
        protocol: if routes.tls.is_some() {
            "HTTPS"
        } else {
            "HTTP"
        },
        host: if host.is_empty() {
            &routes.settings.name
        } else {
            host
        },
        port: routes.port,
        path: head.path(),
        query: head.query().unwrap_or_default(),
    });
    if location.len() > Redirect::MAX_LOCATION_LENGTH {
        return Err(GatewayError::RedirectTooLong);
    }
    let location = HeaderValue::try_from(location).map_err(|_| GatewayError::MalformedRequest)?;
    let mut response = gateway_error::page(redirect.status_code);
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}
