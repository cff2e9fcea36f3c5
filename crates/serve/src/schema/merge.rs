//! `allOf`, and keywords beside `anyOf`: several schemas as one.

use serde_json::{Map, Value};

use super::{ANNOTATIONS, Compiler, map_weight};
use crate::error::Result;

type Schema = Map<String, Value>;

impl Compiler<'_> {
    /// A schema without its `allOf`, the members merged in.
    pub(super) fn merged(&self, map: &Schema, path: &str) -> Result<Schema> {
        let Some(Value::Array(members)) = map.get("allOf") else { return Err(self.error(path, "`allOf` is a list")) };
        let mut merged = map.clone();
        merged.remove("allOf");
        merged.retain(|key, _| !ANNOTATIONS.contains(&key.as_str()));
        // What stands alone keeps its reference: through a rule of its own a schema may refer to itself.
        if let ([Value::Object(only)], true) = (members.as_slice(), merged.is_empty()) {
            return Ok(only.clone());
        }
        for (place, member) in members.iter().enumerate() {
            merged = self.merge_two(&merged, member, &format!("{path}/allOf/{place}"))?;
        }
        Ok(merged)
    }

    /// What satisfies both schemas. References in `b` are followed.
    pub(super) fn merge_two(&self, a: &Schema, b: &Value, path: &str) -> Result<Schema> {
        let b = match b {
            Value::Bool(true) => return Ok(a.clone()),
            Value::Object(map) => map,
            _ => return Err(self.error(path, "nothing satisfies all of these schemas")),
        };
        self.enter(path)?;
        self.spend(map_weight(a), path)?;
        let b = self.resolved(b, path)?;
        self.check_closed(a, &b, path)?;
        let mut merged = a.clone();
        for (key, value) in b.into_iter().filter(|(key, _)| !ANNOTATIONS.contains(&key.as_str())) {
            let both = match merged.remove(&key) {
                None => value,
                Some(first) => self.merge_keyword(&key, first, value, path)?,
            };
            merged.insert(key, both);
        }
        self.leave();
        Ok(merged)
    }

    /// Follows a reference and an `allOf` until there are plain keywords.
    fn resolved(&self, map: &Schema, path: &str) -> Result<Schema> {
        let mut map = map.clone();
        for _ in 0..super::MAX_DEPTH {
            self.spend(map_weight(&map), path)?;
            if let Some(pointer) = map.get("$ref").and_then(Value::as_str) {
                self.alone(&map, "$ref", path)?;
                match self.lookup(pointer, path)? {
                    Value::Object(target) => map = target.clone(),
                    _ => return Err(self.error(path, "`$ref` leads to no object")),
                }
            } else if map.contains_key("allOf") {
                map = self.merged(&map, path)?;
            } else {
                return Ok(map);
            }
        }
        Err(self.error(path, "references lead in a circle"))
    }

    fn merge_keyword(&self, key: &str, a: Value, b: Value, path: &str) -> Result<Value> {
        match (key, a, b) {
            (_, a, b) if a == b => Ok(a),
            ("type", Value::String(a), Value::String(b)) if [a.as_str(), b.as_str()] == ["number", "integer"] => {
                Ok(Value::String(b))
            }
            ("type", Value::String(a), Value::String(b)) if [a.as_str(), b.as_str()] == ["integer", "number"] => {
                Ok(Value::String(a))
            }
            ("required", Value::Array(mut a), Value::Array(b)) => {
                a.extend(b);
                Ok(Value::Array(a))
            }
            ("properties", Value::Object(a), Value::Object(b)) => self.merge_properties(a, b, path),
            _ => Err(self.error(path, &format!("`{key}` differs between schemas that must all hold"))),
        }
    }

    fn merge_properties(&self, mut a: Schema, b: Schema, path: &str) -> Result<Value> {
        for (name, schema) in b {
            let both = match a.get(&name) {
                None => schema,
                Some(Value::Object(first)) if first.is_empty() => schema,
                Some(Value::Object(first)) => {
                    let first = self.resolved(first, path)?;
                    Value::Object(self.merge_two(&first, &schema, path)?)
                }
                Some(_) => {
                    return Err(self.error(path, &format!("`{name}` differs between schemas that must all hold")));
                }
            };
            a.insert(name, both);
        }
        Ok(Value::Object(a))
    }

    /// `additionalProperties` is about the properties beside it, so a schema that closes or types its other
    /// properties can only be merged with one that names no others.
    fn check_closed(&self, a: &Schema, b: &Schema, path: &str) -> Result<()> {
        for (one, other) in [(a, b), (b, a)] {
            let open = one.get("additionalProperties").is_none_or(|additional| *additional == Value::Bool(true));
            if !open && names(other).any(|name| !names_property(one, name)) {
                return Err(self.error(path, "`additionalProperties` forbids what another of these schemas names"));
            }
        }
        Ok(())
    }
}

fn names_property(schema: &Schema, name: &str) -> bool {
    schema.get("properties").and_then(Value::as_object).is_some_and(|properties| properties.contains_key(name))
}

fn names(schema: &Schema) -> impl Iterator<Item = &str> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(|properties| properties.keys().map(String::as_str))
}
