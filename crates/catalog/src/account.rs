//! Accounts: people who sign in to the console with a password, each in one role.
//!
//! All accounts act in the default project.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use qd_base::{AccountName, ProjectId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::key::{Scope, Scopes};
use crate::sign_in::{Whose, password_hash};
use crate::{Catalog, Error, Result, limit};

pub use crate::password::{MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, check as check_password};

/// One catalog holds at most this many accounts.
pub const MAX_ACCOUNTS: usize = 10_000;

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// To look.
    Viewer,
    /// To look, to change, and to call models.
    Editor,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role, the smallest first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Admin];

    /// The role in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
        }
    }

    /// The role in terms of what keys allow.
    pub fn scopes(self) -> Scopes {
        let scopes: &[Scope] = match self {
            Self::Viewer => &[Scope::Read],
            Self::Editor => &[Scope::Read, Scope::Write, Scope::Infer],
            Self::Admin => &Scope::ALL,
        };
        scopes.iter().copied().collect()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| Error::not_found("role", limit::shorten(text, 80)))
    }
}

/// What is known of an account. Its password's hash never leaves the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name that the person signs in with.
    pub name: AccountName,
    /// The project it acts in.
    pub project: ProjectId,
    /// What it may do.
    pub role: Role,
    /// Whether it may not sign in.
    pub disabled: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// What is to change about an account; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct AccountChange {
    /// Another role; sign-ins go on in it.
    pub role: Option<Role>,
    /// Another password; it ends the account's sign-ins.
    pub password: Option<Secret>,
    /// Whether it may not sign in; disabling ends the account's sign-ins.
    pub disabled: Option<bool>,
}

impl Catalog {
    /// Makes an account in the default project.
    ///
    /// # Errors
    /// [`Error::Exists`] when the name is taken, [`Error::Invalid`] for a password of fewer than [`MIN_PASSWORD_CHARS`]
    /// characters, [`Error::TooLarge`] beyond [`MAX_PASSWORD_BYTES`] or [`MAX_ACCOUNTS`].
    pub async fn create_account(&self, name: &AccountName, password: &Secret, role: Role) -> Result<Account> {
        const OPERATION: &str = "creating an account";
        let hash = self.inner().passwords.hash(password).await?;
        let now = Timestamp::now();
        let project = self.default_project().id;
        let account = Account { name: name.clone(), project, role, disabled: false, created: now, updated: now };
        let mut tx = self.db().begin(OPERATION).await?;
        limit::count("number of accounts", count(&mut tx).await? + 1, MAX_ACCOUNTS)?;
        if !insert(&mut tx, &account, &hash).await? {
            return Err(Error::Exists { noun: "account", name: name.to_string() });
        }
        let detail = json!({ "role": role, "project": project });
        self.note(&mut tx, "create", "account", name.as_str(), detail).await?;
        commit(tx, OPERATION).await?;
        Ok(account)
    }

