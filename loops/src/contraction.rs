//! The heavy kernel: matrix products, convolutions and their gradients.
//!
//! All of them are the one trilinear form of a convolution; a linear layer is a 1x1 convolution of a 1x1 image, a 1-D
//! convolution has height 1. Activations are channels-last, `[rows][height][width][channels]`, where `rows` counts images
//! (time steps times samples); weights are `[cout][cin / groups][kh][kw]`, as every framework stores them.
//!
//! With `y = oh * stride + kh * dilation - pad` (and the same along the width), and channels of the same group:
//!
//! | kind | `a` | `b` | `out` |
//! | --- | --- | --- | --- |
//! | `Forward` | x `[rows][in_h][in_w][cin]` | w | `out[r,oh,ow,o] = sum_{i,kh,kw} x[r,y,x,i] * w[o,i,kh,kw]` |
//! | `InputGradient` | dy `[rows][out_h][out_w][cout]` | w | `out[r,y,x,i] = sum_{o,kh,kw} dy[r,oh,ow,o] * w[o,i,kh,kw]` |
//! | `WeightGradient` | x | dy | `out[o,i,kh,kw] = sum_{r,oh,ow} x[r,y,x,i] * dy[r,oh,ow,o]` |
//!
//! **Packed operands.** `a` of `Forward` and `WeightGradient` may lie in a packed buffer. Spikes are one bit an element, and a
//! pixel's row of channels fills whole words. Small whole numbers, as sums of spikes are, lie in [`Contraction::planes`] such
//! rows, `[rows][height][width][planes][channels]`: plane `k` holds bit `k` of every element, which is worth `2^k`.
//!
//! Elements outside of the image count as zero. The order of a sum is the back end's, but fixed by the descriptor alone:
//! never by the number of threads.

use crate::program::{Operand, WORD};

/// The most planes of a packed operand: whatever type the numbers have, they are exact, and so are their multiples.
pub const MAX_PLANES: usize = 8;

/// Geometry of a 2-D convolution; index 0 of a pair is the height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Input channels, over all groups.
    pub cin: usize,
    /// Output channels, over all groups.
    pub cout: usize,
    /// Groups; divides both.
    pub groups: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Distance between neighbouring outputs, in inputs.
    pub stride: [usize; 2],
    /// Zeros before the first row and column.
    pub pad: [usize; 2],
    /// Distance between neighbouring kernel elements, in inputs.
    pub dilation: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
}

impl ConvShape {
    /// A linear layer: `cin` inputs, `cout` outputs.
    pub fn linear(cin: usize, cout: usize) -> ConvShape {
        ConvShape {
            cin,
            cout,
            groups: 1,
            input: [1, 1],
            kernel: [1, 1],
            stride: [1, 1],
            pad: [0, 0],
            dilation: [1, 1],
            output: [1, 1],
        }
    }

    /// Elements of one input image.
    pub fn input_len(&self) -> usize {
        self.cin * self.input[0] * self.input[1]
    }

    /// Elements of one output image.
    pub fn output_len(&self) -> usize {
        self.cout * self.output[0] * self.output[1]
    }

    /// Elements of the weight.
    pub fn weight_len(&self) -> usize {
        self.cout * (self.cin / self.groups.max(1)) * self.kernel[0] * self.kernel[1]
    }

    /// Multiply-adds of one image.
    pub fn macs(&self) -> usize {
        self.weight_len() * self.output[0] * self.output[1]
    }
}

/// Which of the three factors is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContractionKind {
    /// The output from input and weight.
    Forward,
    /// The input's gradient from the output's gradient and the weight.
    InputGradient,
    /// The weight's gradient from the input and the output's gradient.
    WeightGradient,
}

/// What is known about the weights of a contraction beyond their type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WeightValues {
    /// Nothing.
    #[default]
    Any,
    /// Those of an output channel are whole multiples, from -[`LEVELS`] to [`LEVELS`], of one number: their largest
    /// magnitude divided by [`LEVELS`], up to the rounding of their type. A back end may add up the multiples of what
    /// spikes select as integers, and multiply by the number at last.
    Int8,
}

/// The largest multiple in weights of 8 bits.
pub const LEVELS: usize = 127;

/// One call of the heavy kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Contraction {
    /// A name for people.
    pub name: String,
    /// Which factor is computed.
    pub kind: ContractionKind,
    /// The geometry.
    pub shape: ConvShape,
    /// Images.
    pub rows: usize,
    /// Whether `a` is an input in a packed buffer, each plane of a pixel in whole words: `cin` elements and as many of any
    /// value behind them as fill the last [`WORD`]. Never so for `InputGradient`.
    pub packed: bool,
    /// Planes of a packed `a`, from 1, which is spikes, to [`MAX_PLANES`]; 1 if it is not packed.
    pub planes: usize,
    /// What is known of the weights. Nothing, but for `Forward` on packed spikes.
    pub weights: WeightValues,
    /// The first operand (see the module's table).
    pub a: Operand,
    /// The second operand.
    pub b: Operand,
    /// The result; overwritten.
    pub out: Operand,
}

impl Contraction {
    /// Distance between neighbouring input pixels.
    pub fn pitch(&self) -> usize {
        if self.packed { self.planes.saturating_mul(self.plane_pitch()) } else { self.shape.cin }
    }

    /// Distance between planes of a packed pixel.
    pub fn plane_pitch(&self) -> usize {
        self.shape.cin.next_multiple_of(WORD)
    }

    /// Elements of `a`, `b` and `out`.
    pub fn lengths(&self) -> [usize; 3] {
        let input = self.rows * self.shape.input[0] * self.shape.input[1] * self.pitch();
        let output = self.rows * self.shape.output_len();
        let weight = self.shape.weight_len();
        match self.kind {
            ContractionKind::Forward => [input, weight, output],
            ContractionKind::InputGradient => [output, weight, input],
            ContractionKind::WeightGradient => [input, output, weight],
        }
    }
}
