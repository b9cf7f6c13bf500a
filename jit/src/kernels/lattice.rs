//! Regular subsets of the pixels that a convolution, or its input's gradient, writes: all pixels of one subset meet the same
//! kernel elements, at the same distances, so that each subset is a dense convolution of stride-free windows.
//!
//! A convolution is one subset. The gradient of the input of a convolution of stride `s` is `s` times `s` of them, the
//! *phases*: pixel `y` meets kernel element `k` only if `y + pad - k * dilation` is a multiple of the stride.

use crate::kernels::geometry::Geometry;

/// A kernel element of a subset, along an axis: which one, and the pixel that it reads for the first output.
type Reach = (usize, isize);

/// A subset along an axis.
#[derive(Clone, Debug)]
struct Axis {
    /// The first pixel written, and the distance of the others.
    first: usize,
    step: usize,
    /// Pixels written.
    count: usize,
    /// Distance of the pixels that one kernel element reads for neighboring outputs.
    source_step: usize,
    /// Pixels that can be read.
    source_len: usize,
    /// Kernel elements.
    reach: Vec<Reach>,
}

impl Axis {
    fn forward(geometry: &Geometry, axis: usize) -> Axis {
        let offset = |tap: usize| (tap * geometry.dilation[axis]) as isize - geometry.pad[axis];
        Axis {
            first: 0,
            step: 1,
            count: geometry.output[axis],
            source_step: geometry.stride[axis],
            source_len: geometry.input[axis],
            reach: (0..geometry.kernel[axis]).map(|tap| (tap, offset(tap))).collect(),
        }
    }

    fn phase(geometry: &Geometry, axis: usize, phase: usize) -> Axis {
        let stride = geometry.stride[axis];
        let reach = (0..geometry.kernel[axis]).filter_map(|tap| {
            let distance = phase as isize + geometry.pad[axis] - (tap * geometry.dilation[axis]) as isize;
            (distance.rem_euclid(stride as isize) == 0).then(|| (tap, distance.div_euclid(stride as isize)))
        });
        Axis {
            first: phase,
            step: stride,
            count: geometry.input[axis].saturating_sub(phase).div_ceil(stride),
            source_step: 1,
            source_len: geometry.output[axis],
            reach: reach.collect(),
        }
    }

    /// The pixel that is read for output number `at`; `None` in the padding.
    fn source(&self, at: usize, offset: isize) -> Option<usize> {
        let pixel = (at * self.source_step) as isize + offset;
        usize::try_from(pixel).ok().filter(|pixel| *pixel < self.source_len)
    }

    fn target(&self, at: usize) -> usize {
        self.first + at * self.step
    }
}

/// A subset of the pixels of all images.
#[derive(Clone, Debug)]
pub(crate) struct Lattice {
    axes: [Axis; 2],
    rows: usize,
    /// Width of the kernel.
    kernel: usize,
    /// Size of the images that are written.
    target: [usize; 2],
}

impl Lattice {
    /// All pixels of the output.
    pub fn forward(geometry: &Geometry) -> Lattice {
        Lattice {
            axes: [Axis::forward(geometry, 0), Axis::forward(geometry, 1)],
            rows: geometry.rows,
            kernel: geometry.kernel[1],
            target: geometry.output,
        }
    }

    /// The phases of the input, for its gradient; together they are all of its pixels.
    pub fn phases(geometry: &Geometry) -> Vec<Lattice> {
        let [down, across] = geometry.stride;
        let phase = |number: usize| Lattice {
            axes: [Axis::phase(geometry, 0, number / across), Axis::phase(geometry, 1, number % across)],
            rows: geometry.rows,
            kernel: geometry.kernel[1],
            target: geometry.input,
        };
        (0..down * across).map(phase).collect()
    }

    /// Pixels written.
    pub fn pixels(&self) -> usize {
        self.rows * self.axes[0].count * self.axes[1].count
    }

    /// The kernel elements, by their number in the kernel.
    pub fn taps(&self) -> Vec<usize> {
        let [down, across] = &self.axes;
        down.reach.iter().flat_map(|(y, _)| across.reach.iter().map(move |(x, _)| y * self.kernel + x)).collect()
    }

    /// Image and place of a pixel of the subset.
    fn place(&self, pixel: usize) -> (usize, usize, usize) {
        let [down, across] = &self.axes;
        let line = pixel / across.count;
        (line / down.count, line % down.count, pixel % across.count)
    }

    /// Which pixel of the written images it is.
    pub fn target(&self, pixel: usize) -> usize {
        let (image, y, x) = self.place(pixel);
        (image * self.target[0] + self.axes[0].target(y)) * self.target[1] + self.axes[1].target(x)
    }

    /// Hands `each` the pixels that one pixel's kernel elements read, in the order of [`Lattice::taps`].
    pub fn sources(&self, pixel: usize, mut each: impl FnMut(usize, Option<usize>)) {
        let (image, y, x) = self.place(pixel);
        let [down, across] = &self.axes;
        let mut tap = 0;
        for (_, offset) in &down.reach {
            let line = down.source(y, *offset).map(|line| (image * down.source_len + line) * across.source_len);
            for (_, offset) in &across.reach {
                each(tap, line.and_then(|line| Some(line + across.source(x, *offset)?)));
                tap += 1;
            }
        }
    }
}
