//! Who calls, and in which trace: what the caller's edge knows about a call besides its body.

use std::time::Instant;

use qd_base::{ArtifactName, KeyId, ProjectId, ProjectName, RequestId, Timestamp};
use qd_trace::TraceContext;

use crate::pinned::Pinned;

/// Everything about a call that is not in its body.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// The project whose providers may be used.
    pub project: ProjectId,
    /// Its name, under which the call is traced.
    pub project_name: ProjectName,
    /// The API key that authenticated the call; `None` for calls made inside the process.
    pub key: Option<KeyId>,
    /// Identifies this request in logs and in the trace row's attributes.
    pub request: RequestId,
    /// The caller's position in its own trace, from its `traceparent` header.
    pub parent: Option<TraceContext>,
    /// Groups calls of one conversation.
    pub session: Option<String>,
    /// The end user; when absent the body's `user` field is taken.
    pub user: Option<String>,
    /// Free labels of the caller.
    pub tags: Vec<String>,
    /// For instance `production` or `staging`.
    pub environment: Option<String>,
    /// The caller's own version.
    pub release: Option<String>,
    /// The version of a prompt whose words the call says.
    pub prompt: Option<PromptVersion>,
    /// When and where the call began, when something was done for it before it is made.
    pub begun: Option<Beginning>,
    /// Whom the call's model name stood for when its caller looked: nobody else is asked, also when it stands for others by now.
    pub pinned: Option<Pinned>,
}

/// When and where a call began.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    /// The call's own span.
    pub at: TraceContext,
    pub(crate) start: Timestamp,
    pub(crate) began: Instant,
}

impl Beginning {
    /// Now, below the caller's position if it told one.
    pub(crate) fn now(parent: Option<TraceContext>) -> Self {
        let at = parent.map_or_else(TraceContext::root, |parent| parent.child());
        Self { at, start: Timestamp::now(), began: Instant::now() }
    }
}

/// A version of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptVersion {
    /// The prompt.
    pub name: ArtifactName,
    /// The version's number.
    pub number: u32,
}

impl CallContext {
    /// A call of a project about which nothing else is known.
    pub fn of(project: ProjectId, project_name: ProjectName) -> Self {
        Self {
            project,
            project_name,
            key: None,
            request: RequestId::new(),
            parent: None,
            session: None,
            user: None,
            tags: Vec::new(),
            environment: None,
            release: None,
            prompt: None,
            begun: None,
            pinned: None,
        }
    }

    /// Begins the call now, and tells its span: the parent of what is done for it before it is made, such as choosing
    /// examples.
    pub fn begin(&mut self) -> TraceContext {
        self.begun.get_or_insert_with(|| Beginning::now(self.parent)).at
    }
}
