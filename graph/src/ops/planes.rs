//! `planes(x: [.., n..], P) -> [.., P]`: the last binary digits of sums of small whole numbers.
//!
//! `y[.., k]` is digit `k` of `sum of x[.., n..]`, which is worth `2^k`: 1 where `floor(sum / 2^k)` is odd, else 0. Nothing is
//! summed where no axis is said to be (`summed` counts them; they are the last ones). A whole number from 0 to `2^P - 1` is
//! the sum of its digits times what they are worth.
//!
//! So counts, as pooling makes of spikes, become spikes with one more axis, which lie in memory as spikes do: in bits, with
//! the channels of a plane in whole words, and the planes of a pixel side by side. A [`Contract`](super::Contract) of several
//! planes reads them. The sum is of few elements and computed where the digits are, so that counts need no memory. No
//! gradient: the pass that makes these ops comes after differentiation.

use snn_loops::{Expr, Ix, MAX_PLANES, Scalar, Val};

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{Emitter, GradientKind, Lowering, OpRule, Point, PointRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{elements, exactly, number};
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// Takes numbers apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Planes {
    /// How many digits, at most [`MAX_PLANES`].
    pub planes: usize,
    /// How many of the last axes are summed before.
    pub summed: usize,
}

impl Planes {
    /// The axes of the operand that are left, and those that are summed.
    fn split<'d>(&self, dims: &'d [usize]) -> (&'d [usize], &'d [usize]) {
        dims.split_at(dims.len().saturating_sub(self.summed))
    }
}

/// Every place in a shape, the last axis fastest.
fn places(dims: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    (0..dims.iter().product()).map(move |mut at: usize| {
        let mut place = vec![0; dims.len()];
        for (index, extent) in place.iter_mut().zip(dims).rev() {
            (*index, at) = (at % extent, at / extent);
        }
        place
    })
}

impl OpRule for Planes {
    fn name(&self) -> &'static str {
        "planes"
    }

    fn attributes(&self) -> String {
        format!("{} summed={}", self.planes, self.summed)
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::None
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [x] = exactly("planes", inputs)?;
        number("planes", x)?;
        if self.summed > x.dims.len() || !(1..=MAX_PLANES).contains(&self.planes) {
            let Planes { planes, summed } = self;
            return Err(ShapeError::new(format!("{:?} has no {planes} planes of sums over {summed} axes", x.dims)));
        }
        let mut dims = self.split(&x.dims).0.to_vec();
        dims.push(self.planes);
        elements(&dims)?;
        Ok(Ty { dims, kind: Kind::Spikes, ..x.clone() })
    }

    fn gradient(&self, _: &mut Backward<'_>, _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Ok(vec![None])
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Point(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
        let x = context.view(inputs, 0);
        let (_, summed) = self.split(&x.ty.dims);
        context.tensor(ty, |at| {
            let Some((plane, kept)) = at.dims.split_last() else { return f64::NAN };
            let term = |place: Vec<usize>| x.at(&at.with_dims([kept, &place].concat()));
            let sum: f64 = places(summed).map(term).sum();
            (sum / (1u64 << plane) as f64).floor().rem_euclid(2.0)
        })
    }

    fn samples() -> Vec<Sample> {
        let sample = |ty: Ty, planes, summed, range| Sample {
            op: Planes { planes, summed }.into(),
            inputs: vec![ty],
            ranges: vec![range],
        };
        vec![
            sample(Ty::signal(true, &[3, 2, 4]), 3, 0, (0.0, 8.0)),
            sample(Ty::signal(false, &[5]), 4, 0, (-3.0, 20.0)),
            sample(Ty::signal(true, &[2, 3, 2, 2]), 3, 2, (0.0, 2.0)),
            sample(Ty::signal(false, &[17, 4]), 2, 1, (0.0, 1.0)),
            sample(Ty::fixed(&[4, 3]), 1, 1, (0.0, 1.0)),
            sample(Ty::scalar(), 2, 0, (0.0, 4.0)),
        ]
    }
}

impl PointRule for Planes {
    fn emit(&self, emitter: &mut dyn Emitter, _ty: &Ty, at: &Point) -> Val {
        let Some((plane, kept)) = at.dims.split_last() else { return emitter.builder().constant(f64::NAN) };
        let sum = self.sum(emitter, kept, at);
        let builder = emitter.builder();
        let share = match plane.as_constant() {
            Some(plane) => builder.constant(1.0 / (1u64 << plane) as f64),
            None => {
                let plane = builder.define(Expr::Index(plane.times(-1)));
                builder.scalar(Scalar::Pow2, &[plane])
            }
        };
        let [half, two] = [0.5, 2.0].map(|value| builder.constant(value));
        let shifted = builder.scalar(Scalar::Mul, &[sum, share]);
        let shifted = builder.scalar(Scalar::Floor, &[shifted]);
        let rest = builder.scalar(Scalar::Mul, &[shifted, half]);
        let rest = builder.scalar(Scalar::Floor, &[rest]);
        let rest = builder.scalar(Scalar::Mul, &[rest, two]);
        builder.scalar(Scalar::Sub, &[shifted, rest])
    }
}

impl Planes {
    /// The sum at a place of what is left.
    fn sum(&self, emitter: &mut dyn Emitter, kept: &[Ix], at: &Point) -> Val {
        let summed = self.split(&emitter.operand_ty(0).dims).1.to_vec();
        let mut sum = None;
        for place in places(&summed) {
            let place = place.into_iter().map(|index| Ix::constant(index as i64));
            let point = Point { dims: kept.iter().cloned().chain(place).collect(), ..at.clone() };
            let term = emitter.operand(0, &point);
            sum = Some(match sum {
                None => term,
                Some(sum) => emitter.builder().scalar(Scalar::Add, &[sum, term]),
            });
        }
        match sum {
            Some(sum) => sum,
            None => emitter.builder().constant(0.0),
        }
    }
}
