//! The keys `routing_http_*` of a listener: header fields that it sets on responses, and names of those that it tells
//! targets. What is set where is `forward::headers`'s.

use http::header::{self, HeaderName, HeaderValue};
use lintel_common::config_file::{Table, Value};

use super::listener::Protocol;
use super::values::flag;
use crate::http1::Name;
use crate::model::{CertificateFields, HeaderModification};

/// Bytes of a header's value.
const LONGEST_VALUE: usize = 1024;

/// Of a name; the ALB does not say how many it takes.
const LONGEST_NAME: usize = 128;

/// What a value may have beside letters, digits and spaces.
const IN_VALUES: &[u8] = b"_:;.,\\/'?!(){}[]@<>=-+*#&`|~^%";

type Field = (&'static str, HeaderName);

/// Each sets the response field behind it.
pub(super) const RESPONSE: [Field; 10] = [
    (
        "routing_http_response_access_control_allow_credentials_header_value",
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ),
    (
        "routing_http_response_access_control_allow_headers_header_value",
        header::ACCESS_CONTROL_ALLOW_HEADERS,
    ),
    (
        "routing_http_response_access_control_allow_methods_header_value",
        header::ACCESS_CONTROL_ALLOW_METHODS,
    ),
    (
        "routing_http_response_access_control_allow_origin_header_value",
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
    ),
    (
        "routing_http_response_access_control_expose_headers_header_value",
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
    ),
    (
        "routing_http_response_access_control_max_age_header_value",
        header::ACCESS_CONTROL_MAX_AGE,
    ),
    (
        "routing_http_response_content_security_policy_header_value",
        header::CONTENT_SECURITY_POLICY,
    ),
    (STRICT_TRANSPORT_SECURITY, header::STRICT_TRANSPORT_SECURITY),
    (
        "routing_http_response_x_content_type_options_header_value",
        header::X_CONTENT_TYPE_OPTIONS,
    ),
    (
        "routing_http_response_x_frame_options_header_value",
        header::X_FRAME_OPTIONS,
    ),
];

const STRICT_TRANSPORT_SECURITY: &str =
    "routing_http_response_strict_transport_security_header_value";

/// Everything that the keys say. The second part is what targets are told of clients' certificates in.
pub(super) fn read(
    table: &mut Table<'_>,
    protocol: Option<Protocol>,
) -> (HeaderModification, CertificateFields) {
    let response = RESPONSE
        .into_iter()
        .filter_map(|(key, name)| {
            let value = table.get(key)?;
            if key == STRICT_TRANSPORT_SECURITY {
                refuse_without_tls(&value, protocol);
            }
            Some((name, field_value(&value)?))
        })
        .collect();
    let mut names = Names {
        table,
        protocol,
        taken: Vec::new(),
    };
    let tls_version = names.get("routing_http_request_x_amzn_tls_version_header_name");
    let tls_cipher_suite = names.get("routing_http_request_x_amzn_tls_cipher_suite_header_name");
    let default = CertificateFields::default();
    let mut certificate_field = |key, default| names.get(key).map_or(default, String::from);
    let certificate_fields = CertificateFields {
        certificate: certificate_field(
            "routing_http_request_x_amzn_mtls_clientcert_header_name",
            default.certificate,
        ),
        serial_number: certificate_field(
            "routing_http_request_x_amzn_mtls_clientcert_serial_number_header_name",
            default.serial_number,
        ),
        issuer: certificate_field(
            "routing_http_request_x_amzn_mtls_clientcert_issuer_header_name",
            default.issuer,
        ),
        subject: certificate_field(
            "routing_http_request_x_amzn_mtls_clientcert_subject_header_name",
            default.subject,
        ),
        validity: certificate_field(
            "routing_http_request_x_amzn_mtls_clientcert_validity_header_name",
            default.validity,
        ),
        leaf: certificate_field(
            "routing_http_request_x_amzn_mtls_clientcert_leaf_header_name",
            default.leaf,
        ),
    };
    let modification = HeaderModification {
        server: flag(table, "routing_http_response_server_enabled", true),
        response,
        tls_version,
        tls_cipher_suite,
    };
    (modification, certificate_fields)
}

/// The keys that give names; no two may give the same.
struct Names<'t, 'r> {
    table: &'t mut Table<'r>,
    protocol: Option<Protocol>,
    taken: Vec<Box<str>>,
}

impl Names<'_, '_> {
    fn get(&mut self, key: &'static str) -> Option<Box<str>> {
        let value = self.table.get(key)?;
        refuse_without_tls(&value, self.protocol);
        let name = field_name(&value)?;
        if self
            .taken
            .iter()
            .any(|taken| taken.eq_ignore_ascii_case(&name))
        {
            value.error(
                format_args!("`{name}` is the name of something else here"),
                "choose another one",
            );
        }
        self.taken.push(name.clone());
        Some(name)
    }
}

fn refuse_without_tls(value: &Value<'_>, protocol: Option<Protocol>) {
    if protocol == Some(Protocol::Http) && value.string().is_some_and(|text| !text.is_empty()) {
        value.error(
            "belongs to an HTTPS listener",
            "set protocol = \"HTTPS\", or leave it out",
        );
    }
}

/// `None` if it is empty, too: then the response stays as it is.
fn field_value(value: &Value<'_>) -> Option<HeaderValue> {
    let text = value.string().filter(|text| !text.is_empty())?;
    if text.len() > LONGEST_VALUE {
        value.error(
            format_args!("is {} bytes long", text.len()),
            format_args!("write at most {LONGEST_VALUE}"),
        );
        return None;
    }
    let taken =
        |byte: u8| byte == b' ' || byte.is_ascii_alphanumeric() || IN_VALUES.contains(&byte);
    let other = text
        .chars()
        .find(|&letter| !u8::try_from(letter).is_ok_and(taken));
    if let Some(other) = other {
        value.error(
            format_args!("`{}` is not taken there", other.escape_default()),
            "write letters, digits, spaces and _ : ; . , \\ / ' ? ! ( ) { } [ ] @ < > = - + * # & ` | ~ ^ %",
        );
        return None;
    }
    if text.trim() != text {
        value.error("begins or ends with a space", "leave that out");
        return None;
    }
    HeaderValue::from_str(text).ok()
}

/// `None` if it is empty, too: then the name is the ALB's.
fn field_name(value: &Value<'_>) -> Option<Box<str>> {
    const RIGHT: &str =
        "write up to 128 letters, digits, hyphens and underscores, such as \"X-Tls-Version\"";
    let text = value.string().filter(|text| !text.is_empty())?;
    let taken = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if text.len() > LONGEST_NAME || !text.bytes().all(taken) {
        value.error(
            format_args!("`{}` is not the name of a header", value.shown()),
            RIGHT,
        );
        return None;
    }
    if !matches!(Name::of(text.as_bytes()), Name::Other | Name::Disguised) {
        value.error(
            format_args!("`{}` means something else", value.shown()),
            "choose a name that no other header has",
        );
        return None;
    }
    Some(text.into())
}
