//! The adjoint of the weights' transform: from sums at the 36 pairs of points to the gradient of the kernels.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use super::points::{self, INPUTS, PRODUCTS};
use super::weights::TAPS;
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Kernel, Vector, WIDEST};

/// Input channels that are transposed together.
const DEPTH: usize = 16;

/// Transforms `[PRODUCTS][input channel][output channel]` to `[output channel][input channel][tap]`.
pub(crate) struct Transform<'a> {
    /// The sums, from the one of the first of the channels.
    pub sums: &'a [f32],
    /// Elements from one input channel to the next.
    pub row: usize,
    /// Elements from one product's matrix to the next.
    pub plane: usize,
    /// The input channels to transform.
    pub inputs: Range<usize>,
    /// The output channels to transform; the sums have whole vectors of them.
    pub outputs: Range<usize>,
    /// All kernels.
    pub out: Shared<'a>,
    /// Kernels of an output channel.
    pub kernels: usize,
}

impl Kernel for Transform<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let (inputs, vectors) = (self.inputs.len(), self.outputs.len().div_ceil(V::LANES));
        assert!(inputs > 0 && vectors * V::LANES <= self.row);
        assert!(self.sums.len() >= (PRODUCTS - 1) * self.plane + (inputs - 1) * self.row + vectors * V::LANES);
        let mut block = [0.0f32; DEPTH * TAPS * WIDEST];
        for vector in (0..vectors).map(|vector| vector * V::LANES) {
            for first in (0..inputs).step_by(DEPTH) {
                let count = DEPTH.min(inputs - first);
                // SAFETY: the sums have a vector for these channels in each plane, and `block` nine vectors for each of `DEPTH`
                // input channels; `out` has the kernels of all channels, and no other task writes these.
                unsafe {
                    for input in 0..count {
                        let from = self.sums.as_ptr().add((first + input) * self.row + vector);
                        transform::<V>(from, self.plane, block.as_mut_ptr().add(input * TAPS * V::LANES));
                    }
                    for lane in 0..V::LANES.min(self.outputs.len() - vector) {
                        let output = self.outputs.start + vector + lane;
                        let to = self.out.at((output * self.kernels + self.inputs.start + first) * TAPS);
                        let from = block.as_ptr().add(lane);
                        for at in 0..count * TAPS {
                            *to.add(at) = *from.add(at * V::LANES);
                        }
                    }
                }
            }
        }
    }
}

/// One input channel and a vector of output channels.
///
/// # Safety
/// At `from` a vector may be read from each of the planes, and at `to` nine be written.
#[inline(always)]
unsafe fn transform<V: Vector>(from: *const f32, plane: usize, to: *mut f32) {
    // SAFETY: the caller vouches for the vectors.
    unsafe {
        let mut half = [[V::zero(); INPUTS]; 3];
        for x in 0..INPUTS {
            let column: [V; INPUTS] = std::array::from_fn(|y| V::load(from.add((y * INPUTS + x) * plane)));
            for (line, value) in half.iter_mut().zip(points::weights_adjoint(column)) {
                line[x] = value;
            }
        }
        for (y, line) in half.into_iter().enumerate() {
            for (x, value) in points::weights_adjoint(line).into_iter().enumerate() {
                value.store(to.add((y * 3 + x) * V::LANES));
            }
        }
    }
}
