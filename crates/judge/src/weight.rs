//! How likely is each place on the scale, by the probabilities of tokens?
//!
//! `score = Σᵢ p(sᵢ)·sᵢ`, with `p` renormalised over the places of the scale. Liu et al., "G-Eval: NLG Evaluation using
//! GPT-4 with Better Human Alignment" (EMNLP 2023), eq. 1.
//!
//! A place may be several tokens (`1` and `0` for 10) and a token more than a place (` 5`, `5.`), so the tokens that were
//! drawn are followed and, at each, what else could have stood there is read. What lies on no place, or cannot be told to be one
//! (a `1` that was not drawn where 1 and 10 are places), is missing, and how much that is is told.

use qd_base::chat::TokenLogProb;
use serde::{Deserialize, Serialize};

/// How a number was made of probabilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weighting {
    /// The words of the scale with their probabilities, which sum up to 1.
    pub probabilities: Vec<(String, f64)>,
    /// The probability that lies neither on the scale nor on `cannot tell`.
    pub missing: f64,
    /// The probability of `cannot tell`.
    pub cannot_tell: f64,
}

/// The probability of each word where an answer's verdict stands, from `offset` in its text on.
///
/// Words are compared without case and without white space before them. None when the offset lies in no token. Probabilities
/// of what stands before the offset are left aside: they are about the form of the answer.
pub fn masses(tokens: &[TokenLogProb], offset: usize, words: &[&str]) -> Option<Vec<f64>> {
    followed(tokens, offset, words).map(|(masses, _)| masses)
}

/// [`masses`], and the place of the word that the drawn tokens say there.
pub(crate) fn followed(tokens: &[TokenLogProb], offset: usize, words: &[&str]) -> Option<(Vec<f64>, Option<usize>)> {
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let (mut at, lead) = start(tokens, offset)?;
    let (mut masses, mut said) = (vec![0.0; words.len()], None);
    let (mut path, mut before, mut lead) = (1.0, Vec::new(), lead);
    while let Some(token) = tokens.get(at) {
        let mut next = None;
        for (bytes, probability, drawn) in alternatives(token) {
            // What does not begin as the drawn token does would have changed the form of the answer.
            let Some(rest) = bytes.strip_prefix(lead.as_slice()) else { continue };
            let ended = rest.is_empty() && lead.is_empty();
            let text = [before.as_slice(), rest].concat();
            match read(&text, &words, ended && !drawn) {
                Reads::Word(word) => {
                    masses[word] += path * probability;
                    said = said.or(drawn.then_some(word));
                }
                Reads::Open if drawn => next = Some((path * probability, text)),
                Reads::Open | Reads::Nothing => {}
            }
        }
        let Some((onward, text)) = next else { return Some((masses, said)) };
        (path, before, lead, at) = (onward, text, Vec::new(), at + 1);
    }
    if let Reads::Word(word) = read(&before, &words, true) {
        masses[word] += path;
        said = Some(word);
    }
    Some((masses, said))
}

/// How many bytes of white space stand in an answer's tokens before its text; none when they are not the tokens of that text.
pub(crate) fn before(tokens: &[TokenLogProb], text: &str) -> Option<usize> {
    let bytes: Vec<u8> =
        tokens.iter().flat_map(|token| bytes_of(&token.token, token.bytes.as_deref())).copied().collect();
    let white = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    // A mark of the end may stand behind the text.
    (0..=white).find(|&from| bytes[from..].starts_with(text.as_bytes()))
}

/// The token that holds the byte at `offset`, and what of it stands before that.
fn start(tokens: &[TokenLogProb], offset: usize) -> Option<(usize, Vec<u8>)> {
    let mut begins = 0;
    for (at, token) in tokens.iter().enumerate() {
        let bytes = bytes_of(&token.token, token.bytes.as_deref());
        if offset < begins + bytes.len() {
            return Some((at, bytes[..offset - begins].to_vec()));
        }
        begins += bytes.len();
    }
    None
}

fn bytes_of<'t>(text: &'t str, bytes: Option<&'t [u8]>) -> &'t [u8] {
    bytes.unwrap_or(text.as_bytes())
}

/// What could have stood at a token's place, with its probability, and whether it is what stands there.
fn alternatives(token: &TokenLogProb) -> impl Iterator<Item = (&[u8], f64, bool)> {
    let own = bytes_of(&token.token, token.bytes.as_deref());
    let top = token.top_logprobs.iter().map(move |other| {
        let bytes = bytes_of(&other.token, other.bytes.as_deref());
        (bytes, f64::from(other.logprob).exp(), bytes == own)
    });
    let listed = token.top_logprobs.iter().any(|other| bytes_of(&other.token, other.bytes.as_deref()) == own);
    top.chain((!listed).then(|| (own, f64::from(token.logprob).exp(), true)))
}

enum Reads {
    /// It is this word, whatever follows.
    Word(usize),
    /// It may become a word, or a longer one.
    Open,
    /// It is none.
    Nothing,
}

