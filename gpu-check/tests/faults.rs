//! Devices on which something goes wrong: a fault, a crash or a hang costs the part of the checks in which it happens, and is
//! told with the kernel that it happens in. The driver is the emulation's but for launches of some functions. Skipped, saying
//! so, where there is no C++ compiler.

mod common;
#[path = "common/emulation.rs"]
mod emulation;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{gpu_check, text};
use emulation::emulation;

/// A driver whose launches of functions with a certain name go wrong.
const DRIVER: &str = r#"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <set>
#include <unistd.h>
static std::set<void*> bad;
static bool is_lost = false;
template <class F> static F real(const char* name, F) { return (F)dlsym(RTLD_NEXT, name); }
extern "C" int cuModuleGetFunction(void** function, void* module, const char* name) {
    const int answer = real("cuModuleGetFunction", cuModuleGetFunction)(function, module, name);
    if (answer == 0 && strncmp(name, getenv("FAULTY"), strlen(getenv("FAULTY"))) == 0) bad.insert(*function);
    return answer;
}
extern "C" int cuStreamCreate(void** stream, unsigned flags) {
    return is_lost ? 700 : real("cuStreamCreate", cuStreamCreate)(stream, flags);
}
extern "C" int cuLaunchKernel(void* function, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned f,
                              unsigned g, void* stream, void** arguments, void** extra) {
    if (bad.count(function)) {
        const char how = *getenv("FAULT");
        if (how == 'c') fprintf(stderr, "something is very wrong\n"), abort();
        if (how == 'h') for (;;) pause();
        is_lost = true;
    }
    if (is_lost) return 700;
    return real("cuLaunchKernel", cuLaunchKernel)(function, a, b, c, d, e, f, g, stream, arguments, extra);
}
"#;

/// The folder of that driver, and where the rest of the emulation is.
fn faulty(folder: &Path) -> Option<PathBuf> {
    let all = emulation()?;
    let source = folder.join("driver.cpp");
    std::fs::write(&source, DRIVER).unwrap();
    let built = Command::new("g++")
        .args(["-std=c++17", "-fPIC", "-shared", "-Wl,--no-as-needed", "-o"])
        .arg(folder.join("libcuda.so.1"))
        .arg(&source)
        .arg(format!("-Wl,-rpath,{}", all.display()))
        .arg(all.join("libcuda.so.1"))
        .arg("-ldl")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(PathBuf::from(std::env::join_paths([folder, &all]).unwrap()))
}

/// What `gpu-check` says of the items of the library whose names begin so, with drawn numbers going wrong.
fn checked(fault: &str, only: &str, more: &[&str]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let libraries = faulty(folder.path())?;
    let kept = folder.path().join("results.json");
    let arguments = [&["--json", kept.to_str().unwrap(), "--quick", "--only", only], more].concat();
    let output = gpu_check(&libraries, &arguments, &[("FAULTY", "draw_"), ("FAULT", fault)]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert_eq!(kept.matches("\"failed\"").count(), failed(&text).len(), "{kept}");
    assert!(kept.contains("\"complete\": true"), "{kept}");
    Some(text)
}

/// Runs the same without a fault, so that all texts are compiled.
fn compiled(only: &str) -> Option<()> {
    let folder = tempfile::tempdir().unwrap();
    let libraries = faulty(folder.path())?;
    let output = gpu_check(&libraries, &["--quick", "--only", only], &[("FAULTY", "no kernel"), ("FAULT", "none")]);
    assert!(output.status.success(), "{}", text(&output));
    Some(())
}

/// The names of what failed.
fn failed(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("FAILED ")?.split(':').next()).collect()
}

#[test]
fn a_fault_costs_the_part_that_it_happens_in_and_its_kernel_is_named() {
    let Some(text) = checked("fault", "std.D", &[]) else { return };
    // All kernels together, and the one of them.
    let [all, one] = failed(&text)[..] else { panic!("{text}") };
    assert_eq!(all, "std.Dropout.f32.gradient");
    assert!(one.starts_with("std.Dropout.f32.gradient.k") && one.ends_with(" dropout1.random"), "{text}");
    assert!(text.contains("cuLaunchKernel answers 700"), "{text}");
    // What lies behind in the list, and behind in the same model.
    assert!(text.contains("std.Delay.inference f32: ") && text.contains("std.Dropout.inference f32: "), "{text}");
}

#[test]
fn a_crash_is_told_with_what_the_process_said() {
    let Some(text) = checked("crash", "std.Dropout", &[]) else { return };
    let [all, one] = failed(&text)[..] else { panic!("{text}") };
    assert_eq!(all, "std.Dropout.f32, all kernels");
    assert!(one.ends_with(" dropout1.random"), "{text}");
    assert!(text.contains("the process died: signal: 6") && text.contains("something is very wrong"), "{text}");
    assert!(text.contains("std.Dropout.inference f32: "), "{text}");
}

#[test]
fn a_hang_ends() {
    // The limit is for what runs, not for compilers.
    let Some(_) = compiled("std.Dropout") else { return };
    let Some(text) = checked("hang", "std.Dropout", &["--limit", "30"]) else { return };
    assert_eq!(failed(&text).len(), 2, "{text}");
    assert!(text.contains("the process said nothing for 30 s (--limit) and was ended"), "{text}");
    assert!(text.contains("std.Dropout.inference f32: "), "{text}");
}

#[test]
fn in_one_process_a_fault_costs_all_that_follows() {
    let Some(text) = checked("fault", "std.D", &["--in-process"]) else { return };
    assert_eq!(failed(&text), ["std.Dropout.f32.gradient", "std.Dropout"], "{text}");
    assert!(!text.contains("std.Dropout.inference"), "{text}");
}
