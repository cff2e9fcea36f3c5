//! Data sets of the hub: looked up and fetched here, at the person's wish, so that no server fetches what a request names.
//!
//! What has come lies in the folder `hub` of the data folder, a folder for each commit. A fetch that was cut leaves its beginning
//! there, and the next one goes on with it; once a version has been made, the folder is removed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;

use qd_data::layout::{Wanted, choose, may_hold_rows};
use qd_model::hub::CONVERTED;
use qd_model::{Hub, HubDataset, HubDatasetId, HubFile, Progress};
use qd_net::Client;
use tokio_util::sync::CancellationToken;

use super::import::Local;
use crate::context::Context;
use crate::progress::Unit;
use crate::{Error, house};

/// What stands before the name of a data set of the hub.
const HUB: &str = "hub:";
/// The branch that is meant when none is said.
const MAIN: &str = "main";
/// What is fetched for one import at most.
const MOST_BYTES: u64 = 64 << 30;
/// With what the folder of a split begins of which the hub has converted the beginning only.
const PARTIAL: &str = "partial-";
/// The longest README that is fetched, of which the front matter is read.
const MOST_README_BYTES: u64 = 8 << 20;

/// A data set of the hub, as a person names it: `hub:openai/gsm8k`, with a revision `hub:openai/gsm8k@COMMIT`.
pub struct Named {
    id: HubDatasetId,
    revision: Option<String>,
}

/// Files that are here now.
pub struct Fetched {
    pub files: Vec<Local>,
    pub readme: Option<String>,
    /// The data set at its commit.
    pub source: String,
    /// Whether these files are what was wanted, whatever their names say: nobody has to choose among them again.
    pub are_chosen: bool,
    folder: PathBuf,
}

/// The data set that is named, if one is.
///
/// # Errors
/// [`Error::Usage`] for a name that is none.
pub fn named(files: &[PathBuf]) -> Result<Option<Named>, Error> {
    let Some(text) = files.iter().find_map(|file| file.to_str()?.strip_prefix(HUB)) else { return Ok(None) };
    let usage = |problem: String| Error::Usage {
        problem,
        help: "name one data set, as in hub:openai/gsm8k, perhaps with @ and a branch, tag or commit".to_owned(),
    };
    if files.len() > 1 {
        return Err(usage("a data set of the hub is imported by itself".to_owned()));
    }
    let (id, revision) = text.split_once('@').map_or((text, None), |(id, revision)| (id, Some(revision.to_owned())));
    let id = id.parse::<HubDatasetId>().map_err(|error| usage(error.to_string()))?;
    Ok(Some(Named { id, revision }))
}

/// Fetches the files that hold what is wanted.
///
/// # Errors
/// [`Error::Operation`] when there is no such data set, it is not for everybody, or the hub cannot be reached.
pub async fn fetch(
    context: &Context,
    named: &Named,
    (config, split): (Option<&str>, Option<&str>),
) -> Result<Fetched, Error> {
    let failed = |cause: qd_model::Error| Error::doing(format!("fetching {}", named.id), cause);
    let hub = Hub::as_configured().map_err(failed)?;
    let client = house::outbound(&context.resolved.config)?;
    let found = look(&hub, &client, named, (config, split)).await?;
    let bytes: u64 = found.files.iter().filter_map(|file| file.size_bytes).sum();
    if bytes > MOST_BYTES {
        return Err(Error::Usage {
            problem: format!(
                "{} files of {} have {bytes} bytes; {MOST_BYTES} are the most",
                found.files.len(),
                named.id
            ),
            help: "say which part is wanted with --subset and --split".to_owned(),
        });
    }
    let folder = context.data().join("hub").join(&found.dataset.commit);
    let shown = Mutex::new(context.progress.start(format!("fetching {} files", found.files.len()), Unit::Bytes));
    let (mut files, mut before) = (Vec::new(), 0);
    for file in &found.files {
        let report = |progress: Progress| {
            if let Ok(mut shown) = shown.lock() {
                shown.update(before + progress.done_bytes, bytes, &progress.item);
            }
        };
        let path = hub.fetch(&client, (&found.dataset, file), &folder, &report, &CancellationToken::new()).await;
        files.push(Local { path: path.map_err(failed)?, name: file.path.clone() });
        before += file.size_bytes.unwrap_or_default();
    }
    if let Ok(shown) = shown.into_inner() {
        shown.finish("done");
    }
    let Found { dataset, readme, are_converted, .. } = found;
    Ok(Fetched { files, readme, source: dataset.reference(), are_chosen: are_converted, folder })
}

