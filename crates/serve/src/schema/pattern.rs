//! Regular expressions, as far as a grammar can hold them: literals, classes, groups, alternatives and
//! counted repetition, anchored or not. Look-around, back-references and word boundaries are refused.

use crate::grammar::{Expr, MAX_REPETITIONS};

type Parsed<T> = std::result::Result<T, String>;

/// Inclusive ranges of code points.
type Ranges = Vec<(u32, u32)>;

const MAX_SOURCE_BYTES: usize = 1000;
const MAX_DEPTH: usize = 20;
const LAST_CODE_POINT: u32 = 0x10_FFFF;

/// Compiles a pattern to the JSON-escaped texts it matches. As JSON Schema has it, a pattern may match
/// anywhere in the text unless it is anchored.
pub(super) fn compile(source: &str) -> Parsed<Expr> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(format!("a pattern may have {MAX_SOURCE_BYTES} bytes"));
    }
    let mut parser = Parser { rest: source.chars().collect(), at: 0, depth: 0 };
    let mut options = vec![parser.anchored()?];
    while parser.eat('|') {
        options.push(parser.anchored()?);
    }
    match parser.peek() {
        None => Ok(Expr::choice(options)),
        Some(c) => Err(format!("unexpected `{c}` at character {}", parser.at + 1)),
    }
}

struct Parser {
    rest: Vec<char>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    fn eat(&mut self, wanted: char) -> bool {
        let eaten = self.peek() == Some(wanted);
        self.at += usize::from(eaten);
        eaten
    }

    /// One alternative at the top, with its anchors; where one is missing anything may stand.
    fn anchored(&mut self) -> Parsed<Expr> {
        let anything = || Expr::rule("char").repeat(0, None);
        let mut parts = Vec::new();
        if !self.eat('^') {
            parts.push(anything());
        }
        parts.push(self.sequence()?);
        if !self.eat('$') {
            parts.push(anything());
        }
        Ok(Expr::sequence(parts))
    }

    fn sequence(&mut self) -> Parsed<Expr> {
        let mut parts = Vec::new();
        while let Some(c) = self.peek() {
            match c {
                '|' | ')' | '$' => break,
                '^' => return Err("`^` is supported at the start only".to_owned()),
                _ => {
                    let item = self.item()?;
                    parts.push(self.repeated(item)?);
                }
            }
        }
        Ok(Expr::sequence(parts))
    }

    fn item(&mut self) -> Parsed<Expr> {
        match self.next() {
            Some('(') => self.group(),
            Some('[') => self.class().and_then(|ranges| escaped(&ranges)),
            Some('.') => escaped(&complement(&[(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)])),
            Some('\\') => self.escape().and_then(|ranges| escaped(&ranges)),
            Some(c @ ('*' | '+' | '?' | '{')) => Err(format!("`{c}` has nothing to repeat")),
            Some(c) => escaped(&[(c as u32, c as u32)]),
            None => Err("the pattern ends too early".to_owned()),
        }
    }