    /// All accounts, by name.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn accounts(&self) -> Result<Vec<Account>> {
        let rows =
            sqlx::query("SELECT name, project_id, role, disabled, created_ns, updated_ns FROM account ORDER BY name")
                .fetch_all(self.db().readers())
                .await
                .map_err(Error::database("listing accounts"))?;
        column::all(&rows, read)
    }

    /// Changes an account. Another role holds at once; another password and disabling end its sign-ins at once.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such account; as [`Catalog::create_account`] for the password.
    pub async fn change_account(&self, name: &AccountName, change: AccountChange) -> Result<Account> {
        const OPERATION: &str = "changing an account";
        let hash = match &change.password {
            Some(password) => Some(self.inner().passwords.hash(password).await?),
            None => None,
        };
        let mut tx = self.db().begin(OPERATION).await?;
        let before = find(&mut tx, name).await?;
        let after = Account {
            role: change.role.unwrap_or(before.role),
            disabled: change.disabled.unwrap_or(before.disabled),
            updated: Timestamp::now(),
            ..before.clone()
        };
        update(&mut tx, &after, hash.as_deref()).await?;
        self.note(&mut tx, "update", "account", name.as_str(), told(&change)).await?;
        if hash.is_some() || after.disabled {
            self.commit_ending(tx, OPERATION, Whose::Account(name)).await?;
            return Ok(after);
        }
        // Before the commit, as with keys: a role that was taken away is gone in either case.
        self.inner().sign_ins.set_role(name, after.role);
        let committed = commit(tx, OPERATION).await;
        if committed.is_err() {
            self.inner().sign_ins.set_role(name, before.role);
        }
        committed.map(|()| after)
    }

    /// Gives the account that is signed in with `token` another password, if `current` is the one that it has, and ends its
    /// other sign-ins; says whether it is. `from` is for the audit log.
    ///
    /// # Errors
    /// [`Error::NotFound`] when no account is signed in with it; as [`Catalog::create_account`] for the password.
    pub async fn change_own_password(
        &self,
        token: &str,
        current: &Secret,
        password: &Secret,
        from: Option<IpAddr>,
    ) -> Result<bool> {
        const OPERATION: &str = "changing a password";
        let signed_in = self.account_signed_in(token);
        let (name, digest) = signed_in.ok_or_else(|| Error::not_found("sign-in", "of an account"))?;
        check_password(password)?;
        let actor = format!("account:{name}");
        let stored = password_hash(self.db(), &name).await?;
        let right = self.inner().passwords.verify(current, stored.clone()).await?;
        let Some(before) = stored.filter(|_| right) else {
            let detail = json!({ "password": "wrong", "address": from });
            return self.audit(&actor, "refuse", "account", name.as_str(), detail).await.map(|_| false);
        };
        let hash = self.inner().passwords.hash(password).await?;
        let mut tx = self.db().begin(OPERATION).await?;
        if !replace_hash(&mut tx, &name, &before, &hash).await? {
            return Ok(false);
        }
        let detail = json!({ "password": "changed", "address": from });
        self.acting(&actor)?.note(&mut tx, "update", "account", name.as_str(), detail).await?;
        self.commit_ending(tx, OPERATION, Whose::AccountBut(&name, &digest)).await.map(|()| true)
    }

    /// Removes an account and ends its sign-ins.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such account.
    pub async fn remove_account(&self, name: &AccountName) -> Result<()> {
        const OPERATION: &str = "removing an account";
        let mut tx = self.db().begin(OPERATION).await?;
        delete(&mut tx, name).await?;
        self.note(&mut tx, "remove", "account", name.as_str(), json!({})).await?;
        self.commit_ending(tx, OPERATION, Whose::Account(name)).await
    }
}

/// A change as the audit log tells it: that the password is another one, not which.
fn told(change: &AccountChange) -> Value {
    let mut told = json!({});
    if let Some(role) = change.role {
        told["role"] = json!(role);
    }
    if change.password.is_some() {
        told["password"] = json!("changed");
    }
    if let Some(disabled) = change.disabled {
        told["disabled"] = json!(disabled);
    }
    told
}

async fn count(tx: &mut Tx) -> Result<usize> {
    let row = sqlx::query("SELECT COUNT(*) AS accounts FROM account")
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::database("counting accounts"))?;
    Ok(usize::try_from(Columns(&row).count("accounts")?).unwrap_or(usize::MAX))
}

async fn find(tx: &mut Tx, name: &AccountName) -> Result<Account> {
    let row =
        sqlx::query("SELECT name, project_id, role, disabled, created_ns, updated_ns FROM account WHERE name = $1")
            .bind(name.as_str())
            .fetch_optional(&mut **tx)
            .await
            .map_err(Error::database("reading an account"))?
            .ok_or_else(|| Error::not_found("account", name))?;
    read(Columns(&row))
}

