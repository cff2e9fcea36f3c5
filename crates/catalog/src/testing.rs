//! The one door of this crate's tests: a catalog in a folder of its own.

use std::path::Path;

use tempfile::TempDir;

use crate::{Catalog, MasterKey};

/// A key that tests share, so that a catalog can be opened again.
pub(crate) fn master() -> MasterKey {
    "07".repeat(32).parse().expect("32 bytes")
}

/// A new catalog; it is gone when the folder is dropped.
pub(crate) async fn catalog() -> (Catalog, TempDir) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    (reopen(dir.path()).await, dir)
}

/// The catalog in this folder.
pub(crate) async fn reopen(dir: &Path) -> Catalog {
    Catalog::open(dir, master()).await.expect("the catalog opens")
}
