//! Providers: upstreams that a project calls, and their secrets, encrypted at rest.
//!
//! A secret is sealed with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under a key derived from the master key.
//! Project, name and base URL are authenticated with it, so that a sealed secret moved to another row does not open;
//! and a provider whose base URL changes loses its secret, so that nobody can have it sent somewhere else.

use std::fmt;
use std::str::FromStr;

use qd_base::{ProjectId, ProviderName, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use url::Url;

use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::put::Put;
use crate::{Catalog, Error, Result, limit, project, sealed};

/// One project has at most this many providers.
pub const MAX_PROVIDERS: usize = 1000;
/// The longest secret.
pub const MAX_SECRET_BYTES: usize = 16 << 10;
/// The largest settings of one provider.
pub const MAX_SETTINGS_BYTES: usize = 64 << 10;
/// The longest base URL.
pub const MAX_URL_BYTES: usize = 2048;
/// The longest time-out, an hour: no call waits longer.
pub const MAX_TIMEOUT_MS: u32 = 3_600_000;

/// Where a provider's API begins: `https://api.openai.com/v1`. Without credentials, query and final slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The URL as text, without a final slash: a path is appended with one.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BaseUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = |why: &str| Error::invalid("base URL", why);
        limit::bytes("base URL", text.len(), MAX_URL_BYTES)?;
        let url = Url::parse(text).map_err(|cause| refused(&format!("cannot be read: {cause}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refused("must begin with https:// or http:// and name a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("must not hold credentials; give them as the provider's secret"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused("must not hold a query or a fragment"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for BaseUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Which API a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// OpenAI's, as vLLM, SGLang, Ollama, llama-server and most hosted services do.
    OpenAi,
}

impl ProviderKind {
    /// The kind in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
        }
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ProviderKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "openai" => Ok(Self::OpenAi),
            _ => Err(Error::not_found("kind of provider", limit::shorten(text, 80))),
        }
    }
}

/// What a provider is to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewProvider {
    /// Its name in `provider/model` and in routes.
    pub name: ProviderName,
    /// Which API it speaks.
    pub kind: ProviderKind,
    /// Where that API begins.
    pub base_url: BaseUrl,
    /// How long one attempt may take.
    pub timeout_ms: u32,
    /// What else there is to say, for the gateway to read.
    pub settings: Map<String, Value>,
}

/// What is to become of a provider's secret.
#[derive(Debug, Clone)]
pub enum SecretChange {
    /// It stays, unless the base URL changes: then it is dropped.
    Keep,
    /// It is this from now on.
    Set(Secret),
    /// There is none from now on.
    Drop,
}

/// A provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provider {
    /// The project that may call it.
    pub project: ProjectId,
    /// What it is.
    #[serde(flatten)]
    pub spec: NewProvider,
    /// Whether it has a secret, which [`Catalog::provider_secret`] opens.
    pub has_secret: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT project_id, name, kind, base_url, timeout_ms, settings, secret, created_ns, updated_ns FROM provider ",
            $rest
        )
    };
}

impl Catalog {
    /// Makes a provider, or changes the one of this name.
    ///
    /// # Errors
    /// [`Error::TooLarge`] and [`Error::Invalid`] beyond the limits of this module, [`Error::NotFound`] without the
    /// project.
    pub async fn put_provider(&self, project: ProjectId, spec: NewProvider, secret: SecretChange) -> Result<Provider> {
        self.store_provider(project, spec, secret, Put::Any).await
    }

    /// Makes a provider. Of several who make one of the same name at once, one succeeds.
    ///
    /// # Errors
    /// As [`Catalog::put_provider`], and [`Error::Exists`] when there is one of this name.
    pub async fn create_provider(
        &self,
        project: ProjectId,
        spec: NewProvider,
        secret: Option<Secret>,
    ) -> Result<Provider> {
        let secret = secret.map_or(SecretChange::Drop, SecretChange::Set);
        self.store_provider(project, spec, secret, Put::New).await
    }

