//! What the log-probabilities of an echoed prompt say of its end.
//!
//! Offsets are not believed: servers add up decoded tokens, those that stand for no text (`<|begin_of_text|>`) and each piece of a
//! character among them. The tokens themselves are laid upon the prompt, and where they do not fit nothing is said.

use std::collections::BTreeMap;

use qd_task::Likelihood;
use serde_json::Value;

/// Where the next token may begin at most: more are not told apart by what comes after.
const MOST_PLACES: usize = 64;
/// What stands in a decoded token for bytes that are no whole character.
const PIECE: char = '\u{FFFD}';

/// How likely the end of `text` is that begins `from` characters after its beginning.
///
/// # Errors
/// What is missing, or does not fit, in words.
pub fn likelihood(logprobs: &Value, text: &str, from: usize) -> Result<Likelihood, &'static str> {
    const NONE: &str = "the model's provider does not say how likely a prompt is (completions with echo and logprobs)";
    let list = |name: &str| logprobs[name].as_array();
    let (tokens, numbers) = list("tokens").zip(list("token_logprobs")).ok_or(NONE)?;
    let tokens: Vec<&str> = tokens.iter().filter_map(Value::as_str).collect();
    if tokens.len() != numbers.len() {
        return Err("the provider tells tokens and log-probabilities of different number");
    }
    let from = text.char_indices().nth(from).map_or(text.len(), |(at, _)| at);
    let (first, end) =
        measured(&tokens, text, from).ok_or("the tokens that the provider echoes are not the prompt's")?;
    if first == end {
        return Err("the provider echoes no token of the end that is measured");
    }
    let mut found = Likelihood { sum: 0.0, is_greedy: true, tokens: end - first };
    for place in first..end {
        let number =
            numbers[place].as_f64().ok_or("the provider tells no log-probability of a token that is measured")?;
        let top = list("top_logprobs").and_then(|tops| tops.get(place)?.as_object());
        let highest = top.into_iter().flatten().filter_map(|(_, number)| number.as_f64()).reduce(f64::max);
        let highest = highest.ok_or("the provider does not tell the likeliest tokens (top_logprobs)")?;
        found.sum += number;
        found.is_greedy &= number >= highest;
    }
    Ok(found)
}

/// The first token that begins at the byte `from` or after it, and the first behind the prompt. None where the tokens are not the
/// prompt's, or it is not clear which they are.
fn measured(tokens: &[&str], text: &str, from: usize) -> Option<(usize, usize)> {
    // A token that stands for the beginning is in no prompt.
    let without_first = || tokens.split_first().and_then(|(_, rest)| laid(rest, text, from));
    laid(tokens, text, from).or_else(|| without_first().map(|(first, end)| (first + 1, end + 1)))
}

fn laid(tokens: &[&str], text: &str, from: usize) -> Option<(usize, usize)> {
    // Where the next token may begin, with the first measured token on the ways there.
    let mut places = BTreeMap::from([(0, None)]);
    let mut found = None;
    for (token, word) in tokens.iter().enumerate() {
        let mut next = BTreeMap::new();
        for (&place, &first) in &places {
            let first = first.or((place >= from).then_some(token));
            for end in ends(text, place, word) {
                if *next.entry(end).or_insert(first) != first {
                    return None;
                }
            }
        }
        if let Some(first) = next.remove(&text.len())
            && found.replace((first.unwrap_or(token + 1), token + 1)).is_some()
        {
            return None;
        }
        if next.len() > MOST_PLACES {
            return None;
        }
        places = next;
    }
    found
}

/// Where a token ends that begins there.
fn ends(text: &str, place: usize, token: &str) -> Vec<usize> {
    let found = walked(text, place, token);
    match text.as_bytes().get(place) {
        // Some servers decode each token by itself, and so without the blank before it; others add one at the beginning.
        Some(b' ') if found.is_empty() => walked(text, place + 1, token),
        _ if found.is_empty() && place == 0 => token.strip_prefix(' ').map_or(found, |token| walked(text, 0, token)),
        _ => found,
    }
}

