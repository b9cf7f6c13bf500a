//! The files of the repository, as the rules see them: relative paths and texts.
//!
//! Must never know a rule.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Folders that no commit holds, wherever they stand.
const NEVER_COMMITTED: &[&str] = &[".git", "target", "runs"];
/// Where users put data sets.
const DATA: &str = "data";
/// How folders of training runs end.
const RUN: &str = ".snn-run";

/// A text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The path from the root of the repository, with `/`.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl File {
    /// A file that a self-test plants.
    pub fn planted(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether it lies in that folder or below.
    pub fn is_under(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether its name ends in that extension.
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|own| own == extension)
    }

    /// The name without folders and extension.
    pub fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.split('.').next().unwrap_or(name)
    }
}

/// Every text file of the repository, by path.
pub static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let mut files = Vec::new();
    collect(&root(), "", &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
});

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// All Rust files.
pub fn rust_files() -> Vec<&'static File> {
    FILES.iter().filter(|file| file.has_extension("rs")).collect()
}

/// The text of a file that must exist.
pub fn text(path: &str) -> &'static str {
    let file = FILES.iter().find(|file| file.path == path);
    &file.unwrap_or_else(|| panic!("the repository has no {path}")).text
}

/// Fails with all violations at once.
pub fn assert_none(rule: &str, problems: &[String]) {
    assert!(problems.is_empty(), "{rule}:\n{}", problems.join("\n"));
}

/// Texts only: a file that is not UTF-8 is data and no rule's concern. Links are not followed.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            let skipped = NEVER_COMMITTED.contains(&name.as_str()) || name.ends_with(RUN) || path == DATA;
            if !skipped {
                collect(&entry.path(), &path, files);
            }
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.push(File { path, text });
        }
    }
}

#[test]
fn the_repository_is_read() {
    assert!(text("Cargo.toml").contains("[workspace]"));
    assert!(rust_files().len() > 50, "{} Rust files", rust_files().len());
    assert!(FILES.iter().all(|file| !file.path.starts_with("target/") && !file.path.starts_with(".git/")));
}

#[test]
fn paths_are_taken_apart() {
    let file = File::planted("graph/src/ops/scan.rs", "");
    assert!(file.is_under("graph/src/ops") && file.is_under("graph") && !file.is_under("graph/src/op"));
    assert!(file.has_extension("rs") && !file.has_extension("s"));
    assert_eq!(file.stem(), "scan");
}
