//! Grammars in llama.cpp's GBNF notation, built as expressions and written as text once.
//!
//! The notation is described in `grammars/README.md` of llama.cpp. Its parser multiplies out repetitions of
//! groups, so [`Grammar`] gives every repeated expression that is not a single character a rule of its own.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

/// The most times that llama.cpp repeats one item; it would silently take a larger bound for "any number".
pub const MAX_REPETITIONS: u32 = 2000;

/// What a rule matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// Exactly this text.
    Literal(String),
    /// One character in (or, if negated, outside) inclusive ranges.
    Class {
        /// The inclusive ranges.
        ranges: Vec<(char, char)>,
        /// Whether the ranges are what does not match.
        negated: bool,
    },
    /// Another rule, by name.
    Rule(String),
    /// All of these, one after the other.
    Sequence(Vec<Expr>),
    /// One of these.
    Choice(Vec<Expr>),
    /// Between `min` and `max` times; without `max`, any number from `min` on.
    Repeat {
        /// What is repeated.
        item: Box<Expr>,
        /// The fewest times.
        min: u32,
        /// The most times.
        max: Option<u32>,
    },
}

impl Expr {
    /// Exactly this text.
    #[must_use]
    pub fn literal(text: impl Into<String>) -> Self {
        Self::Literal(text.into())
    }

    /// Matches the empty text.
    #[must_use]
    pub fn empty() -> Self {
        Self::Literal(String::new())
    }

    /// One character of inclusive ranges.
    #[must_use]
    pub fn class(ranges: impl Into<Vec<(char, char)>>) -> Self {
        Self::Class { ranges: ranges.into(), negated: false }
    }

    /// Another rule.
    #[must_use]
    pub fn rule(name: &str) -> Self {
        Self::Rule(name.to_owned())
    }

    /// All of these in order.
    #[must_use]
    pub fn sequence(parts: impl Into<Vec<Expr>>) -> Self {
        Self::Sequence(parts.into())
    }

    /// One of these.
    #[must_use]
    pub fn choice(options: impl Into<Vec<Expr>>) -> Self {
        Self::Choice(options.into())
    }

    /// One of these texts. Those that begin alike are told apart only where they differ, since a matcher follows
    /// every alternative that is still possible.
    #[must_use]
    pub fn one_of(mut texts: Vec<String>) -> Self {
        texts.sort_unstable();
        texts.dedup();
        factored(&texts.iter().map(String::as_str).collect::<Vec<_>>(), 0)
    }

    /// Whether nothing may match this, as far as it refers to no other rule.
    #[must_use]
    pub fn may_be_empty(&self) -> bool {
        is_nullable(self, &HashSet::new())
    }

    /// How many elements llama.cpp makes of this: it writes a repetition out, each time that it may occur.
    fn elements(&self) -> usize {
        match self {
            Self::Literal(text) => text.chars().count().max(1),
            Self::Class { ranges, .. } => 2 * ranges.len(),
            Self::Rule(_) => 1,
            Self::Sequence(parts) | Self::Choice(parts) => {
                parts.iter().fold(parts.len(), |sum, part| sum.saturating_add(part.elements()))
            }
            Self::Repeat { item, min, max } => {
                let times = max.unwrap_or(*min).max(1) as usize;
                let (once, each) = match **item {
                    Self::Class { .. } | Self::Rule(_) => (0, item.elements()),
                    // It gets a rule of its own, see `Writer::own_rule`.
                    _ => (item.elements(), 1),
                };
                times.saturating_mul(each + 4).saturating_add(once)
            }
        }
    }

    /// This, or nothing.
    #[must_use]
    pub fn optional(self) -> Self {
        self.repeat(0, Some(1))
    }

    /// This between `min` and `max` times.
    #[must_use]
    pub fn repeat(self, min: u32, max: Option<u32>) -> Self {
        Self::Repeat { item: Box::new(self), min, max }
    }
}

/// Named rules; matching starts at the rule `root`.
#[derive(Debug, Clone, Default)]
pub struct Grammar {
    rules: Vec<(String, Expr)>,
    names: HashSet<String>,
    elements: usize,
}

impl Grammar {
    /// Adds a rule. The first definition of a name stays.
    pub fn define(&mut self, name: &str, expr: Expr) {
        if self.names.insert(name.to_owned()) {
            self.elements = self.elements.saturating_add(expr.elements());
            self.rules.push((name.to_owned(), expr));
        }
    }

