//! The adjoint of the output's transform: the gradient of a tile's 4x4 output pixels at the 36 pairs of points.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use super::points::{self, INPUTS, OUTPUTS};
use super::tiles::Tiles;
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Kernel, Vector};

/// Transforms some tiles to `[PRODUCTS]` matrices of tiles and vectors of channels.
pub(crate) struct Transform<'a> {
    /// All tiles.
    pub tiles: &'a Tiles,
    /// Those to transform.
    pub range: Range<usize>,
    /// The gradient of the images.
    pub dy: &'a [f32],
    /// Channels of a pixel.
    pub channels: usize,
    /// As many zeros as a pixel has channels.
    pub zeros: &'a [f32],
    /// Where to; the first tile of the range comes first.
    pub out: Shared<'a>,
    /// Offset of the first tile in `out`.
    pub start: usize,
    /// Elements from one tile to the next.
    pub row: usize,
    /// Elements from one vector of channels to the next; the last is filled up with zeros.
    pub column: usize,
    /// Elements from one product's matrix to the next.
    pub plane: usize,
}

impl Kernel for Transform<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let (x, zeros) = (self.dy.as_ptr(), self.zeros.as_ptr());
        let full = self.channels / V::LANES;
        for (at, tile) in self.range.clone().enumerate() {
            let pixels = self.tiles.outputs(tile);
            // SAFETY: `Tiles::outputs` gives pixels of `dy`, whose length the entry point checked; every tile has its own
            // rows of `out`, which hold whole vectors.
            unsafe {
                let from: [*const f32; OUTPUTS * OUTPUTS] =
                    std::array::from_fn(|pixel| pixels[pixel].map_or(zeros, |pixel| x.add(pixel * self.channels)));
                let to = self.out.at(self.start + at * self.row);
                for vector in 0..full {
                    transform::<V, false>(&from, vector * V::LANES, 0, to.add(vector * self.column), self.plane);
                }
                let rest = self.channels - full * V::LANES;
                if rest > 0 {
                    transform::<V, true>(&from, full * V::LANES, rest, to.add(full * self.column), self.plane);
                }
            }
        }
    }
}

/// One tile, some channels.
///
/// # Safety
/// From every pixel a vector, or `count` elements if `SOME`, may be read at `channel`, and at `to` a vector written to each
/// of the planes.
#[inline(always)]
unsafe fn transform<V: Vector, const SOME: bool>(
    from: &[*const f32; OUTPUTS * OUTPUTS],
    channel: usize,
    count: usize,
    to: *mut f32,
    plane: usize,
) {
    // SAFETY: the caller vouches for all pixels and planes.
    unsafe {
        let mut half = [[V::zero(); OUTPUTS]; INPUTS];
        for x in 0..OUTPUTS {
            let column: [V; OUTPUTS] = std::array::from_fn(|y| {
                let pixel = from[y * OUTPUTS + x].add(channel);
                if SOME { V::load_some(pixel, count) } else { V::load(pixel) }
            });
            for (line, value) in half.iter_mut().zip(points::output_adjoint(column)) {
                line[x] = value;
            }
        }
        for (y, line) in half.into_iter().enumerate() {
            for (x, value) in points::output_adjoint(line).into_iter().enumerate() {
                value.store(to.add((y * INPUTS + x) * plane));
            }
        }
    }
}