    async fn store_provider(
        &self,
        project: ProjectId,
        spec: NewProvider,
        secret: SecretChange,
        put: Put,
    ) -> Result<Provider> {
        const OPERATION: &str = "changing a provider";
        check(&spec, &secret)?;
        let mut tx = self.db().begin(OPERATION).await?;
        project::require(&mut tx, project).await?;
        let before = find(&mut tx, project, &spec.name).await?;
        put.check("provider", &spec.name, before.is_some())?;
        if before.is_none() {
            project::room_for_one(
                &mut tx,
                project,
                "number of providers",
                "SELECT COUNT(*) AS n FROM provider WHERE project_id = $1",
                MAX_PROVIDERS,
            )
            .await?;
        }
        let sealed = self.next_secret(project, &spec, secret, before.as_ref());
        let now = Timestamp::now();
        let provider = Provider {
            project,
            spec,
            has_secret: sealed.is_some(),
            created: before.as_ref().map_or(now, |stored| stored.provider.created),
            updated: now,
        };
        let action = if before.is_some() { "update" } else { "create" };
        write(&mut tx, &Stored { provider: provider.clone(), sealed }).await?;
        self.note(&mut tx, action, "provider", provider.spec.name.as_str(), json!(provider)).await?;
        commit(tx, OPERATION).await?;
        self.routing_changed();
        Ok(provider)
    }

    /// One provider of a project.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn provider(&self, project: ProjectId, name: &ProviderName) -> Result<Provider> {
        Ok(self.stored_provider(project, name).await?.provider)
    }

    /// The secret of a provider, opened.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such provider, [`Error::Sealed`] when its secret was tampered with.
    pub async fn provider_secret(&self, project: ProjectId, name: &ProviderName) -> Result<Option<Secret>> {
        let Stored { provider, sealed } = self.stored_provider(project, name).await?;
        sealed.map(|sealed| open(&self.inner().sealing_key, &provider, &sealed)).transpose()
    }

    /// The providers of a project, or of all projects, by name.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn providers(&self, project: Option<ProjectId>) -> Result<Vec<Provider>> {
        let rows = sqlx::query(select!("WHERE $1 IS NULL OR project_id = $1 ORDER BY project_id, name"))
            .bind(project.map(|id| id.to_string()))
            .fetch_all(self.db().readers())
            .await
            .map_err(Error::database("listing providers"))?;
        column::all(&rows, |row| Ok(read(row)?.provider))
    }

    /// Removes a provider and its secret.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn remove_provider(&self, project: ProjectId, name: &ProviderName) -> Result<()> {
        const OPERATION: &str = "removing a provider";
        let mut tx = self.db().begin(OPERATION).await?;
        let gone = sqlx::query("DELETE FROM provider WHERE project_id = $1 AND name = $2")
            .bind(project.to_string())
            .bind(name.as_str())
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?
            .rows_affected();
        if gone == 0 {
            return Err(Error::not_found("provider", name));
        }
        self.note(&mut tx, "remove", "provider", name.as_str(), json!({ "project": project })).await?;
        commit(tx, OPERATION).await?;
        self.routing_changed();
        Ok(())
    }

    /// A counter that grows with each change to a provider or a [route](crate::route), for who keeps them in memory.
    pub fn watch_routing(&self) -> watch::Receiver<u64> {
        self.inner().routing_changed.subscribe()
    }

    pub(crate) fn routing_changed(&self) {
        self.inner().routing_changed.send_modify(|changes| *changes += 1);
    }

    async fn stored_provider(&self, project: ProjectId, name: &ProviderName) -> Result<Stored> {
        let row = sqlx::query(select!("WHERE project_id = $1 AND name = $2"))
            .bind(project.to_string())
            .bind(name.as_str())
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading a provider"))?
            .ok_or_else(|| Error::not_found("provider", name))?;
        read(Columns(&row))
    }

    fn next_secret(
        &self,
        project: ProjectId,
        spec: &NewProvider,
        change: SecretChange,
        before: Option<&Stored>,
    ) -> Option<Vec<u8>> {
        match change {
            SecretChange::Drop => None,
            SecretChange::Set(secret) => Some(seal(&self.inner().sealing_key, project, spec, &secret)),
            SecretChange::Keep => {
                before.filter(|stored| stored.provider.spec.base_url == spec.base_url)?.sealed.clone()
            }
        }
    }
}

fn check(spec: &NewProvider, secret: &SecretChange) -> Result<()> {
    limit::bytes("settings", json!(spec.settings).to_string().len(), MAX_SETTINGS_BYTES)?;
    if !(1..=MAX_TIMEOUT_MS).contains(&spec.timeout_ms) {
        return Err(Error::invalid("timeout_ms", format!("must be between 1 and {MAX_TIMEOUT_MS}")));
    }
    match secret {
        SecretChange::Set(secret) => limit::text("secret", secret.expose(), MAX_SECRET_BYTES),
        SecretChange::Keep | SecretChange::Drop => Ok(()),
    }
}

/// A provider as its row has it.
struct Stored {
    provider: Provider,
    sealed: Option<Vec<u8>>,
}

