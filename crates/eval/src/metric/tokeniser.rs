//! The tokenisers of sacreBLEU: which texts are cut where before their words are compared.
//!
//! Sources: `sacrebleu/tokenizers` of sacreBLEU 2.6.0, which follows `mteval-v13a.pl` and `mteval-v14.pl` of NIST. Their patterns
//! are applied one after the other to the whole text; so are ours, as loops over bytes or characters.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::category::{is_number, is_punctuation, is_symbol};
use crate::text::is_space;

/// How a text is cut into words. All of them cut at white space too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tokeniser {
    /// `13a`: as WMT's `mteval-v13a` does, for European languages.
    #[default]
    #[serde(rename = "13a")]
    V13a,
    /// `intl`: as `mteval-v14 --international-tokenization`, by Unicode's categories.
    #[serde(rename = "intl")]
    International,
    /// `char`: each character.
    #[serde(rename = "char")]
    Characters,
    /// `zh`: Chinese by characters, the rest as `13a`.
    #[serde(rename = "zh")]
    Chinese,
    /// `none`: at white space alone.
    #[serde(rename = "none")]
    None,
}

impl Tokeniser {
    /// Its name in sacreBLEU and in signatures.
    pub fn name(self) -> &'static str {
        match self {
            Self::V13a => "13a",
            Self::International => "intl",
            Self::Characters => "char",
            Self::Chinese => "zh",
            Self::None => "none",
        }
    }

    /// Tells the words of a text, one after the other.
    pub(crate) fn each_word(self, text: &str, tell: impl FnMut(&str)) {
        match self {
            Self::V13a => each_western(&unescaped(&without_breaks(text)), tell),
            _ => words(&self.separated(text)).for_each(tell),
        }
    }

    /// The text with white space between its words.
    pub(crate) fn separated(self, text: &str) -> String {
        match self {
            Self::V13a => western(format!(" {} ", unescaped(&without_breaks(text))).as_bytes(), false),
            Self::International => international(text),
            Self::Characters => text.chars().flat_map(|c| [c, ' ']).collect(),
            Self::Chinese => western(chinese_apart(text.trim_matches(is_space)).as_bytes(), false),
            Self::None => text.to_owned(),
        }
    }
}

/// The words of a text whose words stand apart, as Python's `str.split` finds them.
pub(crate) fn words(separated: &str) -> impl Iterator<Item = &str> {
    // Texts of ASCII are cut by bytes, which is twice as fast.
    let is_ascii = separated.is_ascii();
    let mut rest = separated;
    std::iter::from_fn(move || {
        let (word, after) = if is_ascii { next_of_ascii(rest)? } else { next(rest)? };
        rest = after;
        Some(word)
    })
}

/// White space of ASCII, as Python has it.
pub(crate) fn is_ascii_space(byte: u8) -> bool {
    KINDS[usize::from(byte)] == Kind::Space
}

fn next_of_ascii(text: &str) -> Option<(&str, &str)> {
    let start = text.bytes().position(|byte| !is_ascii_space(byte))?;
    let text = &text[start..];
    Some(text.split_at(text.bytes().position(is_ascii_space).unwrap_or(text.len())))
}

fn next(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(is_space);
    (!text.is_empty()).then(|| text.split_at(text.find(is_space).unwrap_or(text.len())))
}

/// Without `<skipped>` and with words mended that line ends broke. Other line ends are white space as they are.
fn without_breaks(text: &str) -> Cow<'_, str> {
    if !text.contains("-\n") && !text.contains('<') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("<skipped>", "").replace("-\n", ""))
}

/// The entities of XML, in the order of the script.
pub(crate) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
}

/// What a byte is to `13a`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Space,
    Mark,
    Point,
    Dash,
}

const KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Letter; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b' ' | b'\t'..=b'\r' | b'\x1c'..=b'\x1f' => Kind::Space,
            b'.' | b',' => Kind::Point,
            b'-' => Kind::Dash,
            one if is_apart(one) => Kind::Mark,
            _ => Kind::Letter,
        };
        byte += 1;
    }
    kinds
};

