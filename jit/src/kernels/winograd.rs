//! Winograd convolution F(4x4, 3x3) for dense 3x3 kernels of stride 1: a quarter of the multiplications.
//!
//! Tiles of 6x6 input pixels and kernels are taken to 36 points each, where a convolution is a product; the 36 matrix
//! products of `[tile][input channel]` with `[input channel][output channel]` are taken back to tiles of 4x4 output pixels.
//! For stride 2 there is the gradient of the input, see [`strided`].
//!
//! Errors are larger than those of sums: for 128 channels up to 1.2e-5 of the outputs' root mean square, at a root mean
//! square of 1.1e-6, where a sum has 7e-6 and 6e-7.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

mod convolution;
mod correlation;
mod images;
mod kernel_gradient;
mod output;
mod points;
mod product;
pub(crate) mod strided;
mod tiles;
mod to_points;
mod weight_gradient;
mod weights;

use crate::kernels::filters::Filters;
use crate::kernels::geometry::Geometry;
use crate::kernels::prepared::Weights;
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Vector, Width};
use convolution::{Convolution, Operands, Part, Scheme};
use output::Line;
use points::{INPUTS, OUTPUTS, PRODUCTS};
use tiles::Tiles;
use to_points::Input;
use weights::Taps;

pub(crate) use images::Images;
pub(crate) use weight_gradient::weight_gradient_with;

/// Tiles that a task transforms.
const PIECE: usize = 8;

/// Added to the size of matrices, so that the 36 of them do not meet in the same sets of a cache.
const SKEW: usize = 9 * 16;

/// Every matrix of tiles meets one of weights.
const PAIRS: [[usize; 2]; PRODUCTS] = {
    let mut pairs = [[0; 2]; PRODUCTS];
    let mut at = 0;
    while at < PRODUCTS {
        pairs[at] = [at; 2];
        at += 1;
    }
    pairs
};

/// Whether a convolution has the shape for it.
pub(crate) fn fits(geometry: &Geometry) -> bool {
    geometry.groups == 1 && geometry.kernel == [3, 3] && geometry.stride == [1, 1] && geometry.dilation == [1, 1]
}

/// Tiles of a convolution's output.
pub(crate) fn tiles(geometry: &Geometry) -> usize {
    Tiles::of(geometry).count()
}

/// `out[r,oh,ow,o] = sum x[r,y,x,i] * w[o,i,kh,kw]`, or with `flipped` the same with `w[i,o,2-kh,2-kw]`: with the geometry
/// flipped too, that is the gradient of the input. The machine must have vectors of that width. `None` if the shape is another
/// or a length does not fit.
pub(crate) fn convolve_with(
    width: Width,
    geometry: &Geometry,
    images: Images<'_>,
    weights: Weights<'_, f32>,
    flipped: bool,
    out: &mut [f32],
) -> Option<()> {
    let pixels = geometry.rows * geometry.input[0] * geometry.input[1];
    if !fits(geometry) || !images.are(pixels, geometry.cin) || out.len() != geometry.pixels() * geometry.cout {
        return None;
    }
    let filters = if flipped {
        Filters::forward(&Geometry { cin: geometry.cout, cout: geometry.cin, ..*geometry }, weights.given)?.transposed()
    } else {
        Filters::forward(geometry, weights.given)?
    };
    let operands = Operands { tiles: Tiles::of(geometry), filters, flipped, images, out: Shared::of(out) };
    convolution::run(width, Input, operands, weights);
    Some(())
}

impl Scheme<INPUTS> for Input {
    fn multiply(convolution: &Convolution<'_, Input, INPUTS>, part: Part<'_>) {
        let tiles = convolution.operands.tiles;
        convolution.finish::<INPUTS, INPUTS>(part, &PAIRS, |tile| tiles.outputs(tile));
    }
}

impl Taps for Input {
    /// # Safety
    /// As for [`Taps::values`].
    #[inline(always)]
    unsafe fn values<V: Vector>(taps: [V; 3]) -> [V; weights::VALUES] {
        // SAFETY: the caller vouches for the vectors.
        unsafe { points::weights(taps) }
    }
}

impl Line<INPUTS> for Input {
    /// # Safety
    /// As for [`Line::outputs`].
    #[inline(always)]
    unsafe fn outputs<V: Vector>(products: [V; INPUTS]) -> [V; OUTPUTS] {
        // SAFETY: the caller vouches for the vectors.
        unsafe { points::output(products) }
    }
}
