//! Personal data and keys.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{Finding, Leak};

/// What is looked for, the surest first; and what a match must hold beside its pattern. A check gives how much of it counts.
type Check = fn(&str, &str, Range<usize>) -> Option<Range<usize>>;
static PATTERNS: LazyLock<Vec<(Leak, Regex, Check)>> = LazyLock::new(|| {
    let compiled = |text: &str| Regex::new(text).expect("the pattern is valid");
    let mut patterns: Vec<(Leak, Regex, Check)> =
        vec![(Leak::Secret, compiled(&SECRETS.join("|")), |_, _, place| Some(place))];
    patterns.extend(FORMS.iter().map(|&(kind, pattern, check)| (kind, compiled(pattern), check)));
    patterns
});

/// Forms that issuers document, or that their own scanners look for.
const SECRETS: &[&str] = &[
    r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",                   // Amazon Web Services
    r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b",               // GitHub
    r"\bgithub_pat_[A-Za-z0-9_]{50,100}\b",             // GitHub, fine-grained
    r"\bglpat-[A-Za-z0-9_-]{20,}",                      // GitLab
    r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",                 // Slack
    r"\bsk-(?:ant-|proj-|svcacct-)?[A-Za-z0-9_-]{20,}", // OpenAI, Anthropic and others
    r"\bAIza[A-Za-z0-9_-]{35}",                         // Google
    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}\b",        // Stripe
    r"\bhf_[A-Za-z]{30,}\b",                            // Hugging Face
    r"\bnpm_[A-Za-z0-9]{36}\b",                         // npm
    r"\bpypi-AgE[A-Za-z0-9_-]{50,}",                    // PyPI
    r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",      // SendGrid
    r"\bqd-[A-Za-z0-9_-]{43}",                          // Quarterdeck
    r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}", // JSON Web Tokens, RFC 7519
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----",  // PEM, RFC 7468
];

const FORMS: &[(Leak, &str, Check)] = &[
    (
        Leak::Email,
        r"(?i)\b[a-z0-9](?:[a-z0-9._%+'-]{0,62}[a-z0-9_])?@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,24}\b",
        |_, _, place| Some(place),
    ),
    (Leak::Iban, r"(?i)\b[a-z]{2}[0-9]{2}(?:[ -]?[a-z0-9]){11,30}\b", |_, found, place| iban(found, place)),
    (Leak::CreditCard, r"\b[0-9](?:[ -]?[0-9]){11,18}\b", card),
    (Leak::SocialSecurity, r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", |text, found, place| {
        alone(text, &place).filter(|_| is_social_security(found))
    }),
    (Leak::IpAddress, r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b", |text, found, place| {
        alone(text, &place).filter(|_| found.parse::<Ipv4Addr>().is_ok())
    }),
    (Leak::IpAddress, r"(?i)(?:[0-9a-f]{1,4}:{1,2}){2,7}(?:[0-9a-f]{1,4}|(?:[0-9]{1,3}\.){3}[0-9]{1,3})?", ip_v6),
    (Leak::Phone, r"(?:\+|\b00 ?|\()?[0-9](?:[ .\-/()]{0,2}[0-9]){5,16}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?\b", phone),
];

pub(super) fn find(text: &str) -> Vec<Finding<Leak>> {
    let mut findings: Vec<Finding<Leak>> = Vec::new();
    for (kind, pattern, check) in PATTERNS.iter() {
        let known = findings.len();
        for found in pattern.find_iter(text) {
            let place = check(text, found.as_str(), found.range());
            let is_free = |place: &Range<usize>| {
                findings[..known].iter().all(|other| place.end <= other.place.start || other.place.end <= place.start)
            };
            if let Some(place) = place.filter(is_free) {
                findings.push(Finding { kind: *kind, place });
            }
        }
    }
    findings.sort_by_key(|finding| finding.place.start);
    findings
}

