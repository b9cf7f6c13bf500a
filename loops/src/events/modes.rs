//! The potential of a neuron as a sum of exponentials.
//!
//! For people, and for closed forms whose terms are far apart; near coincidences of time constants the coefficients are
//! differences of large numbers, which the links of a [`Chain`] avoid.

use super::chain::Chain;
use super::complex::Complex;
use super::matrix::SIZE;
use super::neuron::LinearNeuron;

/// One term of `threshold . x(s) - theta`: `s^power e^(rate s) (cosine cos(frequency s) + sine sin(frequency s))`, where
/// both factors are linear functions of the states at s = 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Mode {
    /// Per second.
    pub rate: f64,
    /// Radians per second; 0 for a term that does not oscillate.
    pub frequency: f64,
    /// The power of the time.
    pub power: usize,
    /// The weight of each state, and last of the constant 1.
    pub cosine: Vec<f64>,
    /// The same for the sine; all 0 for a term that does not oscillate.
    pub sine: Vec<f64>,
}

/// `coefficient s^power e^(rate s)`
#[derive(Clone, Copy)]
struct Term {
    rate: Complex,
    power: usize,
    coefficient: Complex,
}

/// The terms of the excess of a neuron's potential over its threshold, slowest last.
pub(super) fn modes(neuron: &LinearNeuron, chain: &Chain) -> Vec<Mode> {
    let n = neuron.order + 1;
    let mut modes: Vec<Mode> = Vec::new();
    let mut nodes: Vec<Complex> = Vec::new();
    for at in 0..chain.len() {
        let (e, second) = chain.link(at);
        nodes.push(Complex { re: e.rate, im: if second { -e.frequency } else { e.frequency } });
        let mut sorted = nodes.clone();
        sorted.sort_by(|a, b| a.re.total_cmp(&b.re).then(a.im.total_cmp(&b.im)));
        for term in divided(&sorted) {
            // Of a conjugate pair of terms one is enough: their sum is real.
            if term.rate.im < 0.0 {
                continue;
            }
            let known = modes
                .iter()
                .position(|mode| (mode.rate, mode.frequency, mode.power) == (term.rate.re, term.rate.im, term.power));
            let place = known.unwrap_or_else(|| {
                let (rate, frequency) = (term.rate.re, term.rate.im);
                modes.push(Mode { rate, frequency, power: term.power, cosine: vec![0.0; n], sine: vec![0.0; n] });
                modes.len() - 1
            });
            let twice = if term.rate.im > 0.0 { 2.0 } else { 1.0 };
            let mode = &mut modes[place];
            for column in 0..n {
                let weight = term.coefficient * newton_weight(chain, at, column);
                mode.cosine[column] += twice * weight.re;
                mode.sine[column] -= twice * weight.im;
            }
        }
    }
    modes.sort_by(|a, b| {
        a.rate.total_cmp(&b.rate).then(a.frequency.total_cmp(&b.frequency)).then(b.power.cmp(&a.power))
    });
    modes
}

/// The weight of a state in the Newton form: the links, except that `d/dt - (r + i w)` stands between those of a pair.
fn newton_weight(chain: &Chain, at: usize, column: usize) -> Complex {
    let (e, second) = chain.link(at);
    let value = Complex::real(chain.weight(at, column));
    if !second {
        return value;
    }
    value - Complex { re: 0.0, im: e.frequency * chain.weight(at - 1, column) }
}

/// The divided difference of `e^(z s)` over nodes z, sorted, as a sum of terms.
fn divided(nodes: &[Complex]) -> Vec<Term> {
    let (Some(first), Some(last)) = (nodes.first(), nodes.last()) else { return Vec::new() };
    if first == last {
        let power = nodes.len() - 1;
        let factorial: f64 = (1..=power).map(|k| k as f64).product();
        return vec![Term { rate: *first, power, coefficient: Complex::real(1.0 / factorial) }];
    }
    let gap = *last - *first;
    let mut terms: Vec<Term> = Vec::with_capacity(SIZE);
    let signed = [(&nodes[1..], 1.0), (&nodes[..nodes.len() - 1], -1.0)];
    for (part, sign) in signed {
        for term in divided(part) {
            let coefficient = term.coefficient.scaled(sign) / gap;
            match terms.iter_mut().find(|known| known.rate == term.rate && known.power == term.power) {
                Some(known) => known.coefficient = known.coefficient + coefficient,
                None => terms.push(Term { coefficient, ..term }),
            }
        }
    }
    terms
}
