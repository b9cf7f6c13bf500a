//! `contract(a, b) -> c`: a linear map, a convolution, or one of their gradients: the heavy kernel.
//!
//! All three kinds are one trilinear form of an input image `x`, a weight `w` and an output image `y`,
//! `sum of x[i, row, column] * w[o, i, kh, kw] * y[o, oh, ow]` over `row = oh * stride + kh * dilation - pad` (and the same
//! along the width) and channels of the same group, with one factor left out: that is the one computed. Its operands
//! ([`ContractionKind`]):
//!
//! | kind | `a` | `b` | result |
//! | --- | --- | --- | --- |
//! | `Forward` | x | w | y |
//! | `InputGradient` | y | w | x |
//! | `WeightGradient` | x | y | w, summed over samples and steps |
//!
//! Shapes of one sample: x and y are `[c]` (a linear map), `[c, l]` or `[c, h, w]`; w is `[o, i]`, `[o, i / groups, k]` or
//! `[o, i / groups, kh, kw]`. A weight never changes over time or from sample to sample. What lies outside of the image
//! counts as zero. An x of `Forward` and `WeightGradient` may be given in several planes of bits
//! ([`Planes`](super::Planes)), its last axis then: it is the sum of them, plane `k` times `2^k`. The derivatives of each kind are contractions of the other two kinds. The order of the sums, and thus
//! their rounding, is the back end's.

mod build;

pub use build::{ConvOptions, Padding};

use snn_loops::{ContractionKind, ConvShape, WeightValues};

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{elements, exactly, number};
use crate::tensor::Tensor;
use crate::ty::Ty;

/// A linear map, convolution, or gradient of one. Built by [`Graph::linear`](crate::Graph::linear) and
/// [`Graph::conv`](crate::Graph::conv).
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// The geometry; lower ranks have height and width 1.
    pub shape: ConvShape,
    /// Which factor is computed.
    pub kind: ContractionKind,
    /// Planes of the input; 1 if it is no sum of planes, and where it is no operand.
    pub planes: usize,
    /// Shape of the result at one step of one sample.
    pub dims: Vec<usize>,
    /// What is known of the weights; only the pass [`round_weights`](crate::passes::round_weights) knows anything.
    pub weights: WeightValues,
}

impl Contract {
    /// The same geometry, computing another factor.
    fn other(&self, kind: ContractionKind, dims: &[usize]) -> Contract {
        Contract { shape: self.shape, kind, dims: dims.to_vec(), planes: 1, weights: WeightValues::Any }
    }
}

