//! What this machine has that snnc can use, for people who wonder why it is used or not.
//!
//! Looks for CUDA, which nothing else does before it is asked for. Must never print.

use std::path::PathBuf;

use snn_runtime::calibration;
use snn_runtime::device::{Device, Isa, cuda_report};

use crate::kernels::cache_folder;

pub use snn_runtime::device::{Availability, CudaReport, DeviceInfo, FailedDevice, LibraryReport};

/// All that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// The version of snnc.
    pub version: &'static str,
    /// The processor in words: architecture, system, name and vectors.
    pub processor: String,
    /// Threads that it runs side by side.
    pub threads: usize,
    /// Where snnc keeps what it has measured and compiled; `None` if it keeps nothing.
    pub cache: Option<PathBuf>,
    /// CUDA: libraries, devices, what to do.
    pub cuda: CudaReport,
}

/// Looks at this machine. Whatever is missing is part of the answer.
pub fn diagnose() -> Diagnosis {
    Diagnosis {
        version: env!("CARGO_PKG_VERSION"),
        processor: calibration::machine(Isa::Native).unwrap_or_else(|error| error.to_string()),
        threads: Device::cpu(0).threads(),
        cache: cache_folder(),
        cuda: cuda_report(),
    }
}
