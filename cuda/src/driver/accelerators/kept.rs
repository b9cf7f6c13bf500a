//! Who was faster, kept in the user's cache: measured once for a device, versions and a contraction.
//!
//! An entry is written once and never again: of two processes that measure at the same time, both use what the first one
//! wrote. What cannot be kept is measured again by the next process. Must never know how it is measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use crate::accelerators::Winner;
use crate::driver::cache::{self, Key};
use crate::error::CudaError;

/// What tells an entry of ours from any other file.
const FORMAT: &str = "snnc-product-1";

/// The winner that is kept, else the one that is measured now, which is kept.
pub(super) fn winner(key: &str, measure: impl FnOnce() -> Result<Winner, CudaError>) -> Result<Winner, CudaError> {
    winner_in(cache::of_the_user().map(|folder| folder.join("products")).as_deref(), key, measure)
}

fn winner_in(
    folder: Option<&Path>,
    key: &str,
    measure: impl FnOnce() -> Result<Winner, CudaError>,
) -> Result<Winner, CudaError> {
    let path = folder.map(|folder| folder.join(Key::new(key, &[]).text()));
    if let Some(kept) = path.as_deref().and_then(|path| read(path, key)) {
        return Ok(kept);
    }
    let measured = measure()?;
    let Some(path) = path else { return Ok(measured) };
    // Where it cannot be kept, what was measured serves.
    Ok(write(&path, key, measured).ok().and_then(|()| read(&path, key)).unwrap_or(measured))
}

fn read(path: &Path, key: &str) -> Option<Winner> {
    let text = fs::read_to_string(path).ok()?;
    let (heading, rest) = text.split_once('\n')?;
    let (format, winner) = heading.split_once(' ')?;
    if format != FORMAT || rest.trim_end() != key {
        return None;
    }
    [Winner::Ours, Winner::Library].into_iter().find(|known| name(*known) == winner)
}

/// Writes an entry unless there is one.
fn write(path: &Path, key: &str, winner: Winner) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let own = PathBuf::from(format!("{}.{}", path.display(), process::id()));
    let linked =
        fs::write(&own, format!("{FORMAT} {}\n{key}\n", name(winner))).and_then(|()| fs::hard_link(&own, path));
    let _ = fs::remove_file(&own);
    match linked {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

fn name(winner: Winner) -> &'static str {
    match winner {
        Winner::Ours => "ours",
        Winner::Library => "library",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_use_what_the_first_one_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/products");
        let ask = |key: &str, measured| winner_in(Some(&folder), key, || Ok(measured)).unwrap();
        assert_eq!(ask("one", Winner::Library), Winner::Library);
        assert_eq!(ask("one", Winner::Ours), Winner::Library, "not measured again");
        assert_eq!(ask("other", Winner::Ours), Winner::Ours);
        let files = || fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        assert_eq!(files().len(), 2, "nothing is left beside the entries");
        for file in files() {
            fs::write(file, "snnc-product-1 library\nanother\n").unwrap();
        }
        assert_eq!(ask("one", Winner::Ours), Winner::Ours, "an entry of something else is not used");
        assert_eq!(winner_in(None, "one", || Ok(Winner::Library)), Ok(Winner::Library));
        let failed = CudaError::OutOfMemory { asked: 1, free: None };
        assert_eq!(winner_in(Some(&folder), "third", || Err(failed.clone())), Err(failed));
    }
}
