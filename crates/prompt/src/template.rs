//! What does a template say with these values? Jinja by minijinja, in a smaller language and within limits.
//!
//! A template is a program that anybody may send who may write prompts, so it is bounded in everything: its length, its
//! steps, the bytes that it moves and the text that it writes. The engine counts steps only, and one step may double a
//! text; so `rewrite` puts a metered operation in the place of every operator, and leaves out what cannot be metered:
//! macros, blocks, includes, imports, captures. There is no access to files, to the environment or to the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use minijinja::machinery::{CodeGenerator, Instructions, Vm, make_string_output};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use serde_json::Map;

use crate::{Error, Result};

mod filter;
mod meter;
mod operation;
mod rewrite;

pub(crate) use meter::{MAX_NESTING, Meter};

/// The longest template.
pub const MAX_TEMPLATE_BYTES: usize = 256 << 10;
/// Steps of the machine for one template; an item of a loop costs about ten.
const MAX_STEPS: u64 = 100_000;
/// Values within values, and includes of nothing: there is nothing to recurse into, so this is a second line.
const MAX_DEPTH: usize = 100;

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_recursion_limit(MAX_DEPTH);
    environment.set_fuel(Some(MAX_STEPS));
    environment.set_formatter(operation::write);
    operation::add_to(&mut environment);
    filter::add_to(&mut environment);
    environment
});

/// Checks that `source` is a template, and tells which variables it reads. `place` names it in errors: `messages[1]`.
///
/// # Errors
/// [`Error::Template`] with the line and what is wrong there.
pub(crate) fn check(source: &str, place: &str) -> Result<BTreeSet<String>> {
    rewrite::read(source, place).map(|read| read.variables)
}

/// A template that has been read, to be written with any values.
pub(crate) struct Ready<'s> {
    source: &'s str,
    instructions: Instructions<'s>,
    blocks: BTreeMap<&'s str, Instructions<'s>>,
}

/// Values as templates read them, with the meter that all of their costs are taken from.
pub(crate) struct Given {
    root: Value,
    meter: Arc<Meter>,
}

impl Given {
    /// These values.
    pub fn new(values: &Map<String, serde_json::Value>, meter: &Arc<Meter>) -> Self {
        let named = values.iter().map(|(name, value)| (name.clone(), Value::from_serialize(value)));
        let root = named.chain([(meter::NAME.to_owned(), Value::from_dyn_object(meter.clone()))]).collect();
        Self { root, meter: meter.clone() }
    }
}

/// Reads a template; `place` names it in errors.
///
/// # Errors
/// [`Error::Template`] when it is none.
pub(crate) fn ready<'s>(source: &'s str, place: &str) -> Result<Ready<'s>> {
    let read = rewrite::read(source, place)?;
    let mut code = CodeGenerator::new("template", source);
    code.compile_stmt(&read.statement);
    let (instructions, blocks) = code.finish();
    Ok(Ready { source, instructions, blocks })
}

impl Ready<'_> {
    /// Its text with these values.
    ///
    /// # Errors
    /// [`Error::Render`] when it fails on the values, [`Error::Exhausted`].
    pub fn render(&self, place: &str, given: &Given) -> Result<String> {
        let mut text = String::new();
        let outcome = {
            let mut out = make_string_output(&mut text);
            let machine = Vm::new(&ENVIRONMENT);
            let root = given.root.clone();
            let evaluated = machine.eval(&self.instructions, root, &self.blocks, &mut out, AutoEscape::None);
            evaluated.map(|(_, state)| state.fuel_levels().map_or(0, |(consumed, _)| consumed))
        };
        match outcome.and_then(|steps| given.meter.step(steps)) {
            Ok(()) => Ok(text),
            Err(error) => Err(failure(&error, self.source, place)),
        }
    }
}

fn failure(error: &minijinja::Error, source: &str, place: &str) -> Error {
    let line = error.line();
    let what = meter::exceeded(error).or((error.kind() == ErrorKind::OutOfFuel).then_some("more steps"));
    if let Some(what) = what {
        return Error::Exhausted { place: place.to_owned(), line, what };
    }
    let about = error.range().and_then(|range| source.get(range)).map(excerpt);
    let said = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    let reason = about.map_or_else(|| said.clone(), |about| format!("{said} in `{about}`"));
    Error::Render { place: place.to_owned(), line, reason }
}

/// So much of a template as an error repeats.
fn excerpt(text: &str) -> &str {
    const MOST: usize = 60;
    &text[..text.floor_char_boundary(MOST)]
}

#[cfg(test)]
mod tests;