/// Which word a text begins with; `ended` says that nothing follows.
fn read(text: &[u8], words: &[String], ended: bool) -> Reads {
    let text = String::from_utf8_lossy(text).to_lowercase();
    let text = text.trim_start();
    if !ended && words.iter().any(|word| word.len() > text.len() && word.starts_with(text)) {
        return Reads::Open;
    }
    let begun = words.iter().enumerate().filter(|(_, word)| text.starts_with(word.as_str()));
    match begun.max_by_key(|(_, word)| word.len()) {
        Some((at, word)) if !goes_on(&text[word.len()..]) => Reads::Word(at),
        _ => Reads::Nothing,
    }
}

/// Whether what follows a word makes it another one: 4 is not what 4.5 or 42 says.
fn goes_on(rest: &str) -> bool {
    let mut chars = rest.chars();
    match chars.next() {
        Some('.' | ',') => chars.next().is_some_and(|c| c.is_ascii_digit()),
        Some(c) => c.is_alphanumeric() || c == '_',
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Reply;
    use crate::stub;

    #[track_caller]
    fn check(tokens: &[(&str, &[(&str, f64)])], offset: usize, words: &[&str], expected: &[f64]) {
        let Reply::Answered(response) = stub::says_tokens(tokens) else { panic!() };
        let tokens = response.choices[0].logprobs.as_ref().unwrap().content.as_ref().unwrap();
        let found = masses(tokens, offset, words).unwrap();
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }

    const FIVE: &[&str] = &["1", "2", "3", "4", "5"];

    #[test]
    fn one_token_a_place() {
        check(&[("4", &[("4", 0.6), ("5", 0.3), ("3", 0.05), ("Four", 0.05)])], 0, FIVE, &[0.0, 0.0, 0.05, 0.6, 0.3]);
        // With and without a space before it, and with a full stop after it, it is the same place.
        check(&[(" 4", &[(" 4", 0.5), ("4", 0.25), ("4.", 0.05), ("\n4", 0.1)])], 0, FIVE, &[0.0, 0.0, 0.0, 0.9, 0.0]);
        // What is a longer number is no place.
        check(&[("4", &[("4", 0.5), ("40", 0.2), ("4.5", 0.2), ("4th", 0.1)])], 0, FIVE, &[0.0, 0.0, 0.0, 0.5, 0.0]);
        // The drawn token counts though it is not among the likeliest.
        check(&[("4", &[("5", 0.6)])], 0, FIVE, &[0.0, 0.0, 0.0, 1.0, 0.6]);
    }

    #[test]
    fn a_space_first_is_followed() {
        // 0.2 at once, and of the 0.8 behind the space 0.75 and 0.25.
        let tokens: &[(&str, &[(&str, f64)])] = &[(" ", &[(" ", 0.8), ("5", 0.2)]), ("4", &[("4", 0.75), ("5", 0.25)])];
        check(tokens, 0, FIVE, &[0.0, 0.0, 0.0, 0.6, 0.4]);
    }

    #[test]
    fn ten_is_two_tokens() {
        let words: Vec<String> = (1..=10).map(|n: u32| n.to_string()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut expected = [0.0; 10];
        // Drawn 1, then 0: of 0.7 there are 0.9 for ten, and 0.1 that ends for one.
        let tokens: &[(&str, &[(&str, f64)])] =
            &[("1", &[("1", 0.7), ("9", 0.3)]), ("0", &[("0", 0.9), ("<|im_end|>", 0.1)])];
        (expected[0], expected[8], expected[9]) = (0.07, 0.3, 0.63);
        check(tokens, 0, &words, &expected);
        // Drawn 9: whether the 1 would have become a ten is not known, so it is missing.
        check(&[("9", &[("9", 0.6), ("1", 0.4)])], 0, &words, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6, 0.0]);
        // A token of its own is known; so is a one that ends where the answer ends.
        check(&[("9", &[("9", 0.6), ("10", 0.4)])], 0, &words, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6, 0.4]);
        check(&[("1", &[("1", 0.7)])], 0, &words, &[0.7]);
    }

    #[test]
    fn the_place_in_json() {
        // {"verdict": "4"} in tokens that do not end where the verdict begins.
        let tokens: &[(&str, &[(&str, f64)])] = &[
            ("{\"", &[]),
            ("verdict", &[]),
            ("\": ", &[]),
            ("\"4", &[("\"4", 0.5), ("\"5", 0.25), ("4", 0.25)]),
            ("\"}", &[]),
        ];
        check(tokens, 13, FIVE, &[0.0, 0.0, 0.0, 0.5, 0.25]);
        let words = &["yes", "no", "cannot tell"];
        let tokens: &[(&str, &[(&str, f64)])] =
            &[("cannot", &[("cannot", 0.5), ("Yes", 0.4)]), (" tell", &[(" tell", 0.8), (" say", 0.2)])];
        check(tokens, 0, words, &[0.4, 0.0, 0.4]);
        assert!(masses(&[], 0, words).is_none());
    }
}
