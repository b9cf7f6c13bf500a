//! Packed spikes and counts as numbers, for kernels that want every input. This file must never know shapes of convolutions.

use std::ops::Range;

use snn_loops::MAX_PLANES;

use super::plane::tail_mask;
use crate::kernels::bits::Bits;

/// Bits that are set, without those behind the last channel.
pub(crate) fn popcount(bits: Bits) -> usize {
    if bits.channels.is_multiple_of(64) {
        return bits.data.iter().map(|word| word.count_ones() as usize).sum();
    }
    let tail = tail_mask(bits.channels);
    let plane = |words: &[u64]| {
        let all: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        all - words.last().map_or(0, |last| (last & !tail).count_ones() as usize)
    };
    bits.data.chunks_exact(bits.words.max(1)).map(plane).sum()
}

/// For every byte its bits, the lowest first, each in a byte of its own.
const SPREAD: [u64; 256] = {
    let mut spread = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            spread[byte] |= (byte as u64 >> bit & 1) << (8 * bit);
            bit += 1;
        }
        byte += 1;
    }
    spread
};

/// Writes the numbers of some pixels, `[pixels][channels]`.
pub(crate) fn unpack<T: Copy + From<u8>>(bits: Bits, pixels: Range<usize>, to: &mut [T]) {
    let (words, channels, pixel) = (bits.words.max(1), bits.channels.max(1), bits.pixel().max(1));
    let from = bits.data.get(pixels.start * pixel..pixels.end * pixel).unwrap_or_default();
    for (from, to) in from.chunks_exact(pixel).zip(to.chunks_exact_mut(channels)) {
        for (at, to) in to.chunks_mut(64).enumerate() {
            let mut word = [0; MAX_PLANES];
            for (word, plane) in word.iter_mut().zip(from.chunks_exact(words)) {
                *word = plane.get(at).copied().unwrap_or_default();
            }
            for (eighth, to) in to.chunks_mut(8).enumerate() {
                let digits = |plane: usize| SPREAD[(word[plane] >> (8 * eighth)) as usize & 255] << plane;
                let numbers = (0..bits.planes).fold(0, |numbers, plane| numbers | digits(plane));
                for (to, number) in to.iter_mut().zip(numbers.to_le_bytes()) {
                    *to = T::from(number);
                }
            }
        }
    }
}
