//! An answer that goes into a file, which has its name when it is whole and not before.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use http::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::Error;
use crate::context::Context;
use crate::door::{Door, Pieces};
use crate::progress::Unit;

/// Asks for `path` and writes the answer to a file, or to standard output for `-`; `what` says what it is, for people.
///
/// # Errors
/// When the file cannot be written, or the answer breaks off; then there is no file.
pub async fn save(context: &Context, door: &Door, path: &str, to: &Path, what: &str) -> Result<(), Error> {
    if to == Path::new("-") {
        return print(door.ask(Method::GET, path, None).await?, what).await;
    }
    let mut file = Partial::create(to).await?;
    let mut pieces = door.ask(Method::GET, path, None).await?;
    let mut shown = context.progress.start(format!("exporting to {}", to.display()), Unit::Bytes);
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|cause| Error::doing(format!("reading {what} to their end"), cause))?;
        file.write(&piece).await?;
        bytes += piece.len() as u64;
        shown.update(bytes, 0, "writing");
    }
    file.finish().await?;
    shown.finish("done");
    context.printer.object(&json!({"file": to.display().to_string(), "bytes": bytes}))
}

async fn print(mut pieces: Pieces, what: &str) -> Result<(), Error> {
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|cause| Error::doing(format!("reading {what} to their end"), cause))?;
        std::io::stdout().lock().write_all(&piece).map_err(|cause| Error::Output { cause })?;
    }
    Ok(())
}

/// A file under a name that says it is not whole; removed when it does not get its own.
struct Partial {
    file: Option<tokio::fs::File>,
    temporary: PathBuf,
    path: PathBuf,
}

impl Partial {
    async fn create(path: &Path) -> Result<Self, Error> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(Error::Usage {
                problem: format!("{} is no name of a file", path.display()),
                help: "write it like --to export.jsonl, or --to - for standard output".to_owned(),
            });
        }
        name.push(format!(".partial-{}", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = tokio::fs::File::create(&temporary).await;
        let file = file.map_err(|cause| Error::doing(format!("creating {}", temporary.display()), cause))?;
        Ok(Self { file: Some(file), temporary, path: path.to_owned() })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).await.map_err(|cause| Error::doing(format!("writing {}", self.path.display()), cause))
    }

    async fn finish(mut self) -> Result<(), Error> {
        let failed = |cause| Error::doing(format!("writing {}", self.path.display()), cause);
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let named = async {
            file.flush().await?;
            file.sync_all().await?;
            tokio::fs::rename(&self.temporary, &self.path).await
        };
        let named: std::io::Result<()> = named.await;
        if named.is_err() {
            let _ = std::fs::remove_file(&self.temporary);
        }
        named.map_err(failed)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // It may never have been written; then there is nothing to remove.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}
