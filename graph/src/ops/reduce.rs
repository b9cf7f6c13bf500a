//! `reduce(x) -> y`: the sum, maximum, minimum or deviation over axes, which disappear.
//!
//! The deviation is the sum of squared distances from the mean over the same axes. It is an op of its own because a kernel
//! can compute it beside the sum in one pass over memory.
//!
//! The derivative of a sum repeats the gradient, that of a deviation is twice the distance from the mean. The gradient of a maximum goes to the largest element; elements that tie
//! share it evenly, so that it does not depend on their order. A maximum over a NaN is unspecified.

use crate::autodiff::Backward;
use crate::eval::{EvalContext, Place};
use crate::graph::NodeId;
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{exactly, number};
use crate::ops::pointwise::Function;
use crate::tensor::Tensor;
use crate::ty::{Axes, Kind, Ty};

/// How elements are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reducer {
    /// Their sum.
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// The sum of squared distances from the mean.
    Deviation,
}

impl Reducer {
    /// The name in printed graphs.
    pub fn name(self) -> &'static str {
        match self {
            Reducer::Sum => "sum",
            Reducer::Max => "max",
            Reducer::Min => "min",
            Reducer::Deviation => "deviation",
        }
    }

    /// The value of no elements.
    pub fn start(self) -> f64 {
        match self {
            Reducer::Sum | Reducer::Deviation => 0.0,
            Reducer::Max => f64::NEG_INFINITY,
            Reducer::Min => f64::INFINITY,
        }
    }
}

/// Puts elements together along axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// How.
    pub reducer: Reducer,
    /// Along which axes; the operand has them all. Not empty.
    pub axes: Axes,
}

impl Reduce {
    /// The extents of one step of one sample that are left.
    fn kept_dims(&self, dims: &[usize]) -> Vec<usize> {
        dims.iter().enumerate().filter(|(axis, _)| !self.axes.dims.contains(axis)).map(|(_, d)| *d).collect()
    }

    fn check_axes(&self, x: &Ty) -> Result<(), ShapeError> {
        let Axes { time, batch, dims } = &self.axes;
        let name = self.reducer.name();
        if *time && !x.time {
            return Err(ShapeError::new(format!("{name} over time of a value that does not change over time")));
        }
        if *batch && !x.batch {
            return Err(ShapeError::new(format!("{name} over the batch of a value that all samples share")));
        }
        if let Some(axis) = dims.iter().find(|axis| **axis >= x.dims.len()) {
            return Err(ShapeError::new(format!("{:?} has no axis {axis}", x.dims)));
        }
        if !dims.is_sorted_by(|a, b| a < b) {
            return Err(ShapeError::new(format!("{name} needs each axis once, in ascending order, not {dims:?}")));
        }
        if self.axes == Axes::default() {
            return Err(ShapeError::new(format!("{name} needs an axis to go over")));
        }
        Ok(())
    }

    /// Evenly divided among the elements that are the extremum.
    fn extremum_gradient(
        &self,
        backward: &mut Backward<'_>,
        x: NodeId,
        node: NodeId,
        upstream: NodeId,
    ) -> Result<NodeId, ShapeError> {
        let graph = &mut *backward.graph;
        let ty = graph.ty(x).clone();
        let value = graph.keep_axes(node, &ty, &self.axes)?;
        let is_extreme = graph.pointwise(Function::Eq, &[x, value])?;
        let (one, zero) = (graph.constant(1.0)?, graph.constant(0.0)?);
        let ones = graph.select(is_extreme, one, zero)?;
        let ties = graph.sum(ones, &self.axes)?;
        let share = graph.div(upstream, ties)?;
        let share = graph.keep_axes(share, &ty, &self.axes)?;
        graph.select(is_extreme, share, zero)
    }

    /// `2 * (x - mean(x))` for each element: what the mean moves cancels.
    fn deviation_gradient(
        &self,
        backward: &mut Backward<'_>,
        x: NodeId,
        upstream: NodeId,
    ) -> Result<NodeId, ShapeError> {
        let graph = &mut *backward.graph;
        let ty = graph.ty(x).clone();
        let mean = graph.mean(x, &self.axes)?;
        let mean = graph.keep_axes(mean, &ty, &self.axes)?;
        let distance = graph.sub(x, mean)?;
        let two = graph.constant(2.0)?;
        let factor = graph.mul(upstream, two)?;
        let factor = graph.keep_axes(factor, &ty, &self.axes)?;
        graph.mul(distance, factor)
    }

