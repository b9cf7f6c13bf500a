//! `random(distribution) -> value`: numbers that depend on the seed, the run and the stream alone.
//!
//! Element `e` of the stream (see [`snn_loops::draw`]) is the value's element number `e` in the order in which it lies in
//! memory: time, batch, then the shape with the channels last (row-major for a value that all samples and steps share).
//! Inside a scan's body the numbers go on from step to step. No gradient.

pub use snn_loops::Distribution;

use crate::autodiff::Backward;
use crate::eval::{EvalContext, Place};
use crate::graph::NodeId;
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{exactly, source};
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// Draws random numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Random {
    /// What is drawn.
    pub distribution: Distribution,
    /// Distinguishes the draws of one model.
    pub stream: u64,
    /// The shape and implicit axes; the kind follows from the distribution.
    pub ty: Ty,
}

impl OpRule for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn attributes(&self) -> String {
        let stream = self.stream;
        match self.distribution {
            Distribution::Uniform => format!("uniform stream={stream}"),
            Distribution::Normal => format!("normal stream={stream}"),
            Distribution::Bernoulli(p) => format!("bernoulli({p:?}) stream={stream}"),
        }
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::None
    }

    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [] = exactly("random", inputs)?;
        let kind = match self.distribution {
            Distribution::Bernoulli(p) if !(0.0..=1.0).contains(&p) => {
                return Err(ShapeError::new(format!("a probability lies between 0 and 1, {p} does not")));
            }
            Distribution::Bernoulli(_) => Kind::Spikes,
            Distribution::Uniform | Distribution::Normal => Kind::Real,
        };
        source(context, &self.ty.with_kind(kind))
    }

    fn gradient(&self, _: &mut Backward<'_>, _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Ok(Vec::new())
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Draw(self.distribution, self.stream)
    }

    fn eval(&self, context: &mut EvalContext<'_>, _inputs: &[&Tensor], ty: &Ty) -> Tensor {
        let (key, batch) = (context.key, context.batch);
        let first = context.step * context.extents(ty).iter().product::<usize>();
        context.tensor(ty, |at| {
            let row = if ty.batch { at.time * batch + at.batch } else { at.time };
            let element = first + row * ty.elements() + position(ty, at);
            snn_loops::draw::element(self.distribution, key, self.stream, element as u64)
        })
    }

    fn samples() -> Vec<Sample> {
        let sample = |distribution, stream, ty| Sample {
            op: Random { distribution, stream, ty }.into(),
            inputs: Vec::new(),
            ranges: Vec::new(),
        };
        vec![
            sample(Distribution::Uniform, 0, Ty::signal(true, &[2, 3, 2])),
            sample(Distribution::Normal, 1, Ty::signal(false, &[5])),
            sample(Distribution::Bernoulli(0.25), 2, Ty { time: true, ..Ty::fixed(&[3, 2]) }),
            sample(Distribution::Uniform, 3, Ty::fixed(&[2, 3])),
            sample(Distribution::Normal, 4, Ty::scalar()),
        ]
    }
}

/// Position in memory inside of one sample at one step.
fn position(ty: &Ty, at: &Place) -> usize {
    let row_major = |extents: &[usize], index: &[usize]| index.iter().zip(extents).fold(0, |p, (i, n)| p * n + i);
    match (&ty.dims[..], &at.dims[..]) {
        ([channels, extents @ ..], [channel, index @ ..]) if ty.time || ty.batch => {
            row_major(extents, index) * channels + channel
        }
        (extents, index) => row_major(extents, index),
    }
}
