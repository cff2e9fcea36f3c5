//! Receivers: webhooks that are told of changes, each with a secret of its own that signs what it is sent.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use qd_base::{AlertName, ProjectId, Secret, Timestamp};
use serde::{Serialize, Serializer};
use serde_json::json;
use url::Url;

use crate::alert::AlertChange;
use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::{Catalog, Error, Result, limit, master, project, sealed};

/// One project has at most this many receivers.
pub const MAX_RECEIVERS: usize = 50;
/// The longest URL.
pub const MAX_URL_BYTES: usize = 2048;
/// What a secret begins with: Standard Webhooks 1.0.0, "Signature scheme", as are the lengths.
pub const SECRET_PREFIX: &str = "whsec_";
/// The shortest and the longest key in a secret.
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Where a webhook is posted to: `https://hooks.example.org/x?token=…`. It may hold a token, so it does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl(String);

impl HookUrl {
    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its scheme, host and port: what anybody may see of it.
    pub fn place(&self) -> String {
        Url::parse(&self.0).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
    }
}

impl FromStr for HookUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = |why: &str| Error::invalid("url", why);
        limit::bytes("url", text.len(), MAX_URL_BYTES)?;
        let url = Url::parse(text).map_err(|cause| refused(&format!("cannot be read: {cause}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refused("must begin with https:// or http:// and name a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("must not hold credentials"));
        }
        Ok(Self(url.into()))
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

/// In the audit log, too, only its place is told.
impl Serialize for HookUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.place())
    }
}

/// What a receiver is to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewReceiver {
    /// Its name.
    pub name: AlertName,
    /// Where it is told.
    pub url: HookUrl,
    /// Of which changes.
    pub changes: Vec<AlertChange>,
    /// Whether it is told nothing for now.
    pub disabled: bool,
}

/// What is to change about a receiver; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct ReceiverChange {
    /// Where it is told.
    pub url: Option<HookUrl>,
    /// Of which changes.
    pub changes: Option<Vec<AlertChange>>,
    /// Whether it is told nothing for now.
    pub disabled: Option<bool>,
    /// Another secret.
    pub secret: Option<Secret>,
}

/// A receiver, and how telling it went.
#[derive(Debug, Clone, PartialEq)]
pub struct Receiver {
    /// The project whose rules it is told of.
    pub project: ProjectId,
    /// What it is.
    pub spec: NewReceiver,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
    /// Messages that it took.
    pub delivered: u64,
    /// Attempts that failed since the last that did not.
    pub failures: u64,
    /// When it last took a message.
    pub last_success: Option<Timestamp>,
    /// When an attempt last failed.
    pub last_failure: Option<Timestamp>,
    /// Why.
    pub last_error: Option<String>,
    /// Messages that wait for it.
    pub waiting: u64,
}

/// A new secret: 32 bytes from the system's random source.
pub fn new_secret() -> Secret {
    Secret::new(format!("{SECRET_PREFIX}{}", STANDARD.encode(master::random::<32>())))
}

/// The key in a secret.
///
/// # Errors
/// [`Error::Invalid`] when it is not `whsec_` and the base64 of 24 to 64 bytes.
pub fn secret_key(secret: &Secret) -> Result<Vec<u8>> {
    let key = secret.expose().strip_prefix(SECRET_PREFIX).and_then(|text| STANDARD.decode(text).ok());
    key.filter(|key| SECRET_BYTES.contains(&key.len()))
        .ok_or_else(|| Error::invalid("secret", "must be whsec_ and the base64 of 24 to 64 random bytes"))
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT project_id, name, url, changes, disabled, secret, created_ns, updated_ns, delivered, failures, \
             last_success_ns, last_failure_ns, last_error, (SELECT COUNT(*) FROM alert_delivery \
             WHERE alert_delivery.project_id = alert_receiver.project_id AND receiver = name AND state = 'waiting') AS waiting \
             FROM alert_receiver ",
            $rest
        )
    };
}

