//! Spikes and small whole numbers as bits: rows of 64-bit words for every pixel, channel `c` in bit `c % 64` of word
//! `c / 64`. Bits behind the last channel have any value.

use snn_loops::ConvShape;

/// Packed numbers of images, `[rows][height][width]` pixels of `planes` times `words` words. Plane `k` holds bit `k` of
/// every channel's number; spikes have one plane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits<'a> {
    /// All words.
    pub data: &'a [u64],
    /// Channels of a pixel.
    pub channels: usize,
    /// Words of a plane of a pixel: `channels.div_ceil(64)`.
    pub words: usize,
    /// Planes of a pixel.
    pub planes: usize,
}

impl<'a> Bits<'a> {
    /// The inputs of a convolution.
    pub fn of(shape: &ConvShape, planes: usize, data: &'a [u64]) -> Bits<'a> {
        Bits { data, channels: shape.cin, words: shape.cin.div_ceil(64), planes }
    }

    /// Words of a pixel.
    pub fn pixel(&self) -> usize {
        self.planes * self.words
    }
}

/// What a bit of a plane is worth.
pub(crate) fn worth(plane: usize) -> f32 {
    (1u64 << plane) as f32
}
