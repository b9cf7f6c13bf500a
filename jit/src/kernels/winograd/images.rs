//! What is transformed: images of floats, of packed spikes or of numbers in planes of bits, pixel by pixel.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use snn_loops::MAX_PLANES;

use crate::kernels::bits::{Bits, worth};
use crate::kernels::vector::{Vector, prefetch};

/// Channels in a word of packed spikes.
const WORD: usize = u64::BITS as usize;

/// The images, pixel by pixel.
#[derive(Clone, Copy)]
pub(crate) enum Images<'a> {
    /// Floats.
    Floats(&'a [f32]),
    /// Packed spikes, or numbers in several planes.
    Spikes(Bits<'a>),
}

impl Images<'_> {
    /// Whether these are as many pixels of so many channels.
    pub fn are(&self, pixels: usize, channels: usize) -> bool {
        match self {
            Images::Floats(x) => x.len() == pixels * channels,
            Images::Spikes(x) => {
                let words = channels.div_ceil(WORD);
                let is_known = (1..=MAX_PLANES).contains(&x.planes);
                is_known && [x.channels, x.words, x.data.len()] == [channels, words, pixels * x.pixel()]
            }
        }
    }
}

/// What is read in the padding: as many zeros as a pixel takes, floats or words.
pub(super) fn padding(channels: usize) -> Vec<u64> {
    vec![0; channels.div_ceil(2).max(MAX_PLANES * channels.div_ceil(WORD))]
}

/// What a pixel is made of.
pub(super) trait Element: Sized {
    /// `V::LANES` channels from `channel` on, which is a multiple of `V::LANES`; the first `count` of them and zeros if
    /// `SOME`. The pixel has so many `planes` of so many words, if of any.
    ///
    /// # Safety
    /// The machine has the vectors, and the pixel has these channels.
    unsafe fn read<V: Vector, const SOME: bool>(
        pixel: *const Self,
        channel: usize,
        count: usize,
        planes: [usize; 2],
    ) -> V;

    /// Asks for the channels of a pixel, which need not exist, if they are worth it.
    fn prefetch(pixel: *const Self, channel: usize);
}

impl Element for f32 {
    /// # Safety
    /// As for [`Element::read`].
    #[inline(always)]
    unsafe fn read<V: Vector, const SOME: bool>(pixel: *const f32, channel: usize, count: usize, _: [usize; 2]) -> V {
        // SAFETY: the caller vouches for the vectors and for the channels.
        unsafe {
            let from = pixel.add(channel);
            if SOME { V::load_some(from, count) } else { V::load(from) }
        }
    }

    #[inline(always)]
    fn prefetch(pixel: *const f32, channel: usize) {
        prefetch(pixel.wrapping_add(channel));
    }
}

impl Element for u64 {
    /// # Safety
    /// As for [`Element::read`].
    #[inline(always)]
    unsafe fn read<V: Vector, const SOME: bool>(pixel: *const u64, channel: usize, count: usize, _: [usize; 2]) -> V {
        // SAFETY: the caller vouches for the vectors and for the channels; lanes divide words, so that one word has them all.
        unsafe {
            let bits = *pixel.add(channel / WORD) >> (channel % WORD);
            V::from_bits(if SOME { bits & ((1 << count) - 1) } else { bits })
        }
    }

    /// A pixel's bits are a few words, most of which came with their neighbors'.
    #[inline(always)]
    fn prefetch(_: *const u64, _: usize) {}
}

/// A word of numbers in planes.
#[repr(transparent)]
pub(super) struct Digits(u64);

impl Element for Digits {
    /// # Safety
    /// As for [`Element::read`].
    #[inline(always)]
    unsafe fn read<V: Vector, const SOME: bool>(
        pixel: *const Digits,
        channel: usize,
        count: usize,
        [planes, words]: [usize; 2],
    ) -> V {
        // SAFETY: as for a word of spikes; the pixel has all planes.
        unsafe {
            let digit =
                |plane: usize| u64::read::<V, SOME>(pixel.cast::<u64>().add(plane * words), channel, count, [1, words]);
            let mut sum = digit(0);
            for plane in 1..planes {
                sum = digit(plane).mul_add(V::splat(worth(plane)), sum);
            }
            sum
        }
    }

    /// As for spikes.
    #[inline(always)]
    fn prefetch(_: *const Digits, _: usize) {}
}
