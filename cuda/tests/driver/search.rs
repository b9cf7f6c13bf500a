//! Libraries are found where they usually lie.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use snn_cuda::Compiler;

use crate::support::{alone, fakes, is_alone};

/// Where the library is expected, for the process of its own.
const EXPECTED: &str = "SNN_CUDA_TEST_EXPECTED";

/// Whether NVRTC is found in a folder of `place`, to which a variable leads.
fn is_found(test: &str, folder: &str, variable: &str, value: &str) {
    let Some(fakes) = fakes() else { return };
    let place = tempfile::tempdir().unwrap();
    let (folder, value) = (place.path().join(folder), place.path().join(value));
    if !is_alone() {
        fs::create_dir_all(&folder).unwrap();
        fs::copy(fakes.join("libnvrtc.so.13"), folder.join("libnvrtc.so.13")).unwrap();
        let python = place.path().join("bin/python3");
        fs::create_dir_all(place.path().join("bin")).unwrap();
        fs::write(&python, format!("#!/bin/sh\necho {}\n", place.path().join("packages").display())).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let library = folder.join("libnvrtc.so.13");
    if alone(test, &[(variable, value.as_os_str()), (EXPECTED, library.as_os_str()), ("SNNC_NO_GPU", OsStr::new("1"))])
    {
        let found = Compiler::open().unwrap().path();
        let expected = env::var_os(EXPECTED).unwrap();
        if found == expected.as_os_str() {
            return;
        }
        // What the system has comes before what usual directories have, but not before what the user names.
        assert!(variable != "SNNC_CUDA_LIBS" && !found.starts_with(env::temp_dir()), "{}", found.display());
        println!("skipped: this machine has NVRTC, {}", found.display());
    }
}

#[test]
fn in_a_directory_that_the_user_names() {
    is_found("search::in_a_directory_that_the_user_names", "own", "SNNC_CUDA_LIBS", "own");
}

#[test]
fn among_wheels_that_the_user_names() {
    is_found("search::among_wheels_that_the_user_names", "own/nvidia/cu13/lib", "SNNC_CUDA_LIBS", "own");
}

#[test]
fn on_the_search_path_of_the_system() {
    is_found("search::on_the_search_path_of_the_system", "system", "LD_LIBRARY_PATH", "system");
}

#[test]
fn in_a_toolkit() {
    is_found("search::in_a_toolkit", "toolkit/lib64", "CUDA_HOME", "toolkit");
}

#[test]
fn in_an_environment_of_python() {
    let folder = "env/lib/python3.12/site-packages/nvidia/cu13/lib";
    is_found("search::in_an_environment_of_python", folder, "VIRTUAL_ENV", "env");
}

#[test]
fn where_python_looks_for_packages() {
    is_found("search::where_python_looks_for_packages", "packages/nvidia/cuda_nvrtc/lib", "PATH", "bin");
}