    fn group(&mut self) -> Parsed<Expr> {
        if self.eat('?') && !self.eat(':') {
            return Err("look-around and named groups are not supported".to_owned());
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("groups may be nested {MAX_DEPTH} deep"));
        }
        let mut options = vec![self.sequence()?];
        while self.eat('|') {
            options.push(self.sequence()?);
        }
        self.depth -= 1;
        if self.peek() == Some('$') {
            return Err("`$` is supported at the end only".to_owned());
        }
        if self.eat(')') { Ok(Expr::choice(options)) } else { Err("a group is not closed".to_owned()) }
    }

    fn repeated(&mut self, item: Expr) -> Parsed<Expr> {
        let (min, max) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                self.at += 1;
                return self.counted(item);
            }
            _ => return Ok(item),
        };
        self.at += 1;
        self.no_second_quantifier()?;
        repeat(item, min, max)
    }

    fn counted(&mut self, item: Expr) -> Parsed<Expr> {
        let min = self.count()?;
        let max = if !self.eat(',') {
            Some(min)
        } else if self.peek() == Some('}') {
            None
        } else {
            Some(self.count()?)
        };
        if !self.eat('}') || max.is_some_and(|max| max < min) {
            return Err("a repetition is `{n}`, `{n,}` or `{n,m}` with n at most m".to_owned());
        }
        self.no_second_quantifier()?;
        repeat(item, min, max)
    }

    fn count(&mut self) -> Parsed<u32> {
        let mut digits = String::new();
        while let Some(digit) = self.peek().filter(char::is_ascii_digit) {
            digits.push(digit);
            self.at += 1;
        }
        let count = digits.parse().ok().filter(|count| *count <= MAX_REPETITIONS);
        count.ok_or_else(|| format!("a repetition counts up to {MAX_REPETITIONS}"))
    }

    fn no_second_quantifier(&self) -> Parsed<()> {
        match self.peek() {
            Some('?' | '+' | '*' | '{') => Err("lazy and possessive repetition are not supported".to_owned()),
            _ => Ok(()),
        }
    }

    /// The inside of `[…]`.
    fn class(&mut self) -> Parsed<Ranges> {
        let negated = self.eat('^');
        let mut ranges = Ranges::new();
        while !self.eat(']') {
            let first = self.class_member()?;
            let range = self.peek() == Some('-') && self.rest.get(self.at + 1).is_some_and(|c| *c != ']');
            match first.as_slice() {
                [(first, same)] if range && first == same => {
                    self.at += 1;
                    let last = self.class_member()?;
                    ranges.push(range_to(*first, &last)?);
                }
                _ => ranges.extend(first),
            }
        }
        Ok(if negated { complement(&ranges) } else { ranges })
    }

    fn class_member(&mut self) -> Parsed<Ranges> {
        match self.next() {
            Some('\\') => self.escape(),
            Some(c) => Ok(vec![(c as u32, c as u32)]),
            None => Err("a class is not closed".to_owned()),
        }
    }

    /// What comes after a backslash.
    fn escape(&mut self) -> Parsed<Ranges> {
        let digits = vec![(0x30, 0x39)];
        let word = vec![(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)];
        let white = vec![(0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x2028, 0x2029)];
        Ok(match self.next() {
            Some('d') => digits,
            Some('D') => complement(&digits),
            Some('w') => word,
            Some('W') => complement(&word),
            Some('s') => white,
            Some('S') => complement(&white),
            Some('n') => vec![(0x0A, 0x0A)],
            Some('r') => vec![(0x0D, 0x0D)],
            Some('t') => vec![(0x09, 0x09)],
            Some('u') => self.code_point(4)?,
            Some('x') => self.code_point(2)?,
            Some(c) if !c.is_ascii_alphanumeric() => vec![(c as u32, c as u32)],
            Some(c) => return Err(format!("`\\{c}` is not supported")),
            None => return Err("the pattern ends after a backslash".to_owned()),
        })
    }

    fn code_point(&mut self, digits: usize) -> Parsed<Ranges> {
        let text: String = (0..digits).filter_map(|_| self.next()).collect();
        let point = u32::from_str_radix(&text, 16).map_err(|_| format!("`{text}` is not {digits} hex digits"))?;
        Ok(vec![(point, point)])
    }
}

/// An item that may be empty could be repeated without end at one place, and llama.cpp refuses or tries all of it.
fn repeat(item: Expr, min: u32, max: Option<u32>) -> Parsed<Expr> {
    match max != Some(1) && item.may_be_empty() {
        true => Err("a group that may be empty is repeated".to_owned()),
        false => Ok(item.repeat(min, max)),
    }
}

fn range_to(first: u32, last: &[(u32, u32)]) -> Parsed<(u32, u32)> {
    match last {
        [(last, same)] if last == same && first <= *last => Ok((first, *last)),
        _ => Err("a range in a class goes from a smaller to a larger character".to_owned()),
    }
}

fn complement(ranges: &[(u32, u32)]) -> Ranges {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let mut outside = Ranges::new();
    let mut next = 0;
    for (first, last) in sorted {
        if first > next {
            outside.push((next, first - 1));
        }
        next = next.max(last + 1);
    }
    if next <= LAST_CODE_POINT {
        outside.push((next, LAST_CODE_POINT));
    }
    outside
}

/// How JSON writes one character of these ranges: most as themselves, a few escaped. Control characters
/// without a short escape are left out, and so are surrogates, which are no characters.
fn escaped(ranges: &[(u32, u32)]) -> Parsed<Expr> {
    const SHORT: &[(u32, &str)] =
        &[(0x22, "\\\""), (0x5C, "\\\\"), (0x08, "\\b"), (0x09, "\\t"), (0x0A, "\\n"), (0x0C, "\\f"), (0x0D, "\\r")];
    const NOT_PLAIN: &[(u32, u32)] = &[(0, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F), (0xD800, 0xDFFF)];
    let within = |point: u32| ranges.iter().any(|(first, last)| (*first..=*last).contains(&point));
    let plain: Vec<(char, char)> = intersection(ranges, &complement(NOT_PLAIN))
        .into_iter()
        .filter_map(|(first, last)| Some((char::from_u32(first)?, char::from_u32(last)?)))
        .collect();
    let mut options: Vec<Expr> =
        SHORT.iter().filter(|(point, _)| within(*point)).map(|(_, text)| Expr::literal(*text)).collect();
    if !plain.is_empty() {
        options.insert(0, Expr::class(plain));
    }
    match options.len() {
        0 => Err("a class matches no character that JSON can hold".to_owned()),
        1 => Ok(options.remove(0)),
        _ => Ok(Expr::choice(options)),
    }
}

fn intersection(a: &[(u32, u32)], b: &[(u32, u32)]) -> Ranges {
    let overlap = |x: &(u32, u32), y: &(u32, u32)| (x.0.max(y.0), x.1.min(y.1));
    a.iter().flat_map(|x| b.iter().map(move |y| overlap(x, y))).filter(|(first, last)| first <= last).collect()
}
