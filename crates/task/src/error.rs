//! Why there are no requests, or no numbers.

/// What can go wrong with tasks.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A task file that cannot be read.
    #[error("{path}: {why}")]
    File {
        /// Which one, by its path in the library.
        path: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A name that no file has.
    #[error("there is no task, group or tag {name:?}; {there}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        there: String,
    },
    /// A field of a task that cannot be right.
    #[error("task {task}, {field}: {why}")]
    Field {
        /// Which task.
        task: String,
        /// Which field, as it is written in the file.
        field: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A template that cannot be read, or failed on a document.
    #[error("task {task}, {field}: {why}")]
    Template {
        /// Which task.
        task: String,
        /// Which field, and on which document.
        field: String,
        /// What it does that cannot be.
        why: String,
        /// What the engine says.
        #[source]
        cause: Option<minijinja::Error>,
    },
    /// A document that the task cannot ask about.
    #[error("task {task}, document {document}: {why}")]
    Document {
        /// Which task.
        task: String,
        /// Its place among the documents, from 0.
        document: usize,
        /// What is wrong.
        why: String,
    },
    /// Documents that cannot be read.
    #[error("the documents cannot be read: {why}")]
    Documents {
        /// What is wrong, and where.
        why: String,
    },
    /// Answers that do not belong to the requests.
    #[error("task {task}: {why}")]
    Answers {
        /// Which task.
        task: String,
        /// What does not fit.
        why: String,
    },
}

impl Error {
    pub(crate) fn field(task: &str, field: &str, why: impl Into<String>) -> Self {
        Self::Field { task: task.to_owned(), field: field.to_owned(), why: why.into() }
    }

    pub(crate) fn file(path: &str, why: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), why: why.into() }
    }

    pub(crate) fn document(task: &str, document: usize, why: impl Into<String>) -> Self {
        Self::Document { task: task.to_owned(), document, why: why.into() }
    }

    pub(crate) fn answers(task: &str, why: impl Into<String>) -> Self {
        Self::Answers { task: task.to_owned(), why: why.into() }
    }
}
