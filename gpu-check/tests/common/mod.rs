//! Runs `gpu-check` with chosen libraries in a process of its own, because a process looks for a device once.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `gpu-check` with these arguments, on nothing but the libraries of a folder.
pub fn gpu_check(libraries: &Path, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-check"));
    command.args(args).env("SNNC_CUDA_LIBS", libraries).env("SNNC_CACHE", "off").env_remove("SNNC_NO_GPU");
    command.envs(variables.iter().copied());
    command.output().expect("gpu-check starts")
}

/// What it printed.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// NVRTC of this repository or of the user; without it says so.
#[allow(dead_code, reason = "every test binary has this module, and not all need the compiler")]
pub fn nvrtc() -> Option<PathBuf> {
    let ours = root().join(".cache/nvrtc/nvidia/cu13/lib");
    let named = std::env::var_os("SNNC_NVRTC").map(PathBuf::from);
    let found = named.into_iter().chain([ours]).find(|folder| folder.join("libnvrtc.so.13").exists());
    if found.is_none() {
        eprintln!("skipped: there is no NVRTC in .cache/nvrtc, so no text is compiled by the real compiler");
    }
    found
}
