//! `oneOf`: a value must match exactly one of the schemas, so no value may match two of them.

use std::collections::HashSet;

use serde_json::Value;

use super::{Compiler, has_type};
use crate::error::Result;

/// How deep properties and references are followed when two schemas are compared.
const MAX_DEPTH: usize = 4;

impl Compiler<'_> {
    /// Refuses options of which two could match the same value: a grammar cannot exclude that.
    pub(super) fn check_distinct(&self, options: &[Value], path: &str) -> Result<()> {
        for (place, one) in options.iter().enumerate() {
            for (other_place, other) in options.iter().enumerate().skip(place + 1) {
                if !self.distinct(one, other, MAX_DEPTH, path)? {
                    let message = format!(
                        "`oneOf`: a value could match both options {place} and {other_place}; tell them apart by a \
                         required property with different `const` values, or use `anyOf`"
                    );
                    return Err(self.error(path, &message));
                }
            }
        }
        Ok(())
    }

    /// Whether certainly no value matches both schemas.
    fn distinct(&self, a: &Value, b: &Value, depth: usize, path: &str) -> Result<bool> {
        let (Some(a), Some(b)) = (self.target(a), self.target(b)) else { return Ok(false) };
        if depth == 0 {
            return Ok(false);
        }
        let (one, other) = (values(a), values(b));
        let compared = one.as_ref().map_or(1, Vec::len).saturating_mul(other.as_ref().map_or(1, Vec::len));
        self.spend(compared, path)?;
        Ok(match (one, other) {
            (Some(one), Some(other)) => !one.iter().any(|value| other.contains(value)),
            (Some(listed), None) => !listed.iter().any(|value| may_be(b, value)),
            (None, Some(listed)) => !listed.iter().any(|value| may_be(a, value)),
            (None, None) => types_differ(a, b) || self.objects_differ(a, b, depth, path)?,
        })
    }

    fn target<'v>(&'v self, schema: &'v Value) -> Option<&'v Value> {
        match schema.get("$ref") {
            None => Some(schema),
            Some(reference) => self.lookup(reference.as_str()?, "#").ok(),
        }
    }

    fn objects_differ(&self, a: &Value, b: &Value, depth: usize, path: &str) -> Result<bool> {
        if [a, b].iter().any(|schema| schema["type"] != "object") {
            return Ok(false);
        }
        let others: HashSet<&str> = required(b).collect();
        self.spend(required(a).count() + others.len(), path)?;
        if forbids_required(a, b) || forbids_required(b, a) {
            return Ok(true);
        }
        for name in required(a).filter(|name| others.contains(name)) {
            if self.distinct(&a["properties"][name], &b["properties"][name], depth - 1, path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether `a` requires a property that `b` forbids.
fn forbids_required(a: &Value, b: &Value) -> bool {
    b["additionalProperties"] == Value::Bool(false) && required(a).any(|name| b["properties"].get(name).is_none())
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The values that a schema lists, if it does.
fn values(schema: &Value) -> Option<Vec<&Value>> {
    match schema.get("const") {
        Some(value) => Some(vec![value]),
        None => schema.get("enum")?.as_array().map(|values| values.iter().collect()),
    }
}

/// Whether a value may match a schema, as far as its types tell.
fn may_be(schema: &Value, value: &Value) -> bool {
    types(schema).is_none_or(|types| types.iter().any(|name| has_type(value, name)))
}

fn types_differ(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(b)) = (types(a), types(b)) else { return false };
    let general = |name: &str| if name == "integer" { "number" } else { name }.to_owned();
    !a.iter().any(|one| b.iter().any(|other| general(one) == general(other)))
}

fn types(schema: &Value) -> Option<Vec<&str>> {
    match &schema["type"] {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => names.iter().map(Value::as_str).collect(),
        _ => None,
    }
}
