//! The versions of prompts that the catalog keeps, answered from memory.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use qd_base::ProjectId;
use qd_catalog::{ArtifactKind, Catalog, VersionInfo, VersionRef};
use tokio::sync::watch;

use crate::reference::Reference;
use crate::{Error, Prompt, Result};

/// Answers that are kept in memory, and the content of all of them; when there is more, all are read anew.
const MAX_KEPT: usize = 4096;
const MAX_KEPT_BYTES: u64 = 32 << 20;

/// A version with its content.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Everything about it.
    pub info: VersionInfo,
    /// What it says.
    pub prompt: Prompt,
}

/// Finds versions of prompts. Cheap to clone; all clones share what they know.
#[derive(Clone)]
pub struct Prompts {
    inner: Arc<Inner>,
}

struct Inner {
    catalog: Catalog,
    /// How often an artifact has changed: what was read before a change is not used after it.
    changes: watch::Receiver<u64>,
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// The count of changes that the answers belong to.
    as_of: u64,
    answers: HashMap<(ProjectId, String), Arc<Stored>>,
    size_bytes: u64,
}

impl Prompts {
    /// The prompts of this catalog.
    pub fn new(catalog: Catalog) -> Self {
        let changes = catalog.watch_artifacts();
        Self { inner: Arc::new(Inner { catalog, changes, known: RwLock::default() }) }
    }

    /// The version that `reference` means now. A label that has moved is seen at once: whoever moves one in this process
    /// is told so only when answers from before are not used any more.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none, [`Error::Stored`] when it cannot be read.
    pub async fn get(&self, project: ProjectId, reference: &Reference) -> Result<Arc<Stored>> {
        let key = (project, reference.to_string());
        let now = *self.inner.changes.borrow();
        if let Some(found) = self.inner.recall(now, &key) {
            return Ok(found);
        }
        let found = Arc::new(self.read(project, reference).await?);
        self.inner.keep(now, key, &found);
        Ok(found)
    }

    async fn read(&self, project: ProjectId, reference: &Reference) -> Result<Stored> {
        let version = |which: VersionRef| async move {
            self.inner.catalog.version(project, ArtifactKind::Prompt, &reference.name, &which).await
        };
        let (meant, otherwise) = reference.meant();
        let found = match (version(meant).await, otherwise) {
            (Err(qd_catalog::Error::NotFound { .. }), Some(other)) => version(other).await?,
            (found, _) => found?,
        };
        let prompt = serde_json::from_slice(&found.content).map_err(|cause| Error::Stored {
            name: found.info.name.to_string(),
            number: found.info.number,
            cause,
        })?;
        Ok(Stored { info: found.info, prompt })
    }
}

impl Inner {
    fn recall(&self, now: u64, key: &(ProjectId, String)) -> Option<Arc<Stored>> {
        let known = self.known.read();
        known.answers.get(key).filter(|_| known.as_of == now).cloned()
    }

