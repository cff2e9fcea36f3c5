//! What calls are told apart by, and which of the groups are wanted.

use std::borrow::Cow;

use qd_base::words;
use qd_lake::Param;

use crate::Span;
use crate::filter::Condition;
use crate::overview::MOST_SERIES;

words!(
    /// What calls are told apart by.
    GroupBy, "way to group calls", {
        /// The model that answered, or was asked for when none did.
        Model = "model",
        /// Who ran it.
        Provider = "provider",
        /// The prompt artifact.
        Prompt = "prompt",
        /// The number of the prompt's version: meant for the calls of one prompt.
        PromptVersion = "prompt_version",
        /// The end user.
        User = "user",
        /// The environment.
        Environment = "environment",
        /// How it ended.
        Status = "status",
        /// The session.
        Session = "session",
        /// The caller's own version.
        Release = "release",
        /// The operation.
        Name = "name",
    }
);

impl GroupBy {
    /// The group of a span as SQL: never null, empty where the span does not say.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Model => "coalesce(model, model_requested, '')",
            Self::Provider => "coalesce(provider, '')",
            Self::Prompt => "coalesce(prompt_name, '')",
            Self::PromptVersion => "coalesce(CAST(prompt_version AS VARCHAR), '')",
            Self::User => "coalesce(user_id, '')",
            Self::Environment => "coalesce(environment, '')",
            Self::Status => "coalesce(status, '')",
            Self::Session => "coalesce(session_id, '')",
            Self::Release => "coalesce(release, '')",
            Self::Name => "coalesce(name, '')",
        }
    }

    /// The group of a span, as [`Self::sql`] has it.
    fn of(self, span: &Span) -> Cow<'_, str> {
        let told = match self {
            Self::PromptVersion => {
                return span.prompt_version.map_or_else(Cow::default, |number| number.to_string().into());
            }
            Self::Model => span.model.as_deref().or(span.model_requested.as_deref()),
            Self::Provider => span.provider.as_deref(),
            Self::Prompt => span.prompt_name.as_deref(),
            Self::User => span.user_id.as_deref(),
            Self::Environment => span.environment.as_deref(),
            Self::Status => Some(span.status.as_str()),
            Self::Session => span.session_id.as_deref(),
            Self::Release => span.release.as_deref(),
            Self::Name => Some(span.name.as_str()),
        };
        told.unwrap_or_default().into()
    }
}

/// The spans behind one series of an overview.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupFilter {
    /// What they are told apart by.
    pub by: GroupBy,
    /// Which of the groups.
    pub groups: Groups,
}

/// Some of the groups in which spans are.
#[derive(Debug, Clone, PartialEq)]
pub enum Groups {
    /// This one; empty for spans that do not say.
    One(String),
    /// All but these.
    Except(Vec<String>),
}

impl Groups {
    /// Groups that are left out at most: as many as have a series of their own in an overview.
    pub const MOST_EXCEPT: usize = MOST_SERIES;
}

impl GroupFilter {
    pub(crate) fn matches(&self, span: &Span) -> bool {
        let group = self.by.of(span);
        match &self.groups {
            Groups::One(wanted) => *wanted == group,
            Groups::Except(others) => others.iter().all(|other| *other != group),
        }
    }

    /// Demands the same of `condition`.
    pub(crate) fn demand(&self, condition: &mut Condition) {
        let column = self.by.sql();
        match &self.groups {
            Groups::One(wanted) => condition.one_of(column, [Param::Text(wanted.clone())]),
            Groups::Except(others) => condition.none_of(column, others.iter().cloned().map(Param::Text)),
        }
    }
}
