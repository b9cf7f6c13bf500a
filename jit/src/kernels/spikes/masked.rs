//! Linear maps of spikes to few outputs, where one addition a spike would fill a fraction of a vector: any sixteen channels
//! are added side by side, those without a spike masked out. The time does not depend on the spikes.
//!
//! Sixteen sums a result whatever the vectors, then added by halves: no result depends on their width. This file must never
//! know when these kernels are the faster ones.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::pack::Shared;
use crate::kernels::bits::Bits;
use crate::kernels::geometry::{Geometry, blocks};
use crate::kernels::pool::with_scratch;
use crate::kernels::vector::{Kernel, Vector, WIDEST, Width, dispatch};

/// Outputs of a map, at most: with more, additions of whole rows of weights fill their vectors.
const OUTPUTS: usize = WIDEST;
/// Channels of a word.
const WORD: usize = 64;
/// Outputs of a block, whose weights are met at once.
const BLOCK: usize = 5;
/// Pixels that share a vector of weights, where the registers hold their sums.
const SHARING: usize = 2;
/// Pixels of a task.
const TILE: usize = 128;
/// Tasks that keep the threads of most machines busy.
const TASKS: usize = 16;
/// Pixels of a part of a gradient, at least.
const PART: usize = 256;

/// Whether a contraction is such a map.
pub(crate) fn fits(geometry: &Geometry) -> bool {
    geometry.is_pointwise() && geometry.groups == 1 && geometry.cin >= WORD && (1..=OUTPUTS).contains(&geometry.cout)
}

/// Vectors of one width that hold what is added side by side.
const fn halves<V: Vector>() -> usize {
    WIDEST / V::LANES
}

/// Multiplies packed spikes by weights `[cout][cin]`; the lengths were checked, and the map is one that [`fits`].
pub(crate) fn forward(width: Width, geometry: &Geometry, bits: Bits, weights: &[f32], out: &mut [f32]) {
    let Geometry { cin, cout, .. } = *geometry;
    let pitch = bits.words * WORD;
    with_scratch(cout * pitch, |padded: &mut [f32]| {
        // Bits behind the last channel meet zeros.
        for (to, from) in padded.chunks_exact_mut(pitch).zip(weights.chunks_exact(cin)) {
            let (to, behind) = to.split_at_mut(cin);
            to.copy_from_slice(from);
            behind.fill(0.0);
        }
        let (padded, out) = (&*padded, Shared(out.as_mut_ptr()));
        let tiles: Vec<Range<usize>> = blocks(geometry.pixels(), TILE).collect();
        tiles.into_par_iter().for_each(|pixels| dispatch(width, Forward { bits, weights: padded, cout, pixels, out }));
    });
}

/// Some pixels of a forward map.
struct Forward<'a> {
    bits: Bits<'a>,
    /// `[cout][words of a pixel][WORD]`
    weights: &'a [f32],
    cout: usize,
    pixels: Range<usize>,
    /// `[pixels][cout]`, of all pixels.
    out: Shared,
}

