//! Types of signals: shape of one sample at one step, the implicit axes, and the kind of numbers.

use std::fmt;

/// What is known about the numbers of a signal. The order is from most to least known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Truth values; carry no gradient.
    Truth,
    /// Only 0 and 1.
    Spikes,
    /// Spikes times a constant or per-channel factor.
    Scaled,
    /// Small non-negative integers, as after a sum of spikes.
    Counts,
    /// Anything.
    Real,
}

impl Kind {
    /// The name shown to users.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Truth => "truth",
            Kind::Spikes => "spikes",
            Kind::Scaled => "scaled spikes",
            Kind::Counts => "counts",
            Kind::Real => "real",
        }
    }
}

/// The type of a signal.
///
/// In memory the axes are `[time][batch][dims...]`, the first two only where the flags say so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ty {
    /// Whether it changes from one time step to the next ("stepped"; otherwise "static").
    pub time: bool,
    /// Whether every sample has its own.
    pub batch: bool,
    /// Shape of one sample at one step, channels first.
    pub dims: Vec<usize>,
    /// What is known about the numbers.
    pub kind: Kind,
}

impl Ty {
    /// A real number that is the same for all samples and steps.
    pub fn scalar() -> Ty {
        Ty { time: false, batch: false, dims: Vec::new(), kind: Kind::Real }
    }

    /// A real tensor that is the same for all samples and steps, such as a weight.
    pub fn fixed(dims: &[usize]) -> Ty {
        Ty { time: false, batch: false, dims: dims.to_vec(), kind: Kind::Real }
    }

    /// A real tensor that every sample has its own of, at every step or once.
    pub fn signal(time: bool, dims: &[usize]) -> Ty {
        Ty { time, batch: true, dims: dims.to_vec(), kind: Kind::Real }
    }

    /// The same with another kind.
    pub fn with_kind(&self, kind: Kind) -> Ty {
        Ty { kind, ..self.clone() }
    }

    /// Elements of one sample at one step; saturates instead of overflowing.
    pub fn elements(&self) -> usize {
        self.dims.iter().fold(1usize, |n, d| n.saturating_mul(*d))
    }

    /// Sizes of all axes that exist, for `steps` time steps and a batch of `batch`.
    pub fn extents(&self, steps: usize, batch: usize) -> Vec<usize> {
        let time = self.time.then_some(steps);
        let batch = self.batch.then_some(batch);
        time.into_iter().chain(batch).chain(self.dims.iter().copied()).collect()
    }

    /// Whether both have the same axes and extents (whatever their kinds).
    pub fn same_shape(&self, other: &Ty) -> bool {
        self.time == other.time && self.batch == other.batch && self.dims == other.dims
    }

    /// The shape that both broadcast to: implicit axes join, shapes align at the first axis (the lower rank is padded with
    /// extents 1 behind), extents must agree or be 1. `None` where they do not. The kind is `Real`.
    pub fn broadcast(&self, other: &Ty) -> Option<Ty> {
        let rank = self.dims.len().max(other.dims.len());
        let mut dims = Vec::with_capacity(rank);
        for axis in 0..rank {
            let a = self.dims.get(axis).copied().unwrap_or(1);
            let b = other.dims.get(axis).copied().unwrap_or(1);
            dims.push(match (a, b) {
                _ if a == b => a,
                (1, n) | (n, 1) => n,
                _ => return None,
            });
        }
        Some(Ty { time: self.time || other.time, batch: self.batch || other.batch, dims, kind: Kind::Real })
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", if self.time { "stepped " } else { "static " })?;
        if !self.batch {
            write!(f, "shared ")?;
        }
        write!(f, "{} {:?}", self.kind.name(), self.dims)
    }
}

/// A set of axes of a signal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Axes {
    /// The time axis.
    pub time: bool,
    /// The batch axis.
    pub batch: bool,
    /// Axes of the shape, ascending.
    pub dims: Vec<usize>,
}
