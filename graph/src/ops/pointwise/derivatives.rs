//! Derivatives of pointwise functions: upstream times the partial derivative, as nodes of the graph.

use std::f64::consts::FRAC_2_SQRT_PI;

use super::Function;
use crate::build::Built;
use crate::graph::{Graph, NodeId};

/// What a derivative is built from.
pub(super) struct Chain<'g> {
    /// The graph to append to.
    pub(super) graph: &'g mut Graph,
    /// The first operand.
    pub(super) x: NodeId,
    /// The second operand; meaningless where there is none.
    pub(super) y: NodeId,
    /// The constant exponent of `Powi`.
    pub(super) n: i32,
    /// The function's value.
    pub(super) value: NodeId,
    /// The gradient with respect to the value.
    pub(super) upstream: NodeId,
}

/// Builds upstream times the partial derivative, in the shape of the value.
pub(super) type Derivative = fn(&mut Chain<'_>) -> Built;

impl Chain<'_> {
    /// `upstream * factor`
    pub(super) fn times(&mut self, factor: NodeId) -> Built {
        self.graph.mul(self.upstream, factor)
    }

    /// `upstream / divisor`
    pub(super) fn over(&mut self, divisor: NodeId) -> Built {
        self.graph.div(self.upstream, divisor)
    }

    /// A function of the first operand.
    pub(super) fn of(&mut self, function: Function) -> Built {
        self.graph.pointwise(function, &[self.x])
    }

    /// All of it where `low < high`, half of it where they are equal, else nothing.
    pub(super) fn winner(&mut self, low: NodeId, high: NodeId) -> Built {
        let zero = self.graph.constant(0.0)?;
        let half = self.graph.scale(self.upstream, 0.5)?;
        let wins = self.graph.pointwise(Function::Lt, &[low, high])?;
        let ties = self.graph.pointwise(Function::Eq, &[low, high])?;
        let otherwise = self.graph.select(ties, half, zero)?;
        self.graph.select(wins, self.upstream, otherwise)
    }
}

/// `d (x / y) / dy = -value / y`
pub(super) fn divisor(c: &mut Chain<'_>) -> Built {
    let part = c.over(c.y)?;
    let part = c.graph.mul(part, c.value)?;
    c.graph.neg(part)
}

/// `d |x| / dx` is the sign, 0 at 0.
pub(super) fn sign(c: &mut Chain<'_>) -> Built {
    let zero = c.graph.constant(0.0)?;
    let negative = c.graph.pointwise(Function::Lt, &[c.x, zero])?;
    let positive = c.graph.pointwise(Function::Lt, &[zero, c.x])?;
    let minus = c.graph.neg(c.upstream)?;
    let otherwise = c.graph.select(positive, c.upstream, zero)?;
    c.graph.select(negative, minus, otherwise)
}

/// `d sqrt(x) / dx = 0.5 / value`
pub(super) fn square_root(c: &mut Chain<'_>) -> Built {
    let half = c.graph.scale(c.upstream, 0.5)?;
    c.graph.div(half, c.value)
}

/// `d tanh(x) / dx = 1 - value^2`
pub(super) fn hyperbolic(c: &mut Chain<'_>) -> Built {
    let one = c.graph.constant(1.0)?;
    let square = c.graph.mul(c.value, c.value)?;
    let slope = c.graph.sub(one, square)?;
    c.times(slope)
}

/// `d sigmoid(x) / dx = value * (1 - value)`
pub(super) fn logistic(c: &mut Chain<'_>) -> Built {
    let one = c.graph.constant(1.0)?;
    let rest = c.graph.sub(one, c.value)?;
    let slope = c.graph.mul(c.value, rest)?;
    c.times(slope)
}

/// `d erf(x) / dx = 2 / sqrt(pi) * exp(-x^2)`
pub(super) fn gaussian(c: &mut Chain<'_>) -> Built {
    let square = c.graph.mul(c.x, c.x)?;
    let negative = c.graph.neg(square)?;
    let bell = c.graph.pointwise(Function::Exp, &[negative])?;
    let slope = c.graph.scale(bell, FRAC_2_SQRT_PI)?;
    c.times(slope)
}

/// `d x^y / dx = y * x^(y-1)`
pub(super) fn base(c: &mut Chain<'_>) -> Built {
    let one = c.graph.constant(1.0)?;
    let less = c.graph.sub(c.y, one)?;
    let power = c.graph.pointwise(Function::Pow, &[c.x, less])?;
    let slope = c.graph.mul(c.y, power)?;
    c.times(slope)
}

/// `d x^y / dy = value * log x`
pub(super) fn exponent(c: &mut Chain<'_>) -> Built {
    let log = c.of(Function::Log)?;
    let slope = c.graph.mul(c.value, log)?;
    c.times(slope)
}

/// `d x^n / dx = n * x^(n-1)`, which is 0 for n = 0 even at x = 0.
pub(super) fn constant_power(c: &mut Chain<'_>) -> Built {
    let scaled = c.graph.scale(c.upstream, f64::from(c.n))?;
    match c.n {
        0 | 1 => Ok(scaled),
        n => {
            let power = c.of(Function::Powi(n.saturating_sub(1)))?;
            c.graph.mul(scaled, power)
        }
    }
}

/// All of it where the condition holds.
pub(super) fn chosen(c: &mut Chain<'_>) -> Built {
    let zero = c.graph.constant(0.0)?;
    c.graph.select(c.x, c.upstream, zero)
}

/// All of it where the condition does not hold.
pub(super) fn not_chosen(c: &mut Chain<'_>) -> Built {
    let zero = c.graph.constant(0.0)?;
    c.graph.select(c.x, zero, c.upstream)
}
