//! How full the first operands of contractions were in runs of a program.
//!
//! Must never know who counts.

use crate::program::KernelId;

/// How many elements of the first operand of each contraction were not 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Densities {
    kernels: Vec<Counted>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    nonzeros: u64,
    elements: u64,
}

impl Densities {
    /// No run yet.
    pub fn new() -> Densities {
        Densities::default()
    }

    /// The share of elements that were not 0, from 0 to 1, of the kernel at a position of the program; `None` for kernels
    /// that are no contractions.
    pub fn of(&self, kernel: usize) -> Option<f64> {
        let counted = self.kernels.get(kernel).filter(|counted| counted.elements > 0)?;
        Some(counted.nonzeros as f64 / counted.elements as f64)
    }

    /// Adds the operand of one launch.
    pub fn add(&mut self, kernel: KernelId, nonzeros: u64, elements: u64) {
        let at = kernel.0 as usize;
        if self.kernels.len() <= at {
            self.kernels.resize(at + 1, Counted::default());
        }
        if let Some(sum) = self.kernels.get_mut(at) {
            sum.nonzeros += nonzeros;
            sum.elements += elements;
        }
    }
}
