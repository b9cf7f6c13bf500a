//! Where libraries lie: directories that the user names, the system's own, a toolkit's, those of Python's wheels.
//!
//! NVRTC comes with a library of built-in functions that it opens by its plain name; loaded before, by its path, it is found
//! whatever the search path says. Libraries stay loaded to the end of the process. Must never know what they hold.

#![allow(unsafe_code, reason = "loading a library runs its initializers")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};

/// Directories of libraries, separated as in `PATH`; each may be one that holds wheels of Python.
const NAMED: &str = "SNNC_CUDA_LIBS";

/// A library that is loaded.
pub(super) struct Found {
    pub library: Library,
    /// Its file, as far as it is known.
    pub path: PathBuf,
    /// Another file that it needs and that was loaded before.
    pub companion: Option<PathBuf>,
}

/// What is looked for.
pub(super) struct Wanted<'a> {
    /// Its files' names, the best first.
    pub names: &'a [&'a str],
    /// How the name of a file begins that must be loaded before it from the same directory.
    pub companion: Option<&'a str>,
    /// Whether wheels of Python have it.
    pub in_wheels: bool,
    /// What it is called in messages.
    pub title: &'a str,
}

/// Why there is no library.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// There is no such file.
    Missing,
    /// A file is there but cannot be loaded; the first one, and what the system says.
    Unusable(String),
}

impl Problem {
    /// The problem in words.
    pub fn describe(self, wanted: &Wanted<'_>) -> String {
        match self {
            Problem::Missing => format!("{} ({}) was not found", wanted.title, wanted.names.join(", ")),
            Problem::Unusable(message) => message,
        }
    }
}

/// The first library that loads: of the directories that the user names, of the system, of the usual directories. If there
/// is none, why.
pub(super) fn find(wanted: &Wanted<'_>) -> Result<Found, Problem> {
    let mut problem = None;
    let in_directories = |directories: Vec<PathBuf>, problem: &mut Option<String>| {
        directories.iter().find_map(|directory| in_directory(wanted, directory, problem))
    };
    in_directories(named_directories(), &mut problem)
        .or_else(|| wanted.names.iter().find_map(|name| of_the_system(name)))
        .or_else(|| in_directories(usual_directories(wanted.in_wheels), &mut problem))
        .ok_or_else(|| problem.map_or(Problem::Missing, Problem::Unusable))
}

/// The directories that are searched besides those of the system, in order.
pub(super) fn directories() -> Vec<PathBuf> {
    let mut all = named_directories();
    all.extend(usual_directories(true));
    all
}

fn in_directory(wanted: &Wanted<'_>, directory: &Path, problem: &mut Option<String>) -> Option<Found> {
    let path = wanted.names.iter().map(|name| directory.join(name)).find(|path| path.is_file())?;
    let companion = wanted.companion.and_then(|start| last_with_prefix(directory, start));
    if let Some(companion) = &companion {
        // What it lacks will be seen when the library that needs it is used.
        if let Ok(library) = load(companion, RTLD_GLOBAL) {
            std::mem::forget(library);
        }
    }
    match load(&path, if companion.is_some() { RTLD_GLOBAL } else { RTLD_LOCAL }) {
        Ok(library) => Some(Found { library, path, companion }),
        Err(message) => {
            problem.get_or_insert(format!("{} cannot be loaded: {message}", path.display()));
            None
        }
    }
}

fn of_the_system(name: &str) -> Option<Found> {
    let library = load(Path::new(name), RTLD_LOCAL).ok()?;
    let path = loaded_file(name).unwrap_or_else(|| PathBuf::from(name));
    Some(Found { library, path, companion: None })
}

fn load(path: &Path, visibility: i32) -> Result<Library, String> {
    // SAFETY: the user, or the directories of the system and of NVIDIA's packages, name a library of CUDA, whose
    // initializers may run at any time and in any thread.
    unsafe { Library::open(Some(path), RTLD_NOW | visibility) }.map_err(|error| error.to_string())
}

/// The file of a library that is loaded, from the list of what this process has mapped.
fn loaded_file(name: &str) -> Option<PathBuf> {
    let stem = name.split_once(".so").map_or(name, |(stem, _)| stem);
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let files = maps.lines().filter_map(|line| line.find('/').and_then(|at| line.get(at..)));
    files.map(Path::new).find(|file| is_version_of(file, stem)).map(Path::to_path_buf)
}

fn is_version_of(file: &Path, stem: &str) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.strip_prefix(stem)).is_some_and(|rest| rest.starts_with(".so"))
}

