//! Where the tiles of images lie.

use std::ops::Range;

use super::points::{INPUTS, OUTPUTS};
use crate::kernels::geometry::Geometry;

/// Tiles of all images, counted row by row and image by image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles {
    geometry: Geometry,
    /// Tiles of an image, down and across.
    grid: [usize; 2],
}

impl Tiles {
    /// The tiles of the output of a convolution.
    pub fn of(geometry: &Geometry) -> Tiles {
        Tiles { geometry: *geometry, grid: geometry.output.map(|len| len.div_ceil(OUTPUTS)) }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.geometry.rows * self.grid[0] * self.grid[1]
    }

    /// Image of a tile, and row and column of its first output pixel.
    fn place(&self, tile: usize) -> (usize, [usize; 2]) {
        let (line, across) = (tile / self.grid[1], tile % self.grid[1]);
        (line / self.grid[0], [line % self.grid[0] * OUTPUTS, across * OUTPUTS])
    }

    /// The input pixels under a tile, line by line, counted over all images; `None` in the padding.
    pub fn inputs(&self, tile: usize) -> [[Option<usize>; INPUTS]; INPUTS] {
        let (image, at) = self.place(tile);
        let [height, width] = self.geometry.input;
        let inside = |axis: usize, offset: usize, len: usize| {
            let coordinate = (at[axis] + offset) as isize - self.geometry.pad[axis];
            usize::try_from(coordinate).ok().filter(|coordinate| *coordinate < len)
        };
        let columns: [Option<usize>; INPUTS] = std::array::from_fn(|x| inside(1, x, width));
        let lines: [Option<usize>; INPUTS] = std::array::from_fn(|y| inside(0, y, height));
        lines.map(|y| columns.map(|x| Some((image * height + y?) * width + x?)))
    }

    /// The output pixels of a tile, line by line, counted over all images; `None` outside of the image.
    pub fn outputs(&self, tile: usize) -> [[Option<usize>; OUTPUTS]; OUTPUTS] {
        let (image, [line, column]) = self.place(tile);
        let [height, width] = self.geometry.output;
        let columns: [usize; OUTPUTS] = std::array::from_fn(|x| column + x);
        let lines: [usize; OUTPUTS] = std::array::from_fn(|y| line + y);
        lines.map(|y| columns.map(|x| (y < height && x < width).then_some((image * height + y) * width + x)))
    }
}

/// Tiles cut into blocks, all of nearly the same length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks {
    tiles: usize,
    /// How many.
    pub count: usize,
}

impl Blocks {
    /// Blocks of at most `size` tiles.
    pub fn of(tiles: usize, size: usize) -> Blocks {
        Blocks { tiles, count: tiles.div_ceil(size) }
    }

    /// The tiles of a block.
    pub fn range(&self, block: usize) -> Range<usize> {
        self.tiles * block / self.count..self.tiles * (block + 1) / self.count
    }

    /// Tiles of the longest block.
    pub fn longest(&self) -> usize {
        self.tiles.div_ceil(self.count.max(1))
    }
}
