//! `constant(values) -> value`: numbers known to the compiler.
//!
//! A single number, a tensor, or a list over time. The same for all samples. A constant of zeros and ones counts as
//! spikes, which as a set it is: `where(fired, 1, 0)` is then seen to be spikes. No gradient.

use std::rc::Rc;

use snn_loops::Val;

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{Emitter, GradientKind, Lowering, OpRule, Point, PointRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{exactly, source};
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// Numbers known to the compiler.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Whether it changes from step to step.
    pub time: bool,
    /// Its shape at one step (without the time axis).
    pub dims: Vec<usize>,
    /// The elements, row-major over `[time][dims...]`, the time axis only where `time` is set.
    pub values: Rc<[f64]>,
}

impl Constant {
    /// A single number.
    pub fn scalar(value: f64) -> Constant {
        Constant { time: false, dims: Vec::new(), values: Rc::from([value]) }
    }

    /// The number, if it is a single one.
    pub fn as_scalar(&self) -> Option<f64> {
        match &*self.values {
            [value] if !self.time && self.dims.is_empty() => Some(*value),
            _ => None,
        }
    }
}

impl OpRule for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn attributes(&self) -> String {
        const SHOWN: usize = 8;
        let mut words: Vec<String> = self.values.iter().take(SHOWN).map(|value| format!("{value:?}")).collect();
        if self.values.len() > SHOWN {
            words.push(format!("... {} values", self.values.len()));
        }
        words.join(", ")
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::None
    }

    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [] = exactly("constant", inputs)?;
        let spikes = self.values.iter().all(|value| *value == 0.0 || *value == 1.0);
        let kind = if spikes { Kind::Spikes } else { Kind::Real };
        let ty = source(context, &Ty { time: self.time, kind, ..Ty::fixed(&self.dims) })?;
        let steps = if self.time { context.steps } else { 1 };
        if self.time && self.values.len() != steps * ty.elements() {
            let given = self.values.len() / ty.elements();
            return Err(ShapeError::new(format!(
                "a list over time needs {steps} values, one for each step, not {given}"
            )));
        }
        if self.values.len() != steps * ty.elements() {
            let found = self.values.len();
            return Err(ShapeError::new(format!("a constant of shape {:?} cannot have {found} values", self.dims)));
        }
        Ok(ty)
    }

    fn gradient(&self, _: &mut Backward<'_>, _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Ok(Vec::new())
    }

    fn lower(&self) -> Lowering<'_> {
        match self.as_scalar() {
            Some(_) => Lowering::Point(self),
            None => Lowering::Stored,
        }
    }

    fn eval(&self, context: &mut EvalContext<'_>, _inputs: &[&Tensor], ty: &Ty) -> Tensor {
        Tensor { dims: context.extents(ty), data: self.values.to_vec() }
    }

    fn samples() -> Vec<Sample> {
        let sample = |time: bool, dims: &[usize], values: &[f64]| Sample {
            op: Constant { time, dims: dims.to_vec(), values: Rc::from(values) }.into(),
            inputs: Vec::new(),
            ranges: Vec::new(),
        };
        vec![
            sample(false, &[], &[0.3]),
            sample(false, &[2, 1], &[1.0, -2.5]),
            sample(true, &[], &[0.5, 0.25, 0.125]),
            sample(true, &[2], &[0.0, 1.0, 1.0, 0.0, 1.0, 1.0]),
        ]
    }
}

impl PointRule for Constant {
    fn emit(&self, emitter: &mut dyn Emitter, _ty: &Ty, _at: &Point) -> Val {
        // Only a single number is emitted; anything else lies in memory.
        emitter.builder().constant(self.as_scalar().unwrap_or(f64::NAN))
    }
}
