//! Regular expressions in an ALB's dialect: what the crate `regex` knows, without what an ALB refuses. Matching takes time
//! linear in the text, and what an expression may take of memory is bounded, so that no request can cost more than its size.
//!
//! All texts here are visible ASCII: letters, digits and the like mean those of ASCII.

use regex::bytes::{Captures, Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::ast::{self, Ast, Flag, FlagsItemKind};
use regex_syntax::hir::Look;
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use thiserror::Error;

/// Compiled, and of the automaton that grows while matching: each of as much at most.
const SIZE_LIMIT: usize = 256 * 1024;

#[derive(Debug, Clone)]
pub struct Expression {
    regex: Regex,
    case_matters: bool,
    /// What every matching text begins and ends with, in lower case if case does not matter: often nothing.
    beginning: Vec<u8>,
    ending: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExpressionError {
    /// What the crate says of it.
    #[error("{0}")]
    Syntax(String),
    #[error("{0} are not supported")]
    NotSupported(&'static str),
    #[error("it is too large when compiled")]
    TooLarge,
    #[error("it holds something that is not visible ASCII")]
    NotAscii,
}

impl Expression {
    pub fn case_sensitive(text: &str) -> Result<Self, ExpressionError> {
        Self::new(text, true)
    }

    pub fn case_insensitive(text: &str) -> Result<Self, ExpressionError> {
        Self::new(text, false)
    }

    fn new(text: &str, case_matters: bool) -> Result<Self, ExpressionError> {
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(ExpressionError::NotAscii);
        }
        let parsed = ast::parse::Parser::new().parse(text);
        let parsed = parsed.map_err(|error| ExpressionError::Syntax(error.kind().to_string()))?;
        ast::visit(&parsed, Dialect)?;
        let regex = RegexBuilder::new(text)
            .unicode(false)
            .case_insensitive(!case_matters)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => ExpressionError::TooLarge,
                error => ExpressionError::Syntax(last_line(&error.to_string())),
            })?;
        let [beginning, ending] = ends(text).map(|mut end| {
            if !case_matters {
                end.make_ascii_lowercase();
            }
            end
        });
        Ok(Self {
            regex,
            case_matters,
            beginning,
            ending,
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }

    pub(super) fn beginning(&self) -> &[u8] {
        &self.beginning
    }

    pub(super) fn ending(&self) -> &[u8] {
        &self.ending
    }

    /// How many groups in parentheses it has.
    pub(super) fn groups(&self) -> usize {
        self.regex.captures_len() - 1
    }

    /// Of the first match.
    pub(super) fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.regex.captures(text.as_bytes())
    }

    /// Anywhere in the text, unless the expression says `^` or `$`.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }
}

/// The literal texts next to a `^` in front and a `$` at the end, by which rules are found; case is as it is written, as
/// that of a text that matches in another case differs in nothing else.
fn ends(text: &str) -> [Vec<u8>; 2] {
    let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
    let Ok(parsed) = parser.parse(text) else {
        return [Vec::new(), Vec::new()];
    };
    let literals = |kind| Extractor::new().kind(kind).extract(&parsed);
    let properties = parsed.properties();
    let mut ends = [Vec::new(), Vec::new()];
    if properties.look_set_prefix().contains(Look::Start)
        && let Some(beginning) = literals(ExtractKind::Prefix).longest_common_prefix()
    {
        ends[0] = beginning.to_vec();
    }
    if properties.look_set_suffix().contains(Look::End)
        && let Some(ending) = literals(ExtractKind::Suffix).longest_common_suffix()
    {
        ends[1] = ending.to_vec();
    }
    ends
}

/// The crate shows the expression and points into it; what is wrong comes last.
fn last_line(message: &str) -> String {
    let last = message.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str() && self.case_matters == other.case_matters
    }
}

impl Eq for Expression {}

/// Refuses what means something else, or nothing, on an ALB; look-around, back-references and atomic groups the crate does
/// not know either.
struct Dialect;

impl ast::Visitor for Dialect {
    type Output = ();
    type Err = ExpressionError;

    fn finish(self) -> Result<(), ExpressionError> {
        Ok(())
    }

    fn visit_pre(&mut self, part: &Ast) -> Result<(), ExpressionError> {
        let refused = match part {
            // `a++`, which the crate reads as `(a+)+`.
            Ast::Repetition(outer) if matches!(&*outer.ast, Ast::Repetition(_)) => {
                "possessive quantifiers"
            }
            Ast::ClassUnicode(_) => UNICODE,
            Ast::Flags(flags) => return flags_of(&flags.flags),
            Ast::Group(group) => match group.flags() {
                Some(flags) => return flags_of(flags),
                None => return Ok(()),
            },
            _ => return Ok(()),
        };
        Err(ExpressionError::NotSupported(refused))
    }

    fn visit_class_set_item_pre(
        &mut self,
        item: &ast::ClassSetItem,
    ) -> Result<(), ExpressionError> {
        match item {
            ast::ClassSetItem::Unicode(_) => Err(ExpressionError::NotSupported(UNICODE)),
            _ => Ok(()),
        }
    }
}

const UNICODE: &str = "Unicode classes";

