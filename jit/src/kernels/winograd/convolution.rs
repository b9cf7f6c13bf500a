//! How a convolution by tiles is cut into tasks, whatever its stride: transforms, products, and transforms back.
//!
//! Everything is cut so that what one step writes is in the L2 cache when the next reads it. The cut depends on the shape
//! alone, so results are the same for any number of threads. This file must never know where the points are.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use super::images::Images;
use super::output::{self, Line};
use super::points::OUTPUTS;
use super::tiles::{Blocks, Tiles};
use super::to_points::{self, Square};
use super::weights::{self, MATRICES, Taps};
use super::{PIECE, SKEW, images, product};
use crate::kernels::block::ROWS;
use crate::kernels::filters::Filters;
use crate::kernels::panels::Panels;
use crate::kernels::pool::with_scratch;
use crate::kernels::prepared::{Form, Weights};
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Width, dispatch};

/// Tiles of a block: enough to reuse a panel of weights, few enough for the L2 cache.
const BLOCK: usize = 64;

/// With fewer blocks than this the work is cut along the output channels.
const FEW_BLOCKS: usize = 4;

/// The transforms of a kind of convolution, whose tiles read squares of `SIDE` times `SIDE` pixels and have as many pairs of
/// points.
pub(super) trait Scheme<const SIDE: usize>: Square<SIDE, SIDE> + Taps + Copy + Sync {
    /// Writes the channels of a panel to the pixels of a block, by [`Convolution::finish`].
    fn multiply(convolution: &Convolution<'_, Self, SIDE>, part: Part<'_>);
}

/// What a convolution reads and writes; lengths were checked.
pub(super) struct Operands<'a> {
    /// Where tiles lie.
    pub tiles: Tiles,
    /// The weights.
    pub filters: Filters<'a>,
    /// Whether kernels are turned by 180 degrees.
    pub flipped: bool,
    /// What is read.
    pub images: Images<'a>,
    /// What is written.
    pub out: Shared<'a>,
}

/// A convolution.
pub(super) struct Convolution<'a, S, const SIDE: usize> {
    pub scheme: S,
    pub operands: Operands<'a>,
    width: Width,
    blocks: Blocks,
    panels: Panels,
    zeros: &'a [u64],
}

/// A block of transformed tiles and a panel of transformed weights.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    block: usize,
    panel: usize,
    /// The matrices of tiles, from the block's first tile on.
    tiles: &'a [f32],
    /// Elements from one of them to the next.
    plane: usize,
    weights: &'a [f32],
}

/// Writes all pixels.
pub(super) fn run<S: Scheme<SIDE>, const SIDE: usize>(
    width: Width,
    scheme: S,
    operands: Operands<'_>,
    weights: Weights<'_, f32>,
) {
    let convolution = Convolution {
        width,
        blocks: Blocks::of(operands.tiles.count(), BLOCK, ROWS),
        panels: Panels::of(width, operands.filters.outputs),
        zeros: &images::padding(operands.filters.inputs),
        scheme,
        operands,
    };
    if convolution.blocks.count < FEW_BLOCKS && convolution.panels.count() > convolution.blocks.count {
        convolution.by_panels(weights);
    } else {
        convolution.by_blocks(weights);
    }
}

