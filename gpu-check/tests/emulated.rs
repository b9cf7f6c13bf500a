//! Every kernel of every kind of network and of every item of the standard library on a device that the processor
//! emulates, against the interpreter; trainings beside those of the CPU. Skipped, saying so, where there is no C++ compiler.

mod common;
#[path = "common/emulation.rs"]
mod emulation;

use std::process::Command;

use common::{gpu_check, text};
use emulation::emulation;

const NETWORKS: [&str; 6] =
    ["digits_mlp", "tdbn_small", "neunorm_small", "noise_small", "recurrent_small", "exact_small"];

/// Runs checks in that many schedules of threads, all of which must pass; gives how many each was.
fn checks(args: &[&str], variables: &[(&str, &str)], seeds: &[&str]) -> usize {
    let Some(libraries) = emulation() else { return usize::MAX };
    let mut passed = 0;
    for seed in seeds {
        let mut all = vec![("SNN_EMULATION_SEED", *seed)];
        all.extend(variables);
        let output = gpu_check(&libraries, args, &all);
        let text = text(&output);
        assert!(output.status.success(), "schedule {seed}:\n{text}");
        assert!(text.starts_with("device: CPU emulation"), "{text}");
        let last = text.lines().last().unwrap_or_default();
        assert!(last.ends_with(" 0 failed, 0 skipped"), "schedule {seed}:\n{text}");
        passed = last.split(' ').next().unwrap().parse().unwrap();
    }
    passed
}

#[test]
fn digits_learn_as_on_the_processor_in_every_precision_and_schedule() {
    assert!(checks(&["--only", "digits_mlp"], &[], &["0", "1", "7"]) > 150);
}

#[test]
fn networks_agree_with_the_interpreter_in_every_precision() {
    for network in ["tdbn_small", "neunorm_small", "noise_small", "recurrent_small", "exact_small"] {
        assert!(checks(&["--only", network], &[], &["3"]) > 100, "{network}");
    }
}

#[test]
fn text_for_later_devices_gives_the_same() {
    let later = [("SNN_EMULATION_CAPABILITY", "9.0")];
    for network in ["digits_mlp", "tdbn_small"] {
        assert!(checks(&["--only", network], &later, &["2"]) > 100, "{network}");
    }
}

#[test]
fn every_item_of_the_library_agrees_with_the_interpreter() {
    assert!(checks(&["--quick", "--only", "std."], &[], &["5"]) > 150);
}

/// Kernels that reach outside of what is theirs may compute the right numbers.
#[test]
fn no_network_reaches_outside_of_its_memory() {
    let Some(library) = sanitizer("libasan.so") else { return };
    let address = [("SNN_EMULATION_SANITIZE", "address"), ("LD_PRELOAD", &library), ("ASAN_OPTIONS", "detect_leaks=0")];
    for network in NETWORKS {
        assert!(checks(&["--quick", "--only", network], &address, &["1"]) > 30, "{network}");
    }
}

/// So may those that read vectors that are not aligned, or shift by too much.
#[test]
fn no_network_does_what_the_language_leaves_open() {
    let undefined = ("SNN_EMULATION_SANITIZE", "undefined");
    for network in NETWORKS {
        assert!(checks(&["--quick", "--only", network], &[undefined], &["1"]) > 30, "{network}");
    }
    let later = [undefined, ("SNN_EMULATION_CAPABILITY", "9.0")];
    assert!(checks(&["--quick", "--only", "tdbn_small"], &later, &["1"]) > 30);
}

/// The compiler's library of that name; where it cannot be loaded before a program, says so.
fn sanitizer(name: &str) -> Option<String> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".into());
    let found = Command::new(compiler).arg(format!("-print-file-name={name}")).output();
    let path = found.ok().and_then(|output| String::from_utf8(output.stdout).ok())?.trim().to_owned();
    let tried = Command::new("true").env("LD_PRELOAD", &path).output().ok();
    if tried.is_none_or(|output| !output.status.success() || !output.stderr.is_empty()) {
        eprintln!("skipped: {name} cannot be loaded here, so no network runs under it");
        return None;
    }
    Some(path)
}