async fn insert(tx: &mut Tx, account: &Account, hash: &str) -> Result<bool> {
    sqlx::query(
        "INSERT INTO account (name, project_id, role, password_hash, created_ns, updated_ns) \
         VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (name) DO NOTHING",
    )
    .bind(account.name.as_str())
    .bind(account.project.to_string())
    .bind(account.role.as_str())
    .bind(hash)
    .bind(account.created.as_nanos())
    .execute(&mut **tx)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(Error::database("creating an account"))
}

async fn update(tx: &mut Tx, account: &Account, hash: Option<&str>) -> Result<()> {
    sqlx::query(
        "UPDATE account SET role = $2, disabled = $3, password_hash = COALESCE($4, password_hash), updated_ns = $5 \
         WHERE name = $1",
    )
    .bind(account.name.as_str())
    .bind(account.role.as_str())
    .bind(i64::from(account.disabled))
    .bind(hash)
    .bind(account.updated.as_nanos())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("changing an account"))
}

/// Says whether the account may still sign in with the password that has the hash `before`.
async fn replace_hash(tx: &mut Tx, name: &AccountName, before: &str, hash: &str) -> Result<bool> {
    sqlx::query(
        "UPDATE account SET password_hash = $3, updated_ns = $4 WHERE name = $1 AND password_hash = $2 AND disabled = 0",
    )
    .bind(name.as_str())
    .bind(before)
    .bind(hash)
    .bind(Timestamp::now().as_nanos())
    .execute(&mut **tx)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(Error::database("changing a password"))
}

/// Its sign-ins go with it.
async fn delete(tx: &mut Tx, name: &AccountName) -> Result<()> {
    let gone = sqlx::query("DELETE FROM account WHERE name = $1")
        .bind(name.as_str())
        .execute(&mut **tx)
        .await
        .map_err(Error::database("removing an account"))?
        .rows_affected();
    if gone == 1 { Ok(()) } else { Err(Error::not_found("account", name)) }
}

