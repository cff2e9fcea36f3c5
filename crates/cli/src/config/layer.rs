//! Four layers of settings, put on top of each other: defaults, file, environment, command line.
//!
//! Every setting is a leaf with a dotted key (`server.address`). The environment calls it
//! `QUARTERDECK_SERVER_ADDRESS`, the command line `--set server.address=…`. The last layer that
//! names a leaf wins, and [`Origin`] says which one that was.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize as _, Serialize};
use toml::{Table, Value};

use super::{Config, source};
use crate::Error;

/// Who decided a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Environment(String),
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A value typed on the command line: the setting's key, its text, and the flag that carried it.
#[derive(Debug, Clone)]
pub struct Flag {
    pub key: String,
    pub text: String,
    pub flag: String,
}

/// What was said, before anything is decided.
#[derive(Debug, Default)]
pub struct Layers {
    /// The file to read, when there is one.
    pub file: Option<PathBuf>,
    /// The environment as the process found it.
    pub environment: BTreeMap<String, String>,
    pub flags: Vec<Flag>,
}

/// The settings in force and where each of them came from.
#[derive(Debug)]
pub struct Resolved {
    pub config: Config,
    /// By dotted key.
    pub settings: BTreeMap<String, (Value, Origin)>,
    /// `QUARTERDECK_…` variables that name nothing, so that `doctor` can point at them.
    pub unknown_variables: Vec<String>,
}

impl Layers {
    /// Decides every setting.
    ///
    /// # Errors
    /// When the file cannot be read or says something unknown or malformed (with the line), or when a
    /// variable or flag carries a value that its setting cannot take.
    pub fn resolve(self) -> Result<Resolved, Error> {
        let mut settings: BTreeMap<_, _> = leaves(&table_of(&Config::default()))
            .into_iter()
            .map(|(key, value)| (key, (value, Origin::Default)))
            .collect();
        let mut config = Config::default();
        if let Some(path) = &self.file {
            let file = source::read(path)?;
            config = file.config;
            settings.extend(file.settings);
        }
        for (key, text, origin) in self.overrides(&settings) {
            config = apply(&mut settings, &key, &text, origin)?;
        }
        Ok(Resolved { unknown_variables: self.unknown_variables(&settings), config, settings })
    }

    /// What the environment and then the command line say, in the order in which it applies.
    fn overrides(&self, settings: &BTreeMap<String, (Value, Origin)>) -> Vec<(String, String, Origin)> {
        let environment = settings.keys().flat_map(|key| {
            variables(key).into_iter().filter_map(|name| {
                let text = self.environment.get(&name)?.clone();
                Some((key.clone(), text, Origin::Environment(name)))
            })
        });
        let flags =
            self.flags.iter().map(|flag| (flag.key.clone(), flag.text.clone(), Origin::Flag(flag.flag.clone())));
        environment.chain(flags).collect()
    }

    fn unknown_variables(&self, settings: &BTreeMap<String, (Value, Origin)>) -> Vec<String> {
        self.environment
            .keys()
            .filter(|name| name.starts_with("QUARTERDECK_"))
            .filter(|name| !PROCESS_VARIABLES.contains(&name.as_str()))
            .filter(|name| !settings.keys().any(|key| variables(key).contains(name)))
            .cloned()
            .collect()
    }
}

/// Variables that are read where they are needed and are no settings: where to send requests and with
/// which key, which file to read, the master key, what to log, and where the tests find their models.
const PROCESS_VARIABLES: &[&str] = &[
    "QUARTERDECK_CONFIG",
    "QUARTERDECK_KEY",
    "QUARTERDECK_LOG",
    "QUARTERDECK_MASTER_KEY",
    "QUARTERDECK_TEST_MODELS",
    "QUARTERDECK_URL",
];

/// The variables that set `key`; the data folder has a short name, since it is set most.
pub fn variables(key: &str) -> Vec<String> {
    let long = format!("QUARTERDECK_{}", key.replace('.', "_").to_uppercase());
    match key {
        "data.dir" => vec!["QUARTERDECK_DATA".to_owned(), long],
        _ => vec![long],
    }
}

fn apply(
    settings: &mut BTreeMap<String, (Value, Origin)>,
    key: &str,
    text: &str,
    origin: Origin,
) -> Result<Config, Error> {
    let refuse = |origin: Origin, why: String| Error::Setting { key: key.to_owned(), origin, why };
    let Some((current, _)) = settings.get(key) else {
        return Err(refuse(origin, "there is no such setting".to_owned()));
    };
    let value = parse(current, text);
    settings.insert(key.to_owned(), (value, origin.clone()));
    Config::deserialize(Value::Table(tree(settings))).map_err(|cause| refuse(origin, cause.message().to_owned()))
}

/// Reads text as the kind of value that the setting has now; what does not parse stays text, so that
/// the setting's own type says what is wrong with it.
fn parse(current: &Value, text: &str) -> Value {
    let literal =
        |text: &str| format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    match current {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Array(_) if !text.trim_start().starts_with('[') => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Value::String(item.to_owned()))
                .collect(),
        ),
        _ => literal(text).unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

/// A serialisable value as a TOML table; configuration has no other shape.
pub(super) fn table_of(value: &impl Serialize) -> Table {
    Table::try_from(value).expect("configuration serialises to a TOML table")
}

