//! `windows(x: [c, h, w]) -> [c, oh, ow, kh, kw]`: patches of an image.
//!
//! `y[c, oh, ow, kh, kw] = x[c, oh * stride + kh * dilation - pad, ...]`, and `fill` outside of the image. Pooling is a
//! reduction of the last two axes. The derivative is [`Fold`].

use snn_loops::{Ix, Val};

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{Emitter, GradientKind, Lowering, OpRule, Point, PointRule, Sample, ShapeContext, ShapeError};
use crate::ops::Fold;
use crate::ops::operands::{elements, exactly, number};
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// Takes patches. Index 0 of a pair is the height.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// Height and width of a patch.
    pub size: [usize; 2],
    /// Distance between neighbouring patches.
    pub stride: [usize; 2],
    /// Rows and columns around the image.
    pub pad: [usize; 2],
    /// Distance between neighbouring elements of a patch.
    pub dilation: [usize; 2],
    /// The value outside of the image.
    pub fill: f64,
}

/// How many windows fit along one axis, or what is wrong; `what` names the window.
pub(crate) fn positions(
    what: &str,
    extent: usize,
    [size, stride, pad, dilation]: [usize; 4],
) -> Result<usize, ShapeError> {
    /// Far above any image; keeps index arithmetic from overflowing.
    const MAX: usize = 1 << 30;
    if let Some(large) = [extent, size, stride, pad, dilation].into_iter().find(|n| *n > MAX) {
        return Err(ShapeError::new(format!("{large} is too large for the geometry of a {what}")));
    }
    for (value, name) in [(size, "size"), (stride, "stride"), (dilation, "dilation")] {
        if value == 0 {
            return Err(ShapeError::new(format!("the {name} of a {what} must be at least 1")));
        }
    }
    let (covered, padded) = (covered(size, dilation), extent + 2 * pad);
    if covered > padded {
        return Err(ShapeError::new(format!(
            "a {what} of size {size} covers {covered}, more than the {padded} that there are (padding included)"
        ))
        .help("make it smaller or pad more"));
    }
    Ok((padded - covered) / stride + 1)
}

/// Elements from the first to the last that a window of that size and dilation covers.
pub(crate) fn covered(size: usize, dilation: usize) -> usize {
    size.saturating_sub(1).saturating_mul(dilation).saturating_add(1)
}

/// Which element of the image a window's element is, along one axis; before the first one it is negative.
pub(crate) fn image_position(window: usize, element: usize, stride: usize, dilation: usize, pad: usize) -> i64 {
    (window * stride + element * dilation) as i64 - pad as i64
}

impl Windows {
    /// Size, stride, pad and dilation along one axis.
    fn axis(&self, axis: usize) -> [usize; 4] {
        [self.size[axis], self.stride[axis], self.pad[axis], self.dilation[axis]]
    }

    /// Whether each element of the image is in one window at most, and every window inside of the image.
    fn is_partition(&self) -> bool {
        let disjoint = |axis: usize| covered(self.size[axis], self.dilation[axis]) <= self.stride[axis];
        self.pad == [0, 0] && disjoint(0) && disjoint(1)
    }

    fn kind(&self, x: Kind) -> Kind {
        match x {
            _ if self.pad == [0, 0] => x,
            Kind::Scaled | Kind::Counts if self.fill == 0.0 => x,
            Kind::Spikes if self.fill == 0.0 || self.fill == 1.0 => x,
            _ => Kind::Real,
        }
    }
}

impl OpRule for Windows {
    fn name(&self) -> &'static str {
        "windows"
    }

    fn attributes(&self) -> String {
        let Windows { size, stride, pad, dilation, fill } = self;
        format!("size={size:?} stride={stride:?} pad={pad:?} dilation={dilation:?} fill={fill:?}")
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Exact
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [x] = exactly("windows", inputs)?;
        number("windows", x)?;
        let [c, h, w] = x.dims[..] else {
            return Err(ShapeError::new(format!(
                "windows are taken of an image [channels, height, width], not of {:?}",
                x.dims
            )));
        };
        let out_h = positions("window", h, self.axis(0))?;
        let out_w = positions("window", w, self.axis(1))?;
        let dims = vec![c, out_h, out_w, self.size[0], self.size[1]];
        elements(&dims)?;
        Ok(Ty { dims, kind: self.kind(x.kind), ..x.clone() })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        node: NodeId,
        upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError> {
        let Some(x) = backward.graph.node(node).inputs.first() else { return Ok(Vec::new()) };
        let [_, h, w] = backward.graph.ty(*x).dims[..] else { return Ok(vec![None]) };
        let Windows { size, stride, pad, dilation, fill: _ } = *self;
        Ok(vec![Some(backward.graph.push(Fold { size, stride, pad, dilation, input: [h, w] }, &[upstream])?)])
    }

    fn lower(&self) -> Lowering<'_> {
        // What is read once may as well be computed on the spot.
        if self.is_partition() { Lowering::Point(self) } else { Lowering::Window(self) }
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
        let x = context.view(inputs, 0);
        context.tensor(ty, |at| {
            let [c, out_h, out_w, kh, kw] = at.dims[..] else { return f64::NAN };
            let row = image_position(out_h, kh, self.stride[0], self.dilation[0], self.pad[0]);
            let column = image_position(out_w, kw, self.stride[1], self.dilation[1], self.pad[1]);
            match (usize::try_from(row), usize::try_from(column)) {
                (Ok(row), Ok(column)) if row < x.ty.dims[1] && column < x.ty.dims[2] => {
                    x.at(&at.with_dims(vec![c, row, column]))
                }
                _ => self.fill,
            }
        })
    }

    fn samples() -> Vec<Sample> {
        let sample = |dims: &[usize], time: bool, size, stride, pad, dilation, fill| Sample {
            op: Windows { size, stride, pad, dilation, fill }.into(),
            inputs: vec![Ty::signal(time, dims)],
            ranges: vec![(-1.0, 1.0)],
        };
        vec![
            sample(&[2, 4, 6], true, [2, 2], [2, 2], [0, 0], [1, 1], 0.0),
            sample(&[2, 5, 4], false, [3, 2], [2, 1], [1, 0], [1, 1], -3.0),
            sample(&[1, 5, 7], false, [2, 3], [1, 2], [0, 2], [3, 2], 0.0),
            sample(&[3, 1, 4], true, [1, 4], [1, 1], [0, 0], [1, 1], 0.0),
            sample(&[1, 5, 5], false, [1, 2], [3, 3], [0, 0], [1, 1], 0.0),
        ]
    }
}

impl PointRule for Windows {
    fn emit(&self, emitter: &mut dyn Emitter, _ty: &Ty, at: &Point) -> Val {
        let [c, out_h, out_w, kh, kw] = &at.dims[..] else { return emitter.builder().constant(f64::NAN) };
        let position = |axis: usize, window: &Ix, element: &Ix| {
            let start = window.times(self.stride[axis] as i64).offset(-(self.pad[axis] as i64));
            start.plus(&element.times(self.dilation[axis] as i64))
        };
        let (row, column) = (position(0, out_h, kh), position(1, out_w, kw));
        let point = Point { dims: vec![c.clone(), row.clone(), column.clone()], ..at.clone() };
        if self.pad == [0, 0] {
            return emitter.operand(0, &point);
        }
        let dims = &emitter.operand_ty(0).dims;
        let bounds = vec![(row, dims[1] as i64), (column, dims[2] as i64)];
        emitter.operand_within(0, &point, bounds, self.fill)
    }
}