/// What is authenticated with a secret. No part can hold a line break, so no two providers share a text.
fn bound_to(project: ProjectId, spec: &NewProvider) -> String {
    format!("{project}\n{}\n{}", spec.name, spec.base_url)
}

fn seal(key: &[u8; 32], project: ProjectId, spec: &NewProvider, secret: &Secret) -> Vec<u8> {
    sealed::seal(key, &bound_to(project, spec), secret)
}

fn open(key: &[u8; 32], provider: &Provider, sealed: &[u8]) -> Result<Secret> {
    sealed::open(key, &bound_to(provider.project, &provider.spec), sealed)
        .ok_or_else(|| Error::Sealed { noun: "provider", name: provider.spec.name.to_string() })
}

async fn find(tx: &mut Tx, project: ProjectId, name: &ProviderName) -> Result<Option<Stored>> {
    let row = sqlx::query(select!("WHERE project_id = $1 AND name = $2"))
        .bind(project.to_string())
        .bind(name.as_str())
        .fetch_optional(&mut **tx)
        .await
        .map_err(Error::database("reading a provider"))?;
    row.map(|row| read(Columns(&row))).transpose()
}

async fn write(tx: &mut Tx, stored: &Stored) -> Result<()> {
    let Provider { project, spec, created, updated, .. } = &stored.provider;
    sqlx::query(
        "INSERT INTO provider (project_id, name, kind, base_url, timeout_ms, settings, secret, created_ns, updated_ns) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (project_id, name) DO UPDATE SET \
         kind = excluded.kind, base_url = excluded.base_url, timeout_ms = excluded.timeout_ms, \
         settings = excluded.settings, secret = excluded.secret, updated_ns = excluded.updated_ns",
    )
    .bind(project.to_string())
    .bind(spec.name.as_str())
    .bind(spec.kind.as_str())
    .bind(spec.base_url.as_str())
    .bind(spec.timeout_ms)
    .bind(json!(spec.settings).to_string())
    .bind(stored.sealed.as_deref())
    .bind(created.as_nanos())
    .bind(updated.as_nanos())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("changing a provider"))
}

