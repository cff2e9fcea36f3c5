//! The letter of a choice in an answer that names the choice by its letter or by its words.

use serde_json::Value;

use super::Extract;
use crate::documents::Document;
use crate::python::pattern::{Found, Pattern, escape};
use crate::python::text::strip;

/// The choices of one document, for [`Extract::choice`].
#[derive(Default)]
pub(super) struct Choices {
    /// A choice's words after what is ignored, with its letter as `(A)`.
    letters: Vec<(String, String)>,
    by_words: Option<Pattern>,
    by_letter: Option<Pattern>,
}

impl Choices {
    /// Those of the document's list `choices`, for the filter `multi_choice_regex`.
    pub(super) fn of_field(extract: &Extract, document: &Document) -> Result<Self, String> {
        let listed = document.get("choices").and_then(Value::as_array);
        let listed =
            listed.ok_or("multi_choice_regex reads the field \"choices\", and the document has no such list")?;
        Self::new(extract, listed.iter().map(|choice| choice.as_str().unwrap_or_default()))
    }

    /// Those that stand in the document's `input` after `(A)`, `(B)`, …, for the filter of BBH.
    pub(super) fn in_question(extract: &Extract, document: &Document) -> Result<Self, String> {
        let input = document.get("input").and_then(Value::as_str).ok_or("the document has no text \"input\"")?;
        let found = Pattern::new(r"\([A-Z]\)([^\n^(]*)")?.find_all(input)?;
        let words = found.iter().filter_map(|found| match found {
            Found::Whole(words) => Some(words.as_str()),
            Found::Groups(_) => None,
        });
        Self::new(extract, words)
    }

    fn new<'w>(extract: &Extract, words: impl Iterator<Item = &'w str>) -> Result<Self, String> {
        let words = words.map(|words| extract.without_ignored(strip(words))).collect::<Result<Vec<_>, _>>()?;
        let letter = |index: usize| char::from_u32('A' as u32 + index as u32).unwrap_or('?');
        let mut escaped: Vec<String> = words.iter().map(|words| escape(words)).collect();
        // A choice that begins like another must not be found in its place; Python's sort is stable too.
        escaped.sort_by_key(|words| std::cmp::Reverse(words.chars().count()));
        let letters: Vec<String> = (0..words.len()).map(|index| escape(&letter(index).to_string())).collect();
        Ok(Self {
            by_words: Some(Pattern::new(&escaped.join("|"))?),
            by_letter: Some(Pattern::new(&format!(r":[\s]*({})", letters.join("|")))?),
            letters: words.into_iter().enumerate().map(|(i, words)| (words, format!("({})", letter(i)))).collect(),
        })
    }

    /// The letter of these words; of choices with the same words the last.
    fn letter(&self, words: &str) -> Option<&str> {
        self.letters.iter().rev().find(|(choice, _)| choice == words).map(|(_, letter)| letter.as_str())
    }
}

impl Extract {
    /// What the pattern finds; else the letter of the choice whose words stand in the answer; else a letter after a colon.
    pub(super) fn choice(&self, answer: &str, choices: &Choices) -> Result<String, String> {
        if let Some(found) = self.find(&self.pattern, answer)? {
            return Ok(found);
        }
        if let Some(by_words) = &choices.by_words
            && let Some(words) = self.find(by_words, &self.without_ignored(answer)?)?
        {
            return Ok(choices.letter(&words).map_or(words.clone(), str::to_owned));
        }
        if let Some(by_letter) = &choices.by_letter
            && let Some(letter) = self.find(by_letter, answer)?
        {
            return Ok(format!("({letter})"));
        }
        Ok(self.fallback.clone())
    }
}
