//! Words that hurt.
//!
//! Patterns name whom they speak of and what is said of them, since what makes `hate` of a sentence is its target: "I hate
//! Mondays" is none. What is quoted, denied or reclaimed is not told apart.

use std::sync::LazyLock;

use regex::RegexSet;

use super::Toxicity;

/// Groups of people by what they are and did not choose, or hold to.
const GROUPS: &str = r"(?:(?:wo|trans ?wo)men|woman|females?|girls|(?:trans(?:gender)?|gay|black|brown|disabled|asian|jewish|muslim|white|homosexual|queer|lesbian|arab|african|mexican|chinese|indian|autistic|deaf|blind|female|immigrant|foreign) (?:people|persons?|men|man|women|woman|folks?|kids|lives|ones)|gays|lesbians|homosexuals|blacks|muslims?|immigrants?|migrants|refugees|foreigners|jews?|arabs?|mexicans?|asians?|africans|indians|chinese|christians|catholics|hindus|buddhists|gypsies|romani)";

/// Words that are there to demean. Brackets keep them from being found in this repository by those who search for them.
const SLURS: &str = r"\b(?:n[i]gg(?:er|a|ah|az)s?|f[a]gg?(?:ot)?s?|k[i]kes?|sp[i]cs?|ch[i]nks?|g[o]oks?|w[e]tbacks?|p[a]kis?|tr[a]nn(?:y|ies)|tr[a]pp?ies|she-?males?|ret[a]rd(?:s|ed)?|m[o]ngs?|sp[a]stics?|spazz?(?:es)?|cr[i]pples?|d[y]kes?|c[o]ons?|r[a]gheads?|t[o]welheads?|camel ?f[u]ckers?|m[u]zz(?:ie|y|rat)s?|sand ?n[i]gg(?:er|a)s?|wh[o]res?|sl[u]ts?|b[i]tch(?:es)?|c[u]nts?|h[o]es?|porch ?monkeys?|j[i]gaboos?|d[a]rkies|beaners?|zipperheads?|bint|mudslimes?|jihadis?|jungle ?bunn(?:y|ies)|homos?|skanks?|thots?)\b";

const PROFANITY: &str = r"\b(?:(?:mother)?f[u]ck(?:ing|in|ed|ers?|s|head|tard)?|(?:bull|horse|dip)?sh[i]t(?:ty|s|head|hole|ting)?|[a]ss(?:hole|holes|hat|wipe)|(?:dumb|jack)ass|b[a]stards?|pr[i]cks?|d[i]ck(?:head|heads)?|cocks?(?:ucker|uckers)?|p[u]ss(?:y|ies)|tw[a]ts?|w[a]nkers?|goddamn(?:ed)?|arseholes?)\b";

/// What contempt says that people are.
const VILE: &str = r"(?:scum|vermin|filth|dirt|trash|garbage|rats?|pigs?|dogs?|animals?|monkeys?|apes?|savages?|cockroach(?:es)?|parasites?|leech(?:es)?|plague|virus|cancer|disease|waste of space|subhumans?|inferior|worthless|disgusting|repulsive|despicable|filthy|vile|stupid|brainless|ignorant|dumb|idiots?|morons?|evil|abominations?|uncivili[sz]ed|criminals|terrorists|thieves|liars|freaks?|lazy|ugly|absolute worst|less than human|not human|bastards?|pricks?|assholes?|arseholes?|shit|fucked in the head)";

const HARM: &str = r"(?:kill(?:ing)?|murder(?:ing)?|shoot(?:ing)?|stab(?:bing)?|rap(?:e|ing)|hang(?:ing)?|burn(?:ing)?|behead|execut(?:e|ing)|exterminate|eradicate|strangle|beat(?:ing)? up|lynch|gas|slaughter|attack(?:ing)?|torture|punch|hurt|wipe out|get rid of|snap the necks? of|cut the throats? of)";

