//! Where the tiles of images lie.

use std::ops::Range;

use super::points::OUTPUTS;
use crate::kernels::geometry::Geometry;

/// Tiles of all images, of 4x4 outputs each, counted row by row and image by image.
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
    pub fn place(&self, tile: usize) -> (usize, [usize; 2]) {
        let (line, across) = (tile / self.grid[1], tile % self.grid[1]);
        (line / self.grid[0], [line % self.grid[0] * OUTPUTS, across * OUTPUTS])
    }

    /// The input pixels under a tile, line by line, counted over all images; `None` in the padding.
    pub fn inputs<const SIDE: usize>(&self, tile: usize) -> [[Option<usize>; SIDE]; SIDE] {
        let (image, at) = self.place(tile);
        let [height, width] = self.geometry.input;
        let inside = |axis: usize, offset: usize, len: usize| {
            let coordinate = (at[axis] + offset) as isize - self.geometry.pad[axis];
            usize::try_from(coordinate).ok().filter(|coordinate| *coordinate < len)
        };
        let (mut lines, mut columns) = ([None; SIDE], [None; SIDE]);
        for (offset, (line, column)) in lines.iter_mut().zip(&mut columns).enumerate() {
            *line = inside(0, offset, height).map(|y| (image * height + y) * width);
            *column = inside(1, offset, width);
        }
        square(lines, columns)
    }

    /// The output pixels of a tile, line by line, counted over all images; `None` outside of the image.
    pub fn outputs(&self, tile: usize) -> [[Option<usize>; OUTPUTS]; OUTPUTS] {
        let (image, [line, column]) = self.place(tile);
        let [height, width] = self.geometry.output;
        let (mut lines, mut columns) = ([None; OUTPUTS], [None; OUTPUTS]);
        for (offset, (place, x)) in lines.iter_mut().zip(&mut columns).enumerate() {
            *place = (line + offset < height).then_some((image * height + line + offset) * width);
            *x = (column + offset < width).then_some(column + offset);
        }
        square(lines, columns)
    }
}

/// The pixels of a square, from the first of each line and the columns. Written as loops, which cost a tenth of what
/// arrays of closures do.
#[inline(always)]
pub(super) fn square<const SIDE: usize>(
    lines: [Option<usize>; SIDE],
    columns: [Option<usize>; SIDE],
) -> [[Option<usize>; SIDE]; SIDE] {
    let mut pixels = [[None; SIDE]; SIDE];
    for (pixels, line) in pixels.iter_mut().zip(lines) {
        let Some(line) = line else { continue };
        for (pixel, column) in pixels.iter_mut().zip(columns) {
            *pixel = column.map(|column| line + column);
        }
    }
    pixels
}

/// Tiles cut into blocks, all of nearly the same length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks {
    tiles: usize,
    /// All blocks but the last are multiples of so many tiles.
    unit: usize,
    /// How many.
    pub count: usize,
}

impl Blocks {
    /// Blocks of at most `size` tiles, rounded up to whole units.
    pub fn of(tiles: usize, size: usize, unit: usize) -> Blocks {
        Blocks { tiles, unit, count: tiles.div_ceil(size) }
    }

    /// The tiles of a block.
    pub fn range(&self, block: usize) -> Range<usize> {
        let units = self.tiles.div_ceil(self.unit);
        let end = |blocks: usize| self.tiles.min(units * blocks / self.count * self.unit);
        end(block)..end(block + 1)
    }

    /// Tiles of the longest block, in whole units.
    pub fn longest(&self) -> usize {
        self.tiles.div_ceil(self.unit).div_ceil(self.count.max(1)) * self.unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_all_tiles_once_and_whole_units_but_for_the_last() {
        for unit in [1, 6] {
            for tiles in 0..400 {
                let blocks = Blocks::of(tiles, 64, unit);
                let mut end = 0;
                for range in (0..blocks.count).map(|block| blocks.range(block)) {
                    assert_eq!(range.start, end, "{tiles} tiles in units of {unit}");
                    end = range.end;
                    assert!(!range.is_empty() && range.len() <= blocks.longest());
                    assert!(end == tiles || range.len().is_multiple_of(unit));
                }
                assert_eq!(end, tiles);
                assert!(blocks.longest() <= 64_usize.next_multiple_of(unit));
            }
        }
    }
}