    /// Keeps an answer that was read when `now` changes had been made: a change since makes it useless.
    fn keep(&self, now: u64, key: (ProjectId, String), found: &Arc<Stored>) {
        let mut known = self.known.write();
        if known.as_of > now {
            return;
        }
        let size_bytes = found.info.size_bytes;
        if known.as_of < now || known.answers.len() >= MAX_KEPT || known.size_bytes + size_bytes > MAX_KEPT_BYTES {
            *known = Known { as_of: now, ..Known::default() };
        }
        known.size_bytes += size_bytes;
        known.answers.insert(key, found.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use qd_catalog::MasterKey;
    use serde_json::json;

    use super::*;

    async fn prompts() -> (Prompts, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(dir.path(), MasterKey::generate()).await.unwrap();
        (Prompts::new(catalog), dir)
    }

    impl Prompts {
        async fn put(&self, text: &str) -> u32 {
            let content = Prompt::text(text, Vec::new()).to_content();
            let catalog = &self.inner.catalog;
            let project = catalog.default_project().id;
            let name = "greeting".parse().unwrap();
            let put = catalog.put_version(project, ArtifactKind::Prompt, &name, &content, json!({}), &[]).await;
            put.unwrap().info.number
        }

        async fn label(&self, from: Option<u32>, to: u32) {
            let catalog = &self.inner.catalog;
            let project = catalog.default_project().id;
            let (name, label) = ("greeting".parse().unwrap(), "production".parse().unwrap());
            catalog.set_label(project, ArtifactKind::Prompt, &name, &label, from, to).await.unwrap();
        }

        async fn found(&self, reference: &str) -> Option<u32> {
            let project = self.inner.catalog.default_project().id;
            let found = self.get(project, &reference.parse().unwrap()).await;
            found.ok().map(|stored| stored.info.number)
        }
    }

    #[tokio::test]
    async fn a_bare_name_means_production_and_without_it_the_latest() {
        let (prompts, _dir) = prompts().await;
        assert_eq!(prompts.found("greeting").await, None);
        prompts.put("one").await;
        prompts.put("two").await;
        assert_eq!(prompts.found("greeting").await, Some(2));
        prompts.label(None, 1).await;
        assert_eq!(prompts.found("greeting").await, Some(1));
        assert_eq!(prompts.found("greeting@latest").await, Some(2));
        assert_eq!(prompts.found("greeting@2").await, Some(2));
        assert_eq!(prompts.found("greeting@3").await, None);
        assert_eq!(prompts.found("greeting@staging").await, None);
    }

    /// Of versions that are each half of what may be kept no three are.
    #[tokio::test]
    async fn what_is_kept_is_bounded_in_bytes() {
        let (prompts, _dir) = prompts().await;
        let project = prompts.inner.catalog.default_project().id;
        prompts.put("one").await;
        let one = prompts.get(project, &"greeting".parse().unwrap()).await.unwrap();
        let mut half = Stored::clone(&one);
        half.info.size_bytes = MAX_KEPT_BYTES / 2;
        let (half, now) = (Arc::new(half), *prompts.inner.changes.borrow());
        for name in ["a", "b", "c"] {
            prompts.inner.keep(now, (project, name.to_owned()), &half);
            let known = prompts.inner.known.read();
            assert!(known.size_bytes <= MAX_KEPT_BYTES && known.answers.len() <= 2, "{}", known.size_bytes);
        }
        assert!(prompts.inner.recall(now, &(project, "c".to_owned())).is_some(), "the last one is there");
    }

    /// Somebody who moves a label goes away in the middle, each time a little later. The label is moved or it is not, and what
    /// is in memory is what is in the file.
    #[tokio::test]
    async fn whoever_goes_away_leaves_nothing_stale() {
        let (prompts, _dir) = prompts().await;
        let (catalog, project) = (&prompts.inner.catalog, prompts.inner.catalog.default_project().id);
        let (name, label) = ("greeting".parse().unwrap(), "production".parse().unwrap());
        prompts.put("one").await;
        prompts.put("two").await;
        prompts.label(None, 1).await;
        let mut at = 1;
        for polls in 1.. {
            assert_eq!(prompts.found("greeting@production").await, Some(at));
            let moving = catalog.set_label(project, ArtifactKind::Prompt, &name, &label, Some(at), 3 - at);
            let ended = polled(moving, polls).await;
            // It is written after what was left to be written.
            catalog.create_project(&format!("p{polls}").parse().unwrap()).await.unwrap();
            at = catalog.labels(project, ArtifactKind::Prompt, &name).await.unwrap()[0].number;
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
            assert_eq!(prompts.found("greeting@production").await, Some(at), "after {polls} polls");
            if ended {
                // How often it waits depends on the machine; once it does.
                assert!(polls > 1, "it was left in the middle");
                break;
            }
        }
    }

    /// Polls so many times at most. Says whether it ended; dropped is it in any case.
    async fn polled<T>(future: impl Future<Output = T>, mut polls: u32) -> bool {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|context| {
            polls -= 1;
            match future.as_mut().poll(context) {
                Poll::Ready(_) => Poll::Ready(true),
                Poll::Pending if polls == 0 => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    #[tokio::test]
    async fn a_change_is_seen_at_once_and_without_one_nothing_is_read() {
        let (prompts, _dir) = prompts().await;
        let project = prompts.inner.catalog.default_project().id;
        prompts.put("one").await;
        prompts.label(None, 1).await;
        let reference = "greeting@production".parse().unwrap();
        let first = prompts.get(project, &reference).await.unwrap();
        assert!(Arc::ptr_eq(&first, &prompts.get(project, &reference).await.unwrap()), "it is answered from memory");
        prompts.put("two").await;
        prompts.label(Some(1), 2).await;
        assert_eq!(prompts.get(project, &reference).await.unwrap().info.number, 2);
        prompts.inner.catalog.remove_artifact(project, ArtifactKind::Prompt, &reference.name).await.unwrap();
        assert!(prompts.get(project, &reference).await.is_err());
    }
}
