//! How a potential came to the threshold, as the number that the forward pass leaves of each spike.
//!
//! Must never know layers.

/// How a potential came to the threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rise {
    /// It rose by itself, with a slope per second; at the least slope where that is more, and 0 where it did not rise at all.
    Slope(f64),
    /// An arrival lifted it, and before it so many arrivals from the layer itself at the same moment: the order of spikes
    /// that set each other off.
    Lifted(usize),
}

impl Rise {
    /// As a number: the slope, or -1, -2, .. for spikes that were lifted.
    pub fn to_number(self) -> f64 {
        match self {
            Rise::Slope(slope) => slope.max(0.0),
            Rise::Lifted(before) => -1.0 - before as f64,
        }
    }

    /// Whether a number stands for a spike that was lifted.
    pub fn is_lifted(number: f64) -> bool {
        number < 0.0
    }
}
