//! `quarterdeck openapi`: the document that describes the HTTP interface.

use crate::{Error, output};

/// Prints it; the same text as `/openapi.json`.
pub fn print() -> Result<(), Error> {
    output::line(qd_api::openapi().trim_end())
}
