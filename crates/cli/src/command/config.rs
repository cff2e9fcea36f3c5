//! `quarterdeck config`: the settings in force.

use serde_json::{Value, json};

use crate::Error;
use crate::context::Context;
use crate::output::Column;

const PLAIN: &[Column] = &[("setting", "setting"), ("value", "value")];
const WITH_ORIGIN: &[Column] = &[("setting", "setting"), ("value", "value"), ("origin", "origin")];

/// Prints every setting; with `origin` also who decided it.
pub fn show(context: &Context, origin: bool) -> Result<(), Error> {
    let rows: Vec<Value> = context
        .resolved
        .settings
        .iter()
        .map(|(setting, (value, from))| match origin {
            true => json!({"setting": setting, "value": value, "origin": from.to_string()}),
            false => json!({"setting": setting, "value": value}),
        })
        .collect();
    context.printer.rows(&rows, if origin { WITH_ORIGIN } else { PLAIN })
}