impl Fetched {
    /// Removes what was fetched: a version has it now. Files of others that are fetched into the same folder stay.
    pub fn clear(&self) {
        for file in &self.files {
            if let Err(error) = std::fs::remove_file(&file.path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                eprintln!("{} could not be removed: {error}", file.path.display());
            }
        }
        let only_locks = |mut left: std::fs::ReadDir| {
            left.all(|entry| entry.is_ok_and(|entry| entry.path().extension().is_some_and(|ending| ending == "lock")))
        };
        if std::fs::read_dir(&self.folder).is_ok_and(only_locks) {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// What of a data set is wanted.
struct Found {
    dataset: HubDataset,
    readme: Option<String>,
    files: Vec<HubFile>,
    /// Whether they are what the hub has made of the data set's own.
    are_converted: bool,
}

/// Looks for the files: among the data set's own, or, where no revision was said, among what the hub has made of them.
async fn look(
    hub: &Hub,
    client: &Client,
    named: &Named,
    (config, split): (Option<&str>, Option<&str>),
) -> Result<Found, Error> {
    let failed = |cause: qd_model::Error| Error::doing(format!("looking for {}", named.id), cause);
    let revision = named.revision.as_deref().unwrap_or(MAIN);
    let dataset = hub.dataset(client, &named.id, revision).await.map_err(failed)?;
    let readme = match dataset.files.iter().find(|file| file.path == "README.md") {
        Some(file) => Some(hub.text(client, &dataset, file, MOST_README_BYTES).await.map_err(failed)?),
        None => None,
    };
    let readme = readme.as_deref().and_then(super::import::front_matter);
    let wanted = Wanted { readme: readme.as_deref(), config, split };
    let first = match chosen(&dataset.files, &wanted) {
        Ok(files) => return Ok(Found { dataset, readme, files, are_converted: false }),
        Err(error) => error,
    };
    let untold = || Error::doing(format!("looking into {}", named.id), first);
    if named.revision.is_some() {
        return Err(untold());
    }
    // Data sets whose files are of other kinds, or are made by a program, are there as Parquet too.
    let Ok(dataset) = hub.dataset(client, &named.id, CONVERTED).await else { return Err(untold()) };
    match within(&dataset.files, config).and_then(|files| of_split(files, split)) {
        Ok(files) => Ok(Found { dataset, readme: None, files, are_converted: true }),
        Err(why) => Err(Error::doing(format!("looking into {}", named.id), why)),
    }
}

fn chosen(files: &[HubFile], wanted: &Wanted<'_>) -> qd_data::Result<Vec<HubFile>> {
    let files: Vec<&HubFile> = files.iter().filter(|file| may_hold_rows(&file.path)).collect();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let chosen = choose(&paths, wanted)?;
    Ok(chosen.into_iter().map(|one| files[one.file].clone()).collect())
}

/// The converted files of one configuration, each of which has a folder there.
fn within(files: &[HubFile], config: Option<&str>) -> Result<Vec<HubFile>, String> {
    let of = |file: &HubFile| file.path.split_once('/').map(|(config, _)| config.to_owned());
    let there: BTreeSet<String> = files.iter().filter_map(of).collect();
    let usual = || match there.len() {
        1 => there.first().cloned(),
        _ => there.get("default").cloned(),
    };
    let wanted = config.map(str::to_owned).filter(|config| there.contains(config));
    match wanted.or_else(|| usual().filter(|_| config.is_none())) {
        Some(wanted) => Ok(files.iter().filter(|file| of(file).as_ref() == Some(&wanted)).cloned().collect()),
        None => {
            let names: Vec<&str> = there.iter().map(String::as_str).collect();
            Err(format!("say which subset is wanted: {}", names.join(" ")))
        }
    }
}

/// The converted files of one split, which has a folder of its own whatever it is called. Of what is too large the hub converts the beginning
/// only, into a folder that says so.
fn of_split(files: Vec<HubFile>, split: Option<&str>) -> Result<Vec<HubFile>, String> {
    let of = |file: &HubFile| file.path.split('/').nth(1).unwrap_or_default().to_owned();
    let files: Vec<HubFile> = files.into_iter().filter(|file| may_hold_rows(&file.path)).collect();
    let there: BTreeSet<String> = files.iter().map(of).collect();
    let names = || there.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let wanted = match (split, there.first()) {
        (Some(split), _) => split.to_owned(),
        (None, Some(only)) if there.len() == 1 => only.clone(),
        _ => return Err(format!("say which split is wanted: {}", names())),
    };
    if wanted.starts_with(PARTIAL) || there.contains(&format!("{PARTIAL}{wanted}")) {
        return Err(format!(
            "the hub has converted the beginning of {wanted:?} only; fetch its own files and import those"
        ));
    }
    match there.contains(&wanted) {
        true => Ok(files.into_iter().filter(|file| of(file) == wanted).collect()),
        false => Err(format!("there is no {wanted:?}; there are: {}", names())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_hub_are_told_from_files() {
        let read = |text: &str| named(&[PathBuf::from(text)]);
        let gsm8k = read("hub:openai/gsm8k@refs/pr/1").unwrap().unwrap();
        assert_eq!((gsm8k.id.to_string(), gsm8k.revision.as_deref()), ("openai/gsm8k".to_owned(), Some("refs/pr/1")));
        assert!(read("hub").unwrap().is_none() && read("./hub:x").unwrap().is_none());
        assert!(read("hub:https://example.org/x").is_err());
        assert!(named(&["a.csv".into(), "hub:a/b".into()]).is_err());
    }

    #[test]
    fn a_converted_data_set_has_a_folder_for_each_subset() {
        let file = |path: &str| HubFile { path: path.to_owned(), size_bytes: None, sha256: None };
        let files = [file("main/test/0000.parquet"), file("socratic/test/0000.parquet"), file("README.md")];
        assert_eq!(within(&files, Some("main")).unwrap(), files[..1]);
        assert_eq!(within(&files[..1], None).unwrap(), files[..1]);
        assert!(within(&files, None).unwrap_err().ends_with("main socratic"));
        assert!(within(&files, Some("other")).is_err());
    }

    #[test]
    fn a_split_of_a_converted_data_set_is_its_folder() {
        let file = |path: &str| HubFile { path: path.to_owned(), size_bytes: None, sha256: None };
        let files =
            || vec![file("d/train_gen/0.parquet"), file("d/train_sft/0.parquet"), file("d/partial-test/0.parquet")];
        assert_eq!(of_split(files(), Some("train_sft")).unwrap(), [file("d/train_sft/0.parquet")]);
        assert!(of_split(files(), None).unwrap_err().contains("partial-test train_gen train_sft"));
        assert!(of_split(files(), Some("train")).unwrap_err().contains("there is no"));
        for cut in ["test", "partial-test"] {
            assert!(of_split(files(), Some(cut)).unwrap_err().contains("beginning"));
        }
        assert_eq!(of_split(vec![file("d/all/0.parquet"), file("d/all/1.parquet")], None).unwrap().len(), 2);
    }
}
