//! Sign-ins: browsers that hold a token, by the password of an account or by a key.
//!
//! A token is 256 random bits that only the browser has; what is kept is a keyed digest, as of keys. Every sign-in that
//! is alive is mirrored in memory, so that a request asks no disk, and ending one holds from the moment the call
//! returns. When it was last used is written every few minutes only.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use qd_base::{AccountName, KeyId, ProjectId, ProjectName, Secret, Timestamp};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::account::Role;
use crate::audit::{self, Event};
use crate::column::{self, Columns};
use crate::database::{Database, Tx, commit};
use crate::key::{Principal, Scopes};
use crate::{Catalog, Error, Result, limit, master};

/// How long a sign-in lasts that nobody uses.
pub const IDLE: Duration = Duration::from_secs(12 * 3600);
/// How long a sign-in lasts at most.
pub const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// One account or key has at most this many sign-ins; another one ends the oldest.
pub const MAX_EACH: usize = 64;
/// One catalog holds at most this many.
pub const MAX_SIGN_INS: usize = 100_000;

/// How far the moment of last use on disk may be behind the one in memory.
const SAVED_EVERY: Duration = Duration::from_secs(10 * 60);
/// 32 bytes in base64 without padding.
const ENCODED_LEN: usize = 43;

/// A person who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The account.
    pub account: AccountName,
    /// What it may do.
    pub role: Role,
    /// The project it acts in.
    pub project: ProjectId,
    /// That project's name.
    pub project_name: ProjectName,
}

/// Who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A person, by a password.
    Account(Person),
    /// Whoever has this key.
    Key(Principal),
}

impl Holder {
    /// What it may do.
    pub fn scopes(&self) -> Scopes {
        match self {
            Self::Account(person) => person.role.scopes(),
            Self::Key(principal) => principal.scopes,
        }
    }

    /// How the audit log names it.
    pub fn actor(&self) -> String {
        match self {
            Self::Account(person) => format!("account:{}", person.account),
            Self::Key(principal) => format!("key:{}", principal.key_id),
        }
    }
}

/// What is known of a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Who is signed in.
    pub holder: Holder,
    /// What a change must carry beside the cookie, which browsers send by themselves.
    pub csrf_token: Secret,
    /// When it began.
    pub created: Timestamp,
    /// When it ends at the latest.
    pub expires: Timestamp,
}

/// A sign-in that was just made.
#[derive(Debug, Clone)]
pub struct NewSignIn {
    /// What is kept of it.
    pub sign_in: SignIn,
    /// What the browser is to send. It is nowhere else.
    pub token: Secret,
}

impl Catalog {
    /// Signs in whoever knows the password of this account; `None` when there is no such account, it is disabled, or
    /// the password is another: which of them takes equally long and is not told. `from` is for the audit log.
    ///
    /// # Errors
    /// [`Error::Hashing`] and [`Error::Database`] when that cannot be found out, [`Error::TooLarge`] beyond
    /// [`MAX_SIGN_INS`].
    pub async fn sign_in_with_password(
        &self,
        account: &str,
        password: &Secret,
        from: Option<IpAddr>,
    ) -> Result<Option<NewSignIn>> {
        let name = account.parse().ok();
        let stored = match &name {
            Some(name) => password_hash(self.db(), name).await?,
            None => None,
        };
        let right = self.inner().passwords.verify(password, stored.clone()).await?;
        let proof = match (&name, &stored) {
            (Some(name), Some(hash)) if right => Some(Proof::Password { name, hash }),
            _ => None,
        };
        let made = match proof {
            Some(proof) => self.enter(proof, from).await?,
            None => None,
        };
        if made.is_none() {
            // A name that is no account's may be a password typed into the wrong field.
            let subject =
                name.filter(|_| stored.is_some()).map_or_else(|| "unknown".to_owned(), |name| name.to_string());
            self.refuse(&subject, from).await?;
        }
        Ok(made)
    }

    /// Signs in whoever has this key; `None` when it opens nothing.
    ///
    /// # Errors
    /// As [`Catalog::sign_in_with_password`].
    pub async fn sign_in_with_key(&self, key: &str, from: Option<IpAddr>) -> Result<Option<NewSignIn>> {
        let made = match self.inner().keys.find_until(key) {
            Some((principal, until)) => self.enter(Proof::Key { principal, until }, from).await?,
            None => None,
        };
        if made.is_none() {
            self.refuse("key", from).await?;
        }
        Ok(made)
    }

