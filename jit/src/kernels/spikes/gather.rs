//! Sums of the weight rows that spikes select, for one block of outputs: the sums of an output pixel stay in registers
//! while a few words of its window are read. This file must never know shapes.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use crate::kernels::vector::{Kernel, Vector};

/// A word of the windows and the weights of its channels.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entry {
    /// The word, relative to a window's first.
    pub word: usize,
    /// The weights of the word's first channel, in floats.
    pub weights: usize,
    /// Channels of the word.
    pub channels: usize,
    /// What the weights are multiplied by: a power of two.
    pub worth: f32,
}

/// One pass over a tile of output pixels: adds what some entries contribute.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'a> {
    /// The first word of every pixel's window.
    pub spots: &'a [u32],
    /// What to add, in this order.
    pub entries: &'a [Entry],
    /// Spikes, without garbage.
    pub words: *const u64,
    /// Packed weights of the block.
    pub weights: *const f32,
    /// Sums so far, `[pixels][lanes]`; zeros if there are none.
    pub sums: Option<*const f32>,
    /// Where the sums go.
    pub to: *mut f32,
    /// Floats from one pixel to the next there.
    pub pitch: usize,
    /// Vectors of the block.
    pub vectors: usize,
}

/// Walks the set bits of every word.
pub(crate) struct Gather<'a>(pub Pass<'a>);

impl Kernel for Gather<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`]; what the fields point to must be there.
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let pass = self.0;
        // SAFETY: the caller of `dispatch` vouches for the pass.
        unsafe {
            match pass.vectors {
                1 => gather::<V, 1>(pass),
                2 => gather::<V, 2>(pass),
                3 => gather::<V, 3>(pass),
                4 => gather::<V, 4>(pass),
                5 => gather::<V, 5>(pass),
                6 => gather::<V, 6>(pass),
                7 => gather::<V, 7>(pass),
                _ => gather::<V, 8>(pass),
            }
        }
    }
}

/// # Safety
/// All words and weights that spots and entries name exist, as do the sums and the target of every spot.
#[inline(always)]
unsafe fn gather<V: Vector, const VECTORS: usize>(pass: Pass) {
    let lanes = VECTORS * V::LANES;
    // SAFETY: see above; bits behind an entry's channels are not set.
    unsafe {
        for (pixel, spot) in pass.spots.iter().enumerate() {
            let window = pass.words.add(*spot as usize);
            let mut sums = load::<V, VECTORS>(pass.sums, pixel);
            for entry in pass.entries {
                let weights = pass.weights.add(entry.weights);
                let mut word = window.add(entry.word).read();
                while word != 0 {
                    let row = weights.add(word.trailing_zeros() as usize * lanes);
                    word &= word - 1;
                    add(&mut sums, row, entry.worth);
                }
            }
            store(sums, pass.to.add(pixel * pass.pitch));
        }
    }
}

/// Adds a row times a power of two. The product is exact, so that it does not matter whether it is rounded.
///
/// # Safety
/// The row has as many floats as there are sums, and the machine the vectors.
#[inline(always)]
pub(crate) unsafe fn add<V: Vector, const VECTORS: usize>(sums: &mut [V; VECTORS], row: *const f32, worth: f32) {
    for (i, sum) in sums.iter_mut().enumerate() {
        // SAFETY: the caller vouches for the row and for the machine.
        unsafe {
            let row = V::load(row.add(i * V::LANES));
            *sum = if V::IS_FUSED || worth != 1.0 { row.mul_add(V::splat(worth), *sum) } else { sum.add(row) };
        }
    }
}

/// The sums of a pixel so far.
///
/// # Safety
/// The pixel's sums exist, if there are any.
#[inline(always)]
pub(crate) unsafe fn load<V: Vector, const VECTORS: usize>(from: Option<*const f32>, pixel: usize) -> [V; VECTORS] {
    // SAFETY: the caller vouches for the sums.
    unsafe {
        match from {
            Some(from) => std::array::from_fn(|i| V::load(from.add((pixel * VECTORS + i) * V::LANES))),
            None => [V::zero(); VECTORS],
        }
    }
}

/// Writes vectors side by side.
///
/// # Safety
/// They fit.
#[inline(always)]
pub(crate) unsafe fn store<V: Vector, const VECTORS: usize>(sums: [V; VECTORS], to: *mut f32) {
    for (i, sum) in sums.into_iter().enumerate() {
        // SAFETY: the caller vouches for the room.
        unsafe { sum.store(to.add(i * V::LANES)) };
    }
}
