//! Processes of their own, and libraries that stand in for CUDA's.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Says to a process that it was started for one test.
const ALONE: &str = "SNN_CUDA_TEST_ALONE";
/// What would lead a test to other libraries than its own.
const LEADING_ASTRAY: [&str; 10] = [
    "SNNC_ACCELERATORS",
    "SNNC_NO_GPU",
    "SNNC_CUDA_LIBS",
    "SNNC_CACHE",
    "CUDA_HOME",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "SNN_EMULATION_CAPABILITY",
    "SNN_EMULATION_SANITIZE",
    "SNN_EMULATION_SEED",
];

/// Variables of the environment.
pub type Variables<'a> = &'a [(&'a str, &'a OsStr)];

/// Whether this process was started for one test; then everything that it needs is there.
pub fn is_alone() -> bool {
    env::var_os(ALONE).is_some()
}

/// Runs a test of this program, `module::name`, once more in a process of its own with these variables. True in that
/// process, where the test goes on; false here, when it has passed there.
pub fn alone(test: &str, variables: Variables<'_>) -> bool {
    if is_alone() {
        return true;
    }
    let output = process(test).envs(variables.iter().copied()).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{test}:\n{said}\n{complained}");
    assert!(said.contains("1 passed"), "no test is called {test}:\n{said}");
    assert!(!complained.contains("not freed"), "{test}:\n{complained}");
    // Behind the name of the test on its line.
    said.lines()
        .filter_map(|line| line.find("skipped: ").and_then(|at| line.get(at..)))
        .for_each(|line| println!("{line}"));
    false
}

/// A process that runs one test of this program, without what would lead it astray.
pub fn process(test: &str) -> Command {
    let mut process = Command::new(env::current_exe().unwrap());
    process.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(ALONE, "1");
    for name in LEADING_ASTRAY {
        process.env_remove(name);
    }
    // No Python, so that nothing is found that happens to be installed.
    process.env("PATH", "").env("SNNC_CACHE", "off");
    process
}

/// The C++ compiler, if there is one.
pub fn cxx() -> Option<PathBuf> {
    let directories = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&directories).map(|directory| directory.join("g++")).find(|path| path.is_file())
}

/// The search path with which a fake NVRTC finds its compiler.
pub fn search_path() -> OsString {
    env::var_os("PATH").unwrap_or_default()
}

/// A directory with a driver and an NVRTC that run on the processor; nothing, with a line that says so, where there is no
/// C++ compiler.
pub fn fakes() -> Option<&'static Path> {
    static FAKES: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = FAKES.get_or_init(|| {
        if is_alone() {
            // The process that started this one has built them.
            return Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("emulation"));
        }
        build()
    });
    built.as_deref()
}

fn build() -> Option<PathBuf> {
    /// The answer of the script where there is no compiler.
    const SKIPPED: i32 = 77;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("emulation/build.sh");
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("emulation");
    let output = Command::new(script).arg(&directory).output().unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(SKIPPED) {
        println!("skipped: {}", complained.trim());
        return None;
    }
    assert!(output.status.success(), "{complained}");
    Some(directory)
}

/// Builds a library from C++ text; `needed` is one whose functions it has besides, except for those that it defines itself.
pub fn library(directory: &Path, name: &str, text: &str, needed: Option<&Path>) -> PathBuf {
    let source = directory.join(format!("{name}.cpp"));
    fs::write(&source, text).unwrap();
    let path = directory.join(name);
    let mut command = Command::new(cxx().unwrap());
    command.args(["-std=c++17", "-fPIC", "-shared", "-o"]).arg(&path).arg(&source);
    if let Some(needed) = needed {
        let folder = needed.parent().unwrap().to_str().unwrap();
        command.args(["-Wl,--no-as-needed", &format!("-Wl,-rpath,{folder}")]).arg(needed);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    path
}

/// A directory with a driver like the fake one but for these functions, before that of the fake NVRTC.
pub fn altered_fakes(directory: &Path, functions: &str) -> OsString {
    altered(directory, "libcuda.so.1", functions);
    env::join_paths([directory, fakes().unwrap()]).unwrap()
}

/// Puts a library into a directory that is like a fake one but for these functions.
pub fn altered(directory: &Path, name: &str, functions: &str) {
    library(directory, name, functions, Some(&fakes().unwrap().join(name)));
}
