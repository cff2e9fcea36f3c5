//! `ast.literal_eval`: texts, numbers, `None`, `True`, `False`, lists, tuples and mappings as Python writes them.

use serde_json::{Map, Value};

use super::text::{is_space, str_of_json};

/// Lists within lists.
const MAX_DEPTH: usize = 50;

/// Reads a literal; none where Python would raise. A tuple is a list, and the keys of a mapping are texts.
pub(crate) fn read(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text.trim_start_matches([' ', '\t']) };
    let value = reader.value(0)?;
    reader.skip_space();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(is_space);
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        let after = self.rest.strip_prefix(token);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.skip_space();
        if depth > MAX_DEPTH {
            return None;
        }
        match self.rest.chars().next()? {
            '[' => self.items("[", "]", depth).map(|(items, _)| Value::Array(items)),
            '(' => self.parenthesised(depth),
            '{' => self.mapping(depth),
            '\'' | '"' => self.texts(),
            c if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => self.number(),
            _ => self.word(),
        }
    }

    /// The items, and whether a comma stood after the last.
    fn items(&mut self, start: &str, end: &str, depth: usize) -> Option<(Vec<Value>, bool)> {
        let mut items = Vec::new();
        let mut comma = self.take(start);
        while !self.take(end) {
            if !comma {
                return None;
            }
            items.push(self.value(depth + 1)?);
            comma = self.take(",");
        }
        Some((items, comma))
    }

    /// A tuple, or a value in parentheses when there is one item and no comma.
    fn parenthesised(&mut self, depth: usize) -> Option<Value> {
        let (mut items, comma) = self.items("(", ")", depth)?;
        if items.len() == 1 && !comma { items.pop() } else { Some(Value::Array(items)) }
    }

    fn mapping(&mut self, depth: usize) -> Option<Value> {
        let mut map = Map::new();
        let mut comma = self.take("{");
        while !self.take("}") {
            if !comma {
                return None;
            }
            let key = self.value(depth + 1)?;
            if !self.take(":") {
                return None;
            }
            map.insert(str_of_json(&key), self.value(depth + 1)?);
            comma = self.take(",");
        }
        Some(Value::Object(map))
    }

    /// One text or several beside each other, which are one.
    fn texts(&mut self) -> Option<Value> {
        let mut whole = String::new();
        loop {
            self.skip_space();
            match self.rest.chars().next() {
                Some(quote @ ('\'' | '"')) => whole.push_str(&self.text(quote)?),
                _ => return Some(Value::String(whole)),
            }
        }
    }

    fn text(&mut self, quote: char) -> Option<String> {
        let mut text = String::new();
        let mut chars = self.rest[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => push_escape(&mut text, &mut chars)?,
                '\n' => return None,
                c if c == quote => {
                    self.rest = &self.rest[at + 2..];
                    return Some(text);
                }
                c => text.push(c),
            }
        }
        None
    }

    fn number(&mut self) -> Option<Value> {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_')));
        let (written, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let written = written.replace('_', "");
        let digits = written.trim_start_matches(['-', '+']);
        // Python refuses `007`, and reads `00`, `1_000` and `007.5`.
        let whole = digits.bytes().all(|b| b.is_ascii_digit());
        if whole && digits.starts_with('0') && digits.bytes().any(|b| b != b'0') {
            return None;
        }
        if let Ok(whole) = written.parse::<i64>() {
            return Some(Value::from(whole));
        }
        // Rust also reads words as numbers: `inf`, `nan`.
        if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        written.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from)
    }

    fn word(&mut self) -> Option<Value> {
        [("None", Value::Null), ("True", Value::Bool(true)), ("False", Value::Bool(false))]
            .into_iter()
            .find_map(|(word, value)| self.take(word).then_some(value))
    }
}

/// What stands for a backslash and what follows it; an unknown pair stays as it is.
fn push_escape(text: &mut String, chars: &mut std::str::CharIndices<'_>) -> Option<()> {
    let (_, c) = chars.next()?;
    match c {
        '\n' => {}
        'n' => text.push('\n'),
        't' => text.push('\t'),
        'r' => text.push('\r'),
        'a' => text.push('\x07'),
        'b' => text.push('\x08'),
        'f' => text.push('\x0c'),
        'v' => text.push('\x0b'),
        '\\' | '\'' | '"' => text.push(c),
        'x' => text.push(code_point(chars, 2)?),
        'u' => text.push(code_point(chars, 4)?),
        'U' => text.push(code_point(chars, 8)?),
        '0'..='7' => text.push(octal(c, chars)?),
        'N' => return None,
        other => text.extend(['\\', other]),
    }
    Some(())
}

fn code_point(chars: &mut std::str::CharIndices<'_>, digits: usize) -> Option<char> {
    let mut code = 0;
    for _ in 0..digits {
        code = code * 16 + chars.next()?.1.to_digit(16)?;
    }
    char::from_u32(code)
}

/// Up to three octal digits.
fn octal(first: char, chars: &mut std::str::CharIndices<'_>) -> Option<char> {
    let mut code = first.to_digit(8)?;
    for _ in 0..2 {
        let Some(digit) = chars.clone().next().and_then(|(_, c)| c.to_digit(8)) else { break };
        code = code * 8 + digit;
        chars.next();
    }
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `ast.literal_eval` of CPython 3.11 gives, or that it raises.
    #[test]
    fn literals_are_read_as_python_reads_them() {
        let cases = [
            (r#"['a', "it's", 'b' 'c']"#, Some(json!(["a", "it's", "bc"]))),
            (r"['\n\x41\u00e9\101\d\\']", Some(json!(["\nAéA\\d\\"]))),
            ("[1, -2, 1.5, 1e3, True, None,]", Some(json!([1, -2, 1.5, 1000.0, true, null]))),
            ("(1)", Some(json!(1))),
            ("(1,)", Some(json!([1]))),
            ("()", Some(json!([]))),
            ("{'a': [1], 2: 'b'}", Some(json!({"a": [1], "2": "b"}))),
            ("0", Some(json!(0))),
            ("00", Some(json!(0))),
            ("007", None),
            ("-07", None),
            ("0_7", None),
            ("[1, 010]", None),
            ("007.5", Some(json!(7.5))),
            ("1_000", Some(json!(1000))),
            (" [1] ", Some(json!([1]))),
            ("[a]", None),
            ("[1 2]", None),
            ("[,]", None),
            ("['a]", None),
            ("['a\nb']", None),
            ("inf", None),
            ("[(A)]", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected, "{text:?}");
        }
        assert_eq!(read(&"[".repeat(100_000)), None);
    }
}
