//! The transform of the products back to output pixels.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use super::points::{self, INPUTS, OUTPUTS};
use super::tiles::Tiles;
use crate::kernels::block::WIDEST_PANEL;
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Kernel, Vector};

/// Transforms `[PRODUCTS][tile][column]` of some tiles to some channels of their pixels.
pub(crate) struct Transform<'a> {
    /// All tiles.
    pub tiles: &'a Tiles,
    /// Those to transform.
    pub range: Range<usize>,
    /// The products.
    pub products: &'a [f32],
    /// Elements from one tile to the next.
    pub row: usize,
    /// Elements from one product's matrix to the next.
    pub plane: usize,
    /// The images.
    pub out: Shared<'a>,
    /// Channels of a pixel.
    pub width: usize,
    /// Those to write.
    pub channels: Range<usize>,
}

impl Kernel for Transform<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let mut sink = [0.0f32; WIDEST_PANEL];
        for (at, tile) in self.range.clone().enumerate() {
            let pixels = self.tiles.outputs(tile);
            // SAFETY: `Tiles::outputs` gives pixels of `out`, whose length the entry point checked, and pixels belong
            // to one tile; the sink is as wide as the widest panel.
            unsafe {
                let sink = sink.as_mut_ptr();
                let mut to = [[sink; OUTPUTS]; OUTPUTS];
                for (line, pixels) in to.iter_mut().zip(&pixels) {
                    for (place, pixel) in line.iter_mut().zip(pixels) {
                        *place = pixel.map_or(sink, |pixel| self.out.at(pixel * self.width + self.channels.start));
                    }
                }
                let from = self.products.as_ptr().add(at * self.row);
                let count = self.channels.len();
                let full = count / V::LANES * V::LANES;
                for channel in (0..full).step_by(V::LANES) {
                    transform::<V, false>(from.add(channel), self.plane, &to, channel, V::LANES);
                }
                if full < count {
                    transform::<V, true>(from.add(full), self.plane, &to, full, count - full);
                }
            }
        }
    }
}

/// One tile, some channels.
///
/// # Safety
/// At `from` a vector may be read from each of the planes, and to every pixel `count` elements be written at `channel`.
#[inline(always)]
unsafe fn transform<V: Vector, const SOME: bool>(
    from: *const f32,
    plane: usize,
    to: &[[*mut f32; OUTPUTS]; OUTPUTS],
    channel: usize,
    count: usize,
) {
    // SAFETY: the caller vouches for all planes and pixels.
    unsafe {
        let mut half = [[V::zero(); INPUTS]; OUTPUTS];
        for x in 0..INPUTS {
            let column: [V; INPUTS] = std::array::from_fn(|y| V::load(from.add((y * INPUTS + x) * plane)));
            for (line, value) in half.iter_mut().zip(points::output(column)) {
                line[x] = value;
            }
        }
        for (y, line) in half.into_iter().enumerate() {
            for (x, value) in points::output(line).into_iter().enumerate() {
                let pixel = to[y][x].add(channel);
                if SOME { value.store_some(pixel, count) } else { value.store(pixel) }
            }
        }
    }
}
