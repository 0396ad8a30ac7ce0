//! Wildcard patterns: `*` stands for any number of characters, `?` for exactly one; the whole text must match.
//!
//! Regular expressions are `expression`'s.

/// A pattern, cut at its `*` when the configuration is read, so that a match does no work over again.
///
/// A text is matched from both ends inwards and each inner piece is searched once, leftmost first, which is enough because
/// a `*` in front of the next piece can stretch. There is no backtracking: the cost is bounded by the length of the text
/// times that of the longest piece, and the everyday shapes (`/api/*`, `*.example.com`) only look at their fixed end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    /// What stands between the `*`, with [`ANY`] for a `?`; one piece: no `*` at all. Lower case if case does not matter.
    pieces: Vec<Vec<u8>>,
    case: Case,
}

/// Stands for any one character: no text that is matched has this one.
const ANY: u8 = 0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Sensitive,
    Insensitive,
}

#[derive(Debug, Clone, Copy)]
enum Symbol {
    /// `*`
    Some,
    /// `?`
    One,
    Literal(u8),
}

impl Symbol {
    fn of(byte: u8) -> Self {
        match byte {
            b'*' => Self::Some,
            b'?' => Self::One,
            byte => Self::Literal(byte),
        }
    }
}

impl Pattern {
    pub fn case_sensitive(text: &str) -> Self {
        Self::new(text, text.bytes().map(Symbol::of), Case::Sensitive)
    }

    pub fn case_insensitive(text: &str) -> Self {
        Self::new(text, text.bytes().map(Symbol::of), Case::Insensitive)
    }

