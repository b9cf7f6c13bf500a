//! What decides which kernel computes a contraction.

use crate::kernels::vector::Width;

/// The choice that belongs to an executable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Policy {
    /// The vectors of the kernels.
    pub width: Width,
    /// Only kernels whose errors are those of plain sums.
    pub precise: bool,
}