fn sentences() -> Vec<(Toxicity, String)> {
    let few = r"(?:[\w']+ ){0,3}?";
    let hate = |text: String| (Toxicity::Hate, text);
    let threat = |text: String| (Toxicity::Threat, text);
    vec![
        hate(format!(r"\b(?:hate|despise|loathe|detest|can't stand|cannot stand|can't bear|sick of|tired of|disgusted by|hatred for|hatred of|no respect for|down with|nothing worse than|fuck) {few}{GROUPS}\b")),
        hate(format!(r"\b{GROUPS} {few}(?:disgust|sicken|repulse|make me sick|make my skin crawl|fill me with)\b")),
        hate(format!(r"\b{GROUPS}(?: like you)? {few}(?:are|is|were|be) {few}{few}{VILE}\b")),
        hate(format!(r"\b(?:all|you|most|those|these|typical|fucking|filthy|disgusting|stupid|worthless|dirty) {few}{GROUPS} {few}{VILE}\b")),
        hate(format!(r"\b(?:{VILE}) {GROUPS}\b")),
        hate(format!(r"\b(?:nothing but|just|only|a bunch of) {few}(?:black|gay|muslim|female|disabled|immigrant|trans|jewish) {VILE}\b")),
        hate(format!(r"\b{GROUPS} {few}(?:should not|shouldn't|should never|must not|don't deserve|do not deserve|cannot be allowed to|have no right|are not worthy|aren't worth|are not worth|have no value|belong in|do not belong|don't belong|should be (?:banned|deported|removed|silenced|illegal|locked up|sterili[sz]ed|shot|hanged|burned|killed|eradicated))\b")),
        hate(format!(r"\b(?:too many|no (?:place|space) (?:for|on this planet for)|world would be (?:a )?better {few}without|better off (?:without|if)|send {few}back|human rights should not apply to) {few}{GROUPS}\b")),
        threat(format!(r"\b(?:deserves? to|ought to|should|must|needs? to|have to|has to|hope {few}) ?(?:all )?(?:die|be (?:killed|shot|hanged|burned|murdered|raped|executed|exterminated|beaten|gassed|eradicated|stabbed|lynched))\b")),
        threat(format!(r"\b(?:i'll|i will|we'll|we will|going to|gonna|want to|wanna|let's|lets|should|someone|somebody|have to|we must|i'd|would) (?:just |all |really |simply |please |go and |happily )?{HARM} (?:[\w']+ ){{0,3}}?(?:you|them|him|her|{GROUPS})\b")),
        threat(format!(r"\b(?:death to|kill all|kill the|gas the|hang the|burn the|exterminate|eradicate) {few}{GROUPS}\b")),
        threat(format!(r"\b{HARM} {few}(?:{GROUPS}|them|you) {few}(?:should (?:be legal|not be illegal|be decriminali[sz]ed)|is (?:right|fine|ok|okay|justified|good))\b")),
        threat(format!(r"\b{GROUPS} {few}(?:had their throats cut|dropped dead|were (?:eradicated|gone|dead|shot|killed))\b")),
        threat(r"\b(?:i will|i'll|i'm going to|im going to|gonna) (?:kill|murder|shoot|stab|rape|strangle|beat|hurt|attack|find) (?:you|him|her|them|that)\b".to_owned()),
        threat(r"\b(?:kill yourself|kys|go die|drop dead|burn in hell|hope you die)\b".to_owned()),
        (Toxicity::Insult, format!(r"\b(?:you are|you're|youre|ur|you) (?:all |such |just |nothing but |a |an |the |so |fucking |absolute |complete |total |stupid |dumb |piece of )*{VILE}\b")),
        (Toxicity::Insult, r"\b(?:go fuck yoursel(?:f|ves)|fuck (?:you|off)|shut (?:the fuck )?up|screw you|piece of shit|son of a bitch|your life is worthless)\b".to_owned()),
    ]
}

/// All patterns, and what each finds.
static PATTERNS: LazyLock<(RegexSet, Vec<Toxicity>)> = LazyLock::new(|| {
    let mut patterns = sentences();
    patterns.push((Toxicity::Slur, SLURS.to_owned()));
    patterns.push((Toxicity::Profanity, PROFANITY.to_owned()));
    let kinds = patterns.iter().map(|(kind, _)| *kind).collect();
    let set = regex::RegexSetBuilder::new(patterns.into_iter().map(|(_, pattern)| pattern));
    (set.clone().unicode(false).size_limit(64 << 20).build().expect("the patterns are valid"), kinds)
});

pub(super) fn find(text: &str) -> Vec<Toxicity> {
    let (patterns, kinds) = &*PATTERNS;
    let mut found: Vec<Toxicity> = patterns.matches(&plain(text)).into_iter().map(|place| kinds[place]).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The text in small letters without accents, with letters for the digits and signs that stand for them inside of words, single
/// letters joined, and one space between words.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace()).filter(|word| !word.is_empty()).map(plain_word);
    let mut out = String::with_capacity(text.len());
    let mut before_is_letter = false;
    for word in words {
        let is_letter = word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
        // `c r i p p l e` is one word; `a` and `i` are words of their own unless more letters follow.
        if !out.is_empty() && !(before_is_letter && is_letter) {
            out.push(' ');
        }
        out.push_str(&word);
        before_is_letter = is_letter;
    }
    out
}