impl OpRule for Contract {
    fn name(&self) -> &'static str {
        match self.kind {
            ContractionKind::Forward => "contract",
            ContractionKind::InputGradient => "contract_input_gradient",
            ContractionKind::WeightGradient => "contract_weight_gradient",
        }
    }

    fn attributes(&self) -> String {
        let ConvShape { cin, cout, groups, kernel, stride, pad, dilation, .. } = self.shape;
        let planes = if self.planes == 1 { String::new() } else { format!(" planes={}", self.planes) };
        let known = if self.weights == WeightValues::Int8 { " weights=int8" } else { "" };
        if self.shape == ConvShape::linear(cin, cout) {
            return format!("{cin} -> {cout}{known}{planes}");
        }
        format!(
            "{cin} -> {cout}{known} kernel={kernel:?} stride={stride:?} pad={pad:?} dilation={dilation:?} groups={groups}{planes}"
        )
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Exact
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [a, b] = exactly(self.name(), inputs)?;
        number("a linear map", a)?;
        number("a linear map", b)?;
        elements(&self.dims)?;
        let is_whole = self.kind == ContractionKind::InputGradient || self.planes == 0;
        if self.planes != 1 && (is_whole || a.dims.last() != Some(&self.planes)) {
            return Err(ShapeError::new(format!("{:?} are no {} planes of an input", a.dims, self.planes)));
        }
        let x = self.shape.input_len().saturating_mul(self.planes);
        let (w, y) = (self.shape.weight_len(), self.shape.output_len());
        let result = Ty::fixed(&self.dims);
        let lengths = match self.kind {
            ContractionKind::Forward => [x, w, y],
            ContractionKind::InputGradient => [y, w, x],
            ContractionKind::WeightGradient => [x, y, w],
        };
        if lengths != [a.elements(), b.elements(), result.elements()] {
            return Err(ShapeError::new(format!(
                "{:?} and {:?} do not fit a {} that gives {:?}",
                a.dims,
                b.dims,
                self.name(),
                self.dims
            )));
        }
        match self.kind {
            ContractionKind::WeightGradient if (a.time, a.batch) != (b.time, b.batch) => {
                Err(ShapeError::new("a weight's gradient needs input and output at the same steps and samples"))
            }
            ContractionKind::WeightGradient => Ok(result),
            ContractionKind::Forward | ContractionKind::InputGradient => {
                fixed_weight(b)?;
                Ok(Ty { time: a.time, batch: a.batch, ..result })
            }
        }
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        node: NodeId,
        upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError> {
        use ContractionKind::{Forward, InputGradient, WeightGradient};
        let [a, b] = backward.graph.node(node).inputs[..] else { return Ok(Vec::new()) };
        if self.planes != 1 {
            return Err(ShapeError::new("planes of bits are made after differentiation"));
        }
        // The factor that a gradient is of is computed from the other operand and the upstream gradient, which stands for
        // the factor that this node computes; x comes before w and y, y before w.
        let (of_a, of_b) = match self.kind {
            Forward => ((InputGradient, [upstream, b]), (WeightGradient, [a, upstream])),
            InputGradient => ((Forward, [upstream, b]), (WeightGradient, [upstream, a])),
            WeightGradient => ((InputGradient, [b, upstream]), (Forward, [a, upstream])),
        };
        let mut parts = Vec::with_capacity(2);
        for (operand, (kind, factors)) in [(a, of_a), (b, of_b)] {
            let wanted = backward.wants(operand);
            let dims = backward.graph.ty(operand).dims.clone();
            parts.push(if wanted { Some(backward.graph.push(self.other(kind, &dims), &factors)?) } else { None });
        }
        Ok(parts)
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Contract(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
        let (x_len, y_len) = (self.shape.input_len(), self.shape.output_len());
        let whole = |digits: &[f64]| digits.iter().rev().fold(0.0, |sum, digit| 2.0 * sum + digit);
        let (a, b): (Vec<f64>, _) = (inputs[0].data.chunks_exact(self.planes).map(whole).collect(), &inputs[1].data);
        let mut out = context.zeros(ty);
        let a_len = if self.kind == ContractionKind::InputGradient { y_len } else { x_len };
        for row in 0..a.len() / a_len {
            let (x_row, y_row) = (row * x_len, row * y_len);
            for_each_term(&self.shape, |x, w, y| match self.kind {
                ContractionKind::Forward => out.data[y_row + y] += a[x_row + x] * b[w],
                ContractionKind::InputGradient => out.data[x_row + x] += a[y_row + y] * b[w],
                ContractionKind::WeightGradient => out.data[w] += a[x_row + x] * b[y_row + y],
            });
        }
        out
    }

    fn samples() -> Vec<Sample> {
        let mut samples = Vec::new();
        for (shape, [x, w, y]) in build::sample_shapes() {
            for (time, batch) in [(false, false), (true, false), (false, true), (true, true)] {
                // Only linear maps may be the same for all samples and steps.
                if !time && !batch && x.len() > 1 {
                    continue;
                }
                let signal = |dims: &[usize]| Ty { time, batch, ..Ty::fixed(dims) };
                let cases = [
                    (ContractionKind::Forward, &y, [signal(&x), Ty::fixed(&w)]),
                    (ContractionKind::InputGradient, &x, [signal(&y), Ty::fixed(&w)]),
                    (ContractionKind::WeightGradient, &w, [signal(&x), signal(&y)]),
                ];
                for (kind, dims, inputs) in cases {
                    let op = Contract { shape, kind, dims: dims.clone(), planes: 1, weights: WeightValues::Any }.into();
                    samples.push(Sample { op, inputs: inputs.to_vec(), ranges: vec![(-1.0, 1.0); 2] });
                }
            }
        }
        samples
    }
}

/// Refuses a weight that changes.
fn fixed_weight(w: &Ty) -> Result<(), ShapeError> {
    if w.time {
        return Err(ShapeError::new("a weight cannot change from one time step to the next"));
    }
    if w.batch {
        return Err(ShapeError::new("a weight cannot differ from sample to sample"));
    }
    Ok(())
}

/// Every term of the trilinear form: row-major positions in one x, in w, and in one y.
fn for_each_term(shape: &ConvShape, mut term: impl FnMut(usize, usize, usize)) {
    let ConvShape { cin, cout, groups, input, kernel, stride, pad, dilation, output } = *shape;
    let (group_in, group_out) = (cin / groups, cout / groups);
    for o in 0..cout {
        for i in 0..group_in {
            let channel = o / group_out * group_in + i;
            for tap in 0..kernel[0] * kernel[1] {
                let (kh, kw) = (tap / kernel[1], tap % kernel[1]);
                for place in 0..output[0] * output[1] {
                    let (oh, ow) = (place / output[1], place % output[1]);
                    let row = (oh * stride[0] + kh * dilation[0]).wrapping_sub(pad[0]);
                    let column = (ow * stride[1] + kw * dilation[1]).wrapping_sub(pad[1]);
                    if row < input[0] && column < input[1] {
                        let x = (channel * input[0] + row) * input[1] + column;
                        let w = (o * group_in + i) * kernel[0] * kernel[1] + tap;
                        term(x, w, o * output[0] * output[1] + place);
                    }
                }
            }
        }
    }
}