    /// The sign-in that has this token, unless it has ended. Reads no disk; once in a while it writes that the sign-in
    /// is in use.
    pub async fn signed_in(&self, token: &str) -> Option<SignIn> {
        let now = Timestamp::now();
        let digest = self.inner().sign_ins.digest(token)?;
        let (sign_in, to_save) = self.inner().sign_ins.find(&digest, now)?;
        if to_save && let Err(error) = save_use(self.db(), &digest, now).await {
            // It then ends some minutes early after a restart, which is no reason to refuse a request now.
            tracing::warn!(%error, "the last use of a sign-in was not written");
        }
        Some(sign_in)
    }

    /// Ends the sign-in that has this token, and says whether there was one.
    ///
    /// # Errors
    /// [`Error::Database`] when that fails; then it goes on.
    pub async fn sign_out(&self, token: &str) -> Result<bool> {
        const OPERATION: &str = "signing out";
        let ring = &self.inner().sign_ins;
        let Some(digest) = ring.digest(token) else { return Ok(false) };
        let mut tx = self.db().begin(OPERATION).await?;
        let Some(entry) = ring.remove(&digest) else { return Ok(false) };
        let actor = entry.sign_in.holder.actor();
        let done = async {
            remove(&mut tx, &digest).await?;
            self.tell(&mut tx, &actor, "end", &actor, json!({})).await?;
            commit(tx, OPERATION).await
        };
        let done = done.await;
        if done.is_err() {
            ring.insert(digest, entry);
        }
        done.map(|()| true)
    }

    /// The account that is signed in with this token, and which of its sign-ins that is.
    pub(crate) fn account_signed_in(&self, token: &str) -> Option<(AccountName, Digest)> {
        let digest = self.inner().sign_ins.digest(token)?;
        match self.inner().sign_ins.find(&digest, Timestamp::now())?.0.holder {
            Holder::Account(person) => Some((person.account, digest)),
            Holder::Key(_) => None,
        }
    }

    /// Commits a change that ends the sign-ins of an account or a key.
    pub(crate) async fn commit_ending(&self, mut tx: Tx, operation: &'static str, whose: Whose<'_>) -> Result<()> {
        remove_of(&mut tx, whose).await?;
        // Before the commit: should the caller go away in between, they are ended here in either case.
        let ended = self.inner().sign_ins.take(whose);
        let committed = commit(tx, operation).await;
        if committed.is_err() {
            self.inner().sign_ins.restore(ended);
        }
        committed
    }

    /// Makes a sign-in, if what was proved still holds now that nobody else writes.
    async fn enter(&self, proof: Proof<'_>, from: Option<IpAddr>) -> Result<Option<NewSignIn>> {
        const OPERATION: &str = "signing in";
        let ring = &self.inner().sign_ins;
        let now = Timestamp::now();
        let mut tx = self.db().begin(OPERATION).await?;
        let Some((holder, until)) = proof.holder(&mut tx).await? else { return Ok(None) };
        let latest = now.saturating_add(LONGEST);
        let expires = until.map_or(latest, |until| until.min(latest));
        let sign_in = SignIn { holder, csrf_token: random_token(), created: now, expires };
        self.make_room(&mut tx, &sign_in.holder, now).await?;
        let token = random_token();
        let digest = ring.digest_of(token.expose());
        insert(&mut tx, &digest, &sign_in).await?;
        let actor = sign_in.holder.actor();
        self.tell(&mut tx, &actor, "create", &actor, json!({ "address": from })).await?;
        // Before the commit: who ends it afterwards waits for the writer, and finds it here. Nobody has the token yet.
        ring.insert(digest, Entry::new(sign_in.clone(), now));
        if let Err(error) = commit(tx, OPERATION).await {
            ring.remove(&digest);
            return Err(error);
        }
        Ok(Some(NewSignIn { sign_in, token }))
    }

