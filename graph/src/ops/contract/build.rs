//! Building linear maps and convolutions, with errors in the user's terms.

use snn_loops::{ContractionKind, ConvShape, WeightValues};

use super::{Contract, fixed_weight};
use crate::build::Built;
use crate::graph::{Graph, NodeId};
use crate::op::ShapeError;
use crate::ops::operands::number;
use crate::ops::windows::{covered, positions};
use crate::ty::Ty;

/// Zeros around an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// So many rows above and below, and columns left and right.
    Zeros([usize; 2]),
    /// `dilation * (k - 1) / 2`: with stride 1 the size stays, with stride s it is divided by s and rounded up. For
    /// kernels that cover an odd number of elements.
    Same,
}

/// Settings of a convolution. Index 0 of a pair is the height, which a 1-D convolution ignores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvOptions {
    /// Distance between neighbouring outputs.
    pub stride: [usize; 2],
    /// Zeros around the image.
    pub padding: Padding,
    /// Distance between neighbouring kernel elements.
    pub dilation: [usize; 2],
    /// Groups of channels; outputs of one see the inputs of that one only.
    pub groups: usize,
}

impl Default for ConvOptions {
    fn default() -> ConvOptions {
        ConvOptions { stride: [1, 1], padding: Padding::Zeros([0, 0]), dilation: [1, 1], groups: 1 }
    }
}

impl Graph {
    /// `y[o] = sum of w[o, i] * x[i]`, for x: `[i]` and w: `[o, i]`.
    pub fn linear(&mut self, x: NodeId, w: NodeId) -> Built {
        let shape = linear_shape(self.ty(x), self.ty(w)).map_err(|error| error.at(&[x, w]))?;
        self.push(Contract { shape, kind: ContractionKind::Forward, dims: vec![shape.cout], planes: 1, weights: WeightValues::Any }, &[x, w])
    }

    /// A convolution (cross-correlation) over one axis, x: `[c, l]` and w: `[o, c / groups, k]`, or two, x: `[c, h, w]` and
    /// w: `[o, c / groups, kh, kw]`.
    pub fn conv(&mut self, x: NodeId, w: NodeId, options: ConvOptions) -> Built {
        let shape = conv_shape(self.ty(x), self.ty(w), options).map_err(|error| error.at(&[x, w]))?;
        let dims = match self.ty(x).dims.len() {
            2 => vec![shape.cout, shape.output[1]],
            _ => vec![shape.cout, shape.output[0], shape.output[1]],
        };
        self.push(Contract { shape, kind: ContractionKind::Forward, dims, planes: 1, weights: WeightValues::Any }, &[x, w])
    }
}

fn linear_shape(x: &Ty, w: &Ty) -> Result<ConvShape, ShapeError> {
    number("a linear map", x)?;
    fixed_weight(w)?;
    let [cin] = x.dims[..] else {
        return Err(ShapeError::new(format!("a linear map takes a vector [features], not {:?}", x.dims))
            .help("flatten it first"));
    };
    let [cout, expected] = w.dims[..] else {
        return Err(ShapeError::new(format!("the weight of a linear map is [outputs, inputs], not {:?}", w.dims)));
    };
    if cin != expected {
        return Err(ShapeError::new(format!("the weight {:?} takes {expected} inputs, but there are {cin}", w.dims)));
    }
    Ok(ConvShape::linear(cin, cout))
}

fn conv_shape(x: &Ty, w: &Ty, options: ConvOptions) -> Result<ConvShape, ShapeError> {
    number("a convolution", x)?;
    fixed_weight(w)?;
    let (cin, input, cout, group_in, kernel) = match (&x.dims[..], &w.dims[..]) {
        ([c, l], [o, i, k]) => (*c, [1, *l], *o, *i, [1, *k]),
        ([c, h, w], [o, i, kh, kw]) => (*c, [*h, *w], *o, *i, [*kh, *kw]),
        ([_, _], _) => return Err(weight_rank(x, w, "[outputs, inputs / groups, k]")),
        ([_, _, _], _) => return Err(weight_rank(x, w, "[outputs, inputs / groups, kh, kw]")),
        _ => {
            let message =
                format!("a convolution takes [channels, length] or [channels, height, width], not {:?}", x.dims);
            return Err(ShapeError::new(message));
        }
    };
    let ConvOptions { mut stride, padding, mut dilation, groups } = options;
    if x.dims.len() == 2 {
        (stride[0], dilation[0]) = (1, 1);
    }
    check_groups(cin, cout, group_in, groups, w)?;
    let mut pad = match padding {
        Padding::Zeros(pad) => pad,
        Padding::Same => [same_padding(kernel[0], dilation[0])?, same_padding(kernel[1], dilation[1])?],
    };
    if x.dims.len() == 2 {
        pad[0] = 0;
    }
    let output = [
        positions("kernel", input[0], [kernel[0], stride[0], pad[0], dilation[0]])?,
        positions("kernel", input[1], [kernel[1], stride[1], pad[1], dilation[1]])?,
    ];
    Ok(ConvShape { cin, cout, groups, input, kernel, stride, pad, dilation, output })
}

