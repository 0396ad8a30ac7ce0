//! Texts with `#{keyword}` in them, parsed once: the parts of a redirect.

use thiserror::Error;

/// Literal text and keywords in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(String),
    Keyword(Keyword),
}

/// A part of the request that can be put into a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyword {
    Protocol,
    Host,
    Port,
    Path,
    Query,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    #[error("`#{{` without `}}`")]
    NotClosed,
    #[error("`#{{{0}}}` is not a keyword")]
    Unknown(String),
    #[error("`#{{{}}}` cannot be used here", .0.name())]
    NotAllowed(Keyword),
}

impl Template {
    /// `allowed`: the keywords that may stand in this part of a redirect.
    pub fn parse(text: &str, allowed: &[Keyword]) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once("#{") {
            let (name, after) = after.split_once('}').ok_or(TemplateError::NotClosed)?;
            let keyword =
                Keyword::by_name(name).ok_or_else(|| TemplateError::Unknown(name.to_owned()))?;
            if !allowed.contains(&keyword) {
                return Err(TemplateError::NotAllowed(keyword));
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            parts.push(Part::Keyword(keyword));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Text without keywords.
    pub fn literal(text: &str) -> Self {
        Self(vec![Part::Literal(text.to_owned())])
    }

    /// Nothing but this keyword.
    pub fn keyword(keyword: Keyword) -> Self {
        Self(vec![Part::Keyword(keyword)])
    }

    /// `/#{path}`
    pub(super) fn whole_path() -> Self {
        Self(vec![
            Part::Literal("/".to_owned()),
            Part::Keyword(Keyword::Path),
        ])
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }
}

impl Keyword {
    pub const ALL: [Self; 5] = [
        Self::Protocol,
        Self::Host,
        Self::Port,
        Self::Path,
        Self::Query,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Host => "host",
            Self::Port => "port",
            Self::Path => "path",
            Self::Query => "query",
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_text_and_keywords() {
        let literal = |text: &str| Part::Literal(text.to_owned());
        let cases = [
            ("", vec![]),
            ("plain", vec![literal("plain")]),
            ("#{host}", vec![Part::Keyword(Keyword::Host)]),
            (
                "/new/#{path}",
                vec![literal("/new/"), Part::Keyword(Keyword::Path)],
            ),
            (
                "a#{port}b#{query}",
                vec![
                    literal("a"),
                    Part::Keyword(Keyword::Port),
                    literal("b"),
                    Part::Keyword(Keyword::Query),
                ],
            ),
            (
                "#{protocol}#{protocol}",
                vec![Part::Keyword(Keyword::Protocol); 2],
            ),
            ("#host {x} }", vec![literal("#host {x} }")]),
        ];
        for (text, expected) in cases {
            assert_eq!(
                Template::parse(text, &Keyword::ALL),
                Ok(Template(expected)),
                "{text}"
            );
        }
        assert_eq!(
            Template::parse("/#{path}", &Keyword::ALL),
            Ok(Template::whole_path())
        );
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let refused = |text: &str| {
            Template::parse(text, &[Keyword::Host])
                .expect_err("must be refused")
                .to_string()
        };
        assert_eq!(refused("#{host"), "`#{` without `}`");
        assert_eq!(refused("#{Host}"), "`#{Host}` is not a keyword");
        assert_eq!(refused("#{query}"), "`#{query}` cannot be used here");
    }
}
