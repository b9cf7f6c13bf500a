//! The transform of the input: the 6x6 pixels under a tile at the 36 pairs of points.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use super::points::{self, INPUTS, PRODUCTS};
use super::tiles::Tiles;
use crate::kernels::bits::Bits;
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Kernel, Vector};

/// Channels in a word of packed spikes.
const WORD: usize = u64::BITS as usize;

/// The images, pixel by pixel.
#[derive(Clone, Copy)]
pub(crate) enum Images<'a> {
    /// Floats.
    Floats(&'a [f32]),
    /// Packed spikes.
    Spikes(Bits<'a>),
}

impl Images<'_> {
    /// Whether these are as many pixels of so many channels.
    pub fn are(&self, pixels: usize, channels: usize) -> bool {
        match self {
            Images::Floats(x) => x.len() == pixels * channels,
            Images::Spikes(x) => {
                let words = channels.div_ceil(WORD);
                [x.channels, x.words, x.data.len()] == [channels, words, pixels * words]
            }
        }
    }
}

/// What is read in the padding: as many zeros as a pixel takes, floats or words.
pub(crate) fn padding(channels: usize) -> Vec<u64> {
    vec![0; channels.div_ceil(2)]
}

/// What a pixel is made of.
trait Element: Sized {
    /// `V::LANES` channels; the first `count` of them and zeros if `SOME`.
    ///
    /// # Safety
    /// The machine has the vectors, and the pixel has these channels.
    unsafe fn read<V: Vector, const SOME: bool>(pixel: *const Self, channel: usize, count: usize) -> V;
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn read<V: Vector, const SOME: bool>(pixel: *const f32, channel: usize, count: usize) -> V {
        // SAFETY: the caller vouches for the vectors and for the channels.
        unsafe {
            let from = pixel.add(channel);
            if SOME { V::load_some(from, count) } else { V::load(from) }
        }
    }
}

impl Element for u64 {
    #[inline(always)]
    unsafe fn read<V: Vector, const SOME: bool>(pixel: *const u64, channel: usize, count: usize) -> V {
        // SAFETY: the caller vouches for the vectors and for the channels, and lanes divide words.
        unsafe {
            let bits = *pixel.add(channel / WORD) >> (channel % WORD);
            V::from_bits(if SOME { bits & ((1 << count) - 1) } else { bits })
        }
    }
}

/// Transforms some tiles to `[PRODUCTS]` matrices of tiles and vectors of channels.
pub(crate) struct Transform<'a> {
    /// All tiles.
    pub tiles: &'a Tiles,
    /// Those to transform.
    pub range: Range<usize>,
    /// The images.
    pub images: Images<'a>,
    /// Channels of a pixel.
    pub channels: usize,
    /// Their [`padding`].
    pub zeros: &'a [u64],
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
        // SAFETY: the entry point checked the length of the images; the caller of `run` vouches for the vectors.
        unsafe {
            match self.images {
                Images::Floats(x) => self.transform_all::<V, f32>(x.as_ptr(), self.channels),
                Images::Spikes(x) => self.transform_all::<V, u64>(x.data.as_ptr(), x.words),
            }
        }
    }
}

impl Transform<'_> {
    /// Transforms all tiles of the range, from pixels of `width` elements.
    ///
    /// # Safety
    /// The machine has the vectors, and at `x` lie all pixels.
    #[inline(always)]
    unsafe fn transform_all<V: Vector, T: Element>(&self, x: *const T, width: usize) {
        let zeros = self.zeros.as_ptr().cast::<T>();
        let full = self.channels / V::LANES;
        for (at, tile) in self.range.clone().enumerate() {
            let pixels = self.tiles.inputs(tile);
            // SAFETY: `Tiles::inputs` gives pixels of the images; every tile has its own rows of `out`, which hold whole
            // vectors.
            unsafe {
                let from: [*const T; PRODUCTS] =
                    std::array::from_fn(|pixel| pixels[pixel].map_or(zeros, |pixel| x.add(pixel * width)));
                let to = self.out.at(self.start + at * self.row);
                for vector in 0..full {
                    transform::<V, T, false>(&from, vector * V::LANES, 0, to.add(vector * self.column), self.plane);
                }
                let rest = self.channels - full * V::LANES;
                if rest > 0 {
                    transform::<V, T, true>(&from, full * V::LANES, rest, to.add(full * self.column), self.plane);
                }
            }
        }
    }
}

/// One tile, some channels.
///
/// # Safety
/// From every pixel `V::LANES` channels, or `count` if `SOME`, may be read at `channel`, and at `to` a vector written to each
/// of the planes.
#[inline(always)]
unsafe fn transform<V: Vector, T: Element, const SOME: bool>(
    from: &[*const T; PRODUCTS],
    channel: usize,
    count: usize,
    to: *mut f32,
    plane: usize,
) {
    // SAFETY: the caller vouches for all pixels and planes.
    unsafe {
        let mut half = [[V::zero(); INPUTS]; INPUTS];
        for x in 0..INPUTS {
            let column: [V; INPUTS] = std::array::from_fn(|y| T::read::<V, SOME>(from[y * INPUTS + x], channel, count));
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