/// The words of `western` in a text with a space at both ends, in one pass and without a copy.
///
/// The patterns only add spaces, so what stands alone follows from its neighbours. A mark does. A dash does behind a digit. A point or
/// comma does before anything but a digit (`[\.,][^0-9]`), and behind anything that is neither a digit nor a point that
/// `[^0-9][\.,]` took just before.
fn each_western(text: &str, mut tell: impl FnMut(&str)) {
    let bytes = text.as_bytes();
    let is_ascii = text.is_ascii();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let (mut start, mut after_taken) = (0, usize::MAX);
    for (at, &byte) in bytes.iter().enumerate() {
        let kind = KINDS[usize::from(byte)];
        let is_inside = match kind {
            Kind::Letter => true,
            Kind::Space | Kind::Mark => false,
            Kind::Dash => !is_digit(at.wrapping_sub(1)),
            Kind::Point => {
                let is_taken = !is_digit(at.wrapping_sub(1)) && at != after_taken;
                if is_taken {
                    after_taken = at + 1;
                }
                !is_taken && is_digit(at + 1)
            }
        };
        if is_inside {
            continue;
        }
        each_part(&text[start..at], is_ascii, &mut tell);
        if kind != Kind::Space {
            tell(&text[at..=at]);
        }
        start = at + 1;
    }
    each_part(&text[start..], is_ascii, &mut tell);
}

/// The words of a piece without white space of ASCII: it may have other.
fn each_part(piece: &str, is_ascii: bool, tell: &mut impl FnMut(&str)) {
    match is_ascii {
        true if piece.is_empty() => {}
        true => tell(piece),
        false => words(piece).for_each(tell),
    }
}

/// `TokenizerRegexp`: punctuation apart, points and commas apart unless between digits, dashes apart after digits.
///
/// `possessives` sets `'s` apart too, as Tercom does. Each step looks at ASCII only, and what a step takes of a longer character
/// is its last or its first byte, so bytes do.
pub(crate) fn western(text: &[u8], possessives: bool) -> String {
    let mut text = apart(text);
    if possessives {
        text = possessives_apart(&text);
    }
    // Most texts have few of these marks: a step without its mark is left out.
    if text.iter().copied().any(is_point) {
        text = pairs(&points(&text), |first, second| is_point(first) && !second.is_ascii_digit(), set_first_apart);
    }
    if text.contains(&b'-') {
        text = pairs(&text, |first, second| first.is_ascii_digit() && second == b'-', set_second_apart);
    }
    String::from_utf8(text).expect("spaces are added beside whole characters")
}

/// `([^0-9])([\.,])` → `\1 \2 `.
fn points(text: &[u8]) -> Vec<u8> {
    pairs(text, |first, second| !first.is_ascii_digit() && is_point(second), set_second_apart)
}

/// `([\.,])([^0-9])` → ` \1 \2`, or the like.
fn set_first_apart(first: u8, second: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b' ', first, b' ', second]);
}

fn set_second_apart(first: u8, second: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[first, b' ', second, b' ']);
}

fn is_point(byte: u8) -> bool {
    matches!(byte, b'.' | b',')
}

/// `([\{-\~\[-\` -\&\(-\+\:-\@\/])` → ` \1 `. A space would become three, which are one word's end as one is.
fn apart(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 2);
    for &byte in text {
        if is_apart(byte) {
            out.extend_from_slice(&[b' ', byte, b' ']);
        } else {
            out.push(byte);
        }
    }
    out
}

const fn is_apart(byte: u8) -> bool {
    matches!(byte, b'{'..=b'~' | b'['..=b'`' | b'!'..=b'&' | b'('..=b'+' | b':'..=b'@' | b'/')
}

/// `'s ` → ` 's `.
fn possessives_apart(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8);
    for (at, &byte) in text.iter().enumerate() {
        if text[at..].starts_with(b"'s ") {
            out.push(b' ');
        }
        out.push(byte);
    }
    out
}

