//! Gradients of a spike convolution's weights: every weight gets the sum of the output gradients that its input's spikes
//! select.
//!
//! Tasks own blocks of output channels and of input channels, so that no sums are shared. A task goes through tiles of
//! pixels, whose gradients it copies to the L1 cache, while its sums wait in the L2 cache. This file must never know how
//! sums are formed.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::masks::{self, groups};
use super::pack::{Block, Shared, unpack_block};
use super::phases::{Phase, phases};
use super::select::{Ahead, Selection, block_vectors, taps_at_once};
use crate::kernels::bits::Bits;
use crate::kernels::geometry::Geometry;
use crate::kernels::pool::with_scratch;
use crate::kernels::vector::{Kernel, Vector, Width, dispatch};

/// Floats of a tile of gradients: most of an L1 cache.
const TILE: usize = 10 * 1024;
/// Input channels of a task: at most so many that its sums stay in the L2 cache, at least so many that copying tiles does
/// not count.
const CHANNELS: Range<usize> = 32..256;
/// Tasks that a gradient is cut into for each thread, if it is large enough: more would copy more tiles.
const TASKS: usize = 2;

/// Computes the gradient; the lengths were checked.
pub(crate) fn run(width: Width, geometry: &Geometry, bits: Bits, gradients: &[f32], out: &mut [f32]) {
    let blocks = Block::all(geometry.cout, block_vectors(width, geometry.taps()), width);
    let phases = phases(geometry);
    let pixels = |phase: &Phase| geometry.rows * phase.plane.pixels();
    let lens: Vec<usize> = phases.iter().map(|phase| groups(pixels(phase)) * bits.pixel() * 64).collect();
    with_scratch(lens.iter().sum(), |mut masks: &mut [u64]| {
        let mut parts = Vec::with_capacity(phases.len());
        for (phase, len) in phases.into_iter().zip(lens) {
            let (part, rest) = masks.split_at_mut(len);
            masks = rest;
            with_scratch(pixels(&phase) * bits.pixel(), |words: &mut [u64]| {
                phase.plane.copy(geometry, bits, words);
                masks::transpose(width, words, bits.pixel(), part);
            });
            parts.push((phase, &*part));
        }
        let planes = [bits.planes, bits.words * 64];
        Job { width, geometry, parts, blocks: &blocks, group: bits.pixel() * 64, planes, gradients }.run(out);
    });
}

/// What all tasks share.
struct Job<'a> {
    width: Width,
    geometry: &'a Geometry,
    /// The phases and their spikes by channel.
    parts: Vec<(Phase, &'a [u64])>,
    blocks: &'a [Block],
    /// Words of a group of pixels.
    group: usize,
    /// Planes, and words from one to the next in a group.
    planes: [usize; 2],
    /// Gradients of the output.
    gradients: &'a [f32],
}

impl Job<'_> {
    /// All blocks of outputs and inputs.
    fn run(&self, out: &mut [f32]) {
        let cin = self.geometry.cin;
        // The cut decides who computes a sum, never its order.
        let tasks = TASKS * rayon::current_num_threads();
        let wanted = cin.div_ceil(tasks.div_ceil(self.blocks.len())).next_multiple_of(16);
        let chunk = wanted.clamp(CHANNELS.start, CHANNELS.end);
        let chunks = cin.div_ceil(chunk);
        let out = Shared(out.as_mut_ptr());
        (0..chunks * self.blocks.len()).into_par_iter().for_each(|task| {
            let first = task % chunks * chunk;
            self.task(first..cin.min(first + chunk), self.blocks[task / chunks], out);
        });
    }

    /// The weights of some input channels and the block.
    fn task(&self, channels: Range<usize>, block: Block, out: Shared) {
        let (taps, window) = (self.geometry.taps(), self.geometry.window());
        let rows = channels.len() * taps;
        with_scratch(rows * block.lanes, |sums: &mut [f32]| {
            sums.fill(0.0);
            for (phase, masks) in &self.parts {
                self.phase(phase, masks, &channels, block, sums);
            }
            let columns = [channels.start * taps, window];
            dispatch(self.width, Unpack { sums, rows, block, columns, out });
        });
    }

    /// Adds the sums of a phase's kernel elements.
    fn phase(&self, phase: &Phase, masks: &[u64], channels: &Range<usize>, block: Block, sums: &mut [f32]) {
        let groups = masks.len() / self.group;
        let tile = (TILE / block.lanes).saturating_sub(phase.reach) / 64;
        let tile = tile.clamp(1, groups.max(1));
        with_scratch((phase.reach + tile * 64) * block.lanes, |gradients: &mut [f32]| {
            for first in (0..groups).step_by(tile) {
                let count = tile.min(groups - first);
                let pixels = phase.reach + count * 64;
                let copy = Copy { geometry: self.geometry, phase, block, from: self.gradients };
                dispatch(self.width, CopyTile { copy, first: first * 64, to: &mut gradients[..pixels * block.lanes] });
                for taps in phase.taps.chunks(taps_at_once(self.width)) {
                    let selection = Selection {
                        taps,
                        masks: masks[first * self.group + channels.start..].as_ptr(),
                        group: self.group,
                        planes: self.planes,
                        groups: count,
                        gradients: gradients[phase.reach * block.lanes..].as_ptr(),
                        sums: sums.as_mut_ptr(),
                        all_taps: self.geometry.taps(),
                        channels: channels.len(),
                        vectors: block.vectors,
                        ahead: self.ahead(
                            phase,
                            (first + count) * 64..(first + count + tile) * 64,
                            block,
                            channels.len(),
                        ),
                    };
                    dispatch(self.width, selection);
                }
            }
        });
    }
}

