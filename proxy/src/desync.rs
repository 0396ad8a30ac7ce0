//! Desync mitigation: how safely a request can be read in one way, and what follows from it. The classification is
//! `http_desync_guardian`'s, the ALB's own library; nothing is asked of it unless something about a request is unusual.
//!
//! What cannot be read in exactly one way never comes here: `http1` refuses it, in every mode. Here it is only classified,
//! for the log.

use http::{Method, Version};
use http_desync_guardian::http_token_utils::TokenSimilarity::Distant;
use http_desync_guardian::http_token_utils::{CL, TE, determine_similarity};
use http_desync_guardian::request_analyzer::HttpRequestData;
use http_desync_guardian::{ClassificationReason, RequestSafetyTier};

use crate::http1::{Length, Name, RequestHead};
use crate::model::DesyncMitigationMode;

/// Of a request that is not compliant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classification {
    pub tier: Tier,
    /// The word of the ALB's log.
    pub reason: &'static str,
}

/// In the order of danger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    Acceptable,
    Ambiguous,
    Severe,
}

impl Tier {
    /// The word of the ALB's log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acceptable => "Acceptable",
            Self::Ambiguous => "Ambiguous",
            Self::Severe => "Severe",
        }
    }
}

/// What is known of a request and what is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// `None` = compliant.
    pub classification: Option<Classification>,
    pub then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Pass,
    /// Both connections close behind it.
    PassAndClose,
    Refuse,
}

impl Verdict {
    const COMPLIANT: Self = Self {
        classification: None,
        then: Then::Pass,
    };
}

/// Of a request that was read.
#[inline]
pub fn judge(head: &RequestHead, mode: DesyncMitigationMode) -> Verdict {
    if is_unusual(head) {
        judge_unusual(head, mode)
    } else {
        Verdict::COMPLIANT
    }
}

/// Whether the classification of a request that was read can be anything but compliant.
#[inline]
fn is_unusual(head: &RequestHead) -> bool {
    let has_undefined_body =
        head.length() != Length::Empty && matches!(*head.method(), Method::GET | Method::HEAD);
    (has_undefined_body && head.version() != Version::HTTP_2)
        || head.has_ambiguous_length()
        || head.fields().may_have(Name::Suspicious)
}

#[cold]
fn judge_unusual(head: &RequestHead, mode: DesyncMitigationMode) -> Verdict {
    if head.version() == Version::HTTP_2 {
        return Verdict::COMPLIANT;
    }
    let classification = classify(head.bytes());
    let mut then = match classification {
        None => Then::Pass,
        Some(Classification { tier, .. }) => decide(tier, mode),
    };
    // Whatever the mode: what comes behind it may be a part of it for somebody else.
    if head.has_ambiguous_length() && then == Then::Pass {
        then = Then::PassAndClose;
    }
    Verdict {
        classification,
        then,
    }
}

fn decide(tier: Tier, mode: DesyncMitigationMode) -> Then {
    use DesyncMitigationMode::{Defensive, Monitor, Strictest};
    match (mode, tier) {
        (Monitor, _) | (Defensive, Tier::Acceptable) => Then::Pass,
        (Defensive, Tier::Ambiguous) => Then::PassAndClose,
        (Defensive, Tier::Severe) | (Strictest, _) => Then::Refuse,
    }
}

/// Of what came and is no request. It may have been refused before its end came: only whole lines are looked at.
pub fn classify_refused(input: &[u8]) -> Option<Classification> {
    let lines = input.strip_prefix(b"\r\n").unwrap_or(input);
    let end = lines.iter().rposition(|byte| *byte == b'\n')?;
    let mut head = lines[..=end].to_vec();
    head.extend_from_slice(b"\r\n");
    classify(&head)
}

/// Of a head as it came, its empty line included; `None` = compliant.
pub fn classify(head: &[u8]) -> Option<Classification> {
    let result = HttpRequestData::analyze_raw_request(head);
    let tier = match result.tier {
        RequestSafetyTier::Compliant => return None,
        RequestSafetyTier::Acceptable => Tier::Acceptable,
        RequestSafetyTier::Ambiguous => Tier::Ambiguous,
        RequestSafetyTier::Severe => Tier::Severe,
    };
    let is_suspicious = result.reason == ClassificationReason::SuspiciousHeader;
    Some(if is_suspicious && has_two_lengths(head) {
        // Of the ALB's log, and not of its library.
        Classification {
            tier: Tier::Severe,
            reason: "SuspiciousTeClPresent",
        }
    } else {
        Classification {
            tier,
            reason: name(result.reason),
        }
    })
}

/// Whether both kinds of framing are there, as they are spelled or nearly.
fn has_two_lengths(head: &[u8]) -> bool {
    let lines = || head.split(|byte| *byte == b'\n').skip(1);
    let name = |line: &'_ [u8]| line.iter().position(|byte| *byte == b':');
    let has = |field: &[u8]| {
        lines().any(|line| {
            name(line).is_some_and(|end| determine_similarity(field, &line[..end]) != Distant)
        })
    };
    has(TE) && has(CL)
}

fn name(reason: ClassificationReason) -> &'static str {
    use ClassificationReason as Reason;
    match reason {
        Reason::Compliant => "Compliant",
        Reason::EmptyHeader => "EmptyHeader",
        Reason::SuspiciousHeader => "SuspiciousHeader",
        Reason::NonCompliantHeader => "NonCompliantHeader",
        Reason::BadHeader => "BadHeader",
        Reason::AmbiguousUri => "AmbiguousUri",
        Reason::SpaceInUri => "SpaceInUri",
        Reason::BadUri => "BadUri",
        Reason::NonCompliantVersion => "NonCompliantVersion",
        Reason::BadVersion => "BadVersion",
        Reason::GetHeadZeroContentLength => "GetHeadZeroContentLength",
        Reason::UndefinedContentLengthSemantics => "UndefinedContentLengthSemantics",
        Reason::MultipleContentLength => "MultipleContentLength",
        Reason::DuplicateContentLength => "DuplicateContentLength",
        Reason::BadContentLength => "BadContentLength",
        Reason::UndefinedTransferEncodingSemantics => "UndefinedTransferEncodingSemantics",
        Reason::MultipleTransferEncodingChunked => "MultipleTransferEncodingChunked",
        Reason::BadTransferEncoding => "BadTransferEncoding",
        Reason::BothTeClPresent => "BothTeClPresent",
        Reason::BadMethod => "BadMethod",
        Reason::NonCrLfLineTermination => "NonCrLfLineTermination",
        Reason::MultilineHeader => "MultilineHeader",
        Reason::PartialHeaderLine => "PartialHeaderLine",
        Reason::MissingLastEmptyLine => "MissingLastEmptyLine",
        Reason::MissingHeaderColon => "MissingHeaderColon",
        Reason::MissingUri => "MissingUri",
    }
}

#[cfg(test)]
mod tests;
