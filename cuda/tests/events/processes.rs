//! Tests in processes of their own, on an emulated device: what a process finds out about devices it finds out once.

use std::env;
use std::process::Command;

use crate::emulation::emulation;

/// Says to a process that it was started for one test.
const ALONE: &str = "SNN_EVENTS_TEST_ALONE";

/// Schedules of threads: in order, in reverse, at random.
const SCHEDULES: [&str; 3] = ["0", "1", "7"];

/// Begins a line that must be the same in all schedules.
pub const BITS: &str = "bits ";

/// Runs a test of this program once for each schedule, in a process that finds an emulated device. True in such a process,
/// where the test goes on; false here, when it has passed everywhere.
pub fn in_all_schedules(test: &str) -> bool {
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let Some(libraries) = emulation() else { return false };
    let mut bits: Option<Vec<String>> = None;
    let compiled = tempfile::tempdir().unwrap();
    for schedule in SCHEDULES {
        let mut process = Command::new(env::current_exe().unwrap());
        process.args([test, "--exact", "--nocapture"]).env(ALONE, "1").env("SNN_EMULATION_SEED", schedule);
        process.env("SNNC_CUDA_LIBS", &libraries).env("SNNC_CACHE", compiled.path()).env_remove("SNNC_NO_GPU");
        let output = process.output().unwrap();
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{test}, schedule {schedule}:\n{said}\n{complained}");
        assert!(said.contains("1 passed"), "no test is called {test}:\n{said}");
        let found: Vec<String> = said.lines().filter(|line| line.starts_with(BITS)).map(str::to_owned).collect();
        assert!(!found.is_empty(), "{test} says no bits:\n{said}");
        assert_eq!(bits.get_or_insert_with(|| found.clone()), &found, "{test}, schedule {schedule}");
    }
    false
}
