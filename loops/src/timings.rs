//! The time that runs of a program spent in each kernel.
//!
//! Must never know who measures.

use crate::program::KernelId;

/// The time of each kernel, over all runs that were timed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    kernels: Vec<KernelTime>,
}

/// The time of one kernel over all of its launches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelTime {
    /// Number of launches; each step of a repeat counts.
    pub launches: u64,
    /// Their time together.
    pub nanoseconds: u64,
}

impl Timings {
    /// No run yet.
    pub fn new() -> Timings {
        Timings::default()
    }

    /// One entry for each kernel of the program; fewer if the last ones were never launched.
    pub fn kernels(&self) -> &[KernelTime] {
        &self.kernels
    }

    /// Adds one launch.
    pub fn add(&mut self, kernel: KernelId, nanoseconds: u64) {
        let at = kernel.0 as usize;
        if self.kernels.len() <= at {
            self.kernels.resize(at + 1, KernelTime::default());
        }
        if let Some(time) = self.kernels.get_mut(at) {
            time.launches += 1;
            time.nanoseconds += nanoseconds;
        }
    }
}
