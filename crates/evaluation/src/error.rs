//! Why an evaluation cannot be made, run or read.

/// What failed, with its cause.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A definition that cannot be run, or a question about one that cannot be answered.
    #[error("Invalid '{field}': {why}.")]
    Definition {
        /// Which part of it.
        field: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// It runs, so it cannot be begun or deleted.
    #[error("the evaluation {name} runs already, as job {job}; cancel that first")]
    Running {
        /// Which one.
        name: String,
        /// Its job.
        job: qd_base::JobId,
    },
    /// A job that was queued for it and has been replaced.
    #[error("the evaluation is run by job {job}, so this one does nothing")]
    Replaced {
        /// The job that runs it.
        job: qd_base::JobId,
    },
    /// Calls always failed, so that there is nothing to go by.
    #[error("{why}")]
    Unanswered {
        /// Which calls, and why.
        why: String,
    },
    /// The job was told to end.
    #[error("cancelled")]
    Cancelled,
    /// A scorer or a gate.
    #[error(transparent)]
    Eval(#[from] qd_eval::Error),
    /// What experiments do for evaluations: looking up, asking, keeping.
    #[error(transparent)]
    Experiment(#[from] qd_experiment::Error),
    /// A judge cannot be found or asked.
    #[error(transparent)]
    Judging(#[from] qd_judging::Error),
    /// A dataset cannot be read.
    #[error(transparent)]
    Data(#[from] qd_data::Error),
    /// Rows could not be kept or read.
    #[error(transparent)]
    Lake(#[from] qd_lake::Error),
    /// The catalog failed or refused.
    #[error(transparent)]
    Catalog(#[from] qd_catalog::Error),
    /// Rows could not be made or read.
    #[error("working with rows of evaluation_items")]
    Arrow(#[from] arrow::error::ArrowError),
    /// More rows than are read at once.
    #[error("there are over {most} rows of this, which are more than are read")]
    TooMany {
        /// How many are read.
        most: usize,
    },
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
