//! Spiking Heidelberg Digits: the name is known, its HDF5 files are not read yet.
//!
//! Must never pretend: opening it explains what to do instead.

use super::Source;
use crate::error::RuntimeError;

/// `shd("folder")`: spoken digits as spikes of 700 units, 20 classes.
pub(super) const SOURCE: Source = Source {
    name: "shd",
    takes_path: true,
    settings: &[],
    open: |_| {
        Err(RuntimeError::new("`shd` cannot be read: this version of snnc has no reader for HDF5 files").with_help(
            "save each sample in Python as train/CLASS/NAME.npz or test/CLASS/NAME.npz with vectors t (seconds) and x, and \
             use `events(\"shd\", width = 700, unit = 1s)`; or bin the spikes into arrays x_train [N, T, 700] and x_test of \
             0 and 1 and use `npz(\"shd.npz\", full_scale = 1)`",
        ))
    },
};
