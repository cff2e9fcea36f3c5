//! Which version of which prompt is meant?

use std::fmt;
use std::str::FromStr;

use qd_base::{ArtifactName, Label};
use qd_catalog::VersionRef;

use crate::Error;

/// The label that a prompt is called by when nothing else is said.
pub const USUAL_LABEL: &str = "production";

/// A prompt and a version of it: `greeting`, `greeting@staging`, `greeting@3`, `greeting@latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The prompt.
    pub name: ArtifactName,
    /// The version.
    pub which: Which,
}

/// Which version is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The one with the label `production`, and the latest when there is none.
    Usual,
    /// The one that is named.
    Named(VersionRef),
}

impl Reference {
    /// The version that callers get who name none.
    pub fn usual(name: ArtifactName) -> Self {
        Self { name, which: Which::Usual }
    }

    /// What is looked for, and what after it when it is not there.
    pub fn meant(&self) -> (VersionRef, Option<VersionRef>) {
        match &self.which {
            Which::Named(which) => (which.clone(), None),
            Which::Usual => {
                let label = USUAL_LABEL.parse().expect("the word is a label");
                (VersionRef::Label(label), Some(VersionRef::Latest))
            }
        }
    }

    /// A version by its number.
    pub fn number(name: ArtifactName, number: u32) -> Self {
        Self { name, which: Which::Named(VersionRef::Number(number)) }
    }

    /// A version by a label that points at it.
    pub fn label(name: ArtifactName, label: Label) -> Self {
        Self { name, which: Which::Named(VersionRef::Label(label)) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.which {
            Which::Usual => self.name.fmt(f),
            Which::Named(which) => write!(f, "{}@{which}", self.name),
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |reason: qd_base::Error| {
            let text = text.chars().take(200).collect();
            Error::Reference { text, reason: reason.to_string() }
        };
        let (name, which) = text.split_once('@').map_or((text, None), |(name, which)| (name, Some(which)));
        let name = name.trim().parse().map_err(wrong)?;
        let which = match which {
            Some(which) => Which::Named(which.trim().parse().map_err(wrong)?),
            None => Which::Usual,
        };
        Ok(Self { name, which })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(text.parse::<Reference>().ok().map(|found| found.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn a_version_is_named_by_number_or_label() {
        check("greeting", Some("greeting"));
        check("support/greeting@3", Some("support/greeting@3"));
        check(" greeting @ staging ", Some("greeting@staging"));
        check("greeting@latest", Some("greeting@latest"));
        for wrong in ["", "@3", "greeting@", "a b", "greeting@Production", "greeting@1@2", "../x"] {
            check(wrong, None);
        }
    }
}