/// A match that is no part of a longer number, such as a version or a date.
fn alone(text: &str, place: &Range<usize>) -> Option<Range<usize>> {
    let mut after = text[place.end..].chars();
    let next = after.next();
    let is_followed_by_digit = after.next().is_some_and(|c| c.is_ascii_digit());
    let goes_on =
        next.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-') && is_followed_by_digit);
    let before = text[..place.start].chars().next_back();
    let goes_before =
        before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '/' | '#' | '$' | '+'));
    (!goes_on && !goes_before).then(|| place.clone())
}

/// Letters and digits until the length of the country is reached, with the remainder 1 that ISO 7064 (MOD 97-10) asks for.
fn iban(found: &str, place: Range<usize>) -> Option<Range<usize>> {
    let country = found.get(..2)?.to_ascii_uppercase();
    let (_, length) = IBAN_LENGTHS.iter().find(|(code, _)| *code == country)?;
    let mut digits = found.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric());
    let end = digits.clone().nth(length - 1).map(|(at, _)| at + 1)?;
    let is_whole = !found[end..].starts_with(|c: char| c.is_ascii_alphanumeric());
    let characters: Vec<u32> = digits.by_ref().take(*length).filter_map(|(_, c)| c.to_digit(36)).collect();
    let moved = characters[4..].iter().chain(&characters[..4]);
    let remainder = moved.fold(0, |sum, &value| (sum * if value < 10 { 10 } else { 100 } + value) % 97);
    (is_whole && remainder == 1).then_some(place.start..place.start + end)
}

/// Of the IBAN registry of SWIFT, release 99.
#[rustfmt::skip]
const IBAN_LENGTHS: &[(&str, usize)] = &[
    ("AD", 24), ("AE", 23), ("AL", 28), ("AT", 20), ("AZ", 28), ("BA", 20), ("BE", 16), ("BG", 22), ("BH", 22), ("BI", 27), ("BR", 29), ("BY", 28),
    ("CH", 21), ("CR", 22), ("CY", 28), ("CZ", 24), ("DE", 22), ("DJ", 27), ("DK", 18), ("DO", 28), ("EE", 20), ("EG", 29), ("ES", 24), ("FI", 18),
    ("FK", 18), ("FO", 18), ("FR", 27), ("GB", 22), ("GE", 22), ("GI", 23), ("GL", 18), ("GR", 27), ("GT", 28), ("HN", 28), ("HR", 21), ("HU", 28),
    ("IE", 22), ("IL", 23), ("IQ", 23), ("IS", 26), ("IT", 27), ("JO", 30), ("KW", 30), ("KZ", 20), ("LB", 28), ("LC", 32), ("LI", 21), ("LT", 20),
    ("LU", 20), ("LV", 21), ("LY", 25), ("MC", 27), ("MD", 24), ("ME", 22), ("MK", 19), ("MN", 20), ("MR", 27), ("MT", 31), ("MU", 30), ("NI", 28),
    ("NL", 18), ("NO", 15), ("OM", 23), ("PK", 24), ("PL", 28), ("PS", 29), ("PT", 25), ("QA", 29), ("RO", 24), ("RS", 22), ("RU", 33), ("SA", 24),
    ("SC", 31), ("SD", 18), ("SE", 24), ("SI", 19), ("SK", 24), ("SM", 27), ("SO", 23), ("ST", 25), ("SV", 28), ("TL", 23), ("TN", 24), ("TR", 26),
    ("UA", 29), ("VA", 22), ("VG", 24), ("XK", 20), ("YE", 30),
];

/// A number of an issuer, with the check digit of Luhn.
fn card(text: &str, found: &str, place: Range<usize>) -> Option<Range<usize>> {
    let digits: Vec<u32> = found.chars().filter_map(|c| c.to_digit(10)).collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, &digit)| if at % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 })
        .sum();
    let first = |count: usize| digits[..count].iter().fold(0, |number, digit| number * 10 + digit);
    let is_issued = matches!(
        (first(1), first(2), first(3), first(4)),
        (4, ..) | (_, 34 | 36..=39 | 50..=65 | 67, ..) | (_, _, 300..=305 | 309 | 644..=649, _) | (.., 1800 | 2131 | 2221..=2720 | 3528..=3589)
    ) || digits.len() == 12 && first(1) == 6;
    alone(text, &place).filter(|_| sum.is_multiple_of(10) && is_issued)
}