    /// Whether a rule of this name is defined.
    #[must_use]
    pub fn defines(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are no rules.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How large it is in the memory of llama.cpp, in elements of 8 bytes.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// The most ways in which a text can go on at one place. The grammar must not be left recursive.
    #[must_use]
    pub fn ways(&self) -> usize {
        let rules: HashMap<&str, &Expr> = self.rules.iter().map(|(name, expr)| (name.as_str(), expr)).collect();
        let nullable = nullable_rules(&rules);
        let mut ways = Ways { rules: &rules, nullable: &nullable, of_rules: HashMap::new(), most: 0 };
        self.rules.iter().for_each(|(_, expr)| ways.visit(expr));
        ways.most
    }

    /// The name of a rule that can begin with itself, which llama.cpp refuses.
    #[must_use]
    pub fn left_recursive(&self) -> Option<&str> {
        let rules: HashMap<&str, &Expr> = self.rules.iter().map(|(name, expr)| (name.as_str(), expr)).collect();
        let nullable = nullable_rules(&rules);
        self.rules.iter().map(|(name, _)| name.as_str()).find(|name| begins_with_itself(name, &rules, &nullable))
    }

    /// The grammar as text.
    #[must_use]
    pub fn to_gbnf(&self) -> String {
        let mut writer = Writer::default();
        for (name, expr) in &self.rules {
            let mut text = String::new();
            writer.write_choice(&mut text, expr);
            writer.lines.push(format!("{name} ::= {text}"));
        }
        writer.lines.join("\n") + "\n"
    }
}

/// Branches within branches that [`Expr::one_of`] makes; llama.cpp reads groups by recursion.
const MAX_FACTORED: usize = 16;

/// One of sorted texts that differ.
fn factored(texts: &[&str], depth: usize) -> Expr {
    let branch = |group: &[&str]| match group {
        [one] => vec![Expr::literal(*one)],
        group if depth == MAX_FACTORED => group.iter().map(|text| Expr::literal(*text)).collect(),
        group => vec![branched(group, depth)],
    };
    let groups = texts.chunk_by(|a, b| a.chars().next() == b.chars().next());
    let mut options: Vec<Expr> = groups.flat_map(branch).collect();
    if options.len() == 1 { options.remove(0) } else { Expr::choice(options) }
}

/// Several sorted texts with the same first character: what they share, and then one of the rests.
fn branched(group: &[&str], depth: usize) -> Expr {
    let (first, last) = (group[0], group[group.len() - 1]);
    // In sorted texts, what the first and the last share is shared by all.
    let same = first.chars().zip(last.chars()).take_while(|(a, b)| a == b);
    let shared: usize = same.map(|(c, _)| c.len_utf8()).sum();
    let rests: Vec<&str> = group.iter().map(|text| &text[shared..]).collect();
    Expr::sequence([Expr::literal(&first[..shared]), factored(&rests, depth + 1)])
}

/// Counts in how many ways a text can go on, rule by rule.
struct Ways<'a> {
    rules: &'a HashMap<&'a str, &'a Expr>,
    nullable: &'a HashSet<&'a str>,
    of_rules: HashMap<&'a str, usize>,
    most: usize,
}

impl<'a> Ways<'a> {
    /// Looks at every place within an expression.
    fn visit(&mut self, expr: &'a Expr) {
        let ways = self.of(expr);
        self.most = self.most.max(ways);
        match expr {
            Expr::Literal(_) | Expr::Class { .. } | Expr::Rule(_) => {}
            Expr::Repeat { item, .. } => self.visit(item),
            Expr::Choice(options) => options.iter().for_each(|option| self.visit(option)),
            Expr::Sequence(parts) => {
                parts.iter().for_each(|part| self.visit(part));
                // After each part the text goes on with what may come next.
                for from in 1..parts.len() {
                    let ways = self.of_sequence(&parts[from..]);
                    self.most = self.most.max(ways);
                }
            }
        }
    }

    /// The ways in which a text can begin.
    fn of(&mut self, expr: &'a Expr) -> usize {
        match expr {
            Expr::Literal(_) | Expr::Class { .. } => 1,
            Expr::Rule(name) => self.of_rule(name),
            Expr::Repeat { item, .. } => self.of(item).saturating_add(1),
            Expr::Choice(options) => options.iter().fold(0, |sum, option| self.of(option).saturating_add(sum)),
            Expr::Sequence(parts) => self.of_sequence(parts),
        }
    }

    fn of_sequence(&mut self, parts: &'a [Expr]) -> usize {
        let mut ways: usize = 0;
        for part in parts {
            ways = ways.saturating_add(self.of(part));
            if !is_nullable(part, self.nullable) {
                break;
            }
        }
        ways
    }