impl Kernel for Forward<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`]; spikes, weights and results of the pixels must be there.
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let sharing = if halves::<V>() == 1 { SHARING } else { 1 };
        for outputs in blocks(self.cout, BLOCK) {
            let mut pixel = self.pixels.start;
            while pixel < self.pixels.end {
                let together = if pixel + sharing <= self.pixels.end { sharing } else { 1 };
                // SAFETY: the caller of `dispatch` vouches for the pixels.
                unsafe {
                    match (together, outputs.len()) {
                        (SHARING, 1) => forward_at::<V, SHARING, 1>(&self, pixel, outputs.start),
                        (SHARING, 2) => forward_at::<V, SHARING, 2>(&self, pixel, outputs.start),
                        (SHARING, 3) => forward_at::<V, SHARING, 3>(&self, pixel, outputs.start),
                        (SHARING, 4) => forward_at::<V, SHARING, 4>(&self, pixel, outputs.start),
                        (SHARING, _) => forward_at::<V, SHARING, BLOCK>(&self, pixel, outputs.start),
                        (_, 1) => forward_at::<V, 1, 1>(&self, pixel, outputs.start),
                        (_, 2) => forward_at::<V, 1, 2>(&self, pixel, outputs.start),
                        (_, 3) => forward_at::<V, 1, 3>(&self, pixel, outputs.start),
                        (_, 4) => forward_at::<V, 1, 4>(&self, pixel, outputs.start),
                        _ => forward_at::<V, 1, BLOCK>(&self, pixel, outputs.start),
                    }
                }
                pixel += together;
            }
        }
    }
}

/// Results of neighboring pixels and outputs.
///
/// # Safety
/// The machine has the vectors; spikes, weights and results of these pixels and outputs exist.
#[inline(always)]
unsafe fn forward_at<V: Vector, const PIXELS: usize, const OUTPUTS: usize>(map: &Forward, pixel: usize, output: usize) {
    let words = map.bits.words;
    // SAFETY: see above; weights are padded to whole words.
    unsafe {
        let spikes: [*const u64; PIXELS] = std::array::from_fn(|i| map.bits.data.as_ptr().add((pixel + i) * words));
        let weights: [*const f32; OUTPUTS] =
            std::array::from_fn(|i| map.weights.as_ptr().add((output + i) * words * WORD));
        let mut sums = [[[V::zero(); 2]; OUTPUTS]; PIXELS];
        for word in 0..words {
            let set: [u64; PIXELS] = std::array::from_fn(|i| spikes[i].add(word).read());
            for side in (0..WORD).step_by(WIDEST) {
                for half in 0..halves::<V>() {
                    let channel = side + half * V::LANES;
                    for (o, weights) in weights.iter().enumerate() {
                        let weights = V::load(weights.add(word * WORD + channel));
                        for (set, sums) in set.iter().zip(&mut sums) {
                            sums[o][half] = sums[o][half].add_where(set >> channel, weights);
                        }
                    }
                }
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            for (o, [lower, upper]) in sums.into_iter().enumerate() {
                let sum = if halves::<V>() == 1 { lower } else { lower.add(upper) };
                map.out.at((pixel + i) * map.cout + output + o).write(sum.sum());
            }
        }
    }
}

/// The gradient of the weights `[cout][cin]` of packed spikes whose results have the gradients `[pixels][cout]`; the lengths
/// were checked, and the map is one that [`fits`].
pub(crate) fn weight_gradient(width: Width, geometry: &Geometry, bits: Bits, gradients: &[f32], out: &mut [f32]) {
    let Geometry { cin, cout, .. } = *geometry;
    let pitch = bits.words * WORD;
    let outputs: Vec<Range<usize>> = blocks(cout, gradient_block(width)).collect();
    let each = bits.words * outputs.len();
    // The number of parts depends on the shape alone, not on the width of vectors, as the order of a sum does.
    let parts = TASKS.div_ceil(bits.words).min(geometry.pixels() / PART).max(1);
    let parts: Vec<Range<usize>> = blocks(geometry.pixels(), geometry.pixels().div_ceil(parts)).collect();
    with_scratch(parts.len() * cout * pitch, |sums: &mut [f32]| {
        let shared = Shared(sums.as_mut_ptr());
        (0..parts.len() * each).into_par_iter().for_each(|task| {
            let (part, word, block) = (task / each, task % bits.words, task % each / bits.words);
            let (Some(pixels), Some(outputs)) = (parts.get(part), outputs.get(block)) else { return };
            // SAFETY: the task owns these sums.
            let to = unsafe { shared.at((part * cout + outputs.start) * pitch + word * WORD) };
            let gradient = Gradient { bits, gradients, cout, pixels: pixels.clone(), word, outputs: outputs.clone() };
            dispatch(width, GradientTask { gradient, to, pitch });
        });
        let (first, others) = sums.split_at(cout * pitch);
        for (output, out) in out.chunks_exact_mut(cin).enumerate() {
            let row = output * pitch..output * pitch + cin;
            out.copy_from_slice(&first[row.clone()]);
            for part in others.chunks_exact(cout * pitch) {
                out.iter_mut().zip(&part[row.clone()]).for_each(|(sum, part)| *sum += part);
            }
        }
    });
}

/// Outputs whose sums of a word's channels fit into the registers.
fn gradient_block(width: Width) -> usize {
    match width {
        Width::Avx512 => BLOCK,
        Width::Avx2 | Width::Plain => 1,
    }
}

/// What is summed: the gradients of some outputs over some pixels, by the channels of one word.
struct Gradient<'a> {
    bits: Bits<'a>,
    gradients: &'a [f32],
    cout: usize,
    pixels: Range<usize>,
    word: usize,
    outputs: Range<usize>,
}

/// Sums and where they go: [`WORD`] elements an output, `pitch` from one output to the next.
struct GradientTask<'a> {
    gradient: Gradient<'a>,
    to: *mut f32,
    pitch: usize,
}

impl Kernel for GradientTask<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`]; spikes, gradients and sums must be there.
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller of `dispatch` vouches for the sums.
        unsafe {
            match self.gradient.outputs.len() {
                1 => gradient::<V, 1>(self),
                2 => gradient::<V, 2>(self),
                3 => gradient::<V, 3>(self),
                4 => gradient::<V, 4>(self),
                _ => gradient::<V, BLOCK>(self),
            }
        }
    }
}

/// # Safety
/// The machine has the vectors; spikes, gradients and sums exist.
#[inline(always)]
unsafe fn gradient<V: Vector, const OUTPUTS: usize>(task: GradientTask) {
    let Gradient { bits, gradients, cout, pixels, word, outputs } = task.gradient;
    // SAFETY: see above.
    unsafe {
        let mut sums = [[[V::zero(); 2]; WORD / WIDEST]; OUTPUTS];
        for pixel in pixels {
            let set = bits.data.as_ptr().add(pixel * bits.words + word).read();
            let given = gradients.as_ptr().add(pixel * cout + outputs.start);
            for (o, sums) in sums.iter_mut().enumerate() {
                let given = V::splat(given.add(o).read());
                for (side, sums) in sums.iter_mut().enumerate() {
                    for (half, sum) in sums.iter_mut().take(halves::<V>()).enumerate() {
                        *sum = sum.add_where(set >> (side * WIDEST + half * V::LANES), given);
                    }
                }
            }
        }
        for (o, sums) in sums.into_iter().enumerate() {
            for (side, sums) in sums.into_iter().enumerate() {
                for (half, sum) in sums.into_iter().take(halves::<V>()).enumerate() {
                    sum.store(task.to.add(o * task.pitch + side * WIDEST + half * V::LANES));
                }
            }
        }
    }
}