impl Job<'_> {
    /// The gradients that belong to some pixels of a phase's plane, to be prefetched while so many channels are summed.
    fn ahead(&self, phase: &Phase, pixels: Range<usize>, block: Block, channels: usize) -> Ahead {
        let [height, width] = phase.plane.size;
        let [output_height, output_width] = self.geometry.output;
        let before = |pixel: usize| {
            let line = (pixel / width % height).min(output_height);
            (pixel / (height * width) * output_height + line) * output_width
        };
        let (first, last) = (before(pixels.start), before(pixels.end));
        let pitch = self.geometry.cout;
        let from = self.gradients.as_ptr().wrapping_add(first * pitch + block.first);
        Ahead { from, pixels: (last - first).div_ceil(channels.max(1)), pitch }
    }
}

/// Where tiles of gradients come from.
struct Copy<'a> {
    geometry: &'a Geometry,
    phase: &'a Phase,
    block: Block,
    from: &'a [f32],
}

/// Copies the gradients of a tile's pixels and of those that its taps reach before it.
struct CopyTile<'a> {
    copy: Copy<'a>,
    /// The plane's pixel after the reach.
    first: usize,
    to: &'a mut [f32],
}

impl Kernel for CopyTile<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`]; what the fields point to must be there.
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let CopyTile { copy: Copy { geometry, phase, block, from }, first, to } = self;
        let [height, width] = phase.plane.size;
        let missing = phase.reach.saturating_sub(first);
        let (before, to) = to.split_at_mut(missing * block.lanes);
        before.fill(0.0);
        let start = first + missing - phase.reach;
        let (mut image, mut y, mut x) = (start / (height * width), start / width % height, start % width);
        for to in to.chunks_exact_mut(block.lanes) {
            let inside = image < geometry.rows && y < geometry.output[0] && x < geometry.output[1];
            let pixel = (image * geometry.output[0] + y) * geometry.output[1] + x;
            let start = pixel * geometry.cout + block.first;
            match from.get(start..start + block.outputs).filter(|_| inside) {
                Some(from) if block.is_full() => {
                    for (from, to) in from.chunks_exact(V::LANES).zip(to.chunks_exact_mut(V::LANES)) {
                        // SAFETY: both are as long as a vector, and the caller of `dispatch` vouches for the machine.
                        unsafe { V::load(from.as_ptr()).store(to.as_mut_ptr()) };
                    }
                }
                Some(from) => {
                    to.fill(0.0);
                    to[..block.outputs].copy_from_slice(from);
                }
                None => to.fill(0.0),
            }
            x += 1;
            if x == width {
                (x, y) = (0, y + 1);
            }
            if y == height {
                (y, image) = (0, image + 1);
            }
        }
    }
}

/// Brings a task's sums into the order of weights.
struct Unpack<'a> {
    sums: &'a [f32],
    rows: usize,
    block: Block,
    columns: [usize; 2],
    out: Shared,
}

impl Kernel for Unpack<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`]; what the fields point to must be there.
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the sums hold the rows, and the columns are the task's.
        unsafe { unpack_block::<V>(self.sums.as_ptr(), self.rows, self.block, self.columns, self.out.0) };
    }
}
