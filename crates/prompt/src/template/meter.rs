//! How much may a prompt still cost? One meter for all of its templates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::value::{Object, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// Under this name the meter stands among the variables; no template can write it.
pub(crate) const NAME: &str = "~meter";

/// The text of a whole prompt.
pub const MAX_OUTPUT_BYTES: u64 = 4 << 20;
/// What all operations of one prompt may read and make.
const MAX_WORK_BYTES: u64 = 64 << 20;
/// Steps of all templates of one prompt.
const MAX_STEPS: u64 = 400_000;
/// What a value weighs that is no text.
pub(super) const VALUE_BYTES: u64 = 32;
/// Lists within lists.
pub(crate) const MAX_NESTING: usize = 64;

/// What is left of the limits of one rendering.
#[derive(Debug)]
pub(crate) struct Meter {
    output: AtomicU64,
    work: AtomicU64,
    steps: AtomicU64,
}

/// Carried through the engine as the source of its error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Exceeded(&'static str);

impl Object for Meter {}

impl Meter {
    pub fn full() -> Arc<Self> {
        Arc::new(Self {
            output: AtomicU64::new(MAX_OUTPUT_BYTES),
            work: AtomicU64::new(MAX_WORK_BYTES),
            steps: AtomicU64::new(MAX_STEPS),
        })
    }

    /// The meter of a rendering.
    pub fn of(state: &State) -> Result<Arc<Self>, Error> {
        let found = state.lookup(NAME).and_then(|value| value.downcast_object::<Self>());
        found.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "there is no meter"))
    }

    /// Takes text that is written.
    pub fn output(&self, bytes: usize) -> Result<(), Error> {
        take(&self.output, bytes as u64, "more text than 4 MiB")
    }

    /// Takes bytes that are read or made.
    pub fn work(&self, bytes: u64) -> Result<(), Error> {
        take(&self.work, bytes, "more work than 64 MiB of values")
    }

    /// Takes steps of the machine.
    pub fn step(&self, steps: u64) -> Result<(), Error> {
        take(&self.steps, steps, "more steps")
    }

    /// Takes what it costs to read all of `value`.
    pub fn read(&self, value: &Value) -> Result<(), Error> {
        self.weigh(value).map(drop)
    }

    /// The same, and tells how much it was.
    pub fn weigh(&self, value: &Value) -> Result<u64, Error> {
        self.weigh_within(value, MAX_NESTING)
    }

    fn weigh_within(&self, value: &Value, levels: usize) -> Result<u64, Error> {
        let Some(levels) = levels.checked_sub(1) else { return Err(exceeds("values nested deeper than 64 levels")) };
        let own = match value.kind() {
            ValueKind::String => VALUE_BYTES + value.as_str().map_or(0, str::len) as u64,
            _ => VALUE_BYTES,
        };
        self.work(own)?;
        let mut weight = own;
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                for item in value.try_iter()? {
                    weight += self.weigh_within(&item, levels)?;
                }
            }
            ValueKind::Map => {
                for key in value.try_iter()? {
                    weight += self.weigh_within(&key, levels)?;
                    weight += self.weigh_within(&value.get_item(&key)?, levels)?;
                }
            }
            _ => {}
        }
        Ok(weight)
    }

    /// Takes what it costs to go once over the items of `value`.
    pub fn walk(&self, value: &Value) -> Result<(), Error> {
        self.work(VALUE_BYTES * (1 + value.len().unwrap_or(0) as u64))
    }
}

fn take(left: &AtomicU64, wanted: u64, what: &'static str) -> Result<(), Error> {
    let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(wanted));
    match taken {
        Ok(_) => Ok(()),
        Err(_) => Err(exceeds(what)),
    }
}

fn exceeds(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what).with_source(Exceeded(what))
}

/// What a rendering asked for beyond its limits, when that is why it failed.
pub(crate) fn exceeded(error: &Error) -> Option<&'static str> {
    std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
        .find_map(|error| error.downcast_ref::<Exceeded>())
        .map(|Exceeded(what)| *what)
}
