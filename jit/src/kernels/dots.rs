//! Linear maps of few pixels: both factors have their channels side by side, so every result is a product of two rows as
//! they lie. Nothing is packed, which pays where weights are met too few times.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::geometry::{Geometry, blocks};
use super::shared::Shared;
use super::vector::{Kernel, Vector, Width, dispatch};

/// Channels of an input, at least: adding up the lanes of a sum costs as much as some products.
const CHANNELS: usize = 64;
/// Pixels, at most: for more, packing the weights pays.
const PIXELS: usize = 512;
/// Outputs of a task: their weights stay in the L2 cache while all pixels pass.
const OUTPUTS: usize = 48;
/// Channels that are met before the next pixels: what a block of results needs of them stays in the L1 cache.
const DEPTH: usize = 1024;

/// Whether these products are meant for a map.
pub(crate) fn fits(geometry: &Geometry) -> bool {
    geometry.groups == 1
        && geometry.cin >= CHANNELS
        && geometry.is_pointwise()
        && (1..=PIXELS).contains(&geometry.pixels())
}

/// `out[p,o] = sum x[p,i] * w[o,i]`, on the calling thread where that is in no pool; `None` if a length does not fit or the
/// map is none that [`fits`]. With vectors of a width that the machine has.
pub(crate) fn forward(width: Width, geometry: &Geometry, x: &[f32], weights: &[f32], out: &mut [f32]) -> Option<()> {
    let Geometry { cin, cout, .. } = *geometry;
    let pixels = geometry.pixels();
    let lens = [pixels.checked_mul(cin)?, cout.checked_mul(cin)?, pixels.checked_mul(cout)?];
    if !fits(geometry) || [x.len(), weights.len(), out.len()] != lens || out.is_empty() {
        return None;
    }
    let out = Shared::of(out);
    let task = |outputs: Range<usize>| dispatch(width, Products { x, weights, depth: cin, outputs, cout, pixels, out });
    let tasks: Vec<Range<usize>> = blocks(cout, OUTPUTS).collect();
    match rayon::current_thread_index() {
        Some(_) => tasks.into_par_iter().for_each(task),
        None => tasks.into_iter().for_each(task),
    }
    Some(())
}

/// The results of some outputs.
struct Products<'a> {
    /// `[pixels][depth]`
    x: &'a [f32],
    /// `[cout][depth]`
    weights: &'a [f32],
    depth: usize,
    outputs: Range<usize>,
    cout: usize,
    pixels: usize,
    /// `[pixels][cout]`
    out: Shared<'a>,
}

impl Kernel for Products<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`]; both factors and the results must be there, there is a pixel, and the outputs are the task's.
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller of `dispatch` vouches for all of it.
        unsafe {
            match (V::LANES, self.pixels) {
                (_, 1) => self.blocks::<V, 1, 6>(),
                (16, _) => self.blocks::<V, 4, 6>(),
                _ => self.blocks::<V, 2, 4>(),
            }
        }
    }
}

impl Products<'_> {
    /// All results, in blocks of `M` pixels and `N` outputs.
    ///
    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn blocks<V: Vector, const M: usize, const N: usize>(&self) {
        for channels in blocks(self.depth, DEPTH) {
            for output in self.outputs.clone().step_by(N) {
                for pixel in (0..self.pixels).step_by(M) {
                    // SAFETY: the block begins inside.
                    unsafe { self.block::<V, M, N>(pixel, output, channels.clone()) };
                }
            }
        }
    }

    /// The results of a block, or what some channels add to them. A block that is not full repeats its last row.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; its first pixel and output exist.
    #[inline(always)]
    unsafe fn block<V: Vector, const M: usize, const N: usize>(
        &self,
        pixel: usize,
        output: usize,
        channels: Range<usize>,
    ) {
        let last = [self.pixels - 1, self.outputs.end - 1];
        // SAFETY: rows are clamped to those that exist, and have `depth` elements each.
        unsafe {
            let row = |data: &[f32], row: usize| data.as_ptr().add(row * self.depth + channels.start);
            let x: [*const f32; M] = std::array::from_fn(|m| row(self.x, (pixel + m).min(last[0])));
            let w: [*const f32; N] = std::array::from_fn(|n| row(self.weights, (output + n).min(last[1])));
            let mut sums = [[V::zero(); N]; M];
            let whole = channels.len() / V::LANES * V::LANES;
            for at in (0..whole).step_by(V::LANES) {
                add(&mut sums, x.map(|x| V::load(x.add(at))), |n| V::load(w[n].add(at)));
            }
            let rest = channels.len() - whole;
            if rest > 0 {
                add(&mut sums, x.map(|x| V::load_some(x.add(whole), rest)), |n| V::load_some(w[n].add(whole), rest));
            }
            for (m, sums) in sums.into_iter().enumerate().take(last[0] + 1 - pixel) {
                for (n, sum) in sums.into_iter().enumerate().take(last[1] + 1 - output) {
                    let to = self.out.at((pixel + m) * self.cout + output + n);
                    let before = if channels.start == 0 { 0.0 } else { to.read() };
                    to.write(before + sum.sum());
                }
            }
        }
    }
}

/// `sums[m][n] += x[m] * w(n)`, lane by lane.
///
/// # Safety
/// The machine has the vectors.
#[inline(always)]
unsafe fn add<V: Vector, const M: usize, const N: usize>(sums: &mut [[V; N]; M], x: [V; M], w: impl Fn(usize) -> V) {
    for n in 0..N {
        let w = w(n);
        for (sums, x) in sums.iter_mut().zip(x) {
            // SAFETY: the caller vouches for the vectors.
            unsafe { sums[n] = x.mul_add(w, sums[n]) };
        }
    }
}