/// Every leaf with its dotted key; lists are leaves.
pub(super) fn leaves(table: &Table) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) => {
                found.extend(leaves(inner).into_iter().map(|(key, value)| (format!("{name}.{key}"), value)))
            }
            leaf => found.push((name.clone(), leaf.clone())),
        }
    }
    found
}

/// The inverse of [`leaves`]; settings are at most two levels deep.
fn tree(settings: &BTreeMap<String, (Value, Origin)>) -> Table {
    let mut root = Table::new();
    for (key, (value, _)) in settings {
        match key.split_once('.') {
            None => {
                root.insert(key.clone(), value.clone());
            }
            Some((section, name)) => {
                let section = root.entry(section).or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(section) = section {
                    section.insert(name.to_owned(), value.clone());
                }
            }
        }
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TraceMode;

    fn layers(file: Option<&str>, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Layers {
        let path = file.map(|text| {
            let path = std::env::temp_dir().join(format!("quarterdeck-{}.toml", rand_name(text)));
            std::fs::write(&path, text).expect("temporary folder is writable");
            path
        });
        Layers {
            file: path,
            environment: environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
            flags: flags
                .iter()
                .map(|(key, text)| Flag { key: (*key).to_owned(), text: (*text).to_owned(), flag: "--set".to_owned() })
                .collect(),
        }
    }

    /// One name per text and process: tests run side by side.
    fn rand_name(text: &str) -> String {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        format!("{}-{:x}", std::process::id(), hasher.finish())
    }

    fn check(layers: Layers, key: &str, value: &str, origin: &str) {
        let resolved = layers.resolve().expect("settings are sound");
        let (found, from) = &resolved.settings[key];
        assert_eq!(found.to_string(), value);
        assert!(from.to_string().ends_with(origin), "{from} for {key}");
    }

    #[test]
    fn each_layer_outranks_the_one_before() {
        let file = Some("# mine\n[server]\naddress = \"127.0.0.1:1\"\n");
        let env = [("QUARTERDECK_SERVER_ADDRESS", "127.0.0.1:2")];
        let flag = [("server.address", "127.0.0.1:3")];
        let key = "server.address";
        check(layers(None, &[], &[]), key, "\"127.0.0.1:4100\"", "default");
        check(layers(file, &[], &[]), key, "\"127.0.0.1:1\"", ".toml:3");
        check(layers(file, &env, &[]), key, "\"127.0.0.1:2\"", "environment QUARTERDECK_SERVER_ADDRESS");
        check(layers(file, &env, &flag), key, "\"127.0.0.1:3\"", "flag --set");
    }

    #[test]
    fn text_is_read_as_the_kind_of_the_setting() {
        let resolved = layers(
            None,
            &[
                ("QUARTERDECK_TRACE_MODE", "sync"),
                ("QUARTERDECK_ENGINE_SLOTS", "4"),
                ("QUARTERDECK_NET_ALLOW", "10.0.0.0/8, vllm.internal"),
                ("QUARTERDECK_DATA", "/srv/quarterdeck"),
            ],
            &[("models.defaults", "[]")],
        )
        .resolve()
        .expect("settings are sound")
        .config;
        assert_eq!(resolved.trace.mode, TraceMode::Sync);
        assert_eq!(resolved.engine.slots, 4);
        assert_eq!(resolved.net.allow, ["10.0.0.0/8", "vllm.internal"]);
        assert_eq!(resolved.data.dir, PathBuf::from("/srv/quarterdeck"));
        assert!(resolved.models.defaults.is_empty());
    }

    #[test]
    fn a_value_that_does_not_fit_names_its_origin() {
        let refused = layers(None, &[("QUARTERDECK_ENGINE_SLOTS", "many")], &[]).resolve();
        let message = refused.expect_err("`many` is no number").to_string();
        assert!(message.contains("engine.slots"), "{message}");
        assert!(message.contains("QUARTERDECK_ENGINE_SLOTS"), "{message}");
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let refused = layers(Some("[server]\naddress = \"127.0.0.1:1\"\nadress = 2\n"), &[], &[]);
        let Err(Error::ConfigFile { span, why, .. }) = refused.resolve() else {
            panic!("an unknown key was taken");
        };
        // `adress` starts at byte 33: "[server]\n" is 9 bytes and the second line 24.
        assert_eq!(span.offset(), 33);
        assert!(why.contains("unknown field `adress`"), "{why}");
    }

    #[test]
    fn every_setting_is_documented() {
        let pages = [include_str!("../../../../docs/configuration.md"), include_str!("../../../../docs/gateway.md")];
        for (key, _) in leaves(&table_of(&Config::default())) {
            assert!(pages.iter().any(|page| page.contains(&format!("| `{key}` |"))), "{key} stands on no page");
        }
    }

    #[test]
    fn variables_that_name_nothing_are_reported() {
        let resolved =
            layers(None, &[("QUARTERDECK_URL", "http://x"), ("QUARTERDECK_ADRESS", "1"), ("HOME", "/")], &[])
                .resolve()
                .expect("unknown variables are no error");
        assert_eq!(resolved.unknown_variables, ["QUARTERDECK_ADRESS"]);
    }
}
