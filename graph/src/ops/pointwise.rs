//! `f(x, ..) -> y`, element by element, operands broadcast.
//!
//! The functions, their derivatives, their kinds of numbers and their instructions are rows of one table
//! (`pointwise/table.rs`); what is common to them is here. Caveats:
//!
//! - comparisons with a NaN are false; a NaN in either operand of `minimum` and `maximum` gives the second;
//! - at a tie `minimum` and `maximum` pass half of the gradient to each; the gradient of `abs` at 0 is 0;
//! - the gradient of `sqrt` at 0 is infinite, that of `pow` with respect to its exponent is NaN at base 0;
//! - `floor` has the gradient 0; truth values have none.

mod derivatives;
mod kinds;
mod table;

use snn_loops::Val;

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{Emitter, GradientKind, Lowering, OpRule, Point, PointRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{broadcast_all, broadcast_point};
use crate::tensor::Tensor;
use crate::ty::Ty;
use derivatives::Chain;
use table::Emit;

/// A scalar function. In reference evaluation truth values are numbers: 0 is false, 1 (like all above 0) is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// `x + y`
    Add,
    /// `x - y`
    Sub,
    /// `x * y`
    Mul,
    /// `x / y`
    Div,
    /// `-x`
    Neg,
    /// `|x|`
    Abs,
    /// Square root.
    Sqrt,
    /// The largest integer not above `x`.
    Floor,
    /// `e^x`
    Exp,
    /// Natural logarithm.
    Log,
    /// Sine of radians.
    Sin,
    /// Cosine of radians.
    Cos,
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// Error function.
    Erf,
    /// `x^y`
    Pow,
    /// `x^n` for a constant integer.
    Powi(i32),
    /// The smaller.
    Minimum,
    /// The larger.
    Maximum,
    /// `x < y`
    Lt,
    /// `x <= y`
    Le,
    /// `x == y`
    Eq,
    /// `x and y`, of truth values.
    And,
    /// `x or y`, of truth values.
    Or,
    /// `not x`, of a truth value.
    Not,
    /// `if x { y } else { z }`, the first a truth value.
    Where,
}

impl Function {
    /// Every function, for tests that loop over the table; one representative of each family with an attribute.
    pub const ALL: &'static [Function] = &[
        Function::Add,
        Function::Sub,
        Function::Mul,
        Function::Div,
        Function::Neg,
        Function::Abs,
        Function::Sqrt,
        Function::Floor,
        Function::Exp,
        Function::Log,
        Function::Sin,
        Function::Cos,
        Function::Tanh,
        Function::Sigmoid,
        Function::Erf,
        Function::Pow,
        Function::Powi(3),
        Function::Minimum,
        Function::Maximum,
        Function::Lt,
        Function::Le,
        Function::Eq,
        Function::And,
        Function::Or,
        Function::Not,
        Function::Where,
    ];

    /// The name in printed graphs.
    pub fn name(self) -> &'static str {
        table::row(self).name
    }

    /// Number of operands.
    pub fn arity(self) -> usize {
        table::row(self).ranges.len()
    }

    /// The value for up to three arguments in f64; those beyond the arity are ignored.
    pub fn reference(self, arguments: [f64; 3]) -> f64 {
        (table::row(self).reference)(arguments, self.exponent())
    }

    /// The constant exponent of `Powi`; 0 for all others.
    fn exponent(self) -> i32 {
        match self {
            Function::Powi(n) => n,
            _ => 0,
        }
    }
}

/// A scalar function of its operands, element by element.
#[derive(Clone, Debug, PartialEq)]
pub struct Pointwise {
    /// The function.
    pub function: Function,
}

impl OpRule for Pointwise {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn attributes(&self) -> String {
        match self.function {
            Function::Powi(n) => n.to_string(),
            _ => String::new(),
        }
    }

