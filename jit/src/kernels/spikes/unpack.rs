//! Packed spikes as numbers, for kernels that want every input. This file must never know shapes of convolutions.

use std::ops::Range;

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

/// Writes the numbers of some pixels, `[pixels][channels]`.
pub(crate) fn unpack<T: Copy + From<u8>>(bits: Bits, pixels: Range<usize>, to: &mut [T]) {
    let (words, channels, pixel) = (bits.words.max(1), bits.channels.max(1), bits.pixel().max(1));
    let from = bits.data.get(pixels.start * pixel..pixels.end * pixel).unwrap_or_default();
    let values = [T::from(0), T::from(1)];
    for (from, to) in from.chunks_exact(pixel).zip(to.chunks_exact_mut(channels)) {
        for (at, to) in to.chunks_mut(64).enumerate() {
            let word = |plane: usize| from.get(plane * words + at).copied().unwrap_or_default();
            if bits.planes == 1 {
                let word = word(0);
                for (channel, to) in to.iter_mut().enumerate() {
                    *to = values[(word >> channel & 1) as usize];
                }
                continue;
            }
            let mut numbers = [0u8; 64];
            for plane in 0..bits.planes {
                let word = word(plane);
                for (channel, number) in numbers.iter_mut().enumerate() {
                    *number |= ((word >> channel & 1) as u8) << plane;
                }
            }
            for (number, to) in numbers.into_iter().zip(to) {
                *to = T::from(number);
            }
        }
    }
}