fn read(row: Columns<'_>) -> Result<Stored> {
    let sealed = row.blob_opt("secret")?;
    let spec = NewProvider {
        name: row.parsed("name")?,
        kind: row.parsed("kind")?,
        base_url: row.parsed("base_url")?,
        timeout_ms: row.number("timeout_ms")?,
        settings: row.json("settings")?,
    };
    let provider = Provider {
        project: row.parsed("project_id")?,
        spec,
        has_secret: sealed.is_some(),
        created: row.time("created_ns")?,
        updated: row.time("updated_ns")?,
    };
    Ok(Stored { provider, sealed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{catalog, reopen};

    fn spec(name: &str, base_url: &str) -> NewProvider {
        NewProvider {
            name: name.parse().unwrap(),
            kind: ProviderKind::OpenAi,
            base_url: base_url.parse().unwrap(),
            timeout_ms: 30_000,
            settings: Map::from_iter([("region".to_owned(), json!("eu"))]),
        }
    }

    async fn put(catalog: &Catalog, spec: NewProvider, secret: SecretChange) -> Provider {
        catalog.put_provider(catalog.default_project().id, spec, secret).await.unwrap()
    }

    fn set(text: &str) -> SecretChange {
        SecretChange::Set(Secret::new(text))
    }

    async fn secret(catalog: &Catalog, name: &str) -> Result<Option<String>> {
        let secret = catalog.provider_secret(catalog.default_project().id, &name.parse().unwrap()).await?;
        Ok(secret.map(|secret| secret.expose().to_owned()))
    }

    #[tokio::test]
    async fn a_secret_is_sealed_on_disk_and_opens_again() {
        let (catalog, dir) = catalog().await;
        let made = put(&catalog, spec("acme", "https://api.acme.test/v1/"), set("sk-very-secret")).await;
        assert!(made.has_secret);
        assert_eq!(made.spec.base_url.as_str(), "https://api.acme.test/v1");
        catalog.close().await;
        let file = std::fs::read(dir.path().join("catalog.db")).unwrap();
        assert!(!file.windows(14).any(|window| window == b"sk-very-secret"));

        let catalog = reopen(dir.path()).await;
        assert_eq!(catalog.provider(made.project, &made.spec.name).await.unwrap(), made);
        assert_eq!(secret(&catalog, "acme").await.unwrap().as_deref(), Some("sk-very-secret"));
    }

    #[tokio::test]
    async fn a_new_base_url_drops_the_secret() {
        let (catalog, _dir) = catalog().await;
        put(&catalog, spec("acme", "https://api.acme.test/v1"), set("s")).await;
        let slower = NewProvider { timeout_ms: 60_000, ..spec("acme", "https://api.acme.test/v1/") };
        assert!(put(&catalog, slower, SecretChange::Keep).await.has_secret, "the same place, spelled otherwise");
        assert!(!put(&catalog, spec("acme", "https://evil.test/v1"), SecretChange::Keep).await.has_secret);
        assert_eq!(secret(&catalog, "acme").await.unwrap(), None);
        let back = put(&catalog, spec("acme", "https://api.acme.test/v1"), SecretChange::Keep).await;
        assert!(!back.has_secret, "going back does not bring it back");
        assert!(put(&catalog, spec("acme", "https://evil.test/v1"), set("theirs")).await.has_secret);
        assert!(!put(&catalog, spec("acme", "https://evil.test/v1"), SecretChange::Drop).await.has_secret);
    }

    #[tokio::test]
    async fn a_sealed_secret_opens_nowhere_else() {
        let (catalog, _dir) = catalog().await;
        put(&catalog, spec("acme", "https://api.acme.test/v1"), set("s")).await;
        put(&catalog, spec("evil", "https://evil.test/v1"), set("theirs")).await;
        let mut tx = catalog.db().begin("tampering").await.unwrap();
        sqlx::query(
            "UPDATE provider SET secret = (SELECT secret FROM provider WHERE name = 'acme') WHERE name = 'evil'",
        )
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query("UPDATE provider SET base_url = 'https://evil.test/v1' WHERE name = 'acme'")
            .execute(&mut *tx)
            .await
            .unwrap();
        commit(tx, "tampering").await.unwrap();
        for name in ["acme", "evil"] {
            let error = secret(&catalog, name).await.unwrap_err();
            assert!(matches!(error, Error::Sealed { .. }), "{error:?}");
        }
    }

    #[tokio::test]
    async fn providers_belong_to_a_project() {
        let (catalog, _dir) = catalog().await;
        let other = catalog.create_project(&"other".parse().unwrap()).await.unwrap().id;
        let mut changes = catalog.watch_routing();
        let made = put(&catalog, spec("acme", "https://api.acme.test/v1"), SecretChange::Keep).await;
        assert_eq!(*changes.borrow_and_update(), 1);
        assert!(catalog.provider(other, &made.spec.name).await.is_err());
        assert!(catalog.providers(Some(other)).await.unwrap().is_empty());
        assert_eq!(catalog.providers(None).await.unwrap(), std::slice::from_ref(&made));
        catalog.remove_provider(made.project, &made.spec.name).await.unwrap();
        assert!(changes.has_changed().unwrap());
        assert!(matches!(catalog.remove_provider(made.project, &made.spec.name).await, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn of_several_who_make_a_provider_one_succeeds() {
        let (catalog, _dir) = catalog().await;
        let project = catalog.default_project().id;
        let make = |n: usize| {
            let spec = spec("acme", &format!("https://{n}.acme.test/v1"));
            catalog.create_provider(project, spec, Some(Secret::new(format!("s{n}"))))
        };
        let made: Vec<_> = futures::future::join_all((0..8).map(make)).await;
        let (made, refused): (Vec<_>, Vec<_>) = made.into_iter().partition(Result::is_ok);
        assert!(refused.iter().all(|refused| matches!(refused, Err(Error::Exists { noun: "provider", .. }))));
        let made: Vec<Provider> = made.into_iter().map(Result::unwrap).collect();
        assert_eq!(catalog.providers(Some(project)).await.unwrap(), made);
        let place = made[0].spec.base_url.as_str();
        let kept = secret(&catalog, "acme").await.unwrap().unwrap();
        assert_eq!(place, format!("https://{}.acme.test/v1", &kept[1..]), "the secret is of whoever made it");
    }

    #[test]
    fn base_urls() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(text.parse::<BaseUrl>().ok().as_ref().map(BaseUrl::as_str), expected, "{text}");
        };
        check("HTTPS://API.openai.com:443/v1/", Some("https://api.openai.com/v1"));
        check("http://127.0.0.1:8000", Some("http://127.0.0.1:8000"));
        check("https://user:pass@host/v1", None);
        check("https://host/v1?key=x", None);
        check("file:///etc/passwd", None);
        check("data:text/plain,x", None);
        check("api.openai.com", None);
    }
}
