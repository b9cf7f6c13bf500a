//! The transform of the weights to panels of `[MATRICES][input channel][column]`.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::marker::PhantomData;
use std::ops::Range;

use crate::kernels::shared::Shared;
use crate::kernels::vector::{Kernel, Vector};

/// Kernel elements.
pub(crate) const TAPS: usize = 9;
/// What three taps along an axis become.
pub(crate) const VALUES: usize = 6;
/// Matrices of transformed weights.
pub(crate) const MATRICES: usize = VALUES * VALUES;
/// Input channels that are transformed together.
pub(crate) const DEPTH: usize = 8;

/// The transform of the taps along an axis.
pub(super) trait Taps {
    /// What they become.
    ///
    /// # Safety
    /// The machine has the vectors.
    unsafe fn values<V: Vector>(taps: [V; 3]) -> [V; VALUES];
}

/// Transforms the weights of some channels.
pub(super) struct Transform<'a, S> {
    /// How.
    pub scheme: PhantomData<S>,
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
    /// Elements from one matrix to the next.
    pub plane: usize,
}

impl<S: Taps> Kernel for Transform<'_, S> {
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
                    transform::<V, S>(taps.as_ptr().add(column), width, self.flipped, to, self.plane);
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
unsafe fn transform<V: Vector, S: Taps>(from: *const f32, width: usize, flipped: bool, to: *mut f32, plane: usize) {
    // SAFETY: the caller vouches for the vectors and planes.
    unsafe {
        let mut half = [[V::zero(); 3]; VALUES];
        for x in 0..3 {
            let column: [V; 3] = std::array::from_fn(|y| {
                let tap = if flipped { TAPS - 1 - (y * 3 + x) } else { y * 3 + x };
                V::load(from.add(tap * width))
            });
            for (line, value) in half.iter_mut().zip(S::values(column)) {
                line[x] = value;
            }
        }
        for (y, line) in half.into_iter().enumerate() {
            for (x, value) in S::values(line).into_iter().enumerate() {
                value.store(to.add((y * VALUES + x) * plane));
            }
        }
    }
}
