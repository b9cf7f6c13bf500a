//! The gradient of the weights: the adjoint of the convolution, with as few multiplications.
//!
//! A block of tiles of the input and of the output's gradient is taken to the 36 points; there the gradient is 36 products of
//! `[input channel][tile]` with `[tile][output channel]`, which are summed over the blocks and taken to 3x3 kernels at the
//! end. Blocks follow each other, and a task has its sums for itself, so results are the same for any number of threads.

use std::marker::PhantomData;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::images::{Images, padding};
use super::points::PRODUCTS;
use super::tiles::{Blocks, Tiles};
use super::to_points::{Input, Output, Transform};
use super::weights::TAPS;
use super::{PIECE, SKEW, correlation, fits, kernel_gradient};
use crate::kernels::geometry::Geometry;
use crate::kernels::pool::with_scratch;
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Width, dispatch};

/// Tiles of a block: enough to load and store the sums rarely; with them, a register block's columns fill two thirds of an L1
/// cache.
const BLOCK: usize = 128;

/// Vectors of output channels that are summed together, a group.
const VECTORS: usize = 4;

/// Input channels that a task transforms to kernels.
const DEPTH: usize = 64;

/// `out[o,i,kh,kw] = sum x[r,y,x,i] * dy[r,oh,ow,o]`. `None` if the shape is another or a length does not fit.
pub(crate) fn weight_gradient_with(
    width: Width,
    geometry: &Geometry,
    images: Images<'_>,
    dy: &[f32],
    out: &mut [f32],
) -> Option<()> {
    let Geometry { cin, cout, rows, input, .. } = *geometry;
    let lens = [geometry.pixels() * cout, cin * cout * TAPS];
    if !fits(geometry) || !images.are(rows * input[0] * input[1], cin) || [dy.len(), out.len()] != lens {
        return None;
    }
    let tiles = Tiles::of(geometry);
    if tiles.count() == 0 {
        out.fill(0.0);
        return Some(());
    }
    let blocks = Blocks::of(tiles.count(), BLOCK, 1);
    let lanes = width.lanes();
    let gradient = Gradient {
        width,
        lanes,
        tiles,
        blocks,
        images,
        zeros: &padding(cin),
        dy,
        dy_zeros: &padding(cout),
        a: Layout::of(blocks.longest(), cin, lanes),
        b: Layout::of(blocks.longest(), cout, lanes),
        sums: Sums::of(cin, cout, lanes),
        out: Shared::of(out),
    };
    gradient.run();
    Some(())
}

/// Where the transformed tiles of a block lie: `[PRODUCTS][vector][tile][lane]`.
#[derive(Clone, Copy)]
struct Layout {
    channels: usize,
    vectors: usize,
    /// Elements of a vector's tiles.
    column: usize,
    /// Elements from one product's matrix to the next.
    plane: usize,
}

impl Layout {
    fn of(tiles: usize, channels: usize, lanes: usize) -> Layout {
        let (vectors, column) = (channels.div_ceil(lanes), tiles * lanes);
        Layout { channels, vectors, column, plane: vectors * column + SKEW }
    }
}

/// Where the sums at all points lie: `[PRODUCTS][group][input channel][output channel]`.
#[derive(Clone, Copy)]
struct Sums {
    /// Input channels, filled up to whole register blocks.
    rows: usize,
    /// Elements from one input channel to the next.
    row: usize,
    /// Groups of output channels.
    groups: usize,
    /// Elements from one product's matrix to the next.
    plane: usize,
}

impl Sums {
    fn of(inputs: usize, outputs: usize, lanes: usize) -> Sums {
        let (rows, row) = (inputs.next_multiple_of(correlation::ROWS), VECTORS * lanes);
        let groups = outputs.div_ceil(row);
        Sums { rows, row, groups, plane: groups * rows * row + SKEW }
    }
}

