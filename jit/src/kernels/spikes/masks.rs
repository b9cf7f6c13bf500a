//! Spikes by channel: for 64 consecutive pixels of a plane one word a channel, pixel `p` in bit `p % 64`. This file must
//! never know gradients.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::kernels::vector::{Kernel, Vector, Width, dispatch};

/// Groups of pixels that a task transposes, at least.
const TASK: usize = 128;

/// Groups of 64 among so many pixels.
pub(crate) fn groups(pixels: usize) -> usize {
    pixels.div_ceil(64)
}

/// Transposes `[pixels][words]` to `[groups][words * 64]`; pixels behind the last have no spikes.
pub(crate) fn transpose(width: Width, pixels: &[u64], words: usize, masks: &mut [u64]) {
    let group_len = words * 64;
    if group_len == 0 {
        return;
    }
    masks.par_chunks_mut(group_len).with_min_len(TASK).enumerate().for_each(|(group, masks)| {
        let from = pixels.get(group * group_len..).unwrap_or_default();
        dispatch(width, Group { from: from.get(..group_len).unwrap_or(from), words, masks });
    });
}

/// One group of pixels.
struct Group<'a> {
    from: &'a [u64],
    words: usize,
    masks: &'a mut [u64],
}

impl Kernel for Group<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        for (word, masks) in self.masks.chunks_exact_mut(64).enumerate() {
            let mut square = [0; 64];
            for (row, pixel) in square.iter_mut().zip(self.from.chunks_exact(self.words)) {
                *row = pixel.get(word).copied().unwrap_or_default();
            }
            transpose_square(&mut square);
            masks.copy_from_slice(&square);
        }
    }
}

/// Transposes a square of bits: halves of ever smaller squares change places.
#[inline(always)]
fn transpose_square(square: &mut [u64; 64]) {
    exchange::<32>(square, 0x0000_0000_ffff_ffff);
    exchange::<16>(square, 0x0000_ffff_0000_ffff);
    exchange::<8>(square, 0x00ff_00ff_00ff_00ff);
    exchange::<4>(square, 0x0f0f_0f0f_0f0f_0f0f);
    exchange::<2>(square, 0x3333_3333_3333_3333);
    exchange::<1>(square, 0x5555_5555_5555_5555);
}

/// Exchanges the high bits of rows with the low bits of the rows `HALF` below.
#[inline(always)]
fn exchange<const HALF: usize>(square: &mut [u64; 64], low: u64) {
    for rows in square.chunks_exact_mut(2 * HALF) {
        let (upper, lower) = rows.split_at_mut(HALF);
        for (a, b) in upper.iter_mut().zip(lower) {
            let change = (*a >> HALF ^ *b) & low;
            *a ^= change << HALF;
            *b ^= change;
        }
    }
}
