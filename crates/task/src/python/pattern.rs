//! Python's `re` on a regular-expression engine of Rust that knows look-around and back references.
//!
//! The syntax is rewritten where the two differ: `$` also matches before a last line break, `\Z` is the end, braces that
//! count nothing and brackets within brackets are themselves. What backtracks too long is an error, never a hang.

use fancy_regex::{Captures, Regex, RegexBuilder};

/// Characters of a pattern at most; the longest of the shipped tasks has 1,100.
const MAX_PATTERN_CHARS: usize = 10_000;
/// Steps of backtracking for one search.
const MAX_STEPS: usize = 1_000_000;
/// Memory of a compiled pattern.
const MAX_COMPILED_BYTES: usize = 10 << 20;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    regex: Regex,
}

/// One item of `findall`: the whole match where the pattern has no group, else its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Whole(String),
    Groups(Vec<String>),
}

impl Pattern {
    /// `re.compile`.
    pub(crate) fn new(source: &str) -> Result<Self, String> {
        if source.chars().count() > MAX_PATTERN_CHARS {
            return Err(format!("a pattern may have {MAX_PATTERN_CHARS} characters"));
        }
        Self::compiled(source, &translate(source))
    }

    /// Any character of Unicode's category of punctuation, for which Python's `re` has no name.
    pub(crate) fn punctuation() -> Result<Self, String> {
        Self::compiled("punctuation", r"\p{P}")
    }

    fn compiled(source: &str, translated: &str) -> Result<Self, String> {
        RegexBuilder::new(translated)
            .backtrack_limit(MAX_STEPS)
            .delegate_size_limit(MAX_COMPILED_BYTES)
            .build()
            .map(|regex| Self { regex })
            .map_err(|error| format!("{source:?} is not a regular expression: {error}"))
    }

    /// `findall`, with one group as CPython gives it: the group itself.
    pub(crate) fn find_all(&self, text: &str) -> Result<Vec<Found>, String> {
        let mut found = Vec::new();
        self.each(text, |captures| {
            let group = |i| captures.get(i).map_or_else(String::new, |group| group.as_str().to_owned());
            found.push(match captures.len() {
                1 => Found::Whole(group(0)),
                2 => Found::Whole(group(1)),
                n => Found::Groups((1..n).map(group).collect()),
            });
            true
        })?;
        Ok(found)
    }

    /// `re.sub(pattern, replacement, text, count)`; a count of 0 is all.
    pub(crate) fn replace(&self, text: &str, replacement: &str, count: usize) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let (mut from, mut done) = (0, 0);
        self.each(text, |captures| {
            if let Some(whole) = captures.get(0) {
                out.push_str(&text[from..whole.start()]);
                push_replacement(&mut out, replacement, captures);
                from = whole.end();
            }
            done += 1;
            done != count
        })?;
        out.push_str(&text[from..]);
        Ok(out)
    }

    /// Calls `with` for each match from left to right until it says no. An empty match may stand where another ended.
    fn each(&self, text: &str, mut with: impl FnMut(&Captures<'_>) -> bool) -> Result<(), String> {
        let mut at = 0;
        while at <= text.len() {
            let captures = self.regex.captures_from_pos(text, at).map_err(|error| error.to_string())?;
            let Some(captures) = captures else { break };
            let Some(whole) = captures.get(0) else { break };
            at = if whole.start() == whole.end() { next_boundary(text, whole.end()) } else { whole.end() };
            if !with(&captures) {
                break;
            }
        }
        Ok(())
    }
}

fn next_boundary(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(1, char::len_utf8)
}

/// A replacement with `\1`, `\g<1>` and `\n`.
fn push_replacement(out: &mut String, replacement: &str, captures: &Captures<'_>) {
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek().copied()) {
            ('\\', Some(digit @ '1'..='9')) => {
                chars.next();
                let group = digit.to_digit(10).unwrap_or_default() as usize;
                out.push_str(captures.get(group).map_or("", |group| group.as_str()));
            }
            ('\\', Some('g')) => {
                let name: String = chars.by_ref().skip(2).take_while(|&c| c != '>').collect();
                let group = name.parse().map_or_else(|_| captures.name(&name), |i| captures.get(i));
                out.push_str(group.map_or("", |group| group.as_str()));
            }
            ('\\', Some(escaped)) => {
                chars.next();
                match escaped {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    '\\' => out.push('\\'),
                    other => out.extend(['\\', other]),
                }
            }
            (c, _) => out.push(c),
        }
    }
}

/// A pattern that matches `text` itself: `re.escape`.
pub(crate) fn escape(text: &str) -> String {
    text.chars().map(|c| if is_word(c) { c.to_string() } else { format!("\\{c}") }).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// From Python's syntax to the engine's.
fn translate(source: &str) -> String {
    let multiline = source
        .strip_prefix("(?")
        .and_then(|rest| rest.split_once(')'))
        .is_some_and(|(flags, _)| flags.bytes().all(|b| b.is_ascii_alphabetic()) && flags.contains('m'));
    let mut out = String::with_capacity(source.len() + 8);
    let mut rest = source;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '\\' => taken += push_escaped(&mut out, rest[1..].chars().next()),
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                taken += push_class_start(&mut out, &rest[1..]);
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' if in_class => out.extend(['\\', c]),
            '$' if !in_class && !multiline => out.push_str(r"(?=\n?\z)"),
            '{' if !in_class => taken = push_brace(&mut out, rest),
            '}' if !in_class => out.push_str("\\}"),
            c => out.push(c),
        }
        rest = &rest[taken..];
    }
    out
}

