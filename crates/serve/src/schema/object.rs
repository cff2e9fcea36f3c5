//! Objects: properties in the order of the schema, and others after them.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use super::{Compiler, comma, map_weight};
use crate::error::Result;
use crate::grammar::Expr;

/// Characters of a name beside `additionalProperties`: telling other names from it takes a rule for each.
const MAX_EXCLUDED_CHARS: usize = 200;

/// One property of an object.
struct Property {
    /// The rule that matches key, colon and value.
    pair: Expr,
    required: bool,
}

impl Compiler<'_> {
    pub(super) fn object(&mut self, map: &Map<String, Value>, path: &str) -> Result<Expr> {
        let named = self.properties(map, path)?;
        let additional = map.get("additionalProperties").cloned().unwrap_or(Value::Bool(named.is_empty()));
        let names: Vec<String> = named.iter().map(|(name, ..)| name.clone()).collect();
        let mut properties = Vec::with_capacity(named.len());
        for (name, schema, required) in named {
            let value = self.value(&schema, &format!("{path}/properties/{name}"))?;
            let pair = self.pair(Expr::literal(Value::String(name).to_string()), value);
            properties.push(Property { pair, required });
        }
        let extra = self.additional(&additional, &names, path)?;
        let content = self.members(&properties, extra);
        let space = || Expr::rule("space");
        Ok(Expr::sequence([Expr::literal("{"), space(), content, space(), Expr::literal("}")]))
    }

    /// The properties in order, each with its schema and whether it is required. A required one that the
    /// schema does not describe may have any value.
    fn properties(&self, map: &Map<String, Value>, path: &str) -> Result<Vec<(String, Value, bool)>> {
        let described = match map.get("properties") {
            None => Map::new(),
            Some(Value::Object(properties)) => properties.clone(),
            Some(_) => return Err(self.error(path, "`properties` is an object")),
        };
        self.spend(map_weight(map), path)?;
        let required = self.required(map, path)?;
        let mut known: HashSet<String> = described.keys().cloned().collect();
        let wanted: HashSet<&String> = required.iter().collect();
        let mut all: Vec<_> = described
            .into_iter()
            .map(|(name, schema)| {
                let is_required = wanted.contains(&name);
                (name, schema, is_required)
            })
            .collect();
        for name in &required {
            if known.insert(name.clone()) {
                let schema = map.get("additionalProperties").cloned().unwrap_or(Value::Bool(true));
                all.push((name.clone(), schema, true));
            }
        }
        Ok(all)
    }

    fn required(&self, map: &Map<String, Value>, path: &str) -> Result<Vec<String>> {
        match map.get("required") {
            None => Ok(Vec::new()),
            Some(names) => {
                serde_json::from_value(names.clone()).map_err(|_| self.error(path, "`required` is a list of names"))
            }
        }
    }

    /// Pairs with other names, if they are allowed.
    fn additional(&mut self, schema: &Value, names: &[String], path: &str) -> Result<Option<Expr>> {
        if *schema == Value::Bool(false) {
            return Ok(None);
        }
        let value = self.value(schema, &format!("{path}/additionalProperties"))?;
        if names.is_empty() {
            return Ok(Some(self.pair(Expr::rule("string"), value)));
        }
        if names.iter().any(|name| name.chars().any(|c| c.is_control() || c == '"' || c == '\\')) {
            let message =
                "`additionalProperties` beside names with quotes, backslashes or control characters is not supported";
            return Err(self.error(path, message));
        }
        if names.iter().any(|name| name.chars().count() > MAX_EXCLUDED_CHARS) {
            let message =
                format!("`additionalProperties` is supported beside names of {MAX_EXCLUDED_CHARS} characters");
            return Err(self.error(path, &message));
        }
        let key = self.other_name(names.iter().map(|name| name.chars().collect::<Vec<_>>()).collect());
        Ok(Some(self.pair(Expr::sequence([Expr::literal("\""), key]), value)))
    }

    fn pair(&mut self, key: Expr, value: Expr) -> Expr {
        self.named(Expr::sequence([key, Expr::literal(":"), Expr::rule("space"), value]))
    }

    /// The rest of a name that is none of `names`, with its closing quote. Where it differs from all of
    /// them the character must be plain, since an escape could spell the same name.
    fn other_name(&mut self, names: Vec<Vec<char>>) -> Expr {
        let mut branches: BTreeMap<char, Vec<Vec<char>>> = BTreeMap::new();
        let mut ends_here = false;
        for name in names {
            match name.split_first() {
                None => ends_here = true,
                Some((first, rest)) => branches.entry(*first).or_default().push(rest.to_vec()),
            }
        }
        let mut not_plain = vec![('"', '"'), ('\\', '\\'), ('\x7f', '\x7f'), ('\0', '\x1f')];
        not_plain.extend(branches.keys().map(|c| (*c, *c)));
        let other = Expr::Class { ranges: not_plain, negated: true };
        let rest = Expr::rule("char").repeat(0, None);
        let mut options = vec![Expr::sequence([other, rest, Expr::literal("\"")])];
        if !ends_here {
            options.push(Expr::literal("\""));
        }
        for (first, rests) in branches {
            options.push(Expr::sequence([Expr::literal(first), self.other_name(rests)]));
        }
        self.named(Expr::choice(options))
    }

    /// The members of an object. Built from the last one, in two forms: with or without a member before it,
    /// since that decides about the comma. So the grammar grows with the number of properties, not with the
    /// number of their subsets.
    fn members(&mut self, properties: &[Property], extra: Option<Expr>) -> Expr {
        let (mut after_some, mut after_none) = self.extra_members(extra);
        for property in properties.iter().rev() {
            let first = Expr::sequence([property.pair.clone(), after_some.clone()]);
            let later = Expr::sequence([comma(), property.pair.clone(), after_some.clone()]);
            (after_some, after_none) = if property.required {
                (self.named(later), self.named(first))
            } else {
                (self.named(Expr::choice([later, after_some])), self.named(Expr::choice([first, after_none])))
            };
        }
        after_none
    }

    fn extra_members(&mut self, extra: Option<Expr>) -> (Expr, Expr) {
        let Some(pair) = extra else { return (Expr::empty(), Expr::empty()) };
        let more = self.named(Expr::sequence([comma(), pair.clone()]).repeat(0, None));
        let first = self.named(Expr::sequence([pair, more.clone()]).optional());
        (more, first)
    }
}
