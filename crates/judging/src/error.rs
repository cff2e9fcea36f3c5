//! Why a judge cannot be made, asked or calibrated.

/// What failed, with its cause.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part of a request that cannot be.
    #[error("Invalid '{field}': {why}.")]
    Request {
        /// Which part of it.
        field: &'static str,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A judge's model stands for nothing.
    #[error("the model {model} cannot be asked: {why}")]
    Model {
        /// Its name.
        model: String,
        /// Why.
        why: String,
    },
    /// A judge is compared with people, so it is not begun or deleted.
    #[error("the judge {name} is being compared with people, by job {job}; cancel that first")]
    Running {
        /// Which one.
        name: String,
        /// The job.
        job: qd_base::JobId,
    },
    /// A job that was queued for a calibration and has been replaced.
    #[error("the calibration is done by job {job}, so this one does nothing")]
    Replaced {
        /// The job that does it.
        job: qd_base::JobId,
    },
    /// Judgements always failed, so that there is nothing to go by.
    #[error("{why}")]
    Unanswered {
        /// Which, and why.
        why: String,
    },
    /// The job was told to end.
    #[error("cancelled")]
    Cancelled,
    /// A row of the table that this program cannot read.
    #[error("a row of judgements cannot be read: {column}: {why}")]
    Row {
        /// Where.
        column: &'static str,
        /// What is wrong.
        why: String,
    },
    /// More rows than are read at once.
    #[error("there are over {most} judgements of this judge on this dataset; delete the judge and calibrate anew")]
    TooMany {
        /// How many are read.
        most: usize,
    },
    /// A definition, or an item.
    #[error(transparent)]
    Judge(#[from] qd_judge::Error),
    /// A statistic of data that cannot be.
    #[error(transparent)]
    Eval(#[from] qd_eval::Error),
    /// A dataset cannot be read.
    #[error(transparent)]
    Data(#[from] qd_data::Error),
    /// Rows could not be kept or read.
    #[error(transparent)]
    Lake(#[from] qd_lake::Error),
    /// Rows could not be made or read.
    #[error("working with rows of judgements")]
    Arrow(#[from] arrow::error::ArrowError),
    /// Something that should be there is not, or a thread is gone.
    #[error("{doing} broke down")]
    Broken {
        /// What was done.
        doing: &'static str,
    },
    /// The catalog failed or refused.
    #[error(transparent)]
    Catalog(#[from] qd_catalog::Error),
}

impl Error {
    pub(crate) fn request(field: &'static str, why: impl Into<String>) -> Self {
        Self::Request { field, why: why.into() }
    }
}