impl Catalog {
    /// Makes a receiver. Of several who make one of the same name at once, one succeeds.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::TooLarge`] beyond the limits of this module, [`Error::Exists`] when there is one of
    /// this name, [`Error::NotFound`] without the project.
    pub async fn create_receiver(&self, project: ProjectId, spec: NewReceiver, secret: &Secret) -> Result<Receiver> {
        const OPERATION: &str = "making a receiver";
        check(&spec)?;
        secret_key(secret)?;
        let mut tx = self.db().begin(OPERATION).await?;
        project::require(&mut tx, project).await?;
        if find(&mut tx, project, &spec.name).await?.is_some() {
            return Err(Error::Exists { noun: "receiver", name: spec.name.to_string() });
        }
        project::room_for_one(
            &mut tx,
            project,
            "number of receivers",
            "SELECT COUNT(*) AS n FROM alert_receiver WHERE project_id = $1",
            MAX_RECEIVERS,
        )
        .await?;
        let sealed = self.seal_receiver(project, &spec.name, secret);
        let receiver = fresh(project, spec, Timestamp::now());
        write(&mut tx, &receiver, &sealed).await?;
        self.note(&mut tx, "create", "receiver", receiver.spec.name.as_str(), json!(receiver.spec)).await?;
        commit(tx, OPERATION).await?;
        Ok(receiver)
    }

    /// Changes a receiver.
    ///
    /// # Errors
    /// As [`Catalog::create_receiver`], and [`Error::NotFound`] when there is none.
    pub async fn change_receiver(
        &self,
        project: ProjectId,
        name: &AlertName,
        change: ReceiverChange,
    ) -> Result<Receiver> {
        const OPERATION: &str = "changing a receiver";
        change.secret.as_ref().map(secret_key).transpose()?;
        let mut tx = self.db().begin(OPERATION).await?;
        let Stored { receiver, sealed } = find(&mut tx, project, name).await?.ok_or_else(|| missing(name))?;
        let spec = NewReceiver {
            name: name.clone(),
            url: change.url.unwrap_or(receiver.spec.url),
            changes: change.changes.unwrap_or(receiver.spec.changes),
            disabled: change.disabled.unwrap_or(receiver.spec.disabled),
        };
        check(&spec)?;
        let sealed = change.secret.map_or(sealed, |secret| self.seal_receiver(project, name, &secret));
        let receiver = Receiver { spec, updated: Timestamp::now(), ..receiver };
        write(&mut tx, &receiver, &sealed).await?;
        self.note(&mut tx, "update", "receiver", name.as_str(), json!(receiver.spec)).await?;
        commit(tx, OPERATION).await?;
        // One that is switched on again has messages waiting.
        self.outbox_changed();
        Ok(receiver)
    }

    /// The receivers of a project, by name.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn receivers(&self, project: ProjectId) -> Result<Vec<Receiver>> {
        let rows = sqlx::query(select!("WHERE project_id = $1 ORDER BY name"))
            .bind(project.to_string())
            .fetch_all(self.db().readers())
            .await
            .map_err(Error::database("listing receivers"))?;
        column::all(&rows, |row| Ok(read(row)?.receiver))
    }

    /// One receiver of a project.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn receiver(&self, project: ProjectId, name: &AlertName) -> Result<Receiver> {
        Ok(self.stored_receiver(project, name).await?.receiver)
    }

    /// The secret that signs what a receiver is sent.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such receiver, [`Error::Sealed`] when its secret was tampered with.
    pub async fn receiver_secret(&self, project: ProjectId, name: &AlertName) -> Result<Secret> {
        let Stored { sealed, .. } = self.stored_receiver(project, name).await?;
        sealed::open(&self.inner().receivers_key, &bound_to(project, name), &sealed)
            .ok_or_else(|| Error::Sealed { noun: "receiver", name: name.to_string() })
    }

    /// Removes a receiver, its secret and what waits for it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn remove_receiver(&self, project: ProjectId, name: &AlertName) -> Result<()> {
        const OPERATION: &str = "removing a receiver";
        let mut tx = self.db().begin(OPERATION).await?;
        let gone = sqlx::query("DELETE FROM alert_receiver WHERE project_id = $1 AND name = $2")
            .bind(project.to_string())
            .bind(name.as_str())
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?
            .rows_affected();
        if gone == 0 {
            return Err(missing(name));
        }
        self.note(&mut tx, "remove", "receiver", name.as_str(), json!({ "project": project })).await?;
        commit(tx, OPERATION).await
    }

    async fn stored_receiver(&self, project: ProjectId, name: &AlertName) -> Result<Stored> {
        let row = sqlx::query(select!("WHERE project_id = $1 AND name = $2"))
            .bind(project.to_string())
            .bind(name.as_str())
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading a receiver"))?
            .ok_or_else(|| missing(name))?;
        read(Columns(&row))
    }

    fn seal_receiver(&self, project: ProjectId, name: &AlertName, secret: &Secret) -> Vec<u8> {
        sealed::seal(&self.inner().receivers_key, &bound_to(project, name), secret)
    }
}