fn read(row: Columns<'_>) -> Result<Account> {
    Ok(Account {
        name: row.parsed("name")?,
        project: row.parsed("project_id")?,
        role: row.parsed("role")?,
        disabled: row.flag("disabled")?,
        created: row.time("created_ns")?,
        updated: row.time("updated_ns")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::catalog;

    fn name(text: &str) -> AccountName {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn an_account_is_made_changed_and_removed() {
        let (catalog, dir) = catalog().await;
        let password = Secret::new("a password to be found");
        let made = catalog.create_account(&name("ada"), &password, Role::Viewer).await.unwrap();
        assert_eq!(made.project, catalog.default_project().id);
        assert_eq!(catalog.accounts().await.unwrap(), [made]);
        let again = catalog.create_account(&name("ada"), &password, Role::Admin).await;
        assert!(matches!(again, Err(Error::Exists { noun: "account", .. })));

        let change = AccountChange { role: Some(Role::Editor), disabled: Some(true), ..AccountChange::default() };
        let changed = catalog.change_account(&name("ada"), change).await.unwrap();
        assert!(changed.disabled && changed.role == Role::Editor);
        assert_eq!(catalog.accounts().await.unwrap(), [changed]);
        let nobody = catalog.change_account(&name("bob"), AccountChange::default()).await;
        assert!(matches!(nobody, Err(Error::NotFound { noun: "account", .. })));

        catalog.remove_account(&name("ada")).await.unwrap();
        assert!(catalog.accounts().await.unwrap().is_empty());
        assert!(matches!(catalog.remove_account(&name("ada")).await, Err(Error::NotFound { .. })));
        catalog.close().await;
        let file = std::fs::read(dir.path().join("catalog.db")).unwrap();
        assert!(!file.windows(password.expose().len()).any(|found| found == password.expose().as_bytes()));
    }

    #[tokio::test]
    async fn changes_are_audited_without_passwords() {
        let (catalog, _dir) = catalog().await;
        let catalog = catalog.acting("operator").unwrap();
        let password = Secret::new("a password to be hidden");
        catalog.create_account(&name("ada"), &password, Role::Viewer).await.unwrap();
        let change = AccountChange { password: Some(password.clone()), ..AccountChange::default() };
        catalog.change_account(&name("ada"), change).await.unwrap();
        catalog.remove_account(&name("ada")).await.unwrap();
        let log = catalog.audit_log(&crate::AuditFilter::default(), crate::Page::first(10)).await.unwrap().items;
        let actions: Vec<_> = log.iter().rev().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["create", "update", "remove"]);
        assert!(log.iter().all(|entry| entry.subject == "ada" && !entry.detail.to_string().contains("hidden")));
        assert_eq!(log[1].detail, json!({ "password": "changed" }));
    }

    #[tokio::test]
    async fn who_knows_the_password_changes_it_and_only_this_sign_in_goes_on() {
        let (catalog, dir) = catalog().await;
        let (old, new) = (Secret::new("the old password"), Secret::new("the new password"));
        for person in ["ada", "bob"] {
            catalog.create_account(&name(person), &old, Role::Viewer).await.unwrap();
        }
        let enter = async |person: &str, password: &Secret| {
            catalog.sign_in_with_password(person, password, None).await.unwrap().map(|made| made.token)
        };
        let (mine, other) = (enter("ada", &old).await.unwrap(), enter("ada", &old).await.unwrap());
        let theirs = enter("bob", &old).await.unwrap();
        let change = async |current: &Secret, password: &Secret| {
            catalog.change_own_password(mine.expose(), current, password, None).await
        };
        assert!(!change(&new, &new).await.unwrap());
        assert!(matches!(change(&old, &Secret::new("short")).await, Err(Error::Invalid { .. })));
        assert!(catalog.signed_in(other.expose()).await.is_some() && enter("ada", &new).await.is_none());
        assert!(change(&old, &new).await.unwrap());
        assert!(!change(&old, &new).await.unwrap());
        assert!(enter("ada", &old).await.is_none() && enter("ada", &new).await.is_some());

        let filter = crate::AuditFilter { noun: Some("account".into()), ..crate::AuditFilter::default() };
        let log = catalog.audit_log(&filter, crate::Page::first(10)).await.unwrap().items;
        let told: Vec<_> = log.iter().rev().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
        assert_eq!(told, [("account:ada", "refuse"), ("account:ada", "update"), ("account:ada", "refuse")]);
        assert_eq!(log[1].detail, json!({ "password": "changed", "address": null }));
        catalog.close().await;
        let catalog = crate::testing::reopen(dir.path()).await;
        let goes_on = async |token: &Secret| catalog.signed_in(token.expose()).await.is_some();
        assert_eq!((goes_on(&mine).await, goes_on(&other).await, goes_on(&theirs).await), (true, false, true));
    }

    #[tokio::test]
    async fn a_key_has_no_password_to_change() {
        let (catalog, _dir) = catalog().await;
        let scopes = Scopes::from_iter([Scope::Admin]);
        let key = catalog.create_key(catalog.default_project().id, "laptop", scopes, None).await.unwrap();
        let made = catalog.sign_in_with_key(key.secret.expose(), None).await.unwrap().unwrap();
        let password = Secret::new("a password of nobody");
        for token in [made.token.expose(), "nothing"] {
            let changed = catalog.change_own_password(token, &password, &password, None).await;
            assert!(matches!(changed, Err(Error::NotFound { noun: "sign-in", .. })));
        }
    }

    #[test]
    fn roles_in_terms_of_scopes() {
        let allowed = |role: Role| Scope::ALL.into_iter().filter(|s| role.scopes().allow(*s)).collect::<Vec<_>>();
        assert_eq!(allowed(Role::Viewer), [Scope::Read]);
        assert_eq!(allowed(Role::Editor), [Scope::Infer, Scope::Read, Scope::Write]);
        assert_eq!(allowed(Role::Admin), Scope::ALL);
        assert!(Role::ALL.iter().all(|role| role.as_str().parse::<Role>().unwrap() == *role));
    }
}
