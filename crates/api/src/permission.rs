//! What a caller must be allowed to do, and who the caller is.

use qd_base::id::{KeyId, ProjectId};
use qd_base::name::ProjectName;
use qd_catalog::{Holder, Person, Principal, Scope};

use crate::error::{Error, Result};

/// What a route demands of its caller. Every route declares one; there is no default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Anyone who can reach the server. Only for what tells nothing about anyone.
    Public,
    /// Whoever is signed in with a cookie, whatever their scopes.
    SignedIn,
    /// A key, the local token or a sign-in that has this scope.
    Scope(Scope),
}

/// Who makes a request that needed a scope.
#[derive(Clone, Debug)]
pub enum Caller {
    /// An API key, by itself or signed in with. It acts in its own project only, whatever its scopes.
    Key(Principal),
    /// A person who is signed in. They act in their own project only, whatever their role.
    Account(Person),
    /// The user of this machine, by the local token: an administrator who may act in any project.
    Operator {
        /// The project acted in: the one named by the request, else the default one.
        project: ProjectId,
        /// Its name.
        project_name: ProjectName,
    },
}

impl Caller {
    /// The project that the caller acts in, and whose rows it sees.
    pub fn project(&self) -> ProjectId {
        match self {
            Self::Key(principal) => principal.project,
            Self::Account(person) => person.project,
            Self::Operator { project, .. } => *project,
        }
    }

    /// The name of that project.
    pub fn project_name(&self) -> &ProjectName {
        match self {
            Self::Key(principal) => &principal.project_name,
            Self::Account(person) => &person.project_name,
            Self::Operator { project_name, .. } => project_name,
        }
    }

    /// The key, when it was one.
    pub fn key(&self) -> Option<KeyId> {
        match self {
            Self::Key(principal) => Some(principal.key_id),
            Self::Account(_) | Self::Operator { .. } => None,
        }
    }

    /// How the audit log names the caller.
    pub fn actor(&self) -> String {
        match self {
            Self::Key(principal) => format!("key:{}", principal.key_id),
            Self::Account(person) => format!("account:{}", person.account),
            Self::Operator { .. } => "operator".to_owned(),
        }
    }

    /// Whether the caller holds `scope`.
    pub fn may(&self, scope: Scope) -> bool {
        match self {
            Self::Key(principal) => principal.scopes.allow(scope),
            Self::Account(person) => person.role.scopes().allow(scope),
            Self::Operator { .. } => true,
        }
    }

    /// Refuses a caller who does not hold `scope`: what a route does beside its own scope's work, such as asking models in the
    /// caller's name.
    ///
    /// # Errors
    /// [`Error::MissingScope`].
    pub fn needs(&self, scope: Scope) -> Result<()> {
        if self.may(scope) { Ok(()) } else { Err(Error::MissingScope { needed: scope }) }
    }

    /// Whether the caller may act on `project`: its own, or any for the operator.
    pub fn reaches(&self, project: ProjectId) -> bool {
        self.is_operator() || self.project() == project
    }

    /// Whether the caller is the user of this machine.
    pub fn is_operator(&self) -> bool {
        matches!(self, Self::Operator { .. })
    }
}

impl From<Holder> for Caller {
    fn from(holder: Holder) -> Self {
        match holder {
            Holder::Account(person) => Self::Account(person),
            Holder::Key(principal) => Self::Key(principal),
        }
    }
}
