//! The geometry of a contraction as the kernels see it: the image that is gathered from, the one that pixels count, and
//! how windows of the first belong to pixels of the second.

use std::ops::Range;

use snn_loops::ConvShape;

/// Elements of a gathered panel: 384 KiB of f32, which together with the weights it meets stays in a 1 MiB L2 cache.
const PANEL: usize = 96 * 1024;
/// Pixels of a panel, at least and at most.
const PIXELS: Range<usize> = 16..1024;

/// A convolution over `rows` images; padding may be negative, as it is for some gradients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    /// Images.
    pub rows: usize,
    /// Groups of channels.
    pub groups: usize,
    /// Input channels of a group.
    pub cin: usize,
    /// Output channels of a group.
    pub cout: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Distance of neighboring outputs, in inputs.
    pub stride: [usize; 2],
    /// Zeros before the first input row and column.
    pub pad: [isize; 2],
    /// Distance of neighboring kernel elements, in inputs.
    pub dilation: [usize; 2],
}

impl Geometry {
    /// The geometry of a shape.
    pub fn of(shape: &ConvShape, rows: usize) -> Geometry {
        let groups = shape.groups.max(1);
        Geometry {
            rows,
            groups,
            cin: shape.cin / groups,
            cout: shape.cout / groups,
            input: shape.input,
            output: shape.output,
            kernel: shape.kernel,
            stride: shape.stride,
            pad: shape.pad.map(|pad| pad as isize),
            dilation: shape.dilation,
        }
    }

    /// The convolution that computes the input's gradient from the output's, with the kernel flipped; for stride 1.
    pub fn flipped(&self) -> Geometry {
        let pad = |axis: usize| (self.dilation[axis] * (self.kernel[axis] - 1)) as isize - self.pad[axis];
        Geometry {
            cin: self.cout,
            cout: self.cin,
            input: self.output,
            output: self.input,
            pad: [pad(0), pad(1)],
            ..*self
        }
    }

    /// One channel in, one out: sums are too short for matrix products.
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.cin == 1 && self.cout == 1
    }

    /// Kernel elements.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Elements of a window of one group, in the order kernel row, kernel column, channel.
    pub fn window(&self) -> usize {
        self.taps() * self.cin
    }

    /// Channels of the input, over all groups.
    pub fn input_channels(&self) -> usize {
        self.groups * self.cin
    }

    /// Channels of the output, over all groups.
    pub fn output_channels(&self) -> usize {
        self.groups * self.cout
    }

    /// Elements of one input image.
    pub fn input_len(&self) -> usize {
        self.input[0] * self.input[1] * self.input_channels()
    }

    /// Pixels of one output image.
    pub fn image_pixels(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Output pixels of all images.
    pub fn pixels(&self) -> usize {
        self.rows * self.image_pixels()
    }

    /// Whether windows are single pixels in order, so that the input is its own panel.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.pad == [0, 0] && self.input == self.output
    }

    /// Output pixels of one panel whose rows have this many columns.
    pub fn panel_pixels(&self, columns: usize) -> usize {
        let fitting = PANEL / columns.max(1) / 8 * 8;
        fitting.clamp(PIXELS.start, PIXELS.end)
    }

    /// Image, row and column of an output pixel.
    pub fn place(&self, pixel: usize) -> (usize, usize, usize) {
        let (image, within) = (pixel / self.image_pixels(), pixel % self.image_pixels());
        (image, within / self.output[1], within % self.output[1])
    }

    /// The input coordinate along an axis that kernel element `tap` meets at output `at`; `None` in the padding.
    pub fn source(&self, axis: usize, at: usize, tap: usize) -> Option<usize> {
        let coordinate = (at * self.stride[axis] + tap * self.dilation[axis]) as isize - self.pad[axis];
        usize::try_from(coordinate).ok().filter(|coordinate| *coordinate < self.input[axis])
    }
}

/// `0..len` in ranges of `size`.
pub(crate) fn blocks(len: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len.div_ceil(size.max(1))).map(move |block| block * size..len.min((block + 1) * size))
}