    /// Forgets sign-ins that have ended, and the oldest ones of a holder that has many.
    async fn make_room(&self, tx: &mut Tx, holder: &Holder, now: Timestamp) -> Result<()> {
        let ring = &self.inner().sign_ins;
        ring.sweep(now);
        remove_ended(tx, now).await?;
        for digest in ring.oldest_beyond(holder, MAX_EACH - 1) {
            ring.remove(&digest);
            remove(tx, &digest).await?;
        }
        limit::count("number of sign-ins", ring.read().len() + 1, MAX_SIGN_INS)
    }

    /// Writes a failure to the audit log.
    async fn refuse(&self, subject: &str, from: Option<IpAddr>) -> Result<()> {
        let detail = json!({ "address": from });
        self.audit("anonymous", "refuse", "sign-in", subject, detail).await.map(drop)
    }

    /// Writes to the audit log within the transaction, in the name of whoever signs in or out.
    async fn tell(&self, tx: &mut Tx, actor: &str, action: &str, subject: &str, detail: Value) -> Result<()> {
        let event = Event { actor, action, noun: "sign-in", subject, detail: &detail };
        audit::append(tx, &self.inner().audit_key, &event).await.map(drop)
    }
}

fn random_token() -> Secret {
    Secret::new(URL_SAFE_NO_PAD.encode(master::random::<32>()))
}

/// What was shown by whoever wants to sign in.
enum Proof<'a> {
    /// A password with this hash.
    Password { name: &'a AccountName, hash: &'a str },
    /// A key, and until when it is one.
    Key { principal: Principal, until: Option<Timestamp> },
}

impl Proof<'_> {
    /// Who it lets in, and until when; `None` when it does not any more.
    async fn holder(self, tx: &mut Tx) -> Result<Option<(Holder, Option<Timestamp>)>> {
        match self {
            Self::Password { name, hash } => {
                let person = person(tx, name, hash).await?;
                Ok(person.map(|person| (Holder::Account(person), None)))
            }
            Self::Key { principal, until } => {
                let alive = key_is_alive(tx, principal.key_id).await?;
                Ok(alive.then_some((Holder::Key(principal), until)))
            }
        }
    }
}

/// The hash of an account's password, if there is such an account.
pub(crate) async fn password_hash(db: &Database, name: &AccountName) -> Result<Option<String>> {
    let row = sqlx::query("SELECT password_hash FROM account WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(db.readers())
        .await
        .map_err(Error::database("reading an account"))?;
    row.map(|row| Columns(&row).text("password_hash")).transpose()
}

/// The person whose password has this hash, unless the account is disabled.
async fn person(tx: &mut Tx, name: &AccountName, hash: &str) -> Result<Option<Person>> {
    let row = sqlx::query(
        "SELECT account.name AS account, role, project_id, project.name AS project_name \
         FROM account JOIN project ON project.id = project_id \
         WHERE account.name = $1 AND password_hash = $2 AND disabled = 0",
    )
    .bind(name.as_str())
    .bind(hash)
    .fetch_optional(&mut **tx)
    .await
    .map_err(Error::database("reading an account"))?;
    row.map(|row| read_person(Columns(&row))).transpose()
}

async fn key_is_alive(tx: &mut Tx, id: KeyId) -> Result<bool> {
    let row = sqlx::query("SELECT id FROM api_key WHERE id = $1 AND revoked_ns IS NULL")
        .bind(id.to_string())
        .fetch_optional(&mut **tx)
        .await
        .map_err(Error::database("reading a key"))?;
    Ok(row.is_some())
}

async fn insert(tx: &mut Tx, digest: &Digest, sign_in: &SignIn) -> Result<()> {
    let (account, key) = match &sign_in.holder {
        Holder::Account(person) => (Some(person.account.as_str()), None),
        Holder::Key(principal) => (None, Some(principal.key_id.to_string())),
    };
    sqlx::query(
        "INSERT INTO sign_in (digest, csrf_token, account, key_id, created_ns, expires_ns, used_ns) \
         VALUES ($1, $2, $3, $4, $5, $6, $5)",
    )
    .bind(digest.as_slice())
    .bind(sign_in.csrf_token.expose())
    .bind(account)
    .bind(key)
    .bind(sign_in.created.as_nanos())
    .bind(sign_in.expires.as_nanos())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("signing in"))
}

