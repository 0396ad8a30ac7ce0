//! The action fixed-response: an answer written down in the configuration.

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedResponse {
    /// 2xx, 4xx or 5xx.
    pub status_code: u16,
    pub content_type: Option<ContentType>,
    /// At most 1,024 characters; may be empty.
    pub message_body: String,
}

/// The types that an ALB allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentType {
    TextPlain,
    TextCss,
    TextHtml,
    ApplicationJavascript,
    ApplicationJson,
}

impl FixedResponse {
    /// The value of the Content-Type header; none for an empty body, plain text unless a type was given.
    pub fn content_type_header(&self) -> Option<&'static str> {
        if self.message_body.is_empty() {
            return None;
        }
        Some(self.content_type.unwrap_or(ContentType::TextPlain).header())
    }
}

impl ContentType {
    pub const ALL: [Self; 5] = [
        Self::TextPlain,
        Self::TextCss,
        Self::TextHtml,
        Self::ApplicationJavascript,
        Self::ApplicationJson,
    ];

    /// As it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::TextPlain => "text/plain",
            Self::TextCss => "text/css",
            Self::TextHtml => "text/html",
            Self::ApplicationJavascript => "application/javascript",
            Self::ApplicationJson => "application/json",
        }
    }

    /// As it is sent: the configuration file is UTF-8, so the body is.
    fn header(self) -> &'static str {
        match self {
            Self::TextPlain => "text/plain; charset=utf-8",
            Self::TextCss => "text/css; charset=utf-8",
            Self::TextHtml => "text/html; charset=utf-8",
            Self::ApplicationJavascript => "application/javascript; charset=utf-8",
            Self::ApplicationJson => "application/json; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(content_type: Option<ContentType>, message_body: &str) -> Option<&'static str> {
        FixedResponse {
            status_code: 200,
            content_type,
            message_body: message_body.to_owned(),
        }
        .content_type_header()
    }

    #[test]
    fn the_type_is_sent_with_its_charset_and_only_with_a_body() {
        assert_eq!(header(Some(ContentType::TextHtml), ""), None);
        assert_eq!(header(None, "x"), Some("text/plain; charset=utf-8"));
        for content_type in ContentType::ALL {
            let expected = format!("{}; charset=utf-8", content_type.name());
            assert_eq!(header(Some(content_type), "x"), Some(expected.as_str()));
        }
    }
}