/// Writes what a backslash and the character after it mean, and tells the character's length.
fn push_escaped(out: &mut String, next: Option<char>) -> usize {
    match next {
        Some('Z') => out.push_str("\\z"),
        Some(c) if is_word(c) || c.is_ascii_punctuation() && !matches!(c, '<' | '>') => out.extend(['\\', c]),
        Some(c) => out.push(c),
        None => out.push('\\'),
    }
    next.map_or(0, char::len_utf8)
}

/// Writes `[`, `^` and a `]` that is the first member; tells how much of `rest` that was.
fn push_class_start(out: &mut String, rest: &str) -> usize {
    out.push('[');
    let negated = rest.starts_with('^');
    out.push_str(if negated { "^" } else { "" });
    let closes = rest[usize::from(negated)..].starts_with(']');
    out.push_str(if closes { "\\]" } else { "" });
    usize::from(negated) + usize::from(closes)
}

/// Writes a brace: `{2}`, `{2,}`, `{,3}` and `{2,3}` count, anything else is the brace itself. Tells how much was read.
fn push_brace(out: &mut String, rest: &str) -> usize {
    let inside = rest[1..].split_once('}').map(|(inside, _)| inside);
    let counts = inside.filter(|inside| {
        let mut parts = inside.split(',');
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        !inside.is_empty() && *inside != "," && parts.clone().count() <= 2 && parts.all(digits)
    });
    match counts {
        Some(inside) => {
            out.push_str(if inside.starts_with(',') { "{0" } else { "{" });
            out.push_str(inside);
            out.push('}');
            inside.len() + 2
        }
        None => {
            out.push_str("\\{");
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(items: &[&str]) -> Vec<Found> {
        items.iter().map(|item| Found::Whole((*item).to_owned())).collect()
    }

    /// `re.findall(pattern, text)` in CPython 3.11.
    #[test]
    fn it_finds_what_python_finds() {
        let check = |pattern: &str, text: &str, expected: Vec<Found>| {
            assert_eq!(Pattern::new(pattern).unwrap().find_all(text).unwrap(), expected, "{pattern:?} in {text:?}");
        };
        check(r"#### (\-?[0-9\.\,]+)", "so\n#### 1,234.\n#### -5", whole(&["1,234.", "-5"]));
        check(r"(?<=the answer is )(.*)(?=.)", "So the answer is No.", whole(&["No"]));
        check(r"a*", "baac", whole(&["", "aa", "", ""]));
        check(r"x$", "x\n", whole(&["x"]));
        check(r"x\Z", "x\n", vec![]);
        check(r"[^\n^(]+", "a(b^c\nd", whole(&["a", "b", "c", "d"]));
        check(r"[[a]+", "[a]", whole(&["[a"]));
        check(r"{a}|b{2}|c{,1}d", "{a}bbd", whole(&["{a}", "bb", "d"]));
        check(r"(é)\b", "é né", whole(&["é", "é"]));
        check(r":[\s]*(A|B)", "x: A :\x0bB", whole(&["A", "B"]));
        let pairs = |items: &[[&str; 2]]| items.iter().map(|p| Found::Groups(p.map(str::to_owned).to_vec())).collect();
        check(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", "-3 and $40.", pairs(&[["", "-3"], ["$40.", ""]]));
        check(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", "7", pairs(&[["", "7"]]));
    }

    /// `re.sub(pattern, replacement, text)` in CPython 3.11.
    #[test]
    fn it_replaces_what_python_replaces() {
        let check = |pattern: &str, by: &str, text: &str, expected: &str| {
            assert_eq!(Pattern::new(pattern).unwrap().replace(text, by, 0).unwrap(), expected, "{pattern:?}");
        };
        check(r"(?s).*#### ", "", "one\ntwo #### 3 #### 4", "4");
        check(r"\.$", "", "4.", "4");
        check(r"\.$", "", "4.\n", "4\n");
        check(r"\(\s*([^\)]*?)\s*\)", r"(\1)", "( a ) (b )", "(a) (b)");
        check(r"x*", "-", "axb", "-a--b-");
        check(r"(?P<n>b)", r"<\g<n>\g<1>>", "abc", "a<bb>c");
        assert_eq!(Pattern::new("a").unwrap().replace("aaa", "b", 2).unwrap(), "bba");
    }

    #[test]
    fn what_takes_too_long_is_an_error() {
        let endless = Pattern::new(r"(a|a)*\1b").unwrap();
        assert!(endless.find_all(&"a".repeat(60)).is_err());
        assert!(Pattern::new("(").is_err());
        assert!(Pattern::new(&"a".repeat(MAX_PATTERN_CHARS + 1)).is_err());
    }

    #[test]
    fn an_escaped_text_matches_itself() {
        let text = "a.b*c (d) [e] {f} ~&#-\n";
        assert_eq!(Pattern::new(&escape(text)).unwrap().find_all(text).unwrap(), whole(&[text]));
    }
}