/// What is authenticated with a secret. The secret is not sent, so another URL is no reason to drop it.
fn bound_to(project: ProjectId, name: &AlertName) -> String {
    format!("{project}\n{name}")
}

fn missing(name: &AlertName) -> Error {
    Error::not_found("receiver", name)
}

fn check(spec: &NewReceiver) -> Result<()> {
    match spec.changes.is_empty() {
        true => Err(Error::invalid("changes", "must name at least one, for instance firing and resolved")),
        false => limit::count("changes", spec.changes.len(), AlertChange::ALL.len()),
    }
}

fn fresh(project: ProjectId, spec: NewReceiver, now: Timestamp) -> Receiver {
    Receiver {
        project,
        spec,
        created: now,
        updated: now,
        delivered: 0,
        failures: 0,
        last_success: None,
        last_failure: None,
        last_error: None,
        waiting: 0,
    }
}

/// A receiver as its row has it.
struct Stored {
    receiver: Receiver,
    sealed: Vec<u8>,
}

async fn find(tx: &mut Tx, project: ProjectId, name: &AlertName) -> Result<Option<Stored>> {
    let row = sqlx::query(select!("WHERE project_id = $1 AND name = $2"))
        .bind(project.to_string())
        .bind(name.as_str())
        .fetch_optional(&mut **tx)
        .await
        .map_err(Error::database("reading a receiver"))?;
    row.map(|row| read(Columns(&row))).transpose()
}

async fn write(tx: &mut Tx, receiver: &Receiver, sealed: &[u8]) -> Result<()> {
    let Receiver { project, spec, created, updated, .. } = receiver;
    sqlx::query(
        "INSERT INTO alert_receiver (project_id, name, url, changes, disabled, secret, created_ns, updated_ns) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (project_id, name) DO UPDATE SET url = excluded.url, \
         changes = excluded.changes, disabled = excluded.disabled, secret = excluded.secret, \
         updated_ns = excluded.updated_ns",
    )
    .bind(project.to_string())
    .bind(spec.name.as_str())
    .bind(spec.url.as_str())
    .bind(json!(spec.changes).to_string())
    .bind(i64::from(spec.disabled))
    .bind(sealed)
    .bind(created.as_nanos())
    .bind(updated.as_nanos())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("changing a receiver"))
}