/// Areas, groups and series that are given out, by the rule of 2011.
fn is_social_security(found: &str) -> bool {
    let part = |range: Range<usize>| found[range].parse::<u32>().unwrap_or_default();
    let (area, group, series) = (part(0..3), part(4..6), part(7..11));
    area != 0 && area != 666 && area < 900 && group != 0 && series != 0
}

/// What std reads as an address, with at least three groups, so that times are none.
fn ip_v6(text: &str, found: &str, place: Range<usize>) -> Option<Range<usize>> {
    let is_address = found.parse::<Ipv6Addr>().is_ok() && found.matches(':').count() >= 3;
    let before = text[..place.start].chars().next_back();
    let after = text[place.end..].chars().next();
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == ':');
    (is_address && !joins(before) && !joins(after)).then_some(place)
}

/// Seven to fifteen digits (ITU-T E.164) that are written as numbers to call: with a country's code, with brackets, or in groups
/// that are no date, address or postal code; ten and eleven digits may stand together.
fn phone(text: &str, found: &str, place: Range<usize>) -> Option<Range<usize>> {
    let (number, extension) = match found.find(['x', 'e']) {
        Some(at) => (found[..at].trim_end(), true),
        None => (found, false),
    };
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let is_abroad = number.starts_with('+') || number.starts_with("00") && digits >= 11;
    let groups: Vec<&str> = number.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
    let by_spaces = number.chars().all(|c| c.is_ascii_digit() || c == ' ');
    let is_written_so = match groups[..] {
        _ if is_abroad || extension || number.contains('(') => true,
        [_] => (digits == 10 || digits == 11) && !number.starts_with("19"),
        [first, second] => are_two_groups(first, second) && !(by_spaces && names_follow(&text[place.end..])),
        [a, b, c] => by_spaces || !is_date_or_code(a.len(), b.len(), c.len()),
        _ => groups.len() <= 6,
    };
    let is_balanced = number.matches('(').count() == number.matches(')').count();
    alone(text, &place).filter(|_| (7..=15).contains(&digits) && is_written_so && is_balanced)
}

/// An area and a number, which is no shorter than four digits; not two years, nor a postal code.
fn are_two_groups(first: &str, second: &str) -> bool {
    let is_year = |group: &str| group.len() == 4 && (group.starts_with("19") || group.starts_with("20"));
    (first.len() <= 4 || first.starts_with('0')) && second.len() >= 4 && !(is_year(first) && is_year(second))
}

/// Whether a word follows, as after the number of a house.
fn names_follow(rest: &str) -> bool {
    rest.strip_prefix(' ').is_some_and(|rest| rest.starts_with(char::is_alphabetic))
}