impl<S: Scheme<SIDE>, const SIDE: usize> Convolution<'_, S, SIDE> {
    /// Pairs of points.
    const POINTS: usize = SIDE * SIDE;

    /// Many tiles: all weights are transformed first, then every task takes a block of tiles through all steps.
    fn by_blocks(&self, weights: Weights<'_, f32>) {
        let size = self.panel_size();
        weights.in_form(
            Form::Points,
            self.panels.count() * size,
            |packed| self.transform_all(packed),
            |packed| {
                let plane = self.block_size() + SKEW;
                (0..self.blocks.count).into_par_iter().for_each(|block| {
                    with_scratch(Self::POINTS * plane, |tiles| {
                        self.transform_input(self.blocks.range(block), Shared::of(tiles), 0, plane);
                        for (panel, weights) in packed.chunks_exact(size.max(1)).enumerate() {
                            S::multiply(self, Part { block, panel, tiles, plane, weights });
                        }
                    });
                });
            },
        );
    }

    /// Few tiles and many channels: all tiles are transformed first, then every task takes a panel of output channels
    /// through all steps, so that the weights, which are large, are read once and never leave the caches.
    fn by_panels(&self, weights: Weights<'_, f32>) {
        let size = self.block_size();
        let plane = self.blocks.count * size + SKEW;
        with_scratch(Self::POINTS * plane, |data| {
            let shared = Shared::of(data);
            let blocks = 0..self.blocks.count;
            let pieces = self.blocks.longest().div_ceil(PIECE);
            (0..self.blocks.count * pieces).into_par_iter().for_each(|task| {
                let (block, first) = (task / pieces, task % pieces * PIECE);
                let range = self.blocks.range(block);
                let range = range.end.min(range.start + first)..range.end.min(range.start + first + PIECE);
                self.transform_input(range, shared, block * size + first * self.row(), plane);
            });
            let data = &*data;
            let multiply = |panel: usize, weights: &[f32]| {
                for block in blocks.clone() {
                    let tiles = data.get(block * size..).unwrap_or_default();
                    S::multiply(self, Part { block, panel, tiles, plane, weights });
                }
            };
            let panels = (0..self.panels.count()).into_par_iter();
            if !weights.stay() {
                panels.for_each(|panel| {
                    with_scratch(self.panel_size(), |packed| {
                        let shared = Shared::of(packed);
                        (0..self.chunks()).for_each(|chunk| self.transform_weights(panel, chunk, shared, 0));
                        multiply(panel, packed);
                    });
                });
                return;
            }
            let len = self.panels.count() * self.panel_size();
            weights.in_form(
                Form::Points,
                len,
                |packed| self.transform_all(packed),
                |packed| {
                    panels
                        .zip(packed.par_chunks_exact(self.panel_size()))
                        .for_each(|(panel, packed)| multiply(panel, packed));
                },
            );
        });
    }

    /// Transforms all weights, panel after panel.
    fn transform_all(&self, packed: &mut [f32]) {
        let (size, chunks, shared) = (self.panel_size(), self.chunks(), Shared::of(packed));
        (0..self.panels.count() * chunks).into_par_iter().for_each(|task| {
            let panel = task / chunks;
            self.transform_weights(panel, task % chunks, shared, panel * size);
        });
    }

    /// Elements of a panel of transformed weights.
    fn panel_size(&self) -> usize {
        MATRICES * self.panel_plane()
    }

    /// Elements from one matrix of a panel to the next.
    fn panel_plane(&self) -> usize {
        self.operands.filters.inputs * self.panels.width() + SKEW
    }

    /// Elements of a matrix of a block of tiles.
    fn block_size(&self) -> usize {
        self.blocks.longest() * self.row()
    }

    /// Elements from one transformed tile to the next.
    fn row(&self) -> usize {
        self.panels.whole_vectors(self.operands.filters.inputs)
    }

    /// Parts into which the weights of a panel are cut, along the input channels.
    fn chunks(&self) -> usize {
        self.operands.filters.inputs.div_ceil(weights::DEPTH)
    }

    /// Transforms one part of a panel of weights to `out`, where the panel begins at `start`.
    fn transform_weights(&self, panel: usize, chunk: usize, out: Shared<'_>, start: usize) {
        let Operands { filters, flipped, .. } = self.operands;
        let inputs = chunk * weights::DEPTH..filters.inputs.min((chunk + 1) * weights::DEPTH);
        let columns = self.panels.columns(panel);
        with_scratch(inputs.len() * weights::TAPS * columns, |taps| {
            filters.copy(inputs.clone(), self.panels.channels(panel), taps, columns);
            let (scheme, plane) = (PhantomData::<S>, self.panel_plane());
            let transform = weights::Transform { scheme, taps, inputs, columns, flipped, out, start, plane };
            dispatch(self.width, transform);
        });
    }

    /// Transforms the input of some tiles to `out`, where the first of them begins at `start`.
    fn transform_input(&self, range: Range<usize>, out: Shared<'_>, start: usize, plane: usize) {
        let transform = to_points::Transform::<S, SIDE, SIDE> {
            tiles: &self.operands.tiles,
            range,
            squares: PhantomData,
            images: self.operands.images,
            channels: self.operands.filters.inputs,
            zeros: self.zeros,
            out,
            start,
            row: self.row(),
            column: self.width.lanes(),
            plane,
        };
        dispatch(self.width, transform);
    }

    /// Multiplies the matrices that meet, of tiles and of weights, and takes the products at `DOWN` times `ACROSS` points to
    /// the pixels of each tile.
    pub fn finish<const DOWN: usize, const ACROSS: usize>(
        &self,
        part: Part<'_>,
        pairs: &[[usize; 2]],
        pixels: impl Fn(usize) -> [[Option<usize>; OUTPUTS]; OUTPUTS],
    ) where
        S: Line<DOWN> + Line<ACROSS>,
    {
        assert!(pairs.len() == DOWN * ACROSS);
        let range = self.blocks.range(part.block);
        let (rows, columns) = (range.len().next_multiple_of(ROWS), self.panels.columns(part.panel));
        let plane = rows * columns + SKEW;
        let filters = self.operands.filters;
        with_scratch(DOWN * ACROSS * plane, |products| {
            let product = product::Product {
                pairs,
                a: part.tiles,
                a_row: self.row(),
                a_plane: part.plane,
                rows,
                depth: filters.inputs,
                b: part.weights,
                b_plane: self.panel_plane(),
                columns,
                out: products,
                out_plane: plane,
            };
            dispatch(self.width, product);
            let transform = output::Transform::<S, _, DOWN, ACROSS> {
                scheme: PhantomData,
                range,
                pixels,
                products,
                row: columns,
                plane,
                out: self.operands.out,
                width: filters.outputs,
                channels: self.panels.channels(part.panel),
            };
            dispatch(self.width, transform);
        });
    }
}
