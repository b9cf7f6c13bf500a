//! Packed spikes as numbers, for kernels that want every input. This file must never know shapes of convolutions.

use std::ops::Range;

use super::plane::tail_mask;
use crate::kernels::bits::Bits;

/// Spikes, without the bits behind the last channel.
pub(crate) fn popcount(bits: Bits) -> usize {
    if bits.channels.is_multiple_of(64) {
        return bits.data.iter().map(|word| word.count_ones() as usize).sum();
    }
    let tail = tail_mask(bits.channels);
    let pixel = |words: &[u64]| {
        let all: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        all - words.last().map_or(0, |last| (last & !tail).count_ones() as usize)
    };
    bits.data.chunks_exact(bits.words.max(1)).map(pixel).sum()
}

/// Writes ones and zeros for the spikes of some pixels, `[pixels][channels]`.
pub(crate) fn unpack<T: Copy + From<u8>>(bits: Bits, pixels: Range<usize>, to: &mut [T]) {
    let (words, channels) = (bits.words.max(1), bits.channels.max(1));
    let from = bits.data.get(pixels.start * words..pixels.end * words).unwrap_or_default();
    let values = [T::from(0), T::from(1)];
    for (from, to) in from.chunks_exact(words).zip(to.chunks_exact_mut(channels)) {
        for (word, to) in from.iter().zip(to.chunks_mut(64)) {
            for (channel, to) in to.iter_mut().enumerate() {
                *to = values[(word >> channel & 1) as usize];
            }
        }
    }
}