/// A gradient whose lengths were checked.
struct Gradient<'a> {
    width: Width,
    lanes: usize,
    tiles: Tiles,
    blocks: Blocks,
    images: Images<'a>,
    zeros: &'a [u64],
    dy: &'a [f32],
    dy_zeros: &'a [u64],
    a: Layout,
    b: Layout,
    sums: Sums,
    out: Shared<'a>,
}

impl Gradient<'_> {
    /// Sums the products of all blocks and transforms the sums.
    fn run(&self) {
        let groups = self.sums.groups;
        with_scratch(PRODUCTS * self.sums.plane, |data| {
            let sums = Shared::of(data);
            with_scratch(PRODUCTS * self.a.plane, |a| {
                with_scratch(PRODUCTS * self.b.plane, |b| {
                    for block in 0..self.blocks.count {
                        self.transform(block, Shared::of(a), Shared::of(b));
                        let factors = [&*a, &*b];
                        (0..PRODUCTS * groups).into_par_iter().for_each(|task| {
                            self.correlate(block, task / groups, task % groups, factors, sums);
                        });
                    }
                });
            });
            (0..groups * self.a.channels.div_ceil(DEPTH)).into_par_iter().for_each(|task| {
                self.finish(task % groups, task / groups * DEPTH, data);
            });
        });
    }

    /// Transforms the tiles of a block.
    fn transform(&self, block: usize, a: Shared<'_>, b: Shared<'_>) {
        let range = self.blocks.range(block);
        let pieces = range.len().div_ceil(PIECE);
        (0..2 * pieces).into_par_iter().for_each(|task| {
            let first = task % pieces * PIECE;
            let tiles = range.start + first..range.end.min(range.start + first + PIECE);
            let (tiles, range, start, row) = (&self.tiles, tiles, first * self.lanes, self.lanes);
            if task < pieces {
                let Layout { channels, column, plane, .. } = self.a;
                let (images, zeros, squares) = (self.images, self.zeros, PhantomData::<Input>);
                let transform =
                    Transform { tiles, range, squares, images, channels, zeros, out: a, start, row, column, plane };
                dispatch(self.width, transform);
            } else {
                let Layout { channels, column, plane, .. } = self.b;
                let (images, zeros, squares) = (Images::Floats(self.dy), self.dy_zeros, PhantomData::<Output>);
                let transform =
                    Transform { tiles, range, squares, images, channels, zeros, out: b, start, row, column, plane };
                dispatch(self.width, transform);
            }
        });
    }

    /// Adds a block's product at a pair of points to the sums of a group; the first block begins them.
    fn correlate(&self, block: usize, product: usize, group: usize, [a, b]: [&[f32]; 2], sums: Shared<'_>) {
        let first = group * VECTORS;
        let correlation = correlation::Correlation {
            a: a.get(product * self.a.plane..).unwrap_or_default(),
            b: b.get(product * self.b.plane + first * self.b.column..).unwrap_or_default(),
            tiles: self.blocks.longest(),
            depth: self.blocks.range(block).len(),
            rows: self.sums.rows,
            vectors: VECTORS.min(self.b.vectors - first),
            sums,
            start: product * self.sums.plane + group * self.sums.rows * self.sums.row,
            row: self.sums.row,
            again: block > 0,
        };
        dispatch(self.width, correlation);
    }

    /// Transforms the sums of a group and of some input channels to kernels.
    fn finish(&self, group: usize, first: usize, sums: &[f32]) {
        let Sums { rows, row, plane, .. } = self.sums;
        let transform = kernel_gradient::Transform {
            sums: sums.get((group * rows + first) * row..).unwrap_or_default(),
            row,
            plane,
            inputs: first..self.a.channels.min(first + DEPTH),
            outputs: group * row..self.b.channels.min((group + 1) * row),
            out: self.out,
            kernels: self.a.channels,
        };
        dispatch(self.width, transform);
    }
}
