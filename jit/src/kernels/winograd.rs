//! Winograd convolution F(4x4, 3x3) for dense 3x3 kernels of stride 1: a quarter of the multiplications.
//!
//! Tiles of 6x6 input pixels and kernels are taken to 36 points each, where a convolution is a product; the 36 matrix
//! products of `[tile][input channel]` with `[input channel][output channel]` are taken back to tiles of 4x4 output pixels.
//! Everything is cut so that what one step writes is in the L2 cache when the next reads it. The cut depends on the shape
//! alone, so results are the same for any number of threads.
//!
//! Errors are larger than those of sums: for 128 channels up to 1.2e-5 of the outputs' root mean square, at a root mean
//! square of 1.1e-6, where a sum has 7e-6 and 6e-7.

mod correlation;
mod images;
mod kernel_gradient;
mod output;
mod points;
mod product;
mod tiles;
mod to_points;
mod weight_gradient;
mod weights;

use std::marker::PhantomData;
use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use crate::kernels::block::ROWS;
use crate::kernels::filters::Filters;
use crate::kernels::geometry::Geometry;
use crate::kernels::panels::Panels;
use crate::kernels::pool::with_scratch;
use crate::kernels::prepared::{Form, Weights};
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Width, dispatch};
use points::PRODUCTS;
use tiles::{Blocks, Tiles};

pub(crate) use images::Images;
pub(crate) use weight_gradient::weight_gradient_with;

/// Tiles of a block: enough to reuse a panel of weights, few enough for the L2 cache.
const BLOCK: usize = 64;

/// With fewer blocks than this the work is cut along the output channels.
const FEW_BLOCKS: usize = 4;

/// Tiles that a task transforms.
const PIECE: usize = 8;

/// Added to the size of matrices, so that the 36 of them do not meet in the same sets of a cache.
const SKEW: usize = 9 * 16;

/// Whether a convolution has the shape for it.
pub(crate) fn fits(geometry: &Geometry) -> bool {
    geometry.groups == 1 && geometry.kernel == [3, 3] && geometry.stride == [1, 1] && geometry.dilation == [1, 1]
}

/// `out[r,oh,ow,o] = sum x[r,y,x,i] * w[o,i,kh,kw]`, or with `flipped` the same with `w[i,o,2-kh,2-kw]`: with the geometry
/// flipped too, that is the gradient of the input. The machine must have vectors of that width. `None` if the shape is another
/// or a length does not fit.
pub(crate) fn convolve_with(
    width: Width,
    geometry: &Geometry,
    images: Images<'_>,
    weights: Weights<'_, f32>,
    flipped: bool,
    out: &mut [f32],
) -> Option<()> {
    let pixels = geometry.rows * geometry.input[0] * geometry.input[1];
    if !fits(geometry) || !images.are(pixels, geometry.cin) || out.len() != geometry.pixels() * geometry.cout {
        return None;
    }
    let tiles = Tiles::of(geometry);
    let filters = if flipped {
        Filters::forward(&Geometry { cin: geometry.cout, cout: geometry.cin, ..*geometry }, weights.given)?.transposed()
    } else {
        Filters::forward(geometry, weights.given)?
    };
    let convolution = Convolution {
        width,
        blocks: Blocks::of(tiles.count(), BLOCK),
        tiles,
        panels: Panels::of(width, geometry.cout),
        filters,
        flipped,
        images,
        zeros: &images::padding(geometry.cin),
        out: Shared::of(out),
    };
    if convolution.blocks.count < FEW_BLOCKS && convolution.panels.count() > convolution.blocks.count {
        convolution.by_panels(weights);
    } else {
        convolution.by_blocks(weights);
    }
    Some(())
}

/// A convolution whose lengths were checked.
struct Convolution<'a> {
    width: Width,
    tiles: Tiles,
    blocks: Blocks,
    panels: Panels,
    filters: Filters<'a>,
    flipped: bool,
    images: Images<'a>,
    zeros: &'a [u64],
    out: Shared<'a>,
}

