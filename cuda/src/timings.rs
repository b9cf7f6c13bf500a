//! The time that runs spent in each kernel of a program.
//!
//! Must never know who measures.

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

    /// Adds one launch of the kernel at a position of the program.
    #[cfg_attr(not(all(unix, feature = "driver")), allow(dead_code, reason = "without a driver nothing is timed"))]
    pub(crate) fn add(&mut self, kernel: usize, nanoseconds: u64) {
        if self.kernels.len() <= kernel {
            self.kernels.resize(kernel + 1, KernelTime::default());
        }
        if let Some(time) = self.kernels.get_mut(kernel) {
            time.launches += 1;
            time.nanoseconds += nanoseconds;
        }
    }
}
