//! The gradient of the input of a dense 3x3 convolution of stride 2, by tiles: 81 products in place of 144.
//!
//! Along an axis, output `j` gave to the input pixels `2j - pad` to `2j + 2 - pad`. Of the pixels at a *place* `j`, the first,
//! `2j + 1 - pad`, receives from output `j` by the middle tap alone; the second, `2j + 2 - pad`, from `j` by the last tap and
//! from `j + 1` by the first. Both are filters of outputs `j` and `j + 1`, so that four of each come from five outputs at the
//! five points of F(4, 2). In two dimensions one transform of 5x5 outputs to 25 pairs of points serves the four pixels of all
//! 4x4 places, the *phases*. A filter of one tap has the same value at all points but infinity, where it has none: the phases
//! have 16, 20, 20 and 25 products, and together only 36 matrices of weights.
//!
//! Errors are larger than those of sums: for 128 output channels, among half a million gradients, up to 1.6e-5 of their root
//! mean square, at a root mean square of 8.8e-7, where a sum has 5e-6 and 3.4e-7. This file must never know for which shapes tiles pay.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

mod points;

use super::Images;
use super::convolution::{self, Convolution, Operands, Part, Scheme};
use super::output::Line;
use super::points::OUTPUTS;
use super::tiles::{Tiles, square};
use super::to_points::Square;
use super::weights::{Taps, VALUES};
use crate::kernels::filters::Filters;
use crate::kernels::geometry::Geometry;
use crate::kernels::prepared::Weights;
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Vector, Width};
use points::{FINITE, INPUTS};

/// Whether a convolution has the shape for it.
pub(crate) fn fits(geometry: &Geometry) -> bool {
    geometry.groups == 1 && geometry.kernel == [3, 3] && geometry.stride == [2, 2] && geometry.dilation == [1, 1]
}

/// `out[r,y,x,i] = sum dy[r,oh,ow,o] * w[o,i,kh,kw]`. The machine must have vectors of that width. `None` if the shape is
/// another or a length does not fit.
pub(crate) fn input_gradient_with(
    width: Width,
    geometry: &Geometry,
    dy: &[f32],
    weights: Weights<'_, f32>,
    out: &mut [f32],
) -> Option<()> {
    let images = Images::Floats(dy);
    if !fits(geometry) || !images.are(geometry.pixels(), geometry.cout) {
        return None;
    }
    if out.len() != geometry.rows * geometry.input_len() {
        return None;
    }
    let filters = Filters::forward(geometry, weights.given)?.transposed();
    let places = places(geometry);
    let operands = Operands { tiles: Tiles::of(&places), filters, flipped: false, images, out: Shared::of(out) };
    convolution::run(width, Phases::of(geometry), operands, weights);
    Some(())
}

/// The places as the output of a convolution of stride 1: place `j` reads outputs `j` and `j + 1`. They begin with the first
/// that has a pixel inside of the image.
pub(crate) fn places(geometry: &Geometry) -> Geometry {
    let first = Phases::of(geometry).first;
    let count = |axis: usize| geometry.input[axis].saturating_add_signed(-first[axis]).div_ceil(2);
    let pad = |axis: usize| (1 - first[axis] - geometry.pad[axis]) / 2;
    Geometry {
        cin: geometry.cout,
        cout: geometry.cin,
        input: geometry.output,
        output: [count(0), count(1)],
        kernel: [2, 2],
        stride: [1, 1],
        pad: [pad(0), pad(1)],
        ..*geometry
    }
}

/// Where the pixels of places are.
#[derive(Clone, Copy)]
struct Phases {
    /// The first pixel of the first place: 0, or -1 where only its second is inside of the image.
    first: [isize; 2],
    /// Size of the images.
    size: [usize; 2],
}

impl Phases {
    fn of(geometry: &Geometry) -> Phases {
        Phases { first: geometry.pad.map(|pad| pad.rem_euclid(2) - 1), size: geometry.input }
    }

