//! How far something long has come, on standard error: a bar on a terminal, lines where `--progress` asks
//! for them, nothing otherwise.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two lines in a log.
const LINE_INTERVAL: Duration = Duration::from_secs(2);

/// How progress is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Bar,
    Lines,
    Silent,
}

impl Progress {
    /// A bar for a terminal; for a log or pipe only what was asked for.
    pub fn new(asked_for: bool) -> Self {
        match (std::io::stderr().is_terminal(), asked_for) {
            (true, _) => Self::Bar,
            (false, true) => Self::Lines,
            (false, false) => Self::Silent,
        }
    }

    /// Begins to show one piece of work.
    pub fn start(self, what: impl Into<String>, unit: Unit) -> Shown {
        let what = what.into();
        let bar = (self == Self::Bar).then(|| bar(&what, unit));
        Shown { how: self, what, unit, bar, said: None }
    }
}

/// What work is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Steps,
}

fn bar(what: &str, unit: Unit) -> ProgressBar {
    let template = match unit {
        Unit::Bytes => "{prefix} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left: {msg}",
        Unit::Steps => "{prefix} {bar:30} {pos} of {len}: {msg}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_prefix(what.to_owned())
}

/// One piece of work on display.
pub struct Shown {
    how: Progress,
    what: String,
    unit: Unit,
    bar: Option<ProgressBar>,
    said: Option<Instant>,
}

impl Shown {
    /// `done` of `total`; a total of 0 is not known yet. `message` says what is being done.
    pub fn update(&mut self, done: u64, total: u64, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(message.to_owned());
        }
        let due = self.said.is_none_or(|said| said.elapsed() >= LINE_INTERVAL);
        if self.how == Progress::Lines && due {
            self.said = Some(Instant::now());
            eprintln!("{}: {message}, {}", self.what, amount(self.unit, done, total));
        }
    }

    /// The end, with what came of it.
    pub fn finish(self, outcome: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if self.how != Progress::Silent {
            eprintln!("{}: {outcome}", self.what);
        }
    }
}

fn amount(unit: Unit, done: u64, total: u64) -> String {
    match (unit, total) {
        (Unit::Bytes, 0) => format!("{} MB", megabytes(done)),
        (Unit::Bytes, _) => format!("{} of {} MB", megabytes(done), megabytes(total)),
        (Unit::Steps, 0) => done.to_string(),
        (Unit::Steps, _) => format!("{done} of {total}"),
    }
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}