fn read(row: Columns<'_>) -> Result<Stored> {
    let spec = NewReceiver {
        name: row.parsed("name")?,
        url: row.parsed("url")?,
        changes: row.json("changes")?,
        disabled: row.flag("disabled")?,
    };
    let receiver = Receiver {
        project: row.parsed("project_id")?,
        spec,
        created: row.time("created_ns")?,
        updated: row.time("updated_ns")?,
        delivered: row.count("delivered")?,
        failures: row.count("failures")?,
        last_success: row.time_opt("last_success_ns")?,
        last_failure: row.time_opt("last_failure_ns")?,
        last_error: row.text_opt("last_error")?,
        waiting: row.count("waiting")?,
    };
    Ok(Stored { receiver, sealed: row.blob("secret")? })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::{catalog, reopen};

    pub(crate) fn spec(name: &str) -> NewReceiver {
        NewReceiver {
            name: name.parse().unwrap(),
            url: "https://hooks.example.test/in?token=t0ken".parse().unwrap(),
            changes: vec![AlertChange::Firing, AlertChange::Resolved],
            disabled: false,
        }
    }

    #[tokio::test]
    async fn a_receiver_is_kept_changed_and_removed() {
        let (catalog, dir) = catalog().await;
        let project = catalog.default_project().id;
        let (name, secret): (AlertName, _) = ("ops".parse().unwrap(), new_secret());
        let made = catalog.create_receiver(project, spec("ops"), &secret).await.unwrap();
        assert!(matches!(catalog.create_receiver(project, spec("ops"), &secret).await, Err(Error::Exists { .. })));
        assert_eq!(catalog.receiver_secret(project, &name).await.unwrap(), secret);
        let change = ReceiverChange { disabled: Some(true), ..ReceiverChange::default() };
        let changed = catalog.change_receiver(project, &name, change).await.unwrap();
        assert_eq!((changed.created, changed.spec.disabled, &changed.spec.url), (made.created, true, &made.spec.url));
        assert_eq!(catalog.receiver_secret(project, &name).await.unwrap(), secret, "what is absent stays");
        let other = new_secret();
        assert_ne!(other, secret);
        let change = ReceiverChange { secret: Some(other.clone()), ..ReceiverChange::default() };
        catalog.change_receiver(project, &name, change).await.unwrap();
        catalog.close().await;

        let catalog = reopen(dir.path()).await;
        assert_eq!(catalog.receiver_secret(project, &name).await.unwrap(), other);
        assert_eq!(catalog.receivers(project).await.unwrap().len(), 1);
        catalog.remove_receiver(project, &name).await.unwrap();
        assert!(matches!(catalog.remove_receiver(project, &name).await, Err(Error::NotFound { .. })));
        assert!(matches!(catalog.receiver_secret(project, &name).await, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn neither_secret_nor_token_is_told() {
        let (catalog, _dir) = catalog().await;
        let catalog = catalog.acting("operator").unwrap();
        let secret = new_secret();
        let made = catalog.create_receiver(catalog.default_project().id, spec("ops"), &secret).await.unwrap();
        let shown = format!("{made:?} {}", json!(made.spec));
        assert!(!shown.contains("t0ken") && shown.contains("https://hooks.example.test"), "{shown}");
        let log = catalog.audit_log(&crate::AuditFilter::default(), crate::Page::default()).await.unwrap();
        let log = format!("{:?}", log.items);
        assert!(log.contains("\"ops\"") && !log.contains("t0ken") && !log.contains(secret.expose()), "{log}");
    }

    #[tokio::test]
    async fn a_secret_that_is_moved_does_not_open() {
        let (catalog, _dir) = catalog().await;
        let project = catalog.default_project().id;
        for name in ["one", "two"] {
            catalog.create_receiver(project, spec(name), &new_secret()).await.unwrap();
        }
        let mut tx = catalog.db().begin("tampering").await.unwrap();
        sqlx::query("UPDATE alert_receiver SET secret = (SELECT secret FROM alert_receiver WHERE name = 'one')")
            .execute(&mut *tx)
            .await
            .unwrap();
        commit(tx, "tampering").await.unwrap();
        let refused = catalog.receiver_secret(project, &"two".parse().unwrap()).await;
        assert!(matches!(refused, Err(Error::Sealed { .. })));
    }

    #[test]
    fn secrets_have_a_form() {
        assert_eq!(secret_key(&new_secret()).unwrap().len(), 32);
        // Python: base64.b64encode(bytes(range(24)))
        let least = Secret::new("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX");
        assert_eq!(secret_key(&least).unwrap(), (0..24).collect::<Vec<u8>>());
        for wrong in ["", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "whsec_AAEC", "whsec_!"] {
            assert!(secret_key(&Secret::new(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_a_url_is_refused() {
        for wrong in ["", "hooks.example.test", "ftp://x.test", "https://a:b@x.test/", "https://"] {
            assert!(wrong.parse::<HookUrl>().is_err(), "{wrong}");
        }
        let long = format!("https://x.test/{}", "x".repeat(MAX_URL_BYTES));
        assert!(long.parse::<HookUrl>().is_err());
        assert_eq!("http://10.0.0.7:8080/hook".parse::<HookUrl>().unwrap().place(), "http://10.0.0.7:8080");
    }
}