fn weight_rank(x: &Ty, w: &Ty, expected: &str) -> ShapeError {
    ShapeError::new(format!("the weight of a convolution over {:?} is {expected}, not {:?}", x.dims, w.dims))
}

fn check_groups(cin: usize, cout: usize, group_in: usize, groups: usize, w: &Ty) -> Result<(), ShapeError> {
    if groups == 0 {
        return Err(ShapeError::new("a convolution has at least 1 group"));
    }
    for (channels, name) in [(cin, "input"), (cout, "output")] {
        if !channels.is_multiple_of(groups) {
            return Err(ShapeError::new(format!("{channels} {name} channels do not divide into {groups} groups")));
        }
    }
    if cin / groups != group_in {
        let has = if groups == 1 { format!("{cin}") } else { format!("{cin} / {groups} groups = {}", cin / groups) };
        return Err(ShapeError::new(format!("the weight {:?} takes {group_in} channels, but there are {has}", w.dims)));
    }
    Ok(())
}

fn same_padding(kernel: usize, dilation: usize) -> Result<usize, ShapeError> {
    let covered = covered(kernel, dilation);
    if covered.is_multiple_of(2) {
        return Err(ShapeError::new(format!("`same` padding needs a kernel of odd size, not {kernel}"))
            .help("give the padding as a number"));
    }
    Ok((covered - 1) / 2)
}

/// Geometries for the generic tests, with the shapes of x, w and y.
pub(super) fn sample_shapes() -> Vec<(ConvShape, [Vec<usize>; 3])> {
    let two = |x: [usize; 3], w: [usize; 4], stride, pad, dilation, groups| {
        let options = ConvOptions { stride, padding: Padding::Zeros(pad), dilation, groups };
        (Ty::signal(true, &x), Ty::fixed(&w), options)
    };
    let one = |x: [usize; 2], w: [usize; 3], stride, padding| {
        let options = ConvOptions { stride: [7, stride], padding, dilation: [7, 1], groups: 1 };
        (Ty::signal(true, &x), Ty::fixed(&w), options)
    };
    let convolutions = [
        two([2, 4, 5], [3, 2, 3, 3], [1, 1], [1, 1], [1, 1], 1),
        two([2, 5, 4], [2, 2, 2, 3], [2, 1], [0, 2], [1, 1], 1),
        two([1, 6, 7], [2, 1, 2, 3], [1, 2], [2, 0], [3, 2], 1),
        two([4, 3, 3], [6, 2, 2, 2], [1, 1], [1, 0], [1, 1], 2),
        two([3, 4, 4], [3, 1, 3, 3], [2, 2], [1, 1], [1, 1], 3),
        two([3, 2, 2], [2, 3, 1, 1], [1, 1], [0, 0], [1, 1], 1),
        two([1, 1, 1], [1, 1, 1, 1], [3, 3], [0, 0], [1, 1], 1),
        one([2, 6], [3, 2, 3], 1, Padding::Same),
        one([1, 7], [2, 1, 2], 3, Padding::Zeros([9, 1])),
    ];
    let mut shapes = vec![
        (ConvShape::linear(3, 4), [vec![3], vec![4, 3], vec![4]]),
        (ConvShape::linear(1, 1), [vec![1], vec![1, 1], vec![1]]),
    ];
    for (x, w, options) in convolutions {
        if let Ok(shape) = conv_shape(&x, &w, options) {
            let y = match x.dims.len() {
                2 => vec![shape.cout, shape.output[1]],
                _ => vec![shape.cout, shape.output[0], shape.output[1]],
            };
            shapes.push((shape, [x.dims, w.dims, y]));
        }
    }
    shapes
}