    /// Case does not matter; a backslash makes `*`, `?` or a backslash mean itself. `None` if it stands before anything
    /// else.
    pub fn with_escapes(text: &str) -> Option<Self> {
        let mut symbols = Vec::with_capacity(text.len());
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            symbols.push(match byte {
                b'\\' => match bytes.next()? {
                    escaped @ (b'*' | b'?' | b'\\') => Symbol::Literal(escaped),
                    _ => return None,
                },
                byte => Symbol::of(byte),
            });
        }
        Some(Self::new(text, symbols, Case::Insensitive))
    }

    fn new(text: &str, symbols: impl IntoIterator<Item = Symbol>, case: Case) -> Self {
        let (mut pieces, mut piece) = (Vec::new(), Vec::new());
        for symbol in symbols {
            match symbol {
                Symbol::Some => pieces.push(std::mem::take(&mut piece)),
                Symbol::One => piece.push(ANY),
                Symbol::Literal(byte) => piece.push(match case {
                    Case::Sensitive => byte,
                    Case::Insensitive => byte.to_ascii_lowercase(),
                }),
            }
        }
        pieces.push(piece);
        Self {
            text: text.to_owned(),
            pieces,
            case,
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// All texts match.
    pub(super) fn is_anything(&self) -> bool {
        self.pieces.len() > 1 && self.pieces.iter().all(Vec::is_empty)
    }

    /// Whether everything that the other one matches matches this one too: true only if their symbols show it.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.symbols(), other.symbols());
        // `covered[n]`: my symbols so far cover the first n of theirs.
        let mut covered = vec![false; theirs.len() + 1];
        covered[0] = true;
        for symbol in &mine {
            let mut next = vec![false; covered.len()];
            next[0] = covered[0] && matches!(symbol, Symbol::Some);
            for (at, their) in theirs.iter().enumerate() {
                next[at + 1] = match (symbol, their) {
                    (Symbol::Some, _) => covered[at + 1] || next[at],
                    (Symbol::One, Symbol::One | Symbol::Literal(_)) => covered[at],
                    (Symbol::Literal(mine), Symbol::Literal(their)) => covered[at] && mine == their,
                    _ => false,
                };
            }
            covered = next;
        }
        covered.last() == Some(&true)
    }

    fn symbols(&self) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        for (nth, piece) in self.pieces.iter().enumerate() {
            symbols.extend((nth > 0).then_some(Symbol::Some));
            symbols.extend(piece.iter().map(|&byte| match byte {
                ANY => Symbol::One,
                byte => Symbol::Literal(byte),
            }));
        }
        symbols
    }

    /// How many `*` and `?` it has.
    pub fn wildcards(&self) -> usize {
        let symbols = self.pieces.iter().flatten();
        self.pieces.len() - 1 + symbols.map(|&byte| usize::from(byte == ANY)).sum::<usize>()
    }

    /// What every matching text begins with; lower case if case does not matter.
    pub(super) fn beginning(&self) -> &[u8] {
        let first = self.pieces.first().map_or(&[][..], Vec::as_slice);
        let end = first.iter().position(|&byte| byte == ANY);
        &first[..end.unwrap_or(first.len())]
    }

    /// What every matching text ends with; lower case if case does not matter.
    pub(super) fn ending(&self) -> &[u8] {
        let last = self.pieces.last().map_or(&[][..], Vec::as_slice);
        let wildcard = last.iter().rposition(|&byte| byte == ANY);
        &last[wildcard.map_or(0, |at| at + 1)..]
    }

    /// The longest that every matching text has somewhere behind the first `*`; lower case if case does not matter.
    pub(super) fn content(&self) -> &[u8] {
        let behind = self.pieces.iter().skip(1);
        let literals = behind.flat_map(|piece| piece.split(|&byte| byte == ANY));
        literals
            .max_by_key(|literal| literal.len())
            .unwrap_or_default()
    }

    pub fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let [first, inner @ .., last] = self.pieces.as_slice() else {
            return self
                .pieces
                .first()
                .is_some_and(|piece| text.len() == piece.len() && self.equal(piece, text));
        };
        let Some(mut between) = text
            .len()
            .checked_sub(last.len())
            .and_then(|end| text.get(first.len()..end))
        else {
            return false;
        };
        if !self.equal(first, &text[..first.len()])
            || !self.equal(last, &text[text.len() - last.len()..])
        {
            return false;
        }
        for piece in inner.iter().filter(|piece| !piece.is_empty()) {
            match self.find(piece, between) {
                Some(at) => between = &between[at + piece.len()..],
                None => return false,
            }
        }
        true
    }

    /// Where the piece stands first.
    fn find(&self, piece: &[u8], text: &[u8]) -> Option<usize> {
        let (&first, _) = piece.split_first()?;
        let starts = &text[..(text.len() + 1).checked_sub(piece.len())?];
        let is_there = |at: &usize| self.equal(piece, &text[*at..*at + piece.len()]);
        match (first, self.case) {
            (ANY, _) => (0..starts.len()).find(is_there),
            (_, Case::Sensitive) => memchr::memchr_iter(first, starts).find(is_there),
            (_, Case::Insensitive) => {
                let upper = first.to_ascii_uppercase();
                memchr::memchr2_iter(first, upper, starts).find(is_there)
            }
        }
    }

    /// Both have the same length.
    fn equal(&self, piece: &[u8], text: &[u8]) -> bool {
        std::iter::zip(piece, text).all(|(&want, &have)| {
            let have = match self.case {
                Case::Sensitive => have,
                Case::Insensitive => have.to_ascii_lowercase(),
            };
            want == ANY || want == have
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table() {
        let cases = [
            ("/", "/", true),
            ("/", "", false),
            ("", "", true),
            ("", "/", false),
            ("*", "", true),
            ("*", "/any/thing", true),
            ("**", "", true),
            ("?", "", false),
            ("?", "a", true),
            ("?", "ab", false),
            ("/img/*", "/img/", true),
            ("/img/*", "/img/a/b.png", true),
            ("/img/*", "/img", false),
            ("/img/*", "/IMG/a", false),
            ("/img/*", "/x/img/a", false),
            ("*/img", "/x/img", true),
            ("*/img", "/x/img/", false),
            ("/a*a", "/a", false),
            ("/a*a", "/aa", true),
            ("/a?c", "/abc", true),
            ("/a?c", "/ac", false),
            ("/a?c", "/a/c", true),
            ("/*/b/*/d", "/a/b/c/d", true),
            ("/*/b/*/d", "/a/b/d", false),
            ("/*b?d*", "/abxbcdz", true),
            ("*ab*ab*", "ab", false),
            ("*ab*ab*", "abab", true),
            ("*aab", "aaab", true),
            ("*abc*", "xab", false),
            ("*abc*", "abababc", true),
            ("*?b*", "b", false),
            ("*?b*", "ab", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                Pattern::case_sensitive(pattern).matches(text),
                expected,
                "{pattern} on {text}"
            );
        }
    }

    #[test]
    fn case_counts_only_where_it_should() {
        assert!(Pattern::case_insensitive("*.Example.COM").matches("WWW.example.Com"));
        assert!(!Pattern::case_insensitive("*.example.com").matches("example.com"));
        assert!(!Pattern::case_sensitive("/Api").matches("/api"));
        assert_eq!(
            Pattern::case_insensitive("*.Example.COM").as_str(),
            "*.Example.COM"
        );
    }

    #[test]
    fn a_backslash_makes_a_wildcard_a_character() {
        let cases = [
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            (r"a\?b", "A?B", true),
            (r"a\?b", "axb", false),
            (r"a\\b", r"a\b", true),
            (r"\**", "*x", true),
            (r"\**", "x", false),
            (r"\\*", r"\x", true),
            ("v?", "V2", true),
        ];
        for (text, subject, expected) in cases {
            let pattern = Pattern::with_escapes(text).expect("escapes that are");
            assert_eq!(pattern.matches(subject), expected, "{text} on {subject}");
        }
        for wrong in [r"\", r"a\b", r"\\\"] {
            assert_eq!(Pattern::with_escapes(wrong), None, "{wrong}");
        }
        let wildcards = [(r"\*\?\\", 0), ("*?a*", 3), ("a", 0), ("", 0)];
        for (text, count) in wildcards {
            let pattern = Pattern::with_escapes(text).expect("escapes that are");
            assert_eq!(pattern.wildcards(), count, "{text}");
        }
    }

    #[test]
    fn what_stands_before_and_behind_all_wildcards() {
        let cases = [
            ("/api/*", "/api/", ""),
            ("/exact", "/exact", "/exact"),
            ("*.Example.com", "", ".example.com"),
            ("/a?c*d?e", "/a", "e"),
            ("/a?c", "/a", "c"),
            ("*", "", ""),
            ("?", "", ""),
            ("", "", ""),
        ];
        for (text, beginning, ending) in cases {
            let pattern = Pattern::case_insensitive(text);
            assert_eq!(pattern.beginning(), beginning.as_bytes(), "{text}");
            assert_eq!(pattern.ending(), ending.as_bytes(), "{text}");
        }
    }

    #[test]
    fn a_hostile_text_costs_no_more_than_its_length_times_the_pattern() {
        // 64 pieces over 16 KiB: a matcher that backtracks would not come back within a lifetime.
        let pattern = Pattern::case_sensitive(&format!("{}b", "a*".repeat(64)));
        assert!(!pattern.matches(&"a".repeat(16 * 1024)));
    }

    /// The definition of a wildcard match, word for word.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
            ([b'?', pattern @ ..], [_, text @ ..]) => naive(pattern, text),
            ([want, pattern @ ..], [have, text @ ..]) => want == have && naive(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab/*?]{0,9}", text in "[ab/]{0,12}") {
            prop_assert_eq!(Pattern::case_sensitive(&pattern).matches(&text), naive(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn case_insensitive_is_case_sensitive_on_lower_case(pattern in "[abAB.*?]{0,9}", text in "[abAB.]{0,12}") {
            prop_assert_eq!(
                Pattern::case_insensitive(&pattern).matches(&text),
                Pattern::case_sensitive(&pattern.to_lowercase()).matches(&text.to_lowercase()),
            );
        }
    }
}
