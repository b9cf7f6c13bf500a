//! Gradients of the weights of dense linear maps: a sum over pixels of outer products, of a pixel's gradients and its inputs.
//! Both are read as they lie, but for a panel of inputs that is copied to stay in the L1 cache while all outputs meet it.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::block::{ROWS, Sums, panel_vectors, zeros};
use super::geometry::{Geometry, blocks};
use super::pool::with_scratch;
use super::shared::Shared;
use super::vector::{Kernel, Vector, Width, dispatch};

/// Channels of both sides, at least.
const CHANNELS: usize = 32;
/// Pixels of a panel.
const PIXELS: usize = 128;
/// Outputs of a task, at least, as copying a panel is shared by them.
const OUTPUTS: usize = 4 * ROWS;
/// Tasks that keep the threads of most machines busy.
const TASKS: usize = 32;

/// Whether these products are meant for a map.
pub(crate) fn fits(geometry: &Geometry) -> bool {
    geometry.groups == 1 && geometry.cin >= CHANNELS && geometry.cout >= CHANNELS && geometry.is_pointwise()
}

/// `out[o,i] = sum x[p,i] * dy[p,o]`; `None` if a length does not fit or the map is none that [`fits`]. With vectors of a width
/// that the machine has.
pub(crate) fn weight_gradient(width: Width, geometry: &Geometry, x: &[f32], dy: &[f32], out: &mut [f32]) -> Option<()> {
    let Geometry { cin, cout, .. } = *geometry;
    let pixels = geometry.pixels();
    let lens = [pixels.checked_mul(cin)?, pixels.checked_mul(cout)?, cout.checked_mul(cin)?];
    if !fits(geometry) || [x.len(), dy.len(), out.len()] != lens {
        return None;
    }
    if pixels == 0 {
        out.fill(0.0);
        return Some(());
    }
    let panels: Vec<Range<usize>> = blocks(cin, columns(width)).collect();
    // The cut decides who computes a sum, never its order.
    let chunk = cout.div_ceil(TASKS.div_ceil(panels.len())).next_multiple_of(ROWS).max(OUTPUTS);
    let chunks: Vec<Range<usize>> = blocks(cout, chunk).collect();
    let out = Shared::of(out);
    (0..panels.len() * chunks.len()).into_par_iter().for_each(|task| {
        let (Some(inputs), Some(outputs)) = (panels.get(task / chunks.len()), chunks.get(task % chunks.len())) else {
            return;
        };
        with_scratch(PIXELS * columns(width), |panel: &mut [f32]| {
            let (inputs, outputs) = (inputs.clone(), outputs.clone());
            dispatch(width, Products { x, dy, cin, cout, pixels, inputs, outputs, panel, out });
        });
    });
    Some(())
}

/// Columns of a panel.
fn columns(width: Width) -> usize {
    match width {
        Width::Avx512 => 64,
        Width::Avx2 | Width::Plain => 16,
    }
}

/// The gradients of some weights.
struct Products<'a> {
    /// `[pixels][cin]`
    x: &'a [f32],
    /// `[pixels][cout]`
    dy: &'a [f32],
    cin: usize,
    cout: usize,
    pixels: usize,
    inputs: Range<usize>,
    outputs: Range<usize>,
    /// Room for a panel.
    panel: &'a mut [f32],
    /// `[cout][cin]`
    out: Shared<'a>,
}

impl Kernel for Products<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`]; what the fields say is there, and the weights are the task's.
    #[inline(always)]
    unsafe fn run<V: Vector>(mut self) {
        debug_assert!(self.inputs.len() <= panel_vectors::<V>() * V::LANES);
        // SAFETY: the caller of `dispatch` vouches for all of it.
        unsafe {
            match self.inputs.len().div_ceil(V::LANES) {
                1 => self.panels::<V, 1>(),
                2 => self.panels::<V, 2>(),
                3 => self.panels::<V, 3>(),
                _ => self.panels::<V, 4>(),
            }
        }
    }
}

impl Products<'_> {
    /// Goes through the pixels, a panel of `N` vectors after the other.
    ///
    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn panels<V: Vector, const N: usize>(&mut self) {
        for pixels in blocks(self.pixels, PIXELS) {
            for (to, pixel) in self.panel.chunks_exact_mut(N * V::LANES).zip(pixels.clone()) {
                let from = &self.x[pixel * self.cin..][self.inputs.clone()];
                let (inputs, behind) = to.split_at_mut(from.len());
                inputs.copy_from_slice(from);
                behind.fill(0.0);
            }
            for output in self.outputs.clone().step_by(ROWS) {
                // SAFETY: the block begins inside.
                unsafe { self.block::<V, N>(output, pixels.clone()) };
            }
        }
    }

    /// What a panel adds to the gradients of a block of outputs; one that is not full repeats its last output.
    ///
    /// # Safety
    /// As for [`Kernel::run`]; the output exists, and the panel holds these pixels.
    #[inline(always)]
    unsafe fn block<V: Vector, const N: usize>(&self, output: usize, pixels: Range<usize>) {
        // SAFETY: outputs are clamped to the task's.
        unsafe {
            let mut sums: Sums<V, ROWS, N> = zeros();
            let first = self.dy.as_ptr().add(pixels.start * self.cout);
            let dy: [*const f32; ROWS] = std::array::from_fn(|m| first.add((output + m).min(self.outputs.end - 1)));
            for pixel in 0..pixels.len() {
                let row = self.panel.as_ptr().add(pixel * N * V::LANES);
                let x: [V; N] = std::array::from_fn(|n| V::load(row.add(n * V::LANES)));
                for (sums, dy) in sums.iter_mut().zip(dy) {
                    let dy = V::splat(dy.add(pixel * self.cout).read());
                    for (sum, x) in sums.iter_mut().zip(x) {
                        *sum = dy.mul_add(x, *sum);
                    }
                }
            }
            for (m, sums) in sums.into_iter().enumerate().take(self.outputs.end - output) {
                let to = self.out.at((output + m) * self.cin + self.inputs.start);
                for (n, sum) in sums.into_iter().enumerate() {
                    add(to.add(n * V::LANES), sum, self.inputs.len() - n * V::LANES, pixels.start == 0);
                }
            }
        }
    }
}

/// Adds a vector, or its first `count` lanes, to memory that holds nothing yet if this is the `first` addition.
///
/// # Safety
/// The machine has the vectors, and memory the elements.
#[inline(always)]
unsafe fn add<V: Vector>(to: *mut f32, sum: V, count: usize, first: bool) {
    // SAFETY: the caller vouches for it.
    unsafe {
        match (count < V::LANES, first) {
            (false, true) => sum.store(to),
            (false, false) => V::load(to).add(sum).store(to),
            (true, true) => sum.store_some(to, count),
            (true, false) => V::load_some(to, count).add(sum).store_some(to, count),
        }
    }
}
