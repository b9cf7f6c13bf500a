//! A contraction as a matrix product: what its rows, columns and terms are.
//!
//! Must never know tiles or text.

use snn_loops::{Contraction, ContractionKind};

/// The product `out[m][n] = sum_k a[m][k] * b[n][k]` of every group. `Forward` and `InputGradient` gather `a` from a source
/// image, `m` being pixels of the result, `n` its channels, `k` taps of the kernel times channels of the source.
/// `WeightGradient` has channels of the output as `m`, taps times channels of the input as `n`, pixels of the output as `k`;
/// turned, the first two are the other way around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// Channels of a group that are gathered: of the input, of the output for `InputGradient`.
    pub(super) gathered: usize,
    /// Rows of `a` in a group.
    pub(super) m: usize,
    /// Columns of the result in a group.
    pub(super) n: usize,
    /// Height and width of what is gathered from.
    pub(super) source: [usize; 2],
    /// Elements from a pixel of it to the next.
    pub(super) source_pitch: usize,
    /// Height and width of the image whose pixels are counted.
    pub(super) result: [usize; 2],
    /// Its channels, over all groups.
    pub(super) result_pitch: usize,
    /// Pixels of all its images.
    pub(super) pixels: usize,
    /// Elements of the kernel.
    pub(super) taps: usize,
    /// Positions modulo the stride, each a product of its own taps; one but for `InputGradient`.
    pub(super) phases: [usize; 2],
}

impl Geometry {
    /// The transposed result.
    pub(super) fn turned(self) -> Geometry {
        Geometry { m: self.n, n: self.m, ..self }
    }

    /// That of a contraction.
    pub(super) fn of(c: &Contraction) -> Geometry {
        let s = &c.shape;
        let (cin, cout) = (s.cin / s.groups, s.cout / s.groups);
        let taps = s.kernel[0] * s.kernel[1];
        let of_output = |m: usize, n: usize| Geometry {
            gathered: cin,
            m,
            n,
            source: s.input,
            source_pitch: c.pitch(),
            result: s.output,
            result_pitch: s.cout,
            pixels: c.rows * s.output[0] * s.output[1],
            taps,
            phases: [1, 1],
        };
        match c.kind {
            ContractionKind::Forward => of_output(c.rows * s.output[0] * s.output[1], cout),
            ContractionKind::WeightGradient => of_output(cout, cin * taps),
            ContractionKind::InputGradient => Geometry {
                gathered: cout,
                m: c.rows * s.input[0].div_ceil(s.stride[0]) * s.input[1].div_ceil(s.stride[1]),
                n: cin,
                source: s.output,
                source_pitch: s.cout,
                result: s.input,
                result_pitch: s.cin,
                pixels: c.rows * s.input[0] * s.input[1],
                taps,
                phases: [s.stride[0].min(s.input[0]), s.stride[1].min(s.input[1])],
            },
        }
    }
}
