//! Why a message is refused: one variant a reason, and its text says what is wrong with the message.

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    // Lines
    #[error("a line that ends in LF without CR")]
    BareLf,
    #[error("a CR that is not followed by LF")]
    BareCr,
    #[error("a control character")]
    Control,
    #[error("an empty line before the head")]
    EmptyLine,

    // The first line
    #[error("a method that is not a token")]
    Method,
    #[error("a request line that is not method, target and version with one space between them")]
    RequestLine,
    #[error("a request target with a character or of a form that it must not have")]
    Target,
    #[error("a version of HTTP that is neither 1.0 nor 1.1")]
    UnsupportedVersion,
    #[error("a status line that is not version, status and reason with one space between them")]
    StatusLine,
    #[error("a status that is not between 100 and 599")]
    Status,

    // Fields
    #[error("a field line that begins with a blank: folded fields are obsolete")]
    FoldedField,
    #[error("a field line without a colon")]
    MissingColon,
    #[error("a field without a name")]
    EmptyFieldName,
    #[error("a blank between a field's name and its colon")]
    BlankBeforeColon,
    #[error("a field name that is not a token")]
    FieldName,

    // Framing
    #[error("a Content-Length that is not one number")]
    ContentLength,
    #[error("more than one Content-Length")]
    RepeatedContentLength,
    #[error("a Transfer-Encoding other than chunked")]
    TransferEncoding,
    #[error("more than one Transfer-Encoding")]
    RepeatedTransferEncoding,
    #[error("a Transfer-Encoding in HTTP/1.0")]
    TransferEncodingInHttp10,
    #[error("both Content-Length and Transfer-Encoding")]
    TwoLengths,
    #[error("a chunk size that is not a number of 1 to 16 hexadecimal digits")]
    ChunkSize,
    #[error("a chunk that does not end where its size said")]
    ChunkEnd,
    #[error("the stream ended before the message did")]
    Incomplete,

    // Limits
    #[error("a request line longer than 16 KiB")]
    RequestLineTooLong,
    #[error("a field longer than 16 KiB")]
    FieldTooLong,
    #[error("a head that is too large")]
    HeadTooLarge,
    #[error("too many fields")]
    TooManyFields,
    #[error("a chunk's size and extensions longer than 512 bytes")]
    ChunkLineTooLong,
    #[error("more than 16 KiB of chunk extensions")]
    ChunkExtensionsTooLarge,
    #[error("trailers larger than 8 KiB or more than 32 of them")]
    TrailersTooLarge,
}

impl Malformed {
    /// Well-formed for all that was read, and larger than one of the [`limits`](super::limits).
    pub fn is_too_large(self) -> bool {
        matches!(
            self,
            Self::RequestLineTooLong
                | Self::FieldTooLong
                | Self::HeadTooLarge
                | Self::TooManyFields
                | Self::ChunkLineTooLong
                | Self::ChunkExtensionsTooLarge
                | Self::TrailersTooLarge
        )
    }
}