async fn save_use(db: &Database, digest: &Digest, now: Timestamp) -> Result<()> {
    const OPERATION: &str = "writing the last use of a sign-in";
    let mut tx = db.begin(OPERATION).await?;
    sqlx::query("UPDATE sign_in SET used_ns = $2 WHERE digest = $1")
        .bind(digest.as_slice())
        .bind(now.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
    commit(tx, OPERATION).await
}

async fn remove(tx: &mut Tx, digest: &Digest) -> Result<()> {
    sqlx::query("DELETE FROM sign_in WHERE digest = $1")
        .bind(digest.as_slice())
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(Error::database("ending a sign-in"))
}

async fn remove_of(tx: &mut Tx, whose: Whose<'_>) -> Result<()> {
    let query = match whose {
        Whose::Account(name) => sqlx::query("DELETE FROM sign_in WHERE account = $1").bind(name.as_str()),
        Whose::AccountBut(name, kept) => sqlx::query("DELETE FROM sign_in WHERE account = $1 AND digest <> $2")
            .bind(name.as_str())
            .bind(kept.as_slice()),
        Whose::Key(id) => sqlx::query("DELETE FROM sign_in WHERE key_id = $1").bind(id.to_string()),
    };
    query.execute(&mut **tx).await.map(drop).map_err(Error::database("ending sign-ins"))
}

async fn remove_ended(tx: &mut Tx, now: Timestamp) -> Result<()> {
    sqlx::query("DELETE FROM sign_in WHERE expires_ns <= $1 OR used_ns <= $2")
        .bind(now.as_nanos())
        .bind(now.saturating_sub(IDLE + SAVED_EVERY).as_nanos())
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(Error::database("removing sign-ins that have ended"))
}

/// Of a token.
pub(crate) type Digest = [u8; 32];

/// Whose sign-ins.
#[derive(Clone, Copy)]
pub(crate) enum Whose<'a> {
    Account(&'a AccountName),
    /// Those of an account but for this one.
    AccountBut(&'a AccountName, &'a Digest),
    Key(KeyId),
}

impl Whose<'_> {
    fn is(&self, digest: &Digest, holder: &Holder) -> bool {
        match (self, holder) {
            (Self::Account(name), Holder::Account(person)) => **name == person.account,
            (Self::AccountBut(name, kept), Holder::Account(person)) => **name == person.account && digest != *kept,
            (Self::Key(id), Holder::Key(principal)) => *id == principal.key_id,
            _ => false,
        }
    }
}

impl Holder {
    fn whose(&self) -> Whose<'_> {
        match self {
            Self::Account(person) => Whose::Account(&person.account),
            Self::Key(principal) => Whose::Key(principal.key_id),
        }
    }
}

/// A sign-in that is alive.
pub(crate) struct Entry {
    sign_in: SignIn,
    used_ns: AtomicI64,
    saved_ns: AtomicI64,
}

impl Entry {
    fn new(sign_in: SignIn, used: Timestamp) -> Self {
        let used_ns = used.as_nanos();
        Self { sign_in, used_ns: AtomicI64::new(used_ns), saved_ns: AtomicI64::new(used_ns) }
    }

    fn has_ended(&self, now: Timestamp) -> bool {
        let used = Timestamp::from_nanos(self.used_ns.load(Ordering::Relaxed));
        self.sign_in.expires <= now || used.saturating_add(IDLE) <= now
    }

    /// Notes that it is used, and says whether that is to be written; of several requests at once one writes.
    fn touch(&self, now: Timestamp) -> bool {
        self.used_ns.fetch_max(now.as_nanos(), Ordering::Relaxed);
        let saved_ns = self.saved_ns.load(Ordering::Relaxed);
        let due = Timestamp::from_nanos(saved_ns).saturating_add(SAVED_EVERY) <= now;
        let first =
            || self.saved_ns.compare_exchange(saved_ns, now.as_nanos(), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        due && first()
    }
}

/// Every sign-in that is alive, by the digest of its token.
pub(crate) struct SignInRing {
    mac: Hmac<Sha256>,
    alive: RwLock<HashMap<Digest, Entry>>,
}

impl SignInRing {
    /// The sign-ins of this catalog that have not ended.
    pub(crate) async fn load(db: &Database, secret: [u8; 32]) -> Result<Self> {
        let now = Timestamp::now();
        let rows = sqlx::query(
            "SELECT sign_in.digest, csrf_token, sign_in.created_ns, sign_in.expires_ns, used_ns, account.name AS account, role, \
                 key_id, scopes, project.id AS project_id, project.name AS project_name \
             FROM sign_in \
             LEFT JOIN account ON account.name = sign_in.account AND disabled = 0 \
             LEFT JOIN api_key ON api_key.id = key_id AND revoked_ns IS NULL \
             JOIN project ON project.id = COALESCE(account.project_id, api_key.project_id) \
             WHERE sign_in.expires_ns > $1 AND used_ns > $2",
        )
        .bind(now.as_nanos())
        .bind(now.saturating_sub(IDLE).as_nanos())
        .fetch_all(db.readers())
        .await
        .map_err(Error::database("reading sign-ins"))?;
        let alive = column::all(&rows, read_entry)?.into_iter().collect();
        Ok(Self { mac: master::keyed(&secret), alive: RwLock::new(alive) })
    }

