//! Where the files of a data set lie, and what to say when they do not.
//!
//! Must never know what is in the files.

use std::path::{Path, PathBuf};

use super::DatasetArgs;
use crate::error::{Result, RuntimeError};

/// What a source is asked to open.
pub(super) struct Request<'a> {
    /// The name of the source.
    pub source: &'static str,
    pub args: &'a DatasetArgs,
    pub base_dir: &'a Path,
    pub data_override: Option<&'a Path>,
}

/// A file that a data set needs: what it is for, and the names it may have.
pub(super) struct Wanted {
    pub role: &'static str,
    pub names: Vec<String>,
}

/// What a user needs to know to get the files.
pub(super) struct Origin {
    /// The folder in which archives of the data set unpack, tried too.
    pub subfolder: Option<&'static str>,
    /// The official names of the files and where they are published, in words.
    pub advice: &'static str,
}

impl Request<'_> {
    /// The positional argument.
    pub fn path(&self) -> Result<&str> {
        self.args.path.as_deref().ok_or_else(|| {
            RuntimeError::new(format!("the data set `{0}` needs a path, as in `{0}(\"data/{0}\")`", self.source))
        })
    }

    /// A named setting.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.args.settings.get(name).map(String::as_str)
    }

    /// A named setting that cannot be left out.
    pub fn required_setting(&self, name: &str) -> Result<&str> {
        self.setting(name)
            .ok_or_else(|| RuntimeError::new(format!("the data set `{}` needs the setting `{name}`", self.source)))
    }

    /// The places that `path` may mean, the likeliest first.
    pub fn places(&self, path: &str) -> Vec<PathBuf> {
        match self.data_override {
            None => vec![self.base_dir.join(path)],
            Some(folder) => match Path::new(path).file_name() {
                Some(last) => vec![folder.to_owned(), folder.join(last)],
                None => vec![folder.to_owned()],
            },
        }
    }

    /// A file given by its whole path.
    pub fn file(&self, path: &str) -> Result<PathBuf> {
        let places = self.places(path);
        places.iter().find(|place| place.is_file()).cloned().ok_or_else(|| {
            RuntimeError::new(format!("`{}`: there is no file {}", self.source, list(&places)))
                .with_help("paths are relative to the folder of the model's file; `--data DIR` overrides that")
        })
    }

    /// All wanted files, from one folder.
    pub fn files(&self, wanted: &[Wanted], origin: &Origin) -> Result<Vec<PathBuf>> {
        let mut folders = Vec::new();
        for place in self.places(self.path()?) {
            let subfolder = origin.subfolder.map(|subfolder| place.join(subfolder));
            folders.push(place);
            folders.extend(subfolder);
        }
        let mut nearest_miss: Option<(usize, &Path)> = None;
        for folder in &folders {
            let found: Vec<PathBuf> = wanted.iter().filter_map(|file| file.find(folder)).collect();
            if found.len() == wanted.len() {
                return Ok(found);
            }
            if folder.is_dir() && nearest_miss.is_none_or(|(most, _)| found.len() > most) {
                nearest_miss = Some((found.len(), folder));
            }
        }
        let problem = match nearest_miss {
            None => format!("`{}`: there is no folder {}", self.source, list(&folders)),
            Some((_, folder)) => {
                let missing: Vec<String> =
                    wanted.iter().filter(|file| file.find(folder).is_none()).map(Wanted::describe).collect();
                format!("`{}`: the folder `{}` lacks {}", self.source, folder.display(), missing.join(", "))
            }
        };
        Err(RuntimeError::new(problem)
            .with_help(format!("{}, or say where the files are with `--data DIR`", origin.advice)))
    }
}

impl Wanted {
    fn find(&self, folder: &Path) -> Option<PathBuf> {
        self.names.iter().map(|name| folder.join(name)).find(|path| path.is_file())
    }

    fn describe(&self) -> String {
        match self.names.first() {
            Some(name) => format!("`{name}` ({})", self.role),
            None => self.role.to_owned(),
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(" or ")
}
