//! Reading and writing whole files: what is written is seen whole or not at all, what is read is a file and nothing else.
//!
//! Must never know what is in the files.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Result, RuntimeError};

/// The content of an ordinary file; pipes and devices are refused, because reading them may never end.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    open(path)?;
    fs::read(path).map_err(|error| RuntimeError::io("read", path, &error))
}

/// The content of an ordinary file as text.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|error| RuntimeError::new(format!("`{}` is not UTF-8 text: {error}", path.display())))
}

/// Opens an ordinary file and tells its length.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    let fail = |error| RuntimeError::io("read", path, &error);
    let metadata = fs::metadata(path).map_err(fail)?;
    if !metadata.is_file() {
        return Err(RuntimeError::new(format!("`{}` is not a file", path.display())));
    }
    Ok((File::open(path).map_err(fail)?, metadata.len()))
}

/// Replaces the content of `path`, through a temporary file in the same folder.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = temporary_name(path);
    let written = write_durably(&temporary, content).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        // The first error is the one worth reporting.
        let _ = fs::remove_file(&temporary);
        RuntimeError::io("write", path, &error)
    })
}

/// Creates a file with its content, and the folders that it is in. Where there is one, it stays as it is.
pub(crate) fn create(path: &Path, content: &[u8]) -> Result<()> {
    let fail = |error| RuntimeError::io("write", path, &error);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    let temporary = temporary_name(path);
    // A second name for a file can be given to only one of several that try, unlike a new name.
    let linked = write_durably(&temporary, content).and_then(|()| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(fail),
    }
}

fn write_durably(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Hidden, and different for every thread and process that writes to the folder.
fn temporary_name(path: &Path) -> PathBuf {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{}.{write}.tmp", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_replaced_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_created_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new").join("a.json");
        create(&path, b"one").unwrap();
        create(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        create(&path.join("below"), b"").unwrap_err();
    }

    #[test]
    fn only_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).unwrap_err().message().contains("is not a file"));
        assert!(read(&dir.path().join("none")).unwrap_err().message().contains("cannot read"));
        let path = dir.path().join("bytes");
        write(&path, &[0xFF]).unwrap();
        assert_eq!(read(&path).unwrap(), [0xFF]);
        assert!(read_text(&path).unwrap_err().message().contains("is not UTF-8"));
    }

    #[test]
    fn failure_names_the_file_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let error = write(&dir.path().join("missing").join("a"), b"").unwrap_err();
        assert!(error.message().contains("missing"), "{error}");
        let occupied = dir.path().join("folder");
        fs::create_dir(&occupied).unwrap();
        fs::write(occupied.join("x"), b"").unwrap();
        write(&occupied, b"").unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
