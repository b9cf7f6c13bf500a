//! The weights of a convolution or of its input's gradient, from which kernels pack panels of output channels.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::ops::Range;

use crate::kernels::geometry::Geometry;

/// Where the weights of a pair of channels are. For the input's gradient, input and output change places.
#[derive(Clone, Copy)]
pub(crate) struct Filters<'a> {
    /// All weights, the taps of a pair side by side.
    weights: &'a [f32],
    /// Kernel elements.
    pub taps: usize,
    /// Channels that are read.
    pub inputs: usize,
    /// Channels that are written.
    pub outputs: usize,
    /// Elements from one output channel to the next.
    output_stride: usize,
    /// Elements from one input channel to the next.
    input_stride: usize,
}

impl<'a> Filters<'a> {
    /// Weights `[cout][cin][kh][kw]` of the convolution; `None` if there are more or fewer.
    pub fn forward(geometry: &Geometry, weights: &'a [f32]) -> Option<Filters<'a>> {
        let (taps, inputs, outputs) = (geometry.taps(), geometry.cin, geometry.cout);
        let fits = weights.len() == outputs * inputs * taps;
        fits.then_some(Filters { weights, taps, inputs, outputs, output_stride: inputs * taps, input_stride: taps })
    }

    /// The same weights, read by output channels and written by input channels.
    pub fn transposed(self) -> Filters<'a> {
        Filters {
            inputs: self.outputs,
            outputs: self.inputs,
            output_stride: self.input_stride,
            input_stride: self.output_stride,
            ..self
        }
    }

    /// Copies the filters of some pairs of channels to `[input][tap][column]`, with zeros in the columns that no output
    /// belongs to.
    pub fn copy(&self, inputs: Range<usize>, outputs: Range<usize>, to: &mut [f32], width: usize) {
        assert!(inputs.end <= self.inputs && outputs.end <= self.outputs && outputs.len() <= width);
        assert!(to.len() >= inputs.len() * self.taps * width);
        if outputs.len() < width {
            to.fill(0.0);
        }
        let pair = |input: usize, output: usize, count: usize, to: &mut [f32]| {
            let start = (inputs.start + input) * self.input_stride + (outputs.start + output) * self.output_stride;
            // SAFETY: the channels were checked above, `forward` checked that all of them have weights, and `to` has
            // `width` columns for every tap of every input.
            unsafe {
                let (from, to) =
                    (self.weights.as_ptr().add(start), to.as_mut_ptr().add(input * self.taps * width + output));
                for at in 0..count {
                    *to.add(at * width) = *from.add(at);
                }
            }
        };
        // Reads go along the weights' own order; if inputs are neighbors, all of them are one run.
        if self.input_stride == self.taps {
            (0..outputs.len()).for_each(|output| pair(0, output, inputs.len() * self.taps, to));
        } else if self.taps == 1 {
            for (input, to) in inputs.clone().zip(to.chunks_exact_mut(width)) {
                let start = input * self.input_stride + outputs.start;
                let from = self.weights.get(start..start + outputs.len()).unwrap_or_default();
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        } else {
            (0..inputs.len())
                .for_each(|input| (0..outputs.len()).for_each(|output| pair(input, output, self.taps, to)));
        }
    }
}
