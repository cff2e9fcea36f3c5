//! `oneOf`: a value must match exactly one of the schemas, so no value may match two of them.

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
                if !self.distinct(one, other, MAX_DEPTH) {
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
    fn distinct(&self, a: &Value, b: &Value, depth: usize) -> bool {
        let (Some(a), Some(b)) = (self.target(a), self.target(b)) else { return false };
        if depth == 0 {
            return false;
        }
        match (values(a), values(b)) {
            (Some(one), Some(other)) => !one.iter().any(|value| other.contains(value)),
            (Some(listed), None) => !listed.iter().any(|value| may_be(b, value)),
            (None, Some(listed)) => !listed.iter().any(|value| may_be(a, value)),
            (None, None) => types_differ(a, b) || self.objects_differ(a, b, depth),
        }
    }

    fn target<'v>(&'v self, schema: &'v Value) -> Option<&'v Value> {
        match schema.get("$ref") {
            None => Some(schema),
            Some(reference) => self.lookup(reference.as_str()?, "#").ok(),
        }
    }

    fn objects_differ(&self, a: &Value, b: &Value, depth: usize) -> bool {
        let objects = [a, b].iter().all(|schema| schema["type"] == "object");
        objects
            && (forbids_required(a, b)
                || forbids_required(b, a)
                || required(a).any(|name| {
                    let (one, other) = (&a["properties"][name], &b["properties"][name]);
                    required(b).any(|same| same == name) && self.distinct(one, other, depth - 1)
                }))
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
