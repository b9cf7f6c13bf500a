//! Squares of pixels at all pairs of points: the transform of the input, and the adjoint of the output's, which takes the
//! gradient of a tile's output there.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::marker::PhantomData;
use std::ops::Range;

use super::images::{Digits, Element, Images};
use super::points::{self, INPUTS, OUTPUTS};
use super::tiles::Tiles;
use crate::kernels::bits::Bits;
use crate::kernels::shared::Shared;
use crate::kernels::vector::{Kernel, Vector};

/// The square of `SIDE` times `SIDE` pixels that belongs to a tile, and how it is taken to `POINTS` points along an axis.
pub(super) trait Square<const SIDE: usize, const POINTS: usize> {
    /// Its pixels, counted over all images, line by line; `None` where zeros are read.
    fn pixel(tiles: &Tiles, tile: usize) -> [[Option<usize>; SIDE]; SIDE];

    /// The transform along an axis.
    ///
    /// # Safety
    /// The machine has the vectors.
    unsafe fn at_points<V: Vector>(line: [V; SIDE]) -> [V; POINTS];
}

/// The input pixels under a tile, for stride 1.
#[derive(Clone, Copy)]
pub(super) struct Input;

impl Square<INPUTS, INPUTS> for Input {
    #[inline(always)]
    fn pixel(tiles: &Tiles, tile: usize) -> [[Option<usize>; INPUTS]; INPUTS] {
        tiles.inputs(tile)
    }

    /// # Safety
    /// As for [`Square::at_points`].
    #[inline(always)]
    unsafe fn at_points<V: Vector>(line: [V; INPUTS]) -> [V; INPUTS] {
        // SAFETY: the caller vouches for the vectors.
        unsafe { points::input(line) }
    }
}

/// The output pixels of a tile.
pub(super) struct Output;

impl Square<OUTPUTS, INPUTS> for Output {
    #[inline(always)]
    fn pixel(tiles: &Tiles, tile: usize) -> [[Option<usize>; OUTPUTS]; OUTPUTS] {
        tiles.outputs(tile)
    }

    /// # Safety
    /// As for [`Square::at_points`].
    #[inline(always)]
    unsafe fn at_points<V: Vector>(line: [V; OUTPUTS]) -> [V; INPUTS] {
        // SAFETY: the caller vouches for the vectors.
        unsafe { points::output_adjoint(line) }
    }
}

/// Transforms the squares of some tiles to a matrix of tiles and vectors of channels for each pair of points.
pub(super) struct Transform<'a, S, const SIDE: usize, const POINTS: usize> {
    /// All tiles.
    pub tiles: &'a Tiles,
    /// Those to transform.
    pub range: Range<usize>,
    /// Their squares.
    pub squares: PhantomData<S>,
    /// The images that the squares are cut from: all pixels that `S` gives.
    pub images: Images<'a>,
    /// Channels of a pixel.
    pub channels: usize,
    /// Their [`padding`](super::images::padding).
    pub zeros: &'a [u64],
    /// Where to; the first tile of the range comes first.
    pub out: Shared<'a>,
    /// Offset of the first tile in `out`.
    pub start: usize,
    /// Elements from one tile to the next.
    pub row: usize,
    /// Elements from one vector of channels to the next; the last is filled up with zeros.
    pub column: usize,
    /// Elements from one matrix to the next.
    pub plane: usize,
}

impl<S: Square<SIDE, POINTS>, const SIDE: usize, const POINTS: usize> Kernel for Transform<'_, S, SIDE, POINTS> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the entry points checked the length of the images; the caller of `run` vouches for the vectors.
        unsafe {
            match self.images {
                Images::Floats(x) => self.transform_all::<V, f32>(x.as_ptr(), [1, self.channels]),
                Images::Spikes(x @ Bits { planes: 1, .. }) => {
                    self.transform_all::<V, u64>(x.data.as_ptr(), [1, x.words])
                }
                Images::Spikes(x) => self.transform_all::<V, Digits>(x.data.as_ptr().cast(), [x.planes, x.words]),
            }
        }
    }
}

impl<S: Square<SIDE, POINTS>, const SIDE: usize, const POINTS: usize> Transform<'_, S, SIDE, POINTS> {
    /// Transforms all tiles of the range, from pixels of so many planes of so many elements.
    ///
    /// # Safety
    /// The machine has the vectors, and at `x` lie all pixels.
    #[inline(always)]
    unsafe fn transform_all<V: Vector, T: Element>(&self, x: *const T, planes: [usize; 2]) {
        let width = planes[0] * planes[1];
        let zeros = self.zeros.as_ptr().cast::<T>();
        let full = self.channels / V::LANES;
        let rest = self.channels - full * V::LANES;
        let mut ahead = self.square::<T>(self.range.start, x, width, zeros);
        for (at, tile) in self.range.clone().enumerate() {
            let from = ahead;
            if tile + 1 < self.tiles.count() {
                ahead = self.square(tile + 1, x, width, zeros);
            }
            // SAFETY: squares are made of pixels of the images, and padding is as long as a pixel; every tile has its own
            // rows of `out`, which hold whole vectors.
            unsafe {
                let to = self.out.at(self.start + at * self.row);
                for vector in 0..full {
                    let to = to.add(vector * self.column);
                    for line in &ahead {
                        (line.iter().skip(SIDE - OUTPUTS)).for_each(|pixel| T::prefetch(*pixel, vector * V::LANES));
                    }
                    transform::<V, T, S, SIDE, POINTS, false>(&from, planes, [vector * V::LANES, 0], to, self.plane);
                }
                if rest > 0 {
                    let to = to.add(full * self.column);
                    transform::<V, T, S, SIDE, POINTS, true>(&from, planes, [full * V::LANES, rest], to, self.plane);
                }
            }
        }
    }

    /// Where the pixels of a tile's square lie, from images at `x` of pixels of `width` elements.
    #[inline(always)]
    fn square<T>(&self, tile: usize, x: *const T, width: usize, zeros: *const T) -> [[*const T; SIDE]; SIDE] {
        let mut square = [[zeros; SIDE]; SIDE];
        for (line, pixels) in square.iter_mut().zip(S::pixel(self.tiles, tile)) {
            for (place, pixel) in line.iter_mut().zip(pixels) {
                *place = pixel.map_or(zeros, |pixel| x.wrapping_add(pixel * width));
            }
        }
        square
    }
}

/// One tile, some channels.
///
/// # Safety
/// From every pixel `V::LANES` channels, or `count` if `SOME`, may be read at `channel`, and at `to` a vector written to each
/// of the planes.
#[inline(always)]
unsafe fn transform<
    V: Vector,
    T: Element,
    S: Square<SIDE, POINTS>,
    const SIDE: usize,
    const POINTS: usize,
    const SOME: bool,
>(
    from: &[[*const T; SIDE]; SIDE],
    planes: [usize; 2],
    [channel, count]: [usize; 2],
    to: *mut f32,
    plane: usize,
) {
    // SAFETY: the caller vouches for all pixels and planes.
    unsafe {
        let mut half = [[V::zero(); SIDE]; POINTS];
        for x in 0..SIDE {
            let column: [V; SIDE] = std::array::from_fn(|y| T::read::<V, SOME>(from[y][x], channel, count, planes));
            for (line, value) in half.iter_mut().zip(S::at_points(column)) {
                line[x] = value;
            }
        }
        for (y, line) in half.into_iter().enumerate() {
            for (x, value) in S::at_points(line).into_iter().enumerate() {
                value.store(to.add((y * POINTS + x) * plane));
            }
        }
    }
}