    /// The pixels of a tile's places in a phase, line by line, counted over all images; `None` outside of the image.
    fn pixels(&self, tiles: &Tiles, tile: usize, phase: [usize; 2]) -> [[Option<usize>; OUTPUTS]; OUTPUTS] {
        let (image, place) = tiles.place(tile);
        let [height, width] = self.size;
        let inside = |axis: usize, offset: usize| {
            let pixel = (2 * (place[axis] + offset) + phase[axis]).checked_add_signed(self.first[axis])?;
            (pixel < self.size[axis]).then_some(pixel)
        };
        let (mut lines, mut columns) = ([None; OUTPUTS], [None; OUTPUTS]);
        for (offset, (line, column)) in lines.iter_mut().zip(&mut columns).enumerate() {
            *line = inside(0, offset).map(|y| (image * height + y) * width);
            *column = inside(1, offset);
        }
        square(lines, columns)
    }
}

/// The matrices that meet in a phase, of `DOWN` times `ACROSS` points: one tap or two along each axis.
const fn pairs<const DOWN: usize, const ACROSS: usize, const PAIRS: usize>() -> [[usize; 2]; PAIRS] {
    let mut pairs = [[0; 2]; PAIRS];
    let mut at = 0;
    while at < PAIRS {
        let (y, x) = (at / ACROSS, at % ACROSS);
        let down = if DOWN == FINITE { 0 } else { 1 + y };
        let across = if ACROSS == FINITE { 0 } else { 1 + x };
        pairs[at] = [y * INPUTS + x, down * VALUES + across];
        at += 1;
    }
    pairs
}

const ONE_ONE: [[usize; 2]; FINITE * FINITE] = pairs::<FINITE, FINITE, _>();
const ONE_TWO: [[usize; 2]; FINITE * INPUTS] = pairs::<FINITE, INPUTS, _>();
const TWO_ONE: [[usize; 2]; INPUTS * FINITE] = pairs::<INPUTS, FINITE, _>();
const TWO_TWO: [[usize; 2]; INPUTS * INPUTS] = pairs::<INPUTS, INPUTS, _>();

impl Scheme<INPUTS> for Phases {
    fn multiply(convolution: &Convolution<'_, Phases, INPUTS>, part: Part<'_>) {
        let (phases, tiles) = (convolution.scheme, convolution.operands.tiles);
        let pixels = |phase: [usize; 2]| move |tile: usize| phases.pixels(&tiles, tile, phase);
        // The largest comes first, so that the others find enough memory.
        convolution.finish::<INPUTS, INPUTS>(part, &TWO_TWO, pixels([1, 1]));
        convolution.finish::<INPUTS, FINITE>(part, &TWO_ONE, pixels([1, 0]));
        convolution.finish::<FINITE, INPUTS>(part, &ONE_TWO, pixels([0, 1]));
        convolution.finish::<FINITE, FINITE>(part, &ONE_ONE, pixels([0, 0]));
    }
}

impl Square<INPUTS, INPUTS> for Phases {
    #[inline(always)]
    fn pixel(tiles: &Tiles, tile: usize) -> [[Option<usize>; INPUTS]; INPUTS] {
        tiles.inputs(tile)
    }

    /// # Safety
    /// As for [`Square::at_points`].
    #[inline(always)]
    unsafe fn at_points<V: Vector>(line: [V; INPUTS]) -> [V; INPUTS] {
        // SAFETY: the caller vouches for the vectors.
        unsafe { points::input(line) }
    }
}

impl Taps for Phases {
    /// # Safety
    /// As for [`Taps::values`].
    #[inline(always)]
    unsafe fn values<V: Vector>(taps: [V; 3]) -> [V; VALUES] {
        // SAFETY: the caller vouches for the vectors.
        unsafe { points::weights(taps) }
    }
}

impl Line<INPUTS> for Phases {
    /// # Safety
    /// As for [`Line::outputs`].
    #[inline(always)]
    unsafe fn outputs<V: Vector>(products: [V; INPUTS]) -> [V; OUTPUTS] {
        // SAFETY: the caller vouches for the vectors.
        unsafe { points::output(products) }
    }
}

impl Line<FINITE> for Phases {
    /// # Safety
    /// As for [`Line::outputs`].
    #[inline(always)]
    unsafe fn outputs<V: Vector>(products: [V; FINITE]) -> [V; OUTPUTS] {
        // SAFETY: the caller vouches for the vectors.
        unsafe { points::output_finite(products) }
    }
}
