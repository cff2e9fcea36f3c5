//! What Python does, where a prompt or a number depends on it: texts of values, literals, regular expressions, random numbers.

pub(crate) mod literal;
pub(crate) mod pattern;
pub(crate) mod random;
pub(crate) mod text;
