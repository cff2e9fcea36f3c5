//! Porter's stemmer as NLTK has it, which rouge-score and METEOR use.

/// The stem of a word: `PorterStemmer(mode=NLTK_EXTENSIONS).stem` of NLTK 3.10, the default mode.
///
/// Porter, "An algorithm for suffix stripping" (Program 14.3, 1980), with Porter's own later rules and NLTK's: a table of
/// irregular words, words of four letters that end in `-ies` and `-ied`, and `y` after consonants.
///
/// ```
/// assert_eq!(qd_eval::metric::porter::stem("Relational"), "relat");
/// ```
pub fn stem(word: &str) -> String {
    let lower = word.to_lowercase();
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == lower) {
        return (*stem).to_owned();
    }
    if word.chars().nth(2).is_none() {
        return lower;
    }
    if lower.is_ascii() {
        let stem = stripped(lower.into_bytes());
        return String::from_utf8(stem).expect("ASCII stays ASCII");
    }
    stripped(lower.chars().collect::<Vec<char>>()).into_iter().collect()
}

const IRREGULAR: &[(&str, &str)] = &[
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// A byte of an ASCII word, or a character of another.
trait Letter: Copy + PartialEq + From<u8> {}
impl Letter for u8 {}
impl Letter for char {}

fn stripped<L: Letter>(mut word: Vec<L>) -> Vec<L> {
    step_1a(&mut word);
    step_1b(&mut word);
    step_1c(&mut word);
    step_2(&mut word);
    apply(&mut word, STEP_3, 1);
    step_4(&mut word);
    step_5(&mut word);
    word
}

/// Whether each letter is a consonant: not one of `aeiou`, nor a `y` after a consonant.
fn consonants<L: Letter>(word: &[L]) -> impl Iterator<Item = bool> {
    let mut before = false;
    word.iter().map(move |&letter| {
        before = if letter == L::from(b'y') { !before } else { !is_vowel(letter) };
        before
    })
}

fn is_vowel<L: Letter>(letter: L) -> bool {
    b"aeiou".iter().any(|&vowel| letter == L::from(vowel))
}

/// How often a consonant follows a vowel: Porter's *m*.
fn measure<L: Letter>(stem: &[L]) -> usize {
    let mut before = true;
    consonants(stem).filter(|&consonant| !std::mem::replace(&mut before, consonant) && consonant).count()
}

fn has_vowel<L: Letter>(stem: &[L]) -> bool {
    consonants(stem).any(|consonant| !consonant)
}

/// Porter's *\*d*.
fn ends_double_consonant<L: Letter>(word: &[L]) -> bool {
    let doubled = matches!(word, [.., first, second] if first == second);
    doubled && consonants(word).last() == Some(true)
}

/// Porter's *\*o*, and words of a vowel and a consonant.
fn ends_cvc<L: Letter>(word: &[L]) -> bool {
    let kinds: Vec<bool> = consonants(word).collect();
    match kinds[..] {
        [first, second] => !first && second,
        [.., first, second, third] => {
            let last = word[word.len() - 1];
            first && !second && third && !b"wxy".iter().any(|&letter| last == L::from(letter))
        }
        _ => false,
    }
}

fn ends_with<L: Letter>(word: &[L], suffix: &str) -> bool {
    word.len() >= suffix.len()
        && word[word.len() - suffix.len()..].iter().zip(suffix.bytes()).all(|(&letter, byte)| letter == L::from(byte))
}

/// Puts `other` in place of the last `length` letters.
fn replace<L: Letter>(word: &mut Vec<L>, length: usize, other: &str) {
    word.truncate(word.len() - length);
    word.extend(other.bytes().map(L::from));
}

/// Applies the first rule whose suffix the word ends in, if the measure of what is left is at least `least`.
fn apply<L: Letter>(word: &mut Vec<L>, rules: &[(&str, &str)], least: usize) {
    if let Some((suffix, other)) = rules.iter().find(|(suffix, _)| ends_with(word, suffix))
        && measure(&word[..word.len() - suffix.len()]) >= least
    {
        replace(word, suffix.len(), other);
    }
}

fn step_1a<L: Letter>(word: &mut Vec<L>) {
    if ends_with(word, "ies") && word.len() == 4 {
        return replace(word, 1, "");
    }
    apply(word, &[("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")], 0);
}

fn step_1b<L: Letter>(word: &mut Vec<L>) {
    if ends_with(word, "ied") {
        let length = if word.len() == 4 { 1 } else { 2 };
        return replace(word, length, "");
    }
    if ends_with(word, "eed") {
        return apply(word, &[("eed", "ee")], 1);
    }
    for suffix in ["ed", "ing"] {
        if ends_with(word, suffix) && has_vowel(&word[..word.len() - suffix.len()]) {
            replace(word, suffix.len(), "");
            return mend(word);
        }
    }
}

/// What follows the removal of `-ed` and `-ing`.
fn mend<L: Letter>(word: &mut Vec<L>) {
    let rules = [("at", "ate"), ("bl", "ble"), ("iz", "ize")];
    if let Some((suffix, other)) = rules.iter().find(|(suffix, _)| ends_with(word, suffix)) {
        return replace(word, suffix.len(), other);
    }
    if ends_double_consonant(word) {
        if !["l", "s", "z"].iter().any(|letter| ends_with(word, letter)) {
            replace(word, 1, "");
        }
    } else if ends_with(word, "*d") {
        // NLTK's list of rules has `*d` as a name of the rule above, and takes a word that ends so for one that it applies to.
        replace(word, 2, "d");
    } else if measure(word) == 1 && ends_cvc(word) {
        replace(word, 0, "e");
    }
}

fn step_1c<L: Letter>(word: &mut Vec<L>) {
    if ends_with(word, "y") && word.len() > 2 && consonants(&word[..word.len() - 1]).last() == Some(true) {
        replace(word, 1, "i");
    }
}

fn step_2<L: Letter>(word: &mut Vec<L>) {
    while ends_with(word, "alli") && measure(&word[..word.len() - 4]) > 0 {
        replace(word, 2, "");
    }
    // The `l` of `logi` counts as part of the stem.
    if ends_with(word, "logi") && !STEP_2.iter().any(|(suffix, _)| ends_with(word, suffix)) {
        if measure(&word[..word.len() - 3]) > 0 {
            replace(word, 1, "");
        }
        return;
    }
    apply(word, STEP_2, 1);
}

const STEP_2: &[(&str, &str)] = &[
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

const STEP_3: &[(&str, &str)] =
    &[("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

fn step_4<L: Letter>(word: &mut Vec<L>) {
    let found = STEP_4.iter().find(|suffix| ends_with(word, suffix));
    let Some(stem) = found.map(|suffix| &word[..word.len() - suffix.len()]) else { return };
    let may_go = found != Some(&"ion") || ends_with(stem, "s") || ends_with(stem, "t");
    if may_go && measure(stem) > 1 {
        let length = word.len() - stem.len();
        replace(word, length, "");
    }
}

const STEP_4: &[&str] = &[
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
];

fn step_5<L: Letter>(word: &mut Vec<L>) {
    if ends_with(word, "e") {
        let stem = &word[..word.len() - 1];
        let measure = measure(stem);
        if measure > 1 || measure == 1 && !ends_cvc(stem) {
            replace(word, 1, "");
        }
    }
    if ends_with(word, "ll") && measure(&word[..word.len() - 1]) > 1 {
        replace(word, 1, "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::reference;

    /// NLTK's stems of the words of all pairs, of suffixes on all kinds of stems, and of what is no word.
    #[test]
    fn stems_are_those_of_nltk() {
        let expected = reference::section("stems");
        let expected = expected.as_object().unwrap();
        assert!(expected.len() > 3_000);
        for (word, expected) in expected {
            assert_eq!(stem(word), expected.as_str().unwrap(), "{word:?}");
        }
    }
}