/// Transformed tiles: `[PRODUCTS][tile][channel]`.
#[derive(Clone, Copy)]
struct Transformed<'a> {
    data: &'a [f32],
    /// Elements from one product's matrix to the next.
    plane: usize,
}

impl Convolution<'_> {
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
                    with_scratch(PRODUCTS * plane, |data| {
                        self.transform_input(self.blocks.range(block), Shared::of(data), 0, plane);
                        for (panel, packed) in packed.chunks_exact(size.max(1)).enumerate() {
                            self.multiply(block, panel, Transformed { data, plane }, packed);
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
        with_scratch(PRODUCTS * plane, |data| {
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
            let multiply = |panel: usize, packed: &[f32]| {
                for block in blocks.clone() {
                    let data = data.get(block * size..).unwrap_or_default();
                    self.multiply(block, panel, Transformed { data, plane }, packed);
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
        PRODUCTS * self.panel_plane()
    }

    /// Elements from one product's matrix of a panel to the next.
    fn panel_plane(&self) -> usize {
        self.filters.inputs * self.panels.width() + SKEW
    }

    /// Elements of a product's matrix of a block of tiles.
    fn block_size(&self) -> usize {
        self.blocks.longest().next_multiple_of(ROWS) * self.row()
    }

    /// Elements from one transformed tile to the next.
    fn row(&self) -> usize {
        self.panels.whole_vectors(self.filters.inputs)
    }

    /// Parts into which the weights of a panel are cut, along the input channels.
    fn chunks(&self) -> usize {
        self.filters.inputs.div_ceil(weights::DEPTH)
    }

    /// Transforms one part of a panel of weights to `out`, where the panel begins at `start`.
    fn transform_weights(&self, panel: usize, chunk: usize, out: Shared<'_>, start: usize) {
        let inputs = chunk * weights::DEPTH..self.filters.inputs.min((chunk + 1) * weights::DEPTH);
        let columns = self.panels.columns(panel);
        with_scratch(inputs.len() * weights::TAPS * columns, |taps| {
            self.filters.copy(inputs.clone(), self.panels.channels(panel), taps, columns);
            let plane = self.panel_plane();
            let transform = weights::Transform { taps, inputs, columns, flipped: self.flipped, out, start, plane };
            dispatch(self.width, transform);
        });
    }

    /// Transforms the input of some tiles to `out`, where the first of them begins at `start`.
    fn transform_input(&self, range: Range<usize>, out: Shared<'_>, start: usize, plane: usize) {
        let transform = to_points::Transform {
            tiles: &self.tiles,
            range,
            squares: PhantomData::<to_points::Input>,
            images: self.images,
            channels: self.filters.inputs,
            zeros: self.zeros,
            out,
            start,
            row: self.row(),
            column: self.width.lanes(),
            plane,
        };
        dispatch(self.width, transform);
    }

    /// Writes the channels of a panel to the pixels of a block; `a` starts with the block's first tile.
    fn multiply(&self, block: usize, panel: usize, a: Transformed<'_>, packed: &[f32]) {
        let range = self.blocks.range(block);
        let (rows, columns) = (range.len().next_multiple_of(ROWS), self.panels.columns(panel));
        let plane = rows * columns + SKEW;
        with_scratch(PRODUCTS * plane, |products| {
            let product = product::Product {
                a: a.data,
                a_row: self.row(),
                a_plane: a.plane,
                rows,
                depth: self.filters.inputs,
                b: packed,
                b_plane: self.panel_plane(),
                columns,
                out: products,
                out_plane: plane,
            };
            dispatch(self.width, product);
            let transform = output::Transform {
                tiles: &self.tiles,
                range,
                products,
                row: columns,
                plane,
                out: self.out,
                width: self.filters.outputs,
                channels: self.panels.channels(panel),
            };
            dispatch(self.width, transform);
        });
    }
}
