//! What is made equal before texts are compared, and which part of an answer counts.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// Characters of a pattern at most.
pub const LONGEST_PATTERN_CHARS: usize = 1_000;
/// What a compiled pattern may take, and its cache while it searches.
const PATTERN_BYTES: usize = 1 << 20;

/// What is made equal before two texts are compared. White space at the ends never counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Normalise {
    /// Upper and lower case are the same.
    pub ignore_case: bool,
    /// ASCII punctuation is left out.
    pub ignore_punctuation: bool,
    /// `a`, `an` and `the` are left out.
    pub ignore_articles: bool,
    /// White space of any kind and length is one space.
    pub ignore_white_space: bool,
}

impl Normalise {
    /// All of it, in SQuAD's order: case, punctuation, articles, white space.
    pub const ALL: Self =
        Self { ignore_case: true, ignore_punctuation: true, ignore_articles: true, ignore_white_space: true };

    /// Whether nothing is left of a text.
    pub fn is_nothing(self, text: &str) -> bool {
        self.apply(text).is_empty()
    }

    /// The text, normalised.
    pub fn apply(self, text: &str) -> String {
        let mut text = if self.ignore_case { text.to_lowercase() } else { text.to_owned() };
        if self.ignore_punctuation {
            text.retain(|c| !c.is_ascii_punctuation());
        }
        if self.ignore_articles {
            text = without_articles(&text);
        }
        if self.ignore_white_space {
            text = text.split(is_space).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        }
        text.trim_matches(is_space).to_owned()
    }
}

/// White space as Python's `str.split` sees it: Unicode's, and the four separators of ASCII.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// `re.sub(r"\b(a|an|the)\b", " ", text)` of SQuAD's script, in any case of letters.
fn without_articles(text: &str) -> String {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        let (between, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !is_word(c)).unwrap_or(from.len()));
        kept.push_str(between);
        let article = ["a", "an", "the"].iter().any(|article| word.eq_ignore_ascii_case(article));
        kept.push_str(if article { " " } else { word });
        rest = after;
    }
    kept + rest
}

/// Which part of an answer counts: of the last match of a pattern the first group, or all of it.
#[derive(Debug, Clone, Default)]
pub struct Extract(Option<Regex>);

impl Extract {
    /// Of a pattern; all of an answer without one.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn new(text: Option<&str>) -> Result<Self, String> {
        Ok(Self(text.map(pattern).transpose()?))
    }

    /// That part; all of the answer when there is no pattern or no match.
    pub fn apply<'a>(&self, text: &'a str) -> &'a str {
        let found = self.0.as_ref().and_then(|pattern| pattern.captures_iter(text).last());
        found.and_then(|found| found.get(1).or_else(|| found.get(0))).map_or(text, |part| part.as_str())
    }
}

/// A pattern that takes linear time and little memory.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    if text.chars().count() > LONGEST_PATTERN_CHARS {
        return Err(format!("its pattern has over {LONGEST_PATTERN_CHARS} characters"));
    }
    let built = RegexBuilder::new(text).size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES).build();
    built.map_err(|cause| match cause {
        regex::Error::CompiledTooBig(bytes) => format!("its pattern is too large: it takes over {bytes} bytes"),
        other => format!("its pattern is not valid: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_alone() {
        let check = |normalise: Normalise, text, expected| assert_eq!(normalise.apply(text), expected, "{normalise:?}");
        let none = Normalise::default();
        check(none, "  The cat,  A cat ", "The cat,  A cat");
        check(Normalise { ignore_case: true, ..none }, "The Cat", "the cat");
        check(Normalise { ignore_punctuation: true, ..none }, "It's a cat-flap!", "Its a catflap");
        check(Normalise { ignore_articles: true, ..none }, "The theme of an Anna", "theme of   Anna");
        check(Normalise { ignore_white_space: true, ..none }, "a\t b\n\nc", "a b c");
        check(Normalise::ALL, "The  Answer: an apple.", "answer apple");
    }
}