    /// The elements with their places in the result.
    fn items(&self, context: &EvalContext<'_>, inputs: &[&Tensor]) -> Vec<(Place, f64)> {
        let item = |(place, value): (Place, f64)| {
            let dims = self.kept_dims(&place.dims);
            (place.with_dims(dims), value)
        };
        context.view(inputs, 0).elements().into_iter().map(item).collect()
    }
}

impl OpRule for Reduce {
    fn name(&self) -> &'static str {
        self.reducer.name()
    }

    fn attributes(&self) -> String {
        let time = self.axes.time.then(|| "time".to_string());
        let batch = self.axes.batch.then(|| "batch".to_string());
        let dims = self.axes.dims.iter().map(usize::to_string);
        let over: Vec<String> = time.into_iter().chain(batch).chain(dims).collect();
        format!("over={}", over.join(","))
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Exact
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [x] = exactly(self.reducer.name(), inputs)?;
        number(self.reducer.name(), x)?;
        self.check_axes(x)?;
        let kind = match (self.reducer, x.kind) {
            (Reducer::Sum, Kind::Spikes | Kind::Counts) => Kind::Counts,
            (Reducer::Max | Reducer::Min, kind @ (Kind::Spikes | Kind::Counts)) => kind,
            _ => Kind::Real,
        };
        let dims = self.kept_dims(&x.dims);
        Ok(Ty { time: x.time && !self.axes.time, batch: x.batch && !self.axes.batch, dims, kind })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        node: NodeId,
        upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError> {
        let Some(x) = backward.graph.node(node).inputs.first().copied() else { return Ok(Vec::new()) };
        let gradient = match self.reducer {
            Reducer::Sum => {
                let ty = backward.graph.ty(x).clone();
                let kept = backward.graph.keep_axes(upstream, &ty, &self.axes)?;
                backward.graph.broadcast(kept, &ty)?
            }
            Reducer::Max | Reducer::Min => self.extremum_gradient(backward, x, node, upstream)?,
            Reducer::Deviation => self.deviation_gradient(backward, x, upstream)?,
        };
        Ok(vec![Some(gradient)])
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Reduce(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
        let items = self.items(context, inputs);
        let start = self.reducer.start();
        match self.reducer {
            Reducer::Sum => context.gather(ty, start, items, |a, b| a + b),
            Reducer::Max => context.gather(ty, start, items, f64::max),
            Reducer::Min => context.gather(ty, start, items, f64::min),
            Reducer::Deviation => {
                let sums = context.gather(ty, 0.0, items.clone(), |a, b| a + b);
                let counts = context.gather(ty, 0.0, items.clone(), |n, _| n + 1.0);
                let distance = |(place, value): (Place, f64)| {
                    let at = place.index(ty);
                    (place, value - sums.at(&at) / counts.at(&at))
                };
                context.gather(ty, start, items.into_iter().map(distance), |a, b| a + b * b)
            }
        }
    }

    fn samples() -> Vec<Sample> {
        let axes = |time, batch, dims: &[usize]| Axes { time, batch, dims: dims.to_vec() };
        let all = Ty::signal(true, &[2, 3]);
        let cases = [
            (all.clone(), axes(true, false, &[]), (-1.0, 1.0)),
            (all.clone(), axes(false, true, &[]), (-1.0, 1.0)),
            (all.clone(), axes(false, false, &[0]), (-1.0, 1.0)),
            (all.clone(), axes(false, false, &[1]), (-1.0, 1.0)),
            (all.clone(), axes(true, true, &[1]), (-1.0, 1.0)),
            (all, axes(true, true, &[0, 1]), (-1.0, 1.0)),
            (Ty::fixed(&[4]), axes(false, false, &[0]), (-1.0, 1.0)),
            (Ty::signal(false, &[2, 1, 3]), axes(false, false, &[1]), (-1.0, 1.0)),
            (Ty::signal(false, &[1]), axes(false, true, &[0]), (-1.0, 1.0)),
            // Two elements that tie: half of the gradient each is also what central differences give.
            (Ty::signal(false, &[2]), axes(false, false, &[0]), (0.5, 0.5)),
        ];
        let mut samples = Vec::new();
        for reducer in [Reducer::Sum, Reducer::Max, Reducer::Min, Reducer::Deviation] {
            for (ty, axes, range) in cases.clone() {
                let op = Reduce { reducer, axes }.into();
                samples.push(Sample { op, inputs: vec![ty], ranges: vec![range] });
            }
        }
        samples
    }
}
