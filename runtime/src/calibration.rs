//! One measured choice of kernels for all runs of a user on a kind of machine.
//!
//! Measuring gives slightly different numbers every time, and bits depend on them. So they are measured once and kept in a
//! file that is never written again: of two runs that measure at the same time, both use what the first one wrote.
//! Must never know where a user keeps such files, nor models.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::device::{Isa, Kernels};
use crate::error::{Result, RuntimeError};
use crate::files;
use crate::hash::sha256;
use crate::kernels::Recorded;

/// What tells a file of ours from any other.
const FORMAT: &str = "snnc-calibration-2";

/// The content of a file.
#[derive(Serialize, Deserialize)]
struct Calibration {
    format: String,
    /// The machine, in words.
    machine: String,
    kernels: Recorded,
}

/// These kernels with the table that was measured for them on this kind of machine by this version of snnc; it is measured
/// now if `folder` has none yet.
///
/// # Errors
/// If the machine lacks the instructions, the file cannot be written, or holds something else.
pub fn calibrated(folder: &Path, version: &str, kernels: Kernels) -> Result<Kernels> {
    let machine = machine(kernels.isa)?;
    let path = path(folder, version, &machine, kernels);
    if !path.exists() {
        let crossovers = snn_jit::calibrate(kernels.isa, kernels.precise).map_err(failed)?;
        let measured =
            Calibration { format: FORMAT.to_owned(), machine, kernels: Recorded(Kernels { crossovers, ..kernels }) };
        let text = serde_json::to_string_pretty(&measured).map_err(failed)?;
        files::create(&path, (text + "\n").as_bytes())?;
    }
    read(&path).map(|kept| Kernels { crossovers: kept.crossovers, ..kernels })
}

/// The machine that these instructions are used on, in words: architecture, system, processor and vectors.
///
/// # Errors
/// If it lacks the instructions.
pub fn machine(isa: Isa) -> Result<String> {
    let vectors = isa.vectors().map_err(failed)?;
    let (architecture, system) = (std::env::consts::ARCH, std::env::consts::OS);
    Ok(format!("{architecture}-{system}, {}, {vectors}", processor()))
}

/// The name of the processor, where the system says.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    line.map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.trim().to_owned())
}

fn path(folder: &Path, version: &str, machine: &str, kernels: Kernels) -> PathBuf {
    let kind = format!("{FORMAT}\n{version}\n{machine}\n{}\n{}", kernels.isa.name(), kernels.precise);
    let mut name = sha256(kind.as_bytes());
    name.truncate(16);
    folder.join(format!("calibration-{name}.json"))
}

fn read(path: &Path) -> Result<Kernels> {
    let text = files::read_text(path)?;
    let kept: Option<Calibration> = serde_json::from_str(&text).ok();
    match kept.filter(|kept| kept.format == FORMAT) {
        Some(kept) => Ok(kept.kernels.0),
        None => Err(RuntimeError::new(format!("`{}` is no calibration of snnc", path.display()))),
    }
}

fn failed(error: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::new(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_file(folder: &Path) -> PathBuf {
        let files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[test]
    fn all_runs_read_what_the_first_one_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("new/folder");
        let runs: Vec<Kernels> = std::thread::scope(|scope| {
            let run = || calibrated(&folder, "1", Kernels::NATIVE).unwrap();
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
        let path = only_file(&folder);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"forward\": [", "\"forward\": [\n77, 78, 79], \"old\": [")).unwrap();
        let changed = calibrated(&folder, "1", Kernels::NATIVE).unwrap();
        assert_eq!(changed.crossovers.forward, [77, 78, 79], "not measured again");
        calibrated(&folder, "2", Kernels::NATIVE).unwrap();
        calibrated(&folder, "1", Kernels { precise: true, ..Kernels::NATIVE }).unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3, "a file a kind");
    }

    #[test]
    fn what_cannot_be_kept_or_read_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let occupied = dir.path().join("file");
        std::fs::write(&occupied, "").unwrap();
        calibrated(&occupied, "1", Kernels::NATIVE).unwrap_err();
        let folder = dir.path().join("folder");
        calibrated(&folder, "1", Kernels::NATIVE).unwrap();
        let path = only_file(&folder);
        for broken in ["", "{}", "[1, 2]", "{\"format\": \"snnc-calibration-2\"}"] {
            std::fs::write(&path, broken).unwrap();
            let error = calibrated(&folder, "1", Kernels::NATIVE).unwrap_err();
            assert!(error.message().contains("no calibration"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), broken, "nothing is overwritten");
        }
    }
}
