//! What is a model asked, in which words, with which examples?
//!
//! A [`Prompt`] is the content of one version of an artifact: templates of messages or of one text, typed
//! [`Variable`]s, a [`Slot`] for few-shot [`Example`]s, the model and its parameters. [`Prompt::render`] makes what is
//! said of it and of values; [`Asked`] puts that into a request that leaves the rest to the version. [`Prompts`] answers
//! which version a [`Reference`] means, from memory.
//!
//! Reading order: [`reference`] → [`variable`] → `template` → [`example`] → [`definition`] → [`render`] → [`request`] →
//! [`text`] → [`store`].
//!
//! What is deliberately absent: calls of models, which go through the gateway, and files, which templates cannot reach.

pub mod reference;

pub mod variable;

mod template;

pub mod example;

pub mod definition;
pub mod render;
pub mod request;
pub mod text;

pub mod store;

mod error;

pub use definition::{Kind, MessageTemplate, Prompt};
pub use error::Error;
pub use example::{Example, ExampleTemplate, Slot, Strategy};
pub use reference::{Reference, Which};
pub use render::Rendered;
pub use request::{Asked, Form, VARIABLES_FIELD};
pub use store::{Prompts, Stored};
pub use template::MAX_TEMPLATE_BYTES;
pub use variable::{Variable, VariableKind};

/// What every call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;
