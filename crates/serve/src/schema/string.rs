//! Strings: lengths, formats, patterns.

use serde_json::{Map, Value};

use super::{Compiler, pattern};
use crate::error::Result;
use crate::grammar::Expr;

macro_rules! date {
    () => {
        "[12][0-9]{3}-(02-(0[1-9]|1[0-9]|2[0-8])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01]))"
    };
}

macro_rules! time {
    () => {
        r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])"
    };
}

macro_rules! byte {
    () => {
        "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
    };
}

/// Formats as patterns that match only valid texts, from RFC 3339 (dates and times), RFC 9562 (UUID) and
/// RFC 5321 (a part of its mailboxes). No month is longer here than it always is.
const FORMATS: &[(&str, &str)] = &[
    ("date", date!()),
    ("time", time!()),
    ("date-time", concat!(date!(), "T", time!())),
    ("uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    ("email", r"[A-Za-z0-9]{1,32}([._-][A-Za-z0-9]{1,16}){0,2}@([A-Za-z0-9]{1,32}\.){1,3}[A-Za-z]{2,12}"),
    ("ipv4", concat!(byte!(), r"\.", byte!(), r"\.", byte!(), r"\.", byte!())),
];

impl Compiler<'_> {
    pub(super) fn string(&mut self, map: &Map<String, Value>, path: &str) -> Result<Expr> {
        let restrictions = ["pattern", "format", "minLength", "maxLength"];
        let given: Vec<_> = restrictions.into_iter().filter(|key| map.contains_key(*key)).collect();
        match given.as_slice() {
            [] => Ok(Expr::rule("string")),
            ["pattern"] => self.pattern(&map["pattern"], path),
            ["format"] => self.format(&map["format"], path),
            [first @ ("pattern" | "format"), other, ..] => {
                Err(self.error(path, &format!("`{other}` beside `{first}` is not supported")))
            }
            _ => self.sized(map, path),
        }
    }

    fn sized(&mut self, map: &Map<String, Value>, path: &str) -> Result<Expr> {
        let min = self.size(map, "minLength", path)?.unwrap_or(0);
        let max = self.size(map, "maxLength", path)?;
        if max.is_some_and(|max| max < min) {
            return Err(self.error(path, "`maxLength` is less than `minLength`"));
        }
        Ok(quoted(Expr::rule("char").repeat(min, max)))
    }

    fn pattern(&self, source: &Value, path: &str) -> Result<Expr> {
        let Some(source) = source.as_str() else { return Err(self.error(path, "`pattern` is a text")) };
        let expr = pattern::compile(source).map_err(|message| self.error(path, &format!("`pattern`: {message}")))?;
        Ok(quoted(expr))
    }

    fn format(&self, name: &Value, path: &str) -> Result<Expr> {
        let known = FORMATS.iter().find(|(known, _)| name == known);
        let Some((_, source)) = known else {
            return Err(self.error(path, &format!("the `format` {name} is not supported")));
        };
        let anchored = format!("^{source}$");
        let expr = pattern::compile(&anchored).map_err(|message| self.error(path, &message))?;
        Ok(quoted(expr))
    }
}

/// One character of a JSON string, as itself or escaped.
pub(super) fn any_character() -> Expr {
    let hex = || Expr::class([('0', '9'), ('a', 'f'), ('A', 'F')]);
    // All of \u0000 to \uFFFF but D800 to DFFF.
    let not_d = Expr::class([('0', '9'), ('a', 'c'), ('e', 'f'), ('A', 'C'), ('E', 'F')]);
    let d = Expr::class([('d', 'd'), ('D', 'D')]);
    let code = Expr::choice([
        Expr::sequence([not_d, hex().repeat(3, Some(3))]),
        Expr::sequence([d, Expr::class([('0', '7')]), hex().repeat(2, Some(2))]),
    ]);
    let letters = ['"', '\\', '/', 'b', 'f', 'n', 'r', 't'].map(|letter| (letter, letter));
    let escape = Expr::choice([Expr::class(letters), Expr::sequence([Expr::literal("u"), code])]);
    let plain = vec![('"', '"'), ('\\', '\\'), ('\x7f', '\x7f'), ('\0', '\x1f')];
    let plain = Expr::Class { ranges: plain, negated: true };
    Expr::choice([plain, Expr::sequence([Expr::literal("\\"), escape])])
}

pub(super) fn quoted(content: Expr) -> Expr {
    Expr::sequence([Expr::literal("\""), content, Expr::literal("\"")])
}
