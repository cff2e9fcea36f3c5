//! Why a leaderboard cannot be made, run or read.

/// What failed, with its cause.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A definition that cannot be run.
    #[error("Invalid '{field}': {why}.")]
    Definition {
        /// Which part of it.
        field: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A leaderboard that neither comes with Quarterdeck nor was made here.
    #[error("there is no leaderboard {name:?} to take the definition from; give one, or name one of {ready}")]
    NotReady {
        /// What was asked for.
        name: String,
        /// What there is.
        ready: String,
    },
    /// It runs, so it cannot be begun.
    #[error("the leaderboard {name} runs already, as job {job}; cancel that first")]
    Running {
        /// Which one.
        name: String,
        /// Its job.
        job: qd_base::JobId,
    },
    /// A job that was queued for it and has been replaced.
    #[error("the leaderboard is run by job {job}, so this one does nothing")]
    Replaced {
        /// The job that runs it.
        job: qd_base::JobId,
    },
    /// A model or a task could not be asked.
    #[error("{why}")]
    Unanswered {
        /// Which, and why.
        why: String,
    },
    /// The job was told to end.
    #[error("cancelled")]
    Cancelled,
    /// A row of the table that this program cannot read.
    #[error("a row of leaderboard_answers cannot be read: {column}: {why}")]
    Row {
        /// Where.
        column: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A task cannot be read, asked or scored.
    #[error(transparent)]
    Task(#[from] qd_task::Error),
    /// Numbers that cannot be added up.
    #[error(transparent)]
    Eval(#[from] qd_eval::Error),
    /// A dataset cannot be read.
    #[error(transparent)]
    Data(#[from] qd_data::Error),
    /// The list of models cannot be read.
    #[error(transparent)]
    Model(#[from] qd_model::Error),
    /// Rows could not be kept or read.
    #[error(transparent)]
    Lake(#[from] qd_lake::Error),
    /// The catalog failed or refused.
    #[error(transparent)]
    Catalog(#[from] qd_catalog::Error),
    /// Rows could not be made or read.
    #[error("working with rows of leaderboard_answers")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A thread that worked is gone.
    #[error("{doing} broke down")]
    Broken {
        /// What it did.
        doing: &'static str,
    },
}

impl Error {
    pub(crate) fn definition(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Definition { field: field.into(), why: why.into() }
    }
}
