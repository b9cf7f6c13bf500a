//! Spikes as bits: one row of 64-bit words for every pixel, channel `c` in bit `c % 64` of word `c / 64`. Bits behind the
//! last channel have any value.

/// Packed spikes of images, `[rows][height][width]` pixels of `words` words each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits<'a> {
    /// All words.
    pub data: &'a [u64],
    /// Channels of a pixel.
    pub channels: usize,
    /// Words of a pixel: `channels.div_ceil(64)`.
    pub words: usize,
}
