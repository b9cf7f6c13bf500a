//! Where the text of a program comes from: a file, a string, or the folder of a run.
//!
//! The one place that reads `.snn` files. Must never know what is in them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use snn_lang::source::Files;
use snn_runtime::RuntimeError;
use snn_runtime::run_dir::{Import, RunDir};

use crate::error::Result;

/// The largest file that is read as a program.
const MAX_BYTES: u64 = 16 << 20;

/// The text of a program and what it may refer to.
#[derive(Clone, Debug)]
pub struct Source {
    /// What messages call it.
    name: String,
    text: String,
    /// The folder that paths of data are relative to.
    base_dir: PathBuf,
    neighbors: Neighbors,
}

/// Where `use "other.snn"` finds its text.
#[derive(Clone, Debug)]
enum Neighbors {
    /// Nowhere: the program was given as text.
    None,
    /// In the file system, from the folder of the file.
    Disk,
    /// Among files that were read before.
    Stored(BTreeMap<String, String>),
}

impl Source {
    /// A file with the files beside it.
    ///
    /// # Errors
    /// If it cannot be read as text.
    pub fn from_file(path: &Path) -> Result<Source> {
        let text = read(path).map_err(|why| {
            RuntimeError::new(format!("cannot read `{}`: {why}", path.display()))
                .with_help("give the path of a .snn file")
        })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let base_dir = absolute(folder)?;
        Ok(Source { name: path.display().to_string(), text, base_dir, neighbors: Neighbors::Disk })
    }

    /// A text, called `name` in messages; paths of data are relative to the current folder.
    pub fn from_text(name: &str, text: &str) -> Source {
        let (name, text) = (name.to_owned(), text.to_owned());
        Source { name, text, base_dir: PathBuf::from("."), neighbors: Neighbors::None }
    }

    /// The program that a run was made from, from the run's own files.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn from_run(run: &RunDir) -> Result<Source> {
        let manifest = run.manifest()?;
        let stored = manifest.imports.into_iter().map(|import| (import.name, import.text)).collect();
        Ok(Source {
            name: manifest.model_file,
            text: run.model()?,
            base_dir: PathBuf::from(manifest.base_dir),
            neighbors: Neighbors::Stored(stored),
        })
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The folder that paths of data in the program are relative to.
    pub fn base_dir(&self) -> &Path {
        &self.base_dir
    }
}

/// Answers the compiler's questions for other files, and remembers the answers.
pub(crate) struct Reader<'a> {
    source: &'a Source,
    read: RefCell<BTreeMap<String, String>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a Source) -> Reader<'a> {
        Reader { source, read: RefCell::default() }
    }

    /// All files that were read, by name.
    pub(crate) fn into_imports(self) -> Vec<Import> {
        self.read.into_inner().into_iter().map(|(name, text)| Import { name, text }).collect()
    }
}

impl Files for Reader<'_> {
    fn read(&self, importing: &str, path: &str) -> Result<(String, String), String> {
        let folder = Path::new(importing).parent().unwrap_or(Path::new(""));
        let found = normalized(&folder.join(path));
        let name = found.display().to_string();
        let text = match &self.source.neighbors {
            Neighbors::None => {
                return Err(format!("the program was given as text, so there is no file `{path}` beside it"));
            }
            Neighbors::Disk => read(&found)?,
            Neighbors::Stored(files) => files.get(&name).cloned().ok_or("the run has no copy of it")?,
        };
        self.read.borrow_mut().insert(name.clone(), text.clone());
        Ok((name, text))
    }
}

/// A path without `.` and, as far as that can be told from the text alone, without `..`.
fn normalized(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(parts.components().next_back(), Some(Component::Normal(_))) => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| RuntimeError::io("find", path, &error).into())
}

/// The text of an ordinary file of reasonable size; says why there is none.
fn read(path: &Path) -> Result<String, String> {
    let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    if metadata.len() > MAX_BYTES {
        return Err(format!("it is larger than {} MiB", MAX_BYTES >> 20));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_the_same_however_they_are_reached() {
        for (path, expected) in [
            ("models/./a.snn", "models/a.snn"),
            ("models/../a.snn", "a.snn"),
            ("../../a.snn", "../../a.snn"),
            ("x/../../a.snn", "../a.snn"),
            ("/x/../a.snn", "/a.snn"),
        ] {
            assert_eq!(normalized(Path::new(path)), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn only_text_files_are_programs() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = dir.path().join("bytes");
        fs::write(&bytes, [0xff]).unwrap();
        for (path, why) in [(dir.path(), "not a file"), (&bytes, "not UTF-8"), (Path::new("none.snn"), "No such file")]
        {
            let error = Source::from_file(path).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(&path.display().to_string()), "{error}");
        }
    }

    #[test]
    fn what_was_read_can_be_read_again_from_a_copy() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("main.snn"), "main").unwrap();
        fs::write(dir.path().join("mine.snn"), "mine").unwrap();
        let source = Source::from_file(&dir.path().join("main.snn")).unwrap();
        let reader = Reader::new(&source);
        let (name, text) = reader.read(source.name(), "./mine.snn").unwrap();
        assert_eq!(text, "mine");
        assert!(reader.read(source.name(), "other.snn").is_err());
        let imports = reader.into_imports();
        let stored = imports.iter().map(|import| (import.name.clone(), import.text.clone())).collect();
        let copy = Source { neighbors: Neighbors::Stored(stored), ..source };
        assert_eq!(Reader::new(&copy).read(copy.name(), "mine.snn").unwrap(), (name, text));
        assert!(Reader::new(&copy).read(copy.name(), "main.snn").is_err());
    }
}