    fn of_rule(&mut self, name: &'a str) -> usize {
        if let Some(ways) = self.of_rules.get(name) {
            return *ways;
        }
        let ways = self.rules.get(name).copied().map_or(0, |expr| self.of(expr));
        self.of_rules.insert(name, ways);
        ways
    }
}

/// Writes rules, collecting the extra ones that repetitions need.
#[derive(Default)]
struct Writer {
    lines: Vec<String>,
    extra: usize,
}

impl Writer {
    fn write_choice(&mut self, out: &mut String, expr: &Expr) {
        let Expr::Choice(options) = expr else { return self.write_sequence(out, expr) };
        for (place, option) in options.iter().enumerate() {
            out.push_str(if place == 0 { "" } else { " | " });
            self.write_sequence(out, option);
        }
    }

    fn write_sequence(&mut self, out: &mut String, expr: &Expr) {
        let Expr::Sequence(parts) = expr else { return self.write_item(out, expr) };
        if parts.is_empty() {
            out.push_str("\"\"");
        }
        for (place, part) in parts.iter().enumerate() {
            out.push_str(if place == 0 { "" } else { " " });
            self.write_item(out, part);
        }
    }

    fn write_item(&mut self, out: &mut String, expr: &Expr) {
        match expr {
            Expr::Literal(text) => write_literal(out, text),
            Expr::Class { ranges, negated } => write_class(out, ranges, *negated),
            Expr::Rule(name) => out.push_str(name),
            Expr::Sequence(_) | Expr::Choice(_) => {
                out.push('(');
                self.write_choice(out, expr);
                out.push(')');
            }
            Expr::Repeat { item, min, max } => self.write_repeat(out, item, *min, *max),
        }
    }

    fn write_repeat(&mut self, out: &mut String, item: &Expr, min: u32, max: Option<u32>) {
        if max == Some(0) {
            return out.push_str("\"\"");
        }
        match item {
            Expr::Class { .. } | Expr::Rule(_) => self.write_item(out, item),
            _ => out.push_str(&self.own_rule(item)),
        }
        match (min, max) {
            (0, Some(1)) => out.push('?'),
            (0, None) => out.push('*'),
            (1, None) => out.push('+'),
            (min, None) => write!(out, "{{{min},}}").unwrap_or_default(),
            (min, Some(max)) => write!(out, "{{{min},{max}}}").unwrap_or_default(),
        }
    }

    /// A new rule for a repeated expression.
    fn own_rule(&mut self, item: &Expr) -> String {
        self.extra += 1;
        let name = format!("repeated-{}", self.extra);
        let mut text = String::new();
        self.write_choice(&mut text, item);
        self.lines.push(format!("{name} ::= {text}"));
        name
    }
}

fn write_literal(out: &mut String, text: &str) {
    out.push('"');
    text.chars().for_each(|c| write_char(out, c, &['"', '\\']));
    out.push('"');
}

fn write_class(out: &mut String, ranges: &[(char, char)], negated: bool) {
    out.push_str(if negated { "[^" } else { "[" });
    for (first, last) in ranges {
        write_char(out, *first, &['[', ']', '\\', '^', '-']);
        if first != last {
            out.push('-');
            write_char(out, *last, &['[', ']', '\\', '^', '-']);
        }
    }
    out.push(']');
}

fn write_char(out: &mut String, c: char, special: &[char]) {
    match c {
        // Written by number, since the parser knows only some of them by an escape.
        c if special.contains(&c) || c.is_ascii_control() => write!(out, "\\x{:02X}", c as u32),
        c if c.is_ascii() => write!(out, "{c}"),
        c if (c as u32) < 0x1_0000 => write!(out, "\\u{:04X}", c as u32),
        c => write!(out, "\\U{:08X}", c as u32),
    }
    .unwrap_or_default();
}

/// The rules that can match the empty text, found by repeating until nothing changes.
fn nullable_rules<'a>(rules: &HashMap<&'a str, &Expr>) -> HashSet<&'a str> {
    let mut nullable = HashSet::new();
    loop {
        let more: Vec<&str> = rules
            .iter()
            .filter(|(name, expr)| !nullable.contains(*name) && is_nullable(expr, &nullable))
            .map(|(name, _)| *name)
            .collect();
        if more.is_empty() {
            return nullable;
        }
        nullable.extend(more);
    }
}