    fn gradient_kind(&self) -> GradientKind {
        let row = table::row(self.function);
        if row.derivatives.iter().any(Option::is_some) || self.function == Function::Floor {
            GradientKind::Exact
        } else {
            GradientKind::None
        }
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let (name, arity) = (self.function.name(), self.function.arity());
        if inputs.len() != arity {
            return Err(ShapeError::new(format!("{name} takes {arity} operands, not {}", inputs.len())));
        }
        let kind = (table::row(self.function).kind)(name, inputs)?;
        Ok(broadcast_all(inputs)?.with_kind(kind))
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        node: NodeId,
        upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError> {
        let inputs = backward.graph.node(node).inputs.clone();
        let operand = |i: usize| inputs.get(i).copied().unwrap_or(node);
        let mut parts = Vec::with_capacity(inputs.len());
        for (input, derivative) in inputs.iter().zip(table::row(self.function).derivatives) {
            let Some(derivative) = derivative.filter(|_| backward.wants(*input)) else {
                parts.push(None);
                continue;
            };
            let graph = &mut *backward.graph;
            let (x, y, n) = (operand(0), operand(1), self.function.exponent());
            let full = derivative(&mut Chain { graph, x, y, n, value: node, upstream })?;
            let ty = backward.graph.ty(*input).clone();
            parts.push(Some(backward.graph.sum_to(full, &ty)?));
        }
        Ok(parts)
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Point(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
        let views: Vec<_> = (0..inputs.len()).map(|i| context.view(inputs, i)).collect();
        context.tensor(ty, |at| {
            let mut arguments = [0.0; 3];
            for (argument, view) in arguments.iter_mut().zip(&views) {
                *argument = view.at(at);
            }
            self.function.reference(arguments)
        })
    }

    fn samples() -> Vec<Sample> {
        let mut samples = broadcasting_samples();
        for function in Function::ALL.iter().copied().chain([Function::Powi(-2), Function::Powi(0), Function::Powi(1)])
        {
            let row = table::row(function);
            let types = row.operands.iter().enumerate().map(|(i, kind)| {
                let ty = if i == 0 { Ty::signal(true, &[2, 3]) } else { Ty::signal(false, &[2]) };
                ty.with_kind(*kind)
            });
            samples.push(Sample {
                op: Pointwise { function }.into(),
                inputs: types.collect(),
                ranges: row.ranges.to_vec(),
            });
        }
        // Ties: both operands are equal everywhere.
        for function in [Function::Minimum, Function::Maximum, Function::Lt, Function::Le, Function::Eq] {
            samples.push(Sample {
                op: Pointwise { function }.into(),
                inputs: vec![Ty::signal(true, &[2]), Ty::signal(true, &[2])],
                ranges: vec![(0.5, 0.5), (0.5, 0.5)],
            });
        }
        samples.push(Sample {
            op: Pointwise { function: Function::Abs }.into(),
            inputs: vec![Ty::scalar()],
            ranges: vec![(0.0, 0.0)],
        });
        samples
    }
}

/// A product of every pair of implicit axes, with shapes that pad, repeat and stretch.
fn broadcasting_samples() -> Vec<Sample> {
    let shapes: [(&[usize], &[usize]); 5] =
        [(&[], &[]), (&[2], &[2, 3]), (&[2, 1], &[1, 3]), (&[2, 3], &[]), (&[1], &[3, 1, 2])];
    let mut samples = Vec::new();
    for flags in 0..16 {
        let flag = |bit: usize| (flags >> bit) & 1 == 1;
        let (a, b) = shapes[flags % shapes.len()];
        let ty = |time, batch, dims: &[usize]| Ty { time, batch, ..Ty::fixed(dims) };
        samples.push(Sample {
            op: Pointwise { function: Function::Mul }.into(),
            inputs: vec![ty(flag(0), flag(1), a), ty(flag(2), flag(3), b)],
            ranges: vec![(-1.0, 1.0), (-1.0, 1.0)],
        });
    }
    samples
}

impl PointRule for Pointwise {
    fn emit(&self, emitter: &mut dyn Emitter, _ty: &Ty, at: &Point) -> Val {
        let mut operands = Vec::with_capacity(3);
        for input in 0..self.function.arity() {
            let point = broadcast_point(emitter.operand_ty(input), at);
            operands.push(emitter.operand(input, &point));
        }
        let dtype = emitter.dtype();
        let builder = emitter.builder();
        match (table::row(self.function).emit, operands.as_slice()) {
            (Emit::Unary(expand), [x]) => expand(builder, dtype, *x),
            (Emit::Binary(expand), [x, y]) => expand(builder, dtype, *x, *y),
            (Emit::Power, [x]) => snn_loops::expand::powi(builder, *x, self.function.exponent()),
            (Emit::Scalar(scalar), operands) => builder.scalar(scalar, operands),
            // The shape rule has counted the operands.
            (Emit::Unary(_) | Emit::Binary(_) | Emit::Power, _) => builder.constant(f64::NAN),
        }
    }
}
