//! The transform of the weights to panels of `[PRODUCTS][input channel][column]`.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use super::points::{self, INPUTS};
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Kernel, Vector};

/// Kernel elements.
pub(crate) const TAPS: usize = 9;
/// Input channels that are transformed together.
pub(crate) const DEPTH: usize = 8;

/// Transforms the weights of some channels.
pub(crate) struct Transform<'a> {
    /// The kernels, `[input][tap][column]`.
    pub taps: &'a [f32],
    /// Whether kernels are turned by 180 degrees.
    pub flipped: bool,
    /// Their input channels.
    pub inputs: Range<usize>,
    /// Columns of the panel, whole vectors.
    pub columns: usize,
    /// The panel.
    pub out: Shared<'a>,
    /// Where in `out` the panel starts.
    pub start: usize,
    /// Elements from one product's matrix to the next.
    pub plane: usize,
}

impl Kernel for Transform<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let width = self.columns;
        for (input, taps) in self.inputs.clone().zip(self.taps.chunks_exact(TAPS * width)) {
            for column in (0..width).step_by(V::LANES) {
                // SAFETY: `taps` holds nine rows of `width` columns, whole vectors; the panel has `width` columns for this input
                // channel in each of its planes, and no other task writes them.
                unsafe {
                    let to = self.out.at(self.start + input * width + column);
                    transform::<V>(taps.as_ptr().add(column), width, self.flipped, to, self.plane);
                }
            }
        }
    }
}

/// One vector of output channels.
///
/// # Safety
/// `from` has nine vectors `width` apart; at `to` a vector may be written to each of the planes.
#[inline(always)]
unsafe fn transform<V: Vector>(from: *const f32, width: usize, flipped: bool, to: *mut f32, plane: usize) {
    // SAFETY: the caller vouches for the vectors and planes.
    unsafe {
        let mut half = [[V::zero(); 3]; INPUTS];
        for x in 0..3 {
            let column: [V; 3] = std::array::from_fn(|y| {
                let tap = if flipped { TAPS - 1 - (y * 3 + x) } else { y * 3 + x };
                V::load(from.add(tap * width))
            });
            for (line, value) in half.iter_mut().zip(points::weights(column)) {
                line[x] = value;
            }
        }
        for (y, line) in half.into_iter().enumerate() {
            for (x, value) in points::weights(line).into_iter().enumerate() {
                value.store(to.add((y * INPUTS + x) * plane));
            }
        }
    }
}