fn named_directories() -> Vec<PathBuf> {
    let named = env::var_os(NAMED).unwrap_or_default();
    env::split_paths(&named)
        .filter(|directory| !directory.as_os_str().is_empty())
        .flat_map(|directory| {
            let mut all = wheels(&directory);
            all.insert(0, directory);
            all
        })
        .collect()
}

fn usual_directories(with_wheels: bool) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for (name, libraries) in [("CUDA_HOME", "lib64"), ("CUDA_PATH", "lib64"), ("CONDA_PREFIX", "lib")] {
        all.extend(env::var_os(name).filter(|home| !home.is_empty()).map(|home| PathBuf::from(home).join(libraries)));
    }
    all.push(PathBuf::from("/usr/local/cuda/lib64"));
    if with_wheels {
        all.extend(python_path().iter().flat_map(|directory| wheels(directory)));
    }
    all.push(PathBuf::from("/usr/local/nvidia/lib64"));
    all.push(PathBuf::from("/usr/lib/wsl/lib"));
    all
}

/// The directories of libraries among the wheels of a directory of Python packages.
fn wheels(packages: &Path) -> Vec<PathBuf> {
    let libraries = entries(&packages.join("nvidia")).into_iter().map(|package| package.join("lib"));
    libraries.filter(|directory| directory.is_dir()).collect()
}

/// Where the active environment of Python and the Python of the search path look for packages, asked once.
fn python_path() -> &'static [PathBuf] {
    static PATH: OnceLock<Vec<PathBuf>> = OnceLock::new();
    PATH.get_or_init(|| {
        let mut all = Vec::new();
        if let Some(environment) = env::var_os("VIRTUAL_ENV") {
            let versions = entries(&PathBuf::from(environment).join("lib"));
            all.extend(versions.into_iter().map(|version| version.join("site-packages")));
        }
        let mut python = Command::new("python3");
        python.args(["-c", "import sys; print('\\n'.join(sys.path))"]).stdin(Stdio::null()).stderr(Stdio::null());
        if let Ok(answer) = python.output() {
            let lines = String::from_utf8_lossy(&answer.stdout).into_owned();
            all.extend(lines.lines().filter(|line| line.starts_with('/')).map(PathBuf::from));
        }
        all
    })
}

/// The last file of a directory, by name, whose name begins like this.
fn last_with_prefix(directory: &Path, prefix: &str) -> Option<PathBuf> {
    let begins =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(prefix));
    entries(directory).into_iter().rfind(begins)
}

/// What a directory holds, by name; nothing if it cannot be read.
pub(super) fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wheels_are_found_by_their_folders() {
        let packages = tempfile::tempdir().unwrap();
        for folder in ["nvidia/cu13/lib", "nvidia/cudnn/lib", "nvidia/empty", "other/cu13/lib"] {
            fs::create_dir_all(packages.path().join(folder)).unwrap();
        }
        let found = wheels(packages.path());
        let expected = ["nvidia/cu13/lib", "nvidia/cudnn/lib"].map(|folder| packages.path().join(folder));
        assert_eq!(found, expected);
        assert!(wheels(&packages.path().join("nothing")).is_empty());
    }

    #[test]
    fn the_newest_companion_is_taken_and_no_other_file() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["libb.so.13.0", "libb.so.13.2", "libb.alt.so.13.3", "liba.so.13.9"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(last_with_prefix(directory.path(), "libb.so.13."), Some(directory.path().join("libb.so.13.2")));
        assert_eq!(last_with_prefix(directory.path(), "libc"), None);
    }

    #[test]
    fn what_is_loaded_is_found_by_any_version() {
        assert!(is_version_of(Path::new("/a/libcuda.so.580.1"), "libcuda"));
        assert!(is_version_of(Path::new("/a/libcuda.so"), "libcuda"));
        assert!(!is_version_of(Path::new("/a/libcudart.so.13"), "libcuda"));
    }

    #[test]
    fn a_file_that_is_no_library_says_so() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("libx.so"), "no library").unwrap();
        let wanted = Wanted { names: &["libx.so"], companion: None, in_wheels: false, title: "x" };
        let mut problem = None;
        assert!(in_directory(&wanted, directory.path(), &mut problem).is_none());
        assert!(problem.unwrap().contains("libx.so cannot be loaded"));
        assert_eq!(Problem::Missing.describe(&wanted), "x (libx.so) was not found");
    }
}
