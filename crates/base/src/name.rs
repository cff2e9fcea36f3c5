//! Names that people give: one validator for each, behind both `FromStr` and `Deserialize`.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:path, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The rule that every such name keeps.
            pub const RULE: &str = $rule;

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                if $valid(text) { Ok(Self(text.into())) } else { Err(Error::name($what, text, $rule)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// A project's name.
    ProjectName,
    "project name",
    is_slug,
    "use 1 to 64 lower-case letters, digits, '-', '_' and '.', with a letter or digit first"
);
name!(
    /// The name of an artifact: a prompt, a dataset, a judge, an index, …
    ArtifactName,
    "name",
    is_artifact,
    "use 1 to 128 letters, digits, '-', '_', '.' and '/', with a letter or digit first"
);
name!(
    /// The name that a model is asked for by: `gpt-4o-mini`, `openai/gpt-4o`, `qwen2.5:0.5b`, `ft:org::id`.
    ModelName,
    "model name",
    is_model,
    "use 1 to 200 letters, digits and '-_.:/@+', with a letter or digit first"
);
name!(
    /// The name of a provider of models, ours or an upstream.
    ProviderName,
    "provider name",
    is_slug,
    "use 1 to 64 lower-case letters, digits, '-', '_' and '.', with a letter or digit first"
);
name!(
    /// A label that points at one version of an artifact: `production`, `champion`.
    Label,
    "label",
    is_label,
    "use 1 to 64 lower-case letters, digits, '-', '_' and '.', with a letter first; 'latest' is reserved"
);
name!(
    /// The end user on whose behalf a call was made, as the caller names them.
    UserId,
    "user id",
    is_user,
    "use 1 to 256 characters, none of them a control character"
);
name!(
    /// The name of a person who signs in: `ada`, `ada@example.org`.
    AccountName,
    "account name",
    is_account,
    "use 1 to 64 lower-case letters, digits, '-', '_', '.' and '@', with a letter or digit first"
);
name!(
    /// The name of an alert's rule, or of who is told about it.
    AlertName,
    "alert name",
    is_slug,
    "use 1 to 64 lower-case letters, digits, '-', '_' and '.', with a letter or digit first"
);
name!(
    /// A table of the lake.
    TableName,
    "table name",
    is_table,
    "use 1 to 64 lower-case letters, digits and '_', with a letter first"
);

fn is_made_of(text: &str, most: usize, first: fn(u8) -> bool, rest: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= most && bytes.first().is_some_and(|&b| first(b)) && bytes.iter().all(|&b| rest(b))
}

fn lower_or_digit(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

fn alphanumeric(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}

fn lower(b: u8) -> bool {
    b.is_ascii_lowercase()
}

fn is_slug(text: &str) -> bool {
    is_made_of(text, 64, lower_or_digit, |b| lower_or_digit(b) || b"-_.".contains(&b))
}

fn is_artifact(text: &str) -> bool {
    is_made_of(text, 128, alphanumeric, |b| alphanumeric(b) || b"-_./".contains(&b)) && has_plain_segments(text)
}

fn is_model(text: &str) -> bool {
    is_made_of(text, 200, alphanumeric, |b| alphanumeric(b) || b"-_.:/@+".contains(&b)) && has_plain_segments(text)
}

/// No empty, `.` or `..` segment: such a name is never a way out of a folder.
fn has_plain_segments(text: &str) -> bool {
    text.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

fn is_label(text: &str) -> bool {
    is_made_of(text, 64, lower, |b| lower_or_digit(b) || b"-_.".contains(&b)) && text != "latest"
}

fn is_user(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= 256 && !text.chars().any(char::is_control)
}

fn is_account(text: &str) -> bool {
    is_made_of(text, 64, lower_or_digit, |b| lower_or_digit(b) || b"-_.@".contains(&b))
}

fn is_table(text: &str) -> bool {
    is_made_of(text, 64, lower, |b| lower_or_digit(b) || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr>(valid: &[&str], refused: &[&str]) {
        for text in valid {
            assert!(text.parse::<T>().is_ok(), "{text:?} should be a name");
        }
        for text in refused {
            assert!(text.parse::<T>().is_err(), "{text:?} should be refused");
        }
    }

    #[test]
    fn model_names_of_the_field_are_taken() {
        let long = "m".repeat(201);
        check::<ModelName>(
            &[
                "gpt-4o-mini",
                "openai/gpt-4o",
                "qwen2.5:0.5b",
                "ft:gpt-4o:org::id",
                "meta-llama/Llama-3.1-8B-Instruct",
                "smollm2@champion",
            ],
            &["", "-x", "a b", "../etc/passwd", "a/../b", "a//b", "a\n", "é", &long],
        );
    }

    #[test]
    fn slugs_and_labels() {
        check::<ProjectName>(&["default", "team-7", "0"], &["", "Default", "a/b", "_x", "a b"]);
        check::<Label>(&["production", "champion", "v1.2"], &["latest", "1st", "Production", ""]);
        check::<TableName>(&["spans", "eval_results2"], &["Spans", "2x", "a-b", "a;drop"]);
        check::<AccountName>(&["ada", "ada@example.org", "a.b-c_1"], &["", "Ada", "@ada", "a b", "a/b", "a:b"]);
        check::<UserId>(&["alice@example.org", "用户 7"], &["", "a\u{0}b", "a\nb"]);
    }

    #[test]
    fn a_refusal_says_the_rule_and_repeats_little() {
        let error = "x y".repeat(1000).parse::<ProjectName>().unwrap_err().to_string();
        assert!(error.contains("1 to 64") && error.len() < 300, "{error}");
        let json = serde_json::from_str::<Label>("\"latest\"").unwrap_err().to_string();
        assert!(json.contains("reserved"), "{json}");
    }
}
