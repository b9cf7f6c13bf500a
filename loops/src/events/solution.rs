//! How the spike times of a neuron are found: in closed form where there is one, else by the bracketed search.
//!
//! In all closed forms the potential rises through the threshold at most once between two events, so the first crossing
//! is the only one.

use super::chain::Chain;
use super::lambert;
use super::matrix::Row;
use super::modes::{Mode, modes};
use super::neuron::{LinearNeuron, dot};

/// The form of `g(s) = threshold . x(s) - theta` after an event.
///
/// Coefficients are linear functions of the states at s = 0: the weight of each state, and last of the constant 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Solution {
    /// `slope s + level`: nothing decays.
    Line {
        /// Weights of the slope, per second.
        slope: Vec<f64>,
        /// Weights of the level.
        level: Vec<f64>,
    },
    /// `term e^(rate s) + level`: one time constant; the spike time is a logarithm.
    Logarithm {
        /// Per second.
        rate: f64,
        /// Weights of the exponential.
        term: Vec<f64>,
        /// Weights of the level.
        level: Vec<f64>,
    },
    /// `square y^2 + linear y + level` with `y = e^(rate s)`: two time constants of ratio 2 (Göltz et al. 2021; Bacho and
    /// Chu 2023).
    Quadratic {
        /// The slower rate, per second; the other one is twice that.
        rate: f64,
        /// Weights of the faster exponential.
        square: Vec<f64>,
        /// Weights of the slower one.
        linear: Vec<f64>,
        /// Weights of the level.
        level: Vec<f64>,
    },
    /// `(ramp s + term) e^(rate s) + level`: two equal time constants; the spike time is a Lambert W function.
    LambertW {
        /// Per second.
        rate: f64,
        /// Weights of the factor of the time, per second.
        ramp: Vec<f64>,
        /// Weights of the exponential.
        term: Vec<f64>,
        /// Weights of the level.
        level: Vec<f64>,
    },
    /// Anything else: bracketed search to machine precision.
    Search,
}

/// Rates are in the ratio 2 within this: a few roundings.
const RATIO: f64 = 8.0 * f64::EPSILON;

/// Beyond this many time constants the argument of the Lambert W function is out of the range of floats.
const LAMBERT_RANGE: f64 = 200.0;

/// What a closed form says.
pub(super) enum Closed {
    /// The time at which the potential rises through the threshold, perhaps before 0.
    At(f64),
    /// It never does.
    Never,
    /// These coefficients are beyond it.
    Unknown,
}

impl Solution {
    /// The form that a neuron has.
    pub(super) fn of(neuron: &LinearNeuron, chain: &Chain) -> Solution {
        if chain.frequency() > 0.0 || chain.len() > 3 {
            return Solution::Search;
        }
        let modes = modes(neuron, chain);
        let zero = || vec![0.0; neuron.order + 1];
        let find = |rate: f64, power: usize| {
            let found = modes.iter().find(|mode| mode.rate == rate && mode.power == power);
            found.map_or_else(zero, |mode: &Mode| mode.cosine.clone())
        };
        let level = find(0.0, 0);
        let decays: Vec<f64> = chain.eigenvalues.iter().map(|e| e.rate).filter(|rate| *rate != 0.0).collect();
        let constants = chain.len() - decays.len();
        match decays.as_slice() {
            [] if constants == 2 => Solution::Line { slope: find(0.0, 1), level },
            [rate] if constants <= 1 => Solution::Logarithm { rate: *rate, term: find(*rate, 0), level },
            [a, b] if constants <= 1 && a == b => {
                Solution::LambertW { rate: *a, ramp: find(*a, 1), term: find(*a, 0), level }
            }
            [a, b] if constants <= 1 => {
                let (slow, fast) = if a.abs() < b.abs() { (*a, *b) } else { (*b, *a) };
                if (fast - 2.0 * slow).abs() > RATIO * fast.abs() {
                    return Solution::Search;
                }
                Solution::Quadratic { rate: slow, square: find(fast, 0), linear: find(slow, 0), level }
            }
            _ => Solution::Search,
        }
    }

    /// When the potential rises through the threshold.
    pub(super) fn rise(&self, x: &[f64]) -> Closed {
        let of = |weights: &[f64]| dot(&weights[..x.len()], x) + weights[x.len()];
        let time = match self {
            Solution::Line { slope, level } => {
                let slope = of(slope);
                (slope > 0.0).then(|| -of(level) / slope)
            }
            Solution::Logarithm { rate, term, level } => {
                let (term, level) = (of(term), of(level));
                (term * rate > 0.0 && -level / term > 0.0).then(|| libm::log(-level / term) / rate)
            }
            Solution::Quadratic { rate, square, linear, level } => {
                rising_root(of(square), of(linear), of(level), *rate).map(|y| libm::log(y) / rate)
            }
            Solution::LambertW { rate, ramp, term, level } => {
                return lambert_time(of(ramp), of(term), of(level), *rate);
            }
            Solution::Search => return Closed::Unknown,
        };
        time.map_or(Closed::Never, Closed::At)
    }
}

/// The root `y > 0` of `a y^2 + b y + c` at which it rises with s, where `y = e^(rate s)`: the one with a negative slope
/// for a decay. Polished by a step of Newton's method.
fn rising_root(a: f64, b: f64, c: f64, rate: f64) -> Option<f64> {
    let discriminant = b * b - 4.0 * a * c;
    if discriminant < 0.0 || discriminant.is_nan() {
        return None;
    }
    let slope = discriminant.sqrt().copysign(rate);
    // (slope - b) / (2 a), in the form in which nothing cancels.
    let y = if slope * b > 0.0 { -2.0 * c / (slope + b) } else { (slope - b) / (2.0 * a) };
    let step = ((a * y + b) * y + c) / (2.0 * a * y + b);
    let polished = if step.abs() < 1e-3 * y.abs() { y - step } else { y };
    (polished > 0.0 && polished.is_finite()).then_some(polished)
}

/// The rising root of `(ramp s + term) e^(rate s) + level`: with `v = rate (s + term / ramp)` it is
/// `v e^v = -level rate / ramp e^(rate term / ramp)`, on the branch `v > -1` of a bump and on the other one of a dip.
fn lambert_time(ramp: f64, term: f64, level: f64, rate: f64) -> Closed {
    let shift = term / ramp;
    if !(rate * shift).is_finite() || (rate * shift).abs() > LAMBERT_RANGE {
        return Closed::Unknown;
    }
    let argument = -level * rate / ramp * libm::exp(rate * shift);
    let v = if ramp > 0.0 { lambert::principal(argument) } else { lambert::lower(argument) };
    if v.is_nan() {
        return Closed::Never;
    }
    let mut s = v / rate - shift;
    for _ in 0..2 {
        let exponential = libm::exp(rate * s);
        let value = (ramp * s + term) * exponential + level;
        let step = value / ((ramp + rate * (ramp * s + term)) * exponential);
        if (step * rate).abs() < 1e-3 {
            s -= step;
        }
    }
    Closed::At(s)
}

/// Whether the potential is below the threshold right after time 0, for the links' values `now` of a potential that stands at it.
pub(super) fn falls(now: &Row, chain: &Chain) -> bool {
    // The first link that is not 0 decides: the potential behaves like s^k times it.
    let links = now.iter().take(chain.len()).skip(1);
    links.copied().find(|value| *value != 0.0).is_some_and(|value| value < 0.0)
}