fn flags_of(flags: &ast::Flags) -> Result<(), ExpressionError> {
    for item in &flags.items {
        match item.kind {
            // `(?R)`, which the crate takes for a flag about line ends.
            FlagsItemKind::Flag(Flag::CRLF) => {
                return Err(ExpressionError::NotSupported("recursive patterns"));
            }
            FlagsItemKind::Flag(Flag::Unicode) => {
                return Err(ExpressionError::NotSupported(UNICODE));
            }
            FlagsItemKind::Flag(_) | FlagsItemKind::Negation => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    #[test]
    fn it_is_searched_for_and_not_anchored() {
        let cases = [
            ("b", "abc", true),
            ("^b", "abc", false),
            ("^/v[0-9]+/", "/v12/x", true),
            ("^/v[0-9]+/$", "/v12/x", false),
            (r"\.(jpe?g|png)$", "/a.jpeg", true),
            (r"\.(jpe?g|png)$", "/a.jpeg/", false),
            ("", "", true),
            (r"^\d{3}$", "123", true),
            ("(?i)^/A", "/a", true),
            ("^/A", "/a", false),
        ];
        for (regex, text, expected) in cases {
            let expression = Expression::case_sensitive(regex).expect("valid");
            assert_eq!(expression.matches(text), expected, "{regex} on {text}");
        }
        let expression = Expression::case_insensitive("^www").expect("valid");
        assert!(expression.matches("WWW.example.com"));
        assert_ne!(Ok(expression), Expression::case_sensitive("^www"));
    }

    #[test]
    fn what_an_alb_refuses_is_refused() {
        for regex in [
            "a(?=b)",
            "a(?!b)",
            "(?<=a)b",
            "(?<!a)b",
            r"(a)\1",
            "(?>a)",
            "a++",
            "a*+",
            "a?+",
            "a{1,2}+",
            "(?R)",
            "(?1)",
            r"\p{L}",
            r"\pL",
            r"\P{Greek}",
            r"[\p{L}]",
            "(?u)a",
            "(?R:a)",
            "a(",
            "[a",
            "*a",
            "a{2,1}",
            "ä",
            "a\tb",
            "(a{200}){200}",
            r"\",
        ] {
            assert!(Expression::case_sensitive(regex).is_err(), "{regex}");
        }
        for regex in [
            "a+?",
            "(a+)+",
            "(?:a|b){2,3}",
            "(?P<n>a)",
            "(?<n>a)",
            r"[^\d\s]",
            r"\+\+",
        ] {
            assert!(Expression::case_sensitive(regex).is_ok(), "{regex}");
        }
    }

    #[test]
    fn what_a_matching_text_begins_and_ends_with() {
        let cases = [
            ("^/api/v1/[0-9]+$", "/api/v1/", ""),
            ("^/Exact$", "/Exact", "/Exact"),
            ("^/v[0-9]/", "/v", ""),
            (r"^(www|api)[.]Example[.]com$", "", ".Example.com"),
            ("/api/", "", ""),
            ("^/a|/b", "", ""),
            ("^/a|^/ab", "/a", ""),
            ("^(/a)?", "", ""),
            ("(?m)^/a$", "", ""),
            ("a*$", "", ""),
            ("", "", ""),
        ];
        for (regex, beginning, ending) in cases {
            let expression = Expression::case_sensitive(regex).expect("valid");
            assert_eq!(expression.beginning(), beginning.as_bytes(), "{regex}");
            assert_eq!(expression.ending(), ending.as_bytes(), "{regex}");
            let expression = Expression::case_insensitive(regex).expect("valid");
            assert_eq!(
                expression.ending(),
                ending.to_lowercase().as_bytes(),
                "{regex}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let cases = [
            ("a++", "possessive quantifiers are not supported"),
            ("(?R)", "recursive patterns are not supported"),
            ("[a", "unclosed character class"),
            (
                "a(?=b)",
                "look-around, including look-ahead and look-behind, is not supported",
            ),
            ("(a{200}){200}", "it is too large when compiled"),
        ];
        for (regex, expected) in cases {
            let error = Expression::case_sensitive(regex).expect_err("refused");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_hostile_expression_takes_no_time() {
        let expression = Expression::case_sensitive("^(([a-z])+.)+[A-Z]([a-z])+$").expect("valid");
        let begun = Instant::now();
        assert!(!expression.matches(&"a".repeat(16 * 1024)));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_text_panics(regex in "[ -~]{0,20}", text in "[ -~]{0,40}") {
            if let Ok(expression) = Expression::case_insensitive(&regex) {
                expression.matches(&text);
            }
        }

        /// Small alphabets, so that many match.
        #[test]
        fn a_text_that_matches_has_the_ends(regex in r"[\^]?(\^|[$]|[|]|[(]|[)]|[abA]|[.]|[?*+]|\[aB\]|\(\?-i\)){0,7}[$]?", text in "[abAB]{0,5}") {
            if let Ok(expression) = Expression::case_sensitive(&regex) && expression.matches(&text) {
                prop_assert!(text.as_bytes().starts_with(expression.beginning()), "{}", regex);
                prop_assert!(text.as_bytes().ends_with(expression.ending()), "{}", regex);
            }
            if let Ok(expression) = Expression::case_insensitive(&regex) && expression.matches(&text) {
                let text = text.to_lowercase();
                prop_assert!(text.as_bytes().starts_with(expression.beginning()), "{}", regex);
                prop_assert!(text.as_bytes().ends_with(expression.ending()), "{}", regex);
            }
        }
    }
}
