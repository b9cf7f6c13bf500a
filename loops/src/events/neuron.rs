//! A linear neuron in numbers.
//!
//! It must never know how its spike times are found.

use std::fmt;

/// The most states a neuron may have. More than any model of one in the literature of spiking networks, and small
/// enough that everything about one neuron fits on the stack.
pub const MAX_ORDER: usize = 8;

/// A neuron whose states `x` move linearly between events.
///
/// - Between events: `x' = flow x + drive`, per second.
/// - An input spike of weight `w` on port `p`: `x += w inject[p]`.
/// - It spikes when its potential `threshold . x` reaches `theta` from below.
/// - A spike resets it: `x = reset x + kick`.
///
/// Matrices are stored rows first.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearNeuron {
    /// Number of states, d.
    pub order: usize,
    /// d x d, per second.
    pub flow: Vec<f64>,
    /// d, per second.
    pub drive: Vec<f64>,
    /// For each port, what an input spike of weight 1 adds to the states.
    pub inject: Vec<Vec<f64>>,
    /// d: what the potential is of the states.
    pub threshold: Vec<f64>,
    /// The potential at which it spikes.
    pub theta: f64,
    /// d x d.
    pub reset: Vec<f64>,
    /// d.
    pub kick: Vec<f64>,
    /// d: the states before the first event.
    pub start: Vec<f64>,
}

/// Why spike times of a neuron cannot be computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Unsolvable {
    /// No state at all, or more than [`MAX_ORDER`].
    Order(usize),
    /// Parts whose sizes do not belong together; the name of the part.
    Shape(&'static str),
    /// A number that is infinite or NaN; the name of the part.
    NotFinite(&'static str),
}

impl fmt::Display for Unsolvable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsolvable::Order(0) => write!(f, "the neuron has no state"),
            Unsolvable::Order(n) => write!(f, "the neuron has {n} states; at most {MAX_ORDER} can be solved"),
            Unsolvable::Shape(part) => write!(f, "the neuron's {part} does not fit its number of states"),
            Unsolvable::NotFinite(part) => write!(f, "the neuron's {part} is not a finite number"),
        }
    }
}

impl std::error::Error for Unsolvable {}

impl LinearNeuron {
    /// What is inconsistent about the neuron, if anything.
    pub fn check(&self) -> Result<(), Unsolvable> {
        let n = self.order;
        if n == 0 || n > MAX_ORDER {
            return Err(Unsolvable::Order(n));
        }
        let parts: [(&'static str, &[f64], usize); 6] = [
            ("flow", &self.flow, n * n),
            ("drive", &self.drive, n),
            ("threshold", &self.threshold, n),
            ("reset", &self.reset, n * n),
            ("kick", &self.kick, n),
            ("start", &self.start, n),
        ];
        let ports = self.inject.iter().map(|port| ("inject", port.as_slice(), n));
        let theta = [self.theta];
        for (name, part, len) in parts.into_iter().chain(ports).chain([("theta", &theta[..], 1)]) {
            if part.len() != len {
                return Err(Unsolvable::Shape(name));
            }
            if !part.iter().all(|value| value.is_finite()) {
                return Err(Unsolvable::NotFinite(name));
            }
        }
        Ok(())
    }

    /// `threshold . x`
    pub fn potential(&self, x: &[f64]) -> f64 {
        dot(&self.threshold, x)
    }

    /// `flow x + drive`, written to `rate`.
    pub fn rate(&self, x: &[f64], rate: &mut [f64]) {
        affine(&self.flow, &self.drive, x, rate);
    }

    /// The slope of the potential, `threshold . (flow x + drive)`, per second.
    pub fn slope(&self, x: &[f64]) -> f64 {
        let rows = self.flow.chunks_exact(self.order);
        let rates = rows.zip(&self.drive).map(|(row, drive)| dot(row, x) + drive);
        self.threshold.iter().zip(rates).map(|(weight, rate)| weight * rate).sum()
    }

    /// Adds an input spike of weight `weight` on port `port`; a port that does not exist adds nothing.
    pub fn receive(&self, x: &mut [f64], port: usize, weight: f64) {
        if let Some(inject) = self.inject.get(port) {
            for (state, step) in x.iter_mut().zip(inject) {
                *state += weight * step;
            }
        }
    }

    /// `reset x + kick`, in place.
    pub fn spike(&self, x: &mut [f64]) {
        let mut after = [0.0; MAX_ORDER];
        affine(&self.reset, &self.kick, x, &mut after);
        x.iter_mut().zip(after).for_each(|(state, value)| *state = value);
    }
}

/// `matrix x + offset`, written to `out`.
fn affine(matrix: &[f64], offset: &[f64], x: &[f64], out: &mut [f64]) {
    let rows = matrix.chunks_exact(x.len().max(1)).zip(offset);
    for (value, (row, offset)) in out.iter_mut().zip(rows) {
        *value = dot(row, x) + offset;
    }
}

/// The sum of products, first to last.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
