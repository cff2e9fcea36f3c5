//! What the command line means: decided here once, so that nothing later asks a flag again.

use std::path::PathBuf;

use qd_base::Secret;
use qd_net::Url;

use crate::Error;
use crate::args::{Arguments, Command, Global};
use crate::config::{self, Flag, Layers, Resolved};
use crate::output::Printer;
use crate::progress::Progress;

/// Everything that a command may want to know beside its own arguments.
pub struct Context {
    /// The settings in force and where they came from.
    pub resolved: Resolved,
    /// The server that was named; without one it is looked for on the data folder.
    pub server: Option<Named>,
    /// The project that was named.
    pub project: Option<String>,
    pub printer: Printer,
    pub progress: Progress,
}

/// A server that the person named, and the key for it.
pub struct Named {
    pub url: Url,
    pub key: Option<Secret>,
}

impl Context {
    /// Decides what `arguments` and the environment mean together.
    ///
    /// # Errors
    /// [`Error::Usage`] for flags that make no sense, and everything that [`Layers::resolve`] finds.
    pub fn new(arguments: &Arguments) -> Result<Self, Error> {
        let global = &arguments.global;
        let layers = Layers {
            file: file(global)?,
            environment: std::env::vars().collect(),
            flags: flags(global, &arguments.command),
        };
        Ok(Self {
            resolved: layers.resolve()?,
            server: global.url.as_deref().map(named).transpose()?,
            project: global.project.clone(),
            printer: Printer::new(global.output),
            progress: Progress::new(global.progress),
        })
    }

    /// The data folder.
    pub fn data(&self) -> &PathBuf {
        &self.resolved.config.data.dir
    }
}

fn file(global: &Global) -> Result<Option<PathBuf>, Error> {
    match &global.config {
        Some(path) if !path.is_file() => Err(Error::Usage {
            problem: format!("there is no configuration file {}", path.display()),
            help: "name an existing file, or leave --config out to go without one".to_owned(),
        }),
        Some(path) => Ok(Some(path.clone())),
        None => Ok(config::default_file()),
    }
}

/// Flags that stand for settings, weakest first: a flag of its own outranks `--set`.
fn flags(global: &Global, command: &Command) -> Vec<Flag> {
    let mut flags: Vec<Flag> = global.settings.iter().map(|(key, text)| flag(key, text, "--set")).collect();
    if let Some(dir) = &global.data {
        flags.push(flag("data.dir", &dir.to_string_lossy(), "--data"));
    }
    if let Command::Serve(serve) = command
        && let Some(address) = serve.address
    {
        flags.push(flag("server.address", &address.to_string(), "--address"));
    }
    flags
}

fn flag(key: &str, text: &str, flag: &str) -> Flag {
    Flag { key: key.to_owned(), text: text.to_owned(), flag: flag.to_owned() }
}

fn named(text: &str) -> Result<Named, Error> {
    let url = Url::parse(text).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    Ok(Named {
        url: url.ok_or_else(|| Error::Usage {
            problem: format!("{text:?} is not the URL of a server"),
            help: "write it like http://127.0.0.1:4100".to_owned(),
        })?,
        key: std::env::var("QUARTERDECK_KEY").ok().map(|key| Secret::new(key.trim())),
    })
}
