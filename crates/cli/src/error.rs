//! What can go wrong for the person at the terminal, and the exit code that scripts see.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use miette::{Diagnostic, NamedSource, SourceSpan};

use crate::config::Origin;

/// A cause from another room, which the sentence of the variant introduces.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Error {
    #[error("the configuration file {path} cannot be read", path = path.display())]
    #[diagnostic(help("name another one with --config, or give it a readable TOML text"))]
    ConfigRead {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },

    #[error("the configuration file {path} cannot be used: {why}", path = path.display())]
    #[diagnostic(help("`quarterdeck config show` lists every setting with its value"))]
    ConfigFile {
        path: PathBuf,
        why: String,
        #[label("here")]
        span: SourceSpan,
        #[source_code]
        text: Arc<NamedSource<String>>,
    },

    #[error("the setting {key} from {origin} cannot be used: {why}")]
    #[diagnostic(help("`quarterdeck config show` lists every setting with its value"))]
    Setting { key: String, origin: Origin, why: String },

    #[error("the configuration cannot work: {why}")]
    #[diagnostic(help("`quarterdeck config show --origin` says where each setting comes from"))]
    Configuration { why: String },

    #[error("{problem}")]
    Usage {
        problem: String,
        #[help]
        help: String,
    },

    #[error("no server answers at {url}")]
    #[diagnostic(help("start one with `quarterdeck serve`, or name a running one with --url"))]
    Unreachable {
        url: String,
        #[source]
        cause: Cause,
    },

    #[error("no server is running on the data folder {dir}", dir = dir.display())]
    #[diagnostic(help("start one with `quarterdeck serve`, or name one elsewhere with --url"))]
    NotRunning { dir: PathBuf },

    #[error("another quarterdeck process{holder} is using the data folder {dir}", dir = dir.display())]
    #[diagnostic(help("wait for it, stop it, or choose another folder with --data"))]
    Locked { dir: PathBuf, holder: String },

    #[error("the server refused: {message}")]
    #[diagnostic(help("put a key with the right scope into QUARTERDECK_KEY; `quarterdeck key create` makes one"))]
    Refused { message: String },

    #[error("{message}")]
    Failed { message: String },

    #[error("the gate failed: {message}")]
    Gate { message: String },

    #[error("the server has no room for more at present")]
    #[diagnostic(help("try again shortly; `quarterdeck doctor` says whether its disk keeps up"))]
    Busy,

    #[error("the server's answer to {request} was not understood")]
    #[diagnostic(help("is it a Quarterdeck of the same version? `quarterdeck doctor` compares them"))]
    Answer {
        request: String,
        #[source]
        cause: Cause,
    },

    #[error("the output could not be written")]
    Output {
        #[source]
        cause: std::io::Error,
    },

    #[error("{doing} failed")]
    Operation {
        doing: String,
        #[source]
        cause: Cause,
    },
}

impl Error {
    /// A failure of another room, introduced by what was being done.
    pub fn doing(doing: impl Into<String>, cause: impl Into<Cause>) -> Self {
        Self::Operation { doing: doing.into(), cause: cause.into() }
    }

    /// 1 the operation failed, 2 usage or configuration, 4 no server answered or it refused us, 100 a gate failed.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::ConfigRead { .. }
            | Self::ConfigFile { .. }
            | Self::Setting { .. }
            | Self::Configuration { .. }
            | Self::Usage { .. } => 2,
            Self::Unreachable { .. } | Self::NotRunning { .. } | Self::Locked { .. } | Self::Refused { .. } => 4,
            Self::Gate { .. } => 100,
            Self::Failed { .. } | Self::Busy | Self::Answer { .. } | Self::Output { .. } | Self::Operation { .. } => 1,
        })
    }
}