    /// The digest of what may be a token.
    fn digest(&self, token: &str) -> Option<Digest> {
        (token.len() == ENCODED_LEN).then(|| self.digest_of(token))
    }

    fn digest_of(&self, token: &str) -> Digest {
        let mut mac = self.mac.clone();
        mac.update(token.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// The sign-in, now used, and whether that is to be written.
    fn find(&self, digest: &Digest, now: Timestamp) -> Option<(SignIn, bool)> {
        let alive = self.read();
        let entry = alive.get(digest).filter(|entry| !entry.has_ended(now))?;
        Some((entry.sign_in.clone(), entry.touch(now)))
    }

    /// Gives the sign-ins of an account another role.
    pub(crate) fn set_role(&self, name: &AccountName, role: Role) {
        for entry in self.write().values_mut() {
            if let Holder::Account(person) = &mut entry.sign_in.holder
                && person.account == *name
            {
                person.role = role;
            }
        }
    }

    /// The oldest sign-ins of a holder, so many that `keep` are left without them.
    fn oldest_beyond(&self, holder: &Holder, keep: usize) -> Vec<Digest> {
        let alive = self.read();
        let whose = holder.whose();
        let mut theirs: Vec<_> = alive
            .iter()
            .filter(|(digest, entry)| whose.is(digest, &entry.sign_in.holder))
            .map(|(digest, entry)| (entry.sign_in.created, *digest))
            .collect();
        theirs.sort_unstable();
        let beyond = theirs.len().saturating_sub(keep);
        theirs.into_iter().take(beyond).map(|(_, digest)| digest).collect()
    }

    fn sweep(&self, now: Timestamp) {
        self.write().retain(|_, entry| !entry.has_ended(now));
    }

    fn take(&self, whose: Whose<'_>) -> Vec<(Digest, Entry)> {
        self.write().extract_if(|digest, entry| whose.is(digest, &entry.sign_in.holder)).collect()
    }

    fn restore(&self, entries: Vec<(Digest, Entry)>) {
        self.write().extend(entries);
    }

    fn insert(&self, digest: Digest, entry: Entry) {
        self.write().insert(digest, entry);
    }

    fn remove(&self, digest: &Digest) -> Option<Entry> {
        self.write().remove(digest)
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Digest, Entry>> {
        self.alive.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Digest, Entry>> {
        self.alive.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read_person(row: Columns<'_>) -> Result<Person> {
    Ok(Person {
        account: row.parsed("account")?,
        role: row.parsed("role")?,
        project: row.parsed("project_id")?,
        project_name: row.parsed("project_name")?,
    })
}

fn read_entry(row: Columns<'_>) -> Result<(Digest, Entry)> {
    let holder = match row.text_opt("account")? {
        Some(_) => Holder::Account(read_person(row)?),
        None => Holder::Key(Principal {
            key_id: row.parsed("key_id")?,
            project: row.parsed("project_id")?,
            project_name: row.parsed("project_name")?,
            scopes: row.json("scopes")?,
        }),
    };
    let sign_in = SignIn {
        holder,
        csrf_token: Secret::new(row.text("csrf_token")?),
        created: row.time("created_ns")?,
        expires: row.time("expires_ns")?,
    };
    Ok((row.digest("digest")?, Entry::new(sign_in, row.time("used_ns")?)))
}

#[cfg(test)]
mod tests;
