//! Model files that lie on this machine already: looked at before the network is.
//!
//! A file is a candidate for a model's file when it has the same size; whether it is that file is decided
//! where every source is judged, by its SHA-256.

use std::fs;
use std::path::{Path, PathBuf};

use qd_model::{Alternative, Catalogue, Source};

use crate::Error;

/// Folders are looked into this deep: the mirror itself and one folder for each model.
const DEPTH: u32 = 2;

/// Puts the files of `mirror` in front of the other sources of what they may be; an empty path is no mirror.
///
/// # Errors
/// When the folder cannot be read.
pub fn add(catalogue: &mut Catalogue, mirror: &Path) -> Result<(), Error> {
    if mirror.as_os_str().is_empty() {
        return Ok(());
    }
    let found = fs::canonicalize(mirror)
        .and_then(|mirror| files(&mirror, DEPTH))
        .map_err(|cause| Error::doing(format!("reading the models' mirror {}", mirror.display()), cause))?;
    for file in catalogue.entries.iter_mut().flat_map(|entry| &mut entry.files) {
        let same_size = found.iter().filter(|(_, size_bytes)| *size_bytes == file.size_bytes);
        let sources = same_size.map(|(path, _)| Alternative::Whole(Source::File(path.clone())));
        file.sources.splice(0..0, sources);
    }
    Ok(())
}

fn files(folder: &Path, depth: u32) -> std::io::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let metadata = fs::metadata(&path)?;
        if metadata.is_file() {
            found.push((path, metadata.len()));
        } else if metadata.is_dir() && depth > 1 {
            found.extend(files(&path, depth - 1)?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_right_size_come_first() {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(folder.path().join("a")).expect("writable");
        fs::write(folder.path().join("a/right"), [0; 7]).expect("writable");
        fs::write(folder.path().join("wrong"), [0; 8]).expect("writable");
        let digest = "0".repeat(64);
        let mut catalogue = Catalogue::parse(&format!(
            "[[model]]\nname = 'm'\ndescription = ''\nkind = 'chat'\nformat = 'gguf'\nlicence = ''\ncontext = 1\n\
             [[model.file]]\nname = 'm.gguf'\nsize_bytes = 7\nsha256 = '{digest}'\nsources = ['file:/elsewhere']\n"
        ))
        .expect("a sound catalogue");
        add(&mut catalogue, folder.path()).expect("readable");
        let sources: Vec<_> =
            catalogue.entries[0].files[0].sources.iter().map(|source| source.parts()[0].to_string()).collect();
        let right = folder.path().canonicalize().expect("it is there").join("a/right");
        assert_eq!(sources, [format!("file:{}", right.display()), "file:/elsewhere".to_owned()]);
    }
}