fn is_nullable(expr: &Expr, nullable: &HashSet<&str>) -> bool {
    match expr {
        Expr::Literal(text) => text.is_empty(),
        Expr::Class { .. } => false,
        Expr::Rule(name) => nullable.contains(name.as_str()),
        Expr::Sequence(parts) => parts.iter().all(|part| is_nullable(part, nullable)),
        Expr::Choice(options) => options.iter().any(|option| is_nullable(option, nullable)),
        Expr::Repeat { item, min, .. } => *min == 0 || is_nullable(item, nullable),
    }
}

fn begins_with_itself(name: &str, rules: &HashMap<&str, &Expr>, nullable: &HashSet<&str>) -> bool {
    let mut seen = HashSet::new();
    let mut waiting = vec![name];
    while let Some(next) = waiting.pop() {
        let Some(expr) = rules.get(next) else { continue };
        let mut firsts = Vec::new();
        first_rules(expr, nullable, &mut firsts);
        if firsts.contains(&name) {
            return true;
        }
        waiting.extend(firsts.into_iter().filter(|first| seen.insert(*first)));
    }
    false
}

/// The rules that an expression can begin with.
fn first_rules<'a>(expr: &'a Expr, nullable: &HashSet<&str>, firsts: &mut Vec<&'a str>) {
    match expr {
        Expr::Literal(_) | Expr::Class { .. } => {}
        Expr::Rule(name) => firsts.push(name),
        Expr::Choice(options) => options.iter().for_each(|option| first_rules(option, nullable, firsts)),
        Expr::Repeat { item, .. } => first_rules(item, nullable, firsts),
        Expr::Sequence(parts) => {
            for part in parts {
                first_rules(part, nullable, firsts);
                if !is_nullable(part, nullable) {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expr: Expr, expected: &str) {
        let mut grammar = Grammar::default();
        grammar.define("root", expr);
        assert_eq!(grammar.to_gbnf(), expected);
    }

    #[test]
    fn expressions_are_written_in_gbnf() {
        check(Expr::literal("a\"\\\n"), "root ::= \"a\\x22\\x5C\\x0A\"\n");
        check(Expr::literal("é😀"), "root ::= \"\\u00E9\\U0001F600\"\n");
        check(Expr::class([('a', 'z'), ('-', '-')]), "root ::= [a-z\\x2D]\n");
        check(Expr::Class { ranges: vec![('"', '"')], negated: true }, "root ::= [^\"]\n");
        let choice = Expr::choice([Expr::literal("a"), Expr::rule("b")]);
        check(choice.clone(), "root ::= \"a\" | b\n");
        check(Expr::sequence([choice, Expr::rule("c").optional()]), "root ::= (\"a\" | b) c?\n");
        check(Expr::rule("c").repeat(2, Some(5)), "root ::= c{2,5}\n");
        check(Expr::rule("c").repeat(0, Some(0)), "root ::= \"\"\n");
    }

    #[test]
    fn a_repeated_group_gets_its_own_rule() {
        let group = Expr::sequence([Expr::literal(","), Expr::rule("x")]);
        check(group.repeat(0, None), "repeated-1 ::= \",\" x\nroot ::= repeated-1*\n");
    }

    #[test]
    fn texts_that_begin_alike_share_their_beginning() {
        let texts = ["red", "green", "grey", "gr", "red", "é", "è"].map(str::to_owned).to_vec();
        check(
            Expr::one_of(texts),
            "root ::= \"gr\" (\"\" | \"e\" (\"en\" | \"y\")) | \"red\" | \"\\u00E8\" | \"\\u00E9\"\n",
        );
    }

    #[test]
    fn ways_are_counted_at_the_widest_place() {
        let letters = |count: u8| Expr::one_of((0..count).map(|n| char::from(b'a' + n).to_string()).collect());
        let mut grammar = Grammar::default();
        grammar.define("root", Expr::sequence([Expr::literal("x"), Expr::rule("some").optional(), letters(3)]));
        grammar.define("some", letters(5));
        // After "x": one of five letters, none, or one of the three that follow.
        assert_eq!(grammar.ways(), 5 + 1 + 3);
    }

    #[test]
    fn left_recursion_is_found_through_what_may_be_empty() {
        let mut grammar = Grammar::default();
        grammar.define("a", Expr::sequence([Expr::rule("space"), Expr::rule("b")]));
        grammar.define("space", Expr::literal(" ").optional());
        grammar.define("b", Expr::choice([Expr::literal("x"), Expr::rule("a")]));
        assert_eq!(grammar.left_recursive(), Some("a"));
        let mut grammar = Grammar::default();
        grammar.define("a", Expr::sequence([Expr::literal("["), Expr::rule("a").optional(), Expr::literal("]")]));
        assert_eq!(grammar.left_recursive(), None);
    }
}
