//! Which general category of Unicode a character has, as far as metrics ask.

use std::sync::LazyLock;

use regex::Regex;

/// Numbers: `\p{N}`.
pub(crate) fn is_number(c: char) -> bool {
    NUMBERS.holds(c)
}

/// Punctuation: `\p{P}`.
pub(crate) fn is_punctuation(c: char) -> bool {
    PUNCTUATION.holds(c)
}

/// Symbols: `\p{S}`.
pub(crate) fn is_symbol(c: char) -> bool {
    SYMBOLS.holds(c)
}

/// Marks that belong to the letter before: `\p{M}`.
pub(crate) fn is_mark(c: char) -> bool {
    MARKS.holds(c)
}

/// Scripts that do not set words apart by spaces.
pub(crate) fn is_without_spaces(c: char) -> bool {
    WITHOUT_SPACES.holds(c)
}

static NUMBERS: LazyLock<Class> = LazyLock::new(|| Class::new(r"\p{N}+"));
static PUNCTUATION: LazyLock<Class> = LazyLock::new(|| Class::new(r"\p{P}+"));
static SYMBOLS: LazyLock<Class> = LazyLock::new(|| Class::new(r"\p{S}+"));
static MARKS: LazyLock<Class> = LazyLock::new(|| Class::new(r"\p{M}+"));
static WITHOUT_SPACES: LazyLock<Class> = LazyLock::new(|| {
    Class::new(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]+")
});

/// A set of characters: those of ASCII as bits, the others as ranges in order.
struct Class {
    ascii: u128,
    ranges: Vec<(char, char)>,
}

impl Class {
    /// Made of the tables of `regex`, once: a search through all characters takes some milliseconds.
    fn new(pattern: &str) -> Self {
        let all: String = ('\0'..=char::MAX).collect();
        let pattern = Regex::new(pattern).expect("the pattern is valid");
        let ends = |text: &str| Some((text.chars().next()?, text.chars().next_back()?));
        let ranges: Vec<(char, char)> = pattern.find_iter(&all).filter_map(|found| ends(found.as_str())).collect();
        let holds = |c: u8| ranges.iter().any(|&(first, last)| (first..=last).contains(&char::from(c)));
        let ascii = (0..128).filter(|&c| holds(c)).fold(0, |bits, c| bits | 1 << c);
        Self { ascii, ranges }
    }

    fn holds(&self, c: char) -> bool {
        if c.is_ascii() {
            return self.ascii >> u32::from(c) & 1 == 1;
        }
        let after = self.ranges.partition_point(|&(first, _)| first <= c);
        after > 0 && c <= self.ranges[after - 1].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From UnicodeData.txt.
    #[test]
    fn categories_as_published() {
        assert!(
            ['.', '-', '。', '«', '_'].into_iter().all(is_punctuation)
                && !['$', 'a', '+'].into_iter().any(is_punctuation)
        );
        assert!(['$', '+', '€', '°', '😀'].into_iter().all(is_symbol) && !['.', '5'].into_iter().any(is_symbol));
        assert!(['5', '٣', '½', 'Ⅷ'].into_iter().all(is_number) && !['a', '.'].into_iter().any(is_number));
        assert!(['\u{301}', '\u{94d}'].into_iter().all(is_mark) && !is_mark('a'));
        assert!(
            ['漢', 'か', 'カ', 'ไ'].into_iter().all(is_without_spaces)
                && !['한', 'я', 'a'].into_iter().any(is_without_spaces)
        );
    }
}