/// Lengths of a date's parts, and those of numbers of social security.
fn is_date_or_code(first: usize, second: usize, third: usize) -> bool {
    second == 2 && third == 4 || first == 4 && second <= 2 && third <= 2 || first <= 2 && second <= 2 && third == 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(Leak, &str)]) {
        let found: Vec<(Leak, &str)> =
            find(text).into_iter().map(|finding| (finding.kind, &text[finding.place])).collect();
        assert_eq!(found, expected, "{text}");
    }

    /// Checksums as in the standards' own examples: the IBAN registry's, and card numbers that issuers publish for tests.
    #[test]
    fn forms_and_checksums() {
        check("write to a.b+c@mail.example.co.uk.", &[(Leak::Email, "a.b+c@mail.example.co.uk")]);
        check("no@dots or @name", &[]);
        check("GB82 WEST 1234 5698 7654 32 is mine", &[(Leak::Iban, "GB82 WEST 1234 5698 7654 32")]);
        check("DE89370400440532013000", &[(Leak::Iban, "DE89370400440532013000")]);
        check("DE89370400440532013001 has a wrong digit", &[]);
        check("card 4242 4242 4242 4242", &[(Leak::CreditCard, "4242 4242 4242 4242")]);
        check("card 378282246310005, not 378282246310006", &[(Leak::CreditCard, "378282246310005")]);
        check("from 192.168.1.10:80 to 2001:db8::ff00:42:8329", &[(Leak::IpAddress, "2001:db8::ff00:42:8329")]);
        check("from 192.168.1.10, not 256.1.1.1 or 1.2.3.4.5", &[(Leak::IpAddress, "192.168.1.10")]);
        check("at 12:30:15", &[]);
        check("SSN 078-05-1120, not 000-12-3456", &[(Leak::SocialSecurity, "078-05-1120")]);
    }

    #[test]
    fn telephones_and_what_is_none() {
        check("call +1 (415) 555-2671 now", &[(Leak::Phone, "+1 (415) 555-2671")]);
        check(
            "call 020 7946 0958 or 415-555-2671x12",
            &[(Leak::Phone, "020 7946 0958"), (Leak::Phone, "415-555-2671x12")],
        );
        for text in [
            "on 2024-05-12",
            "12/05/2024",
            "pages 123456",
            "1,234,567 people",
            "version 10.2.3",
            "in 1999-2000",
            "$1234567890",
        ] {
            check(text, &[]);
        }
    }

    /// Made up in the documented forms, and put together here so that no scanner takes them for real ones.
    #[test]
    fn keys() {
        let letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123";
        for key in [
            format!("AK{}IOSFODNN7EXAMPLE", "IA"),
            format!("gh{}_{}", 'p', &letters[..36]),
            format!("s{}-proj-{letters}", 'k'),
            format!("xo{}-1234567890-{}", "xb", &letters[..12]),
            format!("qd{}{letters}abc", '-'),
            format!("-----BEGIN RSA {} KEY-----", "PRIVATE"),
        ] {
            let text = format!("key={key} end");
            check(&text, &[(Leak::Secret, &key)]);
        }
        check("task-oriented skills, sk-short", &[]);
    }

    /// Real texts, where the machine has them; `docs/evaluation-metrics.md` has these numbers.
    #[test]
    fn precision_and_recall_are_what_the_docs_say() {
        let file =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/pii/synth_dataset_v2.json");
        let Ok(text) = std::fs::read_to_string(file) else {
            eprintln!("skipped: there is no shared/data/pii");
            return;
        };
        let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
        for (kind, name, precision, recall) in [
            (Leak::Email, "EMAIL_ADDRESS", 1.0, 1.0),
            (Leak::Iban, "IBAN_CODE", 1.0, 1.0),
            (Leak::CreditCard, "CREDIT_CARD", 1.0, 0.93),
            (Leak::SocialSecurity, "US_SSN", 1.0, 1.0),
            (Leak::IpAddress, "IP_ADDRESS", 1.0, 1.0),
            (Leak::Phone, "PHONE_NUMBER", 0.98, 0.98),
        ] {
            let (mut right, mut told, mut found, mut there) = (0.0, 0.0, 0.0, 0.0);
            for row in &rows {
                let text = row["full_text"].as_str().unwrap();
                let spans: Vec<&str> = row["spans"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|span| span["entity_type"] == name)
                    .map(|span| span["entity_value"].as_str().unwrap())
                    .collect();
                let findings: Vec<&str> =
                    find(text).into_iter().filter(|one| one.kind == kind).map(|one| &text[one.place]).collect();
                let same = |one: &str, other: &str| one.contains(other) || other.contains(one);
                let is_right = |one: &&&str| spans.iter().any(|span| same(span, one));
                right += findings.iter().filter(is_right).count() as f64;
                told += findings.len() as f64;
                let missed: Vec<_> = spans.iter().filter(|span| !findings.iter().any(|one| same(span, one))).collect();
                let wrong: Vec<_> = findings.iter().filter(|one| !is_right(one)).collect();
                if !missed.is_empty() || !wrong.is_empty() {
                    println!("{kind:?}: missed {missed:?}, wrong {wrong:?} in {text:?}");
                }
                found += (spans.len() - missed.len()) as f64;
                there += spans.len() as f64;
            }
            println!("{kind:?}: precision {:.3} of {told}, recall {:.3} of {there}", right / told, found / there);
            assert!(
                right / told >= precision && found / there >= recall,
                "{kind:?}: {} {}",
                right / told,
                found / there
            );
        }
    }
}