fn walked(text: &str, place: usize, token: &str) -> Vec<usize> {
    let mut places = vec![place];
    for character in token.chars() {
        let mut next = Vec::new();
        for place in places {
            if text.get(place..).is_some_and(|rest| rest.starts_with(character)) {
                next.push(place + character.len_utf8());
            }
            if character == PIECE {
                next.extend(pieces(text, place));
            }
        }
        next.sort_unstable();
        next.dedup();
        places = next;
    }
    places
}

/// Where a piece of a character may end: some of its first bytes, or one of the others.
fn pieces(text: &str, place: usize) -> std::ops::RangeInclusive<usize> {
    let whole = text.get(place..).map(|rest| rest.chars().next().map_or(0, char::len_utf8));
    match whole {
        Some(bytes) => place + 1..=(place + bytes).saturating_sub(1),
        None if place < text.len() => place + 1..=place + 1,
        None => 1..=0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `tokens` with their log-probabilities −1, −2, −4 …, each the likeliest; none of the first.
    fn told(tokens: &[&str]) -> Value {
        let number = |place: usize| if place == 0 { Value::Null } else { json!(-f64::from(1 << (place - 1))) };
        let top = |place: usize| if place == 0 { Value::Null } else { json!({tokens[place]: number(place)}) };
        let count = 0..tokens.len();
        json!({
            "tokens": tokens, "token_logprobs": count.clone().map(number).collect::<Vec<_>>(),
            "top_logprobs": count.map(top).collect::<Vec<_>>(),
        })
    }

    fn sum(tokens: &[&str], text: &str, from: usize) -> f64 {
        likelihood(&told(tokens), text, from).unwrap().sum
    }

    #[test]
    fn tokens_are_laid_upon_the_prompt() {
        assert_eq!(sum(&["Q", ":", " a", "b", "!"], "Q: ab", 2), -6.0);
        // A token that no prompt has comes first.
        assert_eq!(sum(&["<|begin_of_text|>", "Q", ":", " a", "b", "!"], "Q: ab", 2), -12.0);
        // Two bytes of "é", four of "😀": told as pieces, or the character with its last one.
        assert_eq!(sum(&["Q", "\u{FFFD}", "\u{FFFD}", " a", "!"], "Qé a", 2), -4.0);
        assert_eq!(sum(&["Q", "\u{FFFD}", "\u{FFFD}", "\u{FFFD}", " a"], "Q😀 a", 2), -8.0);
        assert_eq!(sum(&["Q", " a", "", "é", "!"], "Q aé", 3), -6.0);
        assert_eq!(sum(&["Q", " ", "\u{FFFD}", "é", "!"], "Q \u{FFFD}é", 2), -6.0);
        // Without the blanks before words, and with one that is not there.
        assert_eq!(sum(&["<s>", "Q", ":", "a", "b", "!"], "Q: a b", 2), -12.0);
        assert_eq!(sum(&[" Q", ":", " a"], "Q: a", 2), -2.0);
    }

    #[test]
    fn what_does_not_fit_is_not_believed() {
        let why = |tokens: &[&str], text, from| likelihood(&told(tokens), text, from).unwrap_err();
        assert!(why(&["Q", ":", " a"], "Q: b", 2).contains("not the prompt's"));
        assert!(why(&["Q", ":"], "Q: b", 2).contains("not the prompt's"));
        assert!(why(&["<s>", "<s>", "Q", " a"], "Q a", 1).contains("not the prompt's"));
        assert!(why(&["Q", ": a"], "Q: a", 2).contains("no token of the end"));
        // Five pieces of two characters of four bytes: two or three are the first's.
        assert!(why(&["Q", "\u{FFFD}", "\u{FFFD}", "\u{FFFD}", "\u{FFFD}", "\u{FFFD}"], "Q😀😀", 2).contains("not"));
    }

    #[test]
    fn what_is_not_told_is_not_made_up() {
        let text = "Q: ab";
        let mut told = told(&["Q", ":", " a", "b"]);
        assert!(likelihood(&told, text, 0).unwrap_err().contains("no log-probability"));
        told["top_logprobs"] = Value::Null;
        assert!(likelihood(&told, text, 2).unwrap_err().contains("top_logprobs"));
        told["top_logprobs"] = json!([null, {}, {" a": -2.0}, {}]);
        assert!(likelihood(&told, text, 2).unwrap_err().contains("top_logprobs"));
        assert!(likelihood(&Value::Null, text, 2).unwrap_err().contains("echo and logprobs"));
    }
}
