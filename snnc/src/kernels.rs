//! Which kernels compute: what a user asks for, and the table that was measured on this machine.
//!
//! Must never print, nor know the command line.

use std::env;
use std::path::PathBuf;

use snn_runtime::calibration;
use snn_runtime::device::{Isa, Kernels, SpikeKernels};

use crate::error::{Error, Result};

/// What is asked of kernels; what is not asked for stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelChoice {
    /// The instructions to use.
    pub isa: Option<Isa>,
    /// How contractions of spikes are computed.
    pub spikes: Option<SpikeKernels>,
    /// Whether convolutions keep to plain sums.
    pub precise: Option<bool>,
}

/// Kernels with what was in the way of a measured table.
pub type Calibrated = (Kernels, Option<Error>);

impl KernelChoice {
    /// Other kernels with what is asked for.
    pub fn over(&self, kernels: Kernels) -> Kernels {
        Kernels {
            isa: self.isa.unwrap_or(kernels.isa),
            spikes: self.spikes.unwrap_or(kernels.spikes),
            precise: self.precise.unwrap_or(kernels.precise),
            ..kernels
        }
    }

    /// The usual kernels with what is asked for, by the table of the user's cache, which is measured once for a kind of
    /// machine and a version of snnc. Where that cannot be, by the built-in table, and the reason is given too.
    ///
    /// # Errors
    /// If this machine lacks the instructions.
    pub fn calibrated(&self) -> Result<Calibrated> {
        let kernels = self.over(Kernels::NATIVE);
        calibration::machine(kernels.isa).map_err(|error| {
            Error::from(error.with_help("take `--isa native` for what this machine has, or `--isa baseline`"))
        })?;
        let Some(folder) = cache_folder().filter(|_| kernels.spikes == SpikeKernels::Auto) else {
            return Ok((kernels, None));
        };
        Ok(match calibration::calibrated(&folder, env!("CARGO_PKG_VERSION"), kernels) {
            Ok(kernels) => (kernels, None),
            Err(error) => (kernels, Some(error.into())),
        })
    }
}

/// The folder of the user's cache for snnc: `SNNC_CACHE`, or `snnc` in `XDG_CACHE_HOME` or in `~/.cache`; none if it is `off`.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    match env::var_os("SNNC_CACHE").filter(|path| !path.is_empty()) {
        Some(path) if path == "off" => None,
        Some(path) => Some(PathBuf::from(path)),
        None => absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|folder| folder.join(".cache")))
            .map(|folder| folder.join("snnc")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_stays() {
        let before = Kernels { isa: Isa::Baseline, spikes: SpikeKernels::Sparse, precise: true, ..Kernels::NATIVE };
        assert_eq!(KernelChoice::default().over(before), before);
        let asked = KernelChoice { isa: Some(Isa::Native), precise: Some(false), ..KernelChoice::default() };
        assert_eq!(asked.over(before), Kernels { spikes: SpikeKernels::Sparse, ..Kernels::NATIVE });
    }
}
