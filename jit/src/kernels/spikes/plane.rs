//! Copies of packed spikes that kernels read without looking at borders: grids of pixels whose padding is zero words and
//! whose bits behind the last channel are cleared. This file must never know weights or gradients.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::kernels::bits::Bits;
use crate::kernels::geometry::Geometry;

/// Words that a task copies, at least.
const TASK: usize = 16 * 1024;

/// A grid over every image of the input; element `at` of an axis lies at input coordinate `at * step + shift`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plane {
    /// Height and width of the grid.
    pub size: [usize; 2],
    /// Inputs from one element to the next.
    pub step: [usize; 2],
    /// Input coordinate of the first element.
    pub shift: [isize; 2],
}

impl Plane {
    /// Everything that windows of a convolution see, with the padding.
    pub fn windows(geometry: &Geometry) -> Plane {
        let size = |axis: usize| {
            let last = geometry.output[axis].saturating_sub(1) * geometry.stride[axis];
            last + geometry.kernel[axis].saturating_sub(1) * geometry.dilation[axis] + 1
        };
        Plane { size: [size(0), size(1)], step: [1, 1], shift: [-geometry.pad[0], -geometry.pad[1]] }
    }

    /// Elements of the grid.
    pub fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Copies the spikes of all images into `[rows][size]` pixels.
    pub fn copy(&self, geometry: &Geometry, bits: Bits, to: &mut [u64]) {
        let image_len = self.pixels() * bits.pixel();
        let source_len = geometry.input[0] * geometry.input[1] * bits.pixel();
        if image_len == 0 {
            return;
        }
        to.par_chunks_mut(image_len).with_min_len(TASK.div_ceil(image_len)).enumerate().for_each(|(row, image)| {
            let source = bits.data.get(row * source_len..(row + 1) * source_len).unwrap_or_default();
            self.copy_image(geometry, bits, source, image);
        });
    }

    /// Copies one image.
    fn copy_image(&self, geometry: &Geometry, bits: Bits, source: &[u64], image: &mut [u64]) {
        let words = bits.pixel();
        let line_len = (geometry.input[1] * words).max(1);
        let tail = tail_mask(bits.channels);
        for (y, line) in image.chunks_exact_mut(self.size[1] * words).enumerate() {
            let from =
                self.source(0, y, geometry).and_then(|y| source.chunks_exact(line_len).nth(y)).unwrap_or_default();
            for (x, pixel) in line.chunks_exact_mut(words).enumerate() {
                let at = self.source(1, x, geometry).map(|x| x * words);
                match at.and_then(|at| from.get(at..at + words)) {
                    Some(from) => {
                        pixel.copy_from_slice(from);
                        for plane in pixel.chunks_exact_mut(bits.words) {
                            if let Some(last) = plane.last_mut() {
                                *last &= tail;
                            }
                        }
                    }
                    None => pixel.fill(0),
                }
            }
        }
    }

    /// The input coordinate of an element; `None` outside the input.
    fn source(&self, axis: usize, at: usize, geometry: &Geometry) -> Option<usize> {
        let coordinate = (at * self.step[axis]) as isize + self.shift[axis];
        usize::try_from(coordinate).ok().filter(|coordinate| *coordinate < geometry.input[axis])
    }
}

/// The bits of a pixel's last word that are channels.
pub(crate) fn tail_mask(channels: usize) -> u64 {
    match channels % 64 {
        0 => u64::MAX,
        tail => (1 << tail) - 1,
    }
}
