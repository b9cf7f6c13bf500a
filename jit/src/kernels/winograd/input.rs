//! The transform of the input: the 6x6 pixels under a tile at the 36 pairs of points.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use super::points::{self, INPUTS, PRODUCTS};
use super::tiles::Tiles;
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Kernel, Vector};

/// Transforms some tiles to `[PRODUCTS][tile][channel]`.
pub(crate) struct Transform<'a> {
    /// All tiles.
    pub tiles: &'a Tiles,
    /// Those to transform.
    pub range: Range<usize>,
    /// The images.
    pub x: &'a [f32],
    /// Channels of a pixel.
    pub channels: usize,
    /// As many zeros as a pixel has channels.
    pub zeros: &'a [f32],
    /// Where to; the first tile of the range comes first.
    pub out: Shared<'a>,
    /// Elements from one tile to the next: the channels, rounded up to vectors.
    pub row: usize,
    /// Elements from one product's matrix to the next.
    pub plane: usize,
    /// Offset of the first tile in `out`.
    pub start: usize,
}

impl Kernel for Transform<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        for (at, tile) in self.range.clone().enumerate() {
            let pixels = self.tiles.inputs(tile);
            let zeros = self.zeros.as_ptr();
            // SAFETY: `Tiles::inputs` gives starts of pixels inside of `x`, whose length the entry point checked; every
            // tile has its own rows of `out`, and `row` holds whole vectors.
            unsafe {
                let from: [*const f32; PRODUCTS] =
                    std::array::from_fn(|pixel| pixels[pixel].map_or(zeros, |start| self.x.as_ptr().add(start)));
                let to = self.out.at(self.start + at * self.row);
                let full = self.channels / V::LANES * V::LANES;
                for channel in (0..full).step_by(V::LANES) {
                    transform::<V, false>(&from, channel, V::LANES, to.add(channel), self.plane);
                }
                if full < self.channels {
                    transform::<V, true>(&from, full, self.channels - full, to.add(full), self.plane);
                }
            }
        }
    }
}

/// One tile, some channels.
///
/// # Safety
/// From every pixel `count` elements may be read at `channel` (`V::LANES` if not `SOME`), and at `to` a vector written to
/// each of the planes.
#[inline(always)]
unsafe fn transform<V: Vector, const SOME: bool>(
    from: &[*const f32; PRODUCTS],
    channel: usize,
    count: usize,
    to: *mut f32,
    plane: usize,
) {
    // SAFETY: the caller vouches for all pixels and planes.
    unsafe {
        let mut half = [[V::zero(); INPUTS]; INPUTS];
        for x in 0..INPUTS {
            let column: [V; INPUTS] = std::array::from_fn(|y| {
                let pixel = from[y * INPUTS + x].add(channel);
                if SOME { V::load_some(pixel, count) } else { V::load(pixel) }
            });
            for (line, value) in half.iter_mut().zip(points::input(column)) {
                line[x] = value;
            }
        }
        for (y, line) in half.into_iter().enumerate() {
            for (x, value) in points::input(line).into_iter().enumerate() {
                value.store(to.add((y * INPUTS + x) * plane));
            }
        }
    }
}
