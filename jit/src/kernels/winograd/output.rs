//! The transform of the products back to output pixels.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::marker::PhantomData;
use std::ops::Range;

use super::points::OUTPUTS;
use crate::kernels::block::WIDEST_PANEL;
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Kernel, Vector};

/// The transform along an axis, from the products at so many points.
pub(super) trait Line<const POINTS: usize> {
    /// The outputs.
    ///
    /// # Safety
    /// The machine has the vectors.
    unsafe fn outputs<V: Vector>(products: [V; POINTS]) -> [V; OUTPUTS];
}

/// Transforms `[DOWN * ACROSS][tile][column]` of some tiles to some channels of their pixels.
pub(super) struct Transform<'a, S, P, const DOWN: usize, const ACROSS: usize> {
    /// How.
    pub scheme: PhantomData<S>,
    /// The tiles.
    pub range: Range<usize>,
    /// The pixels of a tile, counted over all images; `None` outside of the image.
    pub pixels: P,
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

impl<S, P, const DOWN: usize, const ACROSS: usize> Kernel for Transform<'_, S, P, DOWN, ACROSS>
where
    S: Line<DOWN> + Line<ACROSS>,
    P: Fn(usize) -> [[Option<usize>; OUTPUTS]; OUTPUTS],
{
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let mut sink = [0.0f32; WIDEST_PANEL];
        for (at, tile) in self.range.clone().enumerate() {
            let pixels = (self.pixels)(tile);
            // SAFETY: `pixels` gives pixels of `out`, whose length the entry point checked, and each belongs to one
            // tile; the sink is as wide as the widest panel.
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
                    transform::<V, S, DOWN, ACROSS, false>(from.add(channel), self.plane, &to, channel, V::LANES);
                }
                if full < count {
                    transform::<V, S, DOWN, ACROSS, true>(from.add(full), self.plane, &to, full, count - full);
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
unsafe fn transform<V: Vector, S, const DOWN: usize, const ACROSS: usize, const SOME: bool>(
    from: *const f32,
    plane: usize,
    to: &[[*mut f32; OUTPUTS]; OUTPUTS],
    channel: usize,
    count: usize,
) where
    S: Line<DOWN> + Line<ACROSS>,
{
    // SAFETY: the caller vouches for all planes and pixels.
    unsafe {
        let mut half = [[V::zero(); ACROSS]; OUTPUTS];
        for x in 0..ACROSS {
            let column: [V; DOWN] = std::array::from_fn(|y| V::load(from.add((y * ACROSS + x) * plane)));
            for (line, value) in half.iter_mut().zip(<S as Line<DOWN>>::outputs(column)) {
                line[x] = value;
            }
        }
        for (y, line) in half.into_iter().enumerate() {
            for (x, value) in <S as Line<ACROSS>>::outputs(line).into_iter().enumerate() {
                let pixel = to[y][x].add(channel);
                if SOME { value.store_some(pixel, count) } else { value.store(pixel) }
            }
        }
    }
}
