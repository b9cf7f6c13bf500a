//! `reshape(x) -> y`: the same elements under another shape.
//!
//! The elements of one sample at one step are counted row-major over the shape, channels first; time and batch stay. The
//! derivative reshapes back.

use snn_loops::{Ix, Val, Var};

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{Emitter, GradientKind, Lowering, OpRule, Point, PointRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{exactly, strides};
use crate::tensor::Tensor;
use crate::ty::Ty;

/// Gives a value another shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// The new shape, with as many elements.
    pub dims: Vec<usize>,
}

impl OpRule for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn attributes(&self) -> String {
        String::new()
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Exact
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [x] = exactly("reshape", inputs)?;
        let ty = Ty { dims: self.dims.clone(), ..x.clone() };
        if ty.elements() != x.elements() {
            return Err(ShapeError::new(format!(
                "{:?} has {} elements, but {:?} has {}",
                x.dims,
                x.elements(),
                ty.dims,
                ty.elements()
            )));
        }
        Ok(ty)
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        node: NodeId,
        upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError> {
        let Some(x) = backward.graph.node(node).inputs.first() else { return Ok(Vec::new()) };
        let dims = backward.graph.ty(*x).dims.clone();
        Ok(vec![Some(backward.graph.reshape(upstream, &dims)?)])
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Point(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
        Tensor { dims: context.extents(ty), data: inputs[0].data.clone() }
    }

    fn samples() -> Vec<Sample> {
        let sample = |from: Ty, to: &[usize]| Sample {
            op: Reshape { dims: to.to_vec() }.into(),
            inputs: vec![from],
            ranges: vec![(-1.0, 1.0)],
        };
        vec![
            sample(Ty::signal(true, &[2, 3]), &[6]),
            sample(Ty::signal(false, &[6]), &[3, 2]),
            sample(Ty::fixed(&[4, 3]), &[2, 6]),
            sample(Ty::signal(true, &[2, 3, 4]), &[4, 3, 2]),
            sample(Ty::signal(false, &[2, 3]), &[2, 1, 3, 1]),
            sample(Ty::signal(true, &[1, 1]), &[]),
            sample(Ty::scalar(), &[1, 1]),
        ]
    }
}

/// Where the element at index `at` of the shape `to` lies in the shape `from`; `extent` tells the extents of the variables
/// in `at`.
pub(crate) fn source_index(from: &[usize], to: &[usize], at: &[Ix], extent: &dyn Fn(Var) -> Option<usize>) -> Vec<Ix> {
    let mut flat = Ix::constant(0);
    for (index, stride) in at.iter().zip(strides(to)) {
        flat = flat.plus(&index.times(stride as i64));
    }
    let axis_index = |(axis, stride): (usize, usize)| {
        let rest = flat.divide(stride as i64, extent);
        // The quotient of the first axis is below its extent already.
        if axis == 0 { rest } else { rest.modulo(from[axis] as i64, extent) }
    };
    strides(from).into_iter().enumerate().map(axis_index).collect()
}

impl PointRule for Reshape {
    fn emit(&self, emitter: &mut dyn Emitter, ty: &Ty, at: &Point) -> Val {
        let extent = |var: Var| emitter.extent(var);
        let dims = source_index(&emitter.operand_ty(0).dims, &ty.dims, &at.dims, &extent);
        emitter.operand(0, &Point { dims, ..at.clone() })
    }
}