/// Replaces pairs of neighbours from left to right; what was replaced is not looked at again, as in a pattern of two.
fn pairs<T: Copy>(text: &[T], is_pair: impl Fn(T, T) -> bool, write: impl Fn(T, T, &mut Vec<T>)) -> Vec<T> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 2);
    let mut at = 0;
    while at < text.len() {
        match text.get(at + 1) {
            Some(&second) if is_pair(text[at], second) => {
                write(text[at], second, &mut out);
                at += 2;
            }
            _ => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    out
}

/// `TokenizerV14International`: punctuation apart unless between digits, symbols apart.
fn international(text: &str) -> String {
    let text: Vec<char> = text.chars().collect();
    let text = pairs(
        &text,
        |first, second| !is_number(first) && is_punctuation(second),
        |first, second, out| {
            out.extend([first, ' ', second, ' ']);
        },
    );
    let text = pairs(
        &text,
        |first, second| is_punctuation(first) && !is_number(second),
        |first, second, out| {
            out.extend([' ', first, ' ', second]);
        },
    );
    let mut out = String::with_capacity(text.len() * 2);
    for c in text {
        if is_symbol(c) {
            out.extend([' ', c, ' ']);
        } else {
            out.push(c);
        }
    }
    out
}

fn chinese_apart(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if is_chinese(c) {
            out.extend([' ', c, ' ']);
        } else {
            out.push(c);
        }
    }
    out
}

/// The ranges of `tokenizer_zh.py`. Two of its limits, `\u20000` and `\u2f800`, are strings of two characters in Python: so
/// are U+2001 to U+2A6D and U+2F81 to U+2FA1 Chinese there, symbols among them, and Extension B is not.
fn is_chinese(c: char) -> bool {
    matches!(c,
        '\u{3400}'..='\u{4db5}' | '\u{4e00}'..='\u{9fbb}' | '\u{f900}'..='\u{fa2d}' | '\u{fa30}'..='\u{fa6a}'
        | '\u{fa70}'..='\u{fad9}' | '\u{2001}'..='\u{2a6d}' | '\u{2f81}'..='\u{2fa1}' | '\u{ff00}'..='\u{ffef}'
        | '\u{2e80}'..='\u{2eff}' | '\u{3000}'..='\u{303f}' | '\u{31c0}'..='\u{31ef}' | '\u{2f00}'..='\u{2fdf}'
        | '\u{2ff0}'..='\u{2fff}' | '\u{3100}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}' | '\u{fe10}'..='\u{fe1f}'
        | '\u{fe30}'..='\u{fe4f}' | '\u{3200}'..='\u{33ff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::reference;

    proptest! {
        #[test]
        fn one_pass_cuts_where_the_patterns_cut(text in "[a5 .,\\-!\\n/'\u{e9}\u{3000}\u{a0}]{0,12}") {
            let separated = western(format!(" {text} ").as_bytes(), false);
            let mut found = Vec::new();
            each_western(&text, |word| found.push(word.to_owned()));
            prop_assert_eq!(found, words(&separated).collect::<Vec<_>>());
        }
    }

    /// sacreBLEU's own tokens.
    #[test]
    fn it_cuts_where_sacrebleu_cuts() {
        let cases = reference::section("tokens");
        let cases = cases.as_array().unwrap();
        assert!(cases.len() >= 60);
        for case in cases {
            let text = case["text"].as_str().unwrap();
            for tokeniser in [Tokeniser::V13a, Tokeniser::International, Tokeniser::Chinese, Tokeniser::Characters] {
                let found = words(&tokeniser.separated(text)).collect::<Vec<_>>().join(" ");
                assert_eq!(found, case[tokeniser.name()].as_str().unwrap(), "{} {text:?}", tokeniser.name());
                let mut told = Vec::new();
                tokeniser.each_word(text, |word| told.push(word.to_owned()));
                assert_eq!(told.join(" "), found, "{} {text:?}", tokeniser.name());
            }
        }
    }
}