fn plain_word(word: &str) -> String {
    let has_letters = word.chars().filter(|c| c.is_alphabetic()).count() >= 2;
    let of = |c: char| match c {
        '0' if has_letters => 'o',
        '1' | '!' if has_letters => 'i',
        '3' if has_letters => 'e',
        '4' | '@' if has_letters => 'a',
        '5' | '$' if has_letters => 's',
        '’' | '‘' => '\'',
        'à'..='å' => 'a',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ò'..='ö' => 'o',
        'ù'..='ü' => 'u',
        other => other,
    };
    // An exclamation mark at the end is one.
    let (stem, marks) = word.split_at(word.trim_end_matches('!').len());
    stem.to_lowercase().chars().map(of).chain(marks.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[Toxicity]) {
        assert_eq!(find(text), expected, "{text}");
    }

    #[test]
    fn the_target_makes_the_difference() {
        check("I hate Mondays.", &[]);
        check("I hate immigrants.", &[Toxicity::Hate]);
        check("Muslims are very kind.", &[]);
        check("All Muslims are filthy.", &[Toxicity::Hate]);
        check("I will kill you!", &[Toxicity::Threat]);
        check("This program kills the process.", &[]);
        check("You are an absolute idiot", &[Toxicity::Insult]);
        check("What the fuck", &[Toxicity::Profanity]);
        check("Classic assessment of Scunthorpe's cocktails", &[]);
    }

    #[test]
    fn a_word_in_disguise() {
        check("what a sh1t day", &[Toxicity::Profanity]);
        check("w h a t a s h i t day", &[]);
        check("s h i t happens", &[Toxicity::Profanity]);
        check("$h!t!", &[Toxicity::Profanity]);
    }

    /// Real texts, where the machine has them; `docs/evaluation-metrics.md` has these numbers.
    #[test]
    fn precision_and_recall_are_what_the_docs_say() {
        let of =
            |name: &str, file: &str, is_toxic: fn(&[String]) -> bool, counts: fn(Toxicity) -> bool, column: usize| {
                let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
                let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
                    eprintln!("skipped: there is no shared/data/{file}");
                    return None;
                };
                let (mut right, mut found, mut there) = (0.0, 0.0, 0.0);
                for row in rows(&text).skip(1) {
                    let (toxic, told) = (is_toxic(&row), find(&row[column]).into_iter().any(counts));
                    right += f64::from(u8::from(toxic && told));
                    found += f64::from(u8::from(told));
                    there += f64::from(u8::from(toxic));
                }
                println!("{name}: precision {:.3}, recall {:.3} of {there}", right / found, right / there);
                Some((right / found, right / there))
            };
        let hateful = |kind| matches!(kind, Toxicity::Hate | Toxicity::Threat | Toxicity::Slur);
        let hatecheck = of("HateCheck", "hatecheck/test_suite_cases.csv", |row| row[4] == "hateful", hateful, 3);
        let davidson = of("Davidson", "davidson/labeled_data.csv", |row| row[5] != "2", |_| true, 6);
        let at_least = |found: Option<(f64, f64)>, precision, recall| {
            assert!(found.is_none_or(|found| found.0 >= precision && found.1 >= recall), "{found:?}");
        };
        at_least(hatecheck, 0.73, 0.44);
        at_least(davidson, 0.98, 0.93);
    }

    /// CSV by RFC 4180.
    fn rows(text: &str) -> impl Iterator<Item = Vec<String>> {
        let mut rest = text;
        std::iter::from_fn(move || {
            let mut row = Vec::new();
            while !rest.is_empty() {
                let (field, end) = match rest.strip_prefix('"') {
                    Some(quoted) => {
                        let bytes = quoted.as_bytes();
                        let mut end = 0;
                        while bytes[end] != b'"' || bytes.get(end + 1) == Some(&b'"') {
                            end += if bytes[end] == b'"' { 2 } else { 1 };
                        }
                        (quoted[..end].replace("\"\"", "\""), end + 2)
                    }
                    None => {
                        let end = rest.find([',', '\n']).unwrap_or(rest.len());
                        (rest[..end].trim_end_matches('\r').to_owned(), end)
                    }
                };
                row.push(field);
                let ends = !rest[end..].starts_with(',');
                rest = rest[end..].trim_start_matches('\r').get(1..).unwrap_or_default();
                if ends {
                    break;
                }
            }
            (!row.is_empty()).then_some(row)
        })
    }
}
