//! `argmax(x: [n]) -> position`: where the largest element is; the first one if several are.
//!
//! No gradient. A NaN is never the largest, unless it is the first element. Up to 64 elements are compared in straight
//! code, more in a loop.

use snn_loops::{Expr, Extent, Ix, LoopKind, Scalar, Val};

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{Emitter, GradientKind, Lowering, OpRule, Point, PointRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{exactly, number};
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// Elements that are compared in straight code; more are compared in a loop.
const UNROLLED: usize = 64;

/// Finds the largest element.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgMax {}

/// The largest element so far and where it is.
#[derive(Clone, Copy)]
struct Best {
    value: Val,
    position: Val,
}

impl ArgMax {
    /// The better of the best so far and the element at `index`.
    fn compare(emitter: &mut dyn Emitter, at: &Point, best: Best, index: Ix) -> Best {
        let element = emitter.operand(0, &Point { dims: vec![index.clone()], ..at.clone() });
        let builder = emitter.builder();
        let position = builder.define(Expr::Index(index));
        let larger = builder.scalar(Scalar::Lt, &[best.value, element]);
        Best {
            value: builder.scalar(Scalar::Select, &[larger, element, best.value]),
            position: builder.scalar(Scalar::Select, &[larger, position, best.position]),
        }
    }

    /// The best of many elements, in registers.
    fn emit_loop(emitter: &mut dyn Emitter, at: &Point, first: Best, n: usize) -> Val {
        let rest = n - 1;
        let var = emitter.fresh_var(rest);
        let builder = emitter.builder();
        let (value, position) = (builder.fresh_reg(), builder.fresh_reg());
        builder.set(value, first.value);
        builder.set(position, first.position);
        builder.open(var, Extent::Fixed(rest), LoopKind::Serial);
        let before = Best { value: builder.get(value), position: builder.get(position) };
        let best = ArgMax::compare(emitter, at, before, Ix::var(var).offset(1));
        let builder = emitter.builder();
        builder.set(value, best.value);
        builder.set(position, best.position);
        builder.close();
        builder.get(position)
    }
}

impl OpRule for ArgMax {
    fn name(&self) -> &'static str {
        "argmax"
    }

    fn attributes(&self) -> String {
        String::new()
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::None
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [x] = exactly("argmax", inputs)?;
        number("argmax", x)?;
        match x.dims[..] {
            [_] => Ok(Ty { dims: Vec::new(), kind: Kind::Counts, ..x.clone() }),
            _ => Err(ShapeError::new(format!("argmax takes a vector [classes], not {:?}", x.dims))),
        }
    }

    fn gradient(&self, _: &mut Backward<'_>, _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Ok(vec![None])
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Window(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
        let x = context.view(inputs, 0);
        let n = x.ty.elements();
        context.tensor(ty, |at| {
            let element = |i: usize| x.at(&at.with_dims(vec![i]));
            (1..n).fold(0, |best, i| if element(best) < element(i) { i } else { best }) as f64
        })
    }

    fn samples() -> Vec<Sample> {
        let sample = |ty: Ty, range| Sample { op: ArgMax {}.into(), inputs: vec![ty], ranges: vec![range] };
        vec![
            sample(Ty::signal(false, &[10]), (-1.0, 1.0)),
            sample(Ty::signal(true, &[3]), (-1.0, 1.0)),
            sample(Ty::fixed(&[1]), (-1.0, 1.0)),
            // All elements tie: the first one wins.
            sample(Ty::signal(false, &[4]), (0.5, 0.5)),
            sample(Ty::signal(false, &[100]), (-1.0, 1.0)),
        ]
    }
}

impl PointRule for ArgMax {
    fn emit(&self, emitter: &mut dyn Emitter, _ty: &Ty, at: &Point) -> Val {
        let n = emitter.operand_ty(0).elements();
        let value = emitter.operand(0, &Point { dims: vec![Ix::constant(0)], ..at.clone() });
        let mut best = Best { value, position: emitter.builder().constant(0.0) };
        if n > UNROLLED {
            return ArgMax::emit_loop(emitter, at, best, n);
        }
        for i in 1..n as i64 {
            best = ArgMax::compare(emitter, at, best, Ix::constant(i));
        }
        best.position
    }
}
