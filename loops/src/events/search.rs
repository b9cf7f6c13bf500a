//! The first crossing of any linear neuron: a bracketed search that cannot miss one.
//!
//! Between two neighboring roots of the next link of the [`Chain`] a link has one root at most: with `h = e^(-l s) f` the
//! slope `h' = e^(-l s) (f' - l f)` has the sign of the next link (Rolle's theorem, as in the proof that a sum of n
//! exponentials has n - 1 roots at most). So the roots of the last link but one bracket those of the one before, and so
//! on to the potential itself. Roots of even multiplicity or less than rounding apart are the only ones that can be lost.
//!
//! A conjugate pair `r +- i w` has the same property on stretches shorter than `pi / w`, where its operator is the product
//! of `d/dt - r - w tan` and `d/dt - r + w tan` of the phase from the middle of the stretch.

use super::chain::Chain;
use super::matrix::{Row, SIZE};

/// Part of half a period that a stretch takes; below 1, where the tangent is infinite.
const STRETCH: f64 = 0.9;

/// Times in ascending order; a chain of n links has n - 1 roots in a stretch at most, and the stretch has two ends.
#[derive(Clone, Copy)]
struct Times {
    at: [f64; SIZE + 2],
    len: usize,
}

impl Times {
    fn push(&mut self, time: f64) {
        if let Some(slot) = self.at.get_mut(self.len) {
            *slot = time;
            self.len += 1;
        }
    }

    fn as_slice(&self) -> &[f64] {
        &self.at[..self.len]
    }
}

/// The first time in `0..=limit` at which link 0 goes from below 0 to 0 or above. `below` says on which side it is at
/// the start, where its value may be rounding.
pub(super) fn first_crossing(chain: &Chain, start: &Row, limit: f64, below: bool) -> Option<f64> {
    let frequency = chain.frequency();
    let length = if frequency > 0.0 { STRETCH * std::f64::consts::PI / frequency } else { limit };
    let (mut from, mut below) = (0.0, below);
    while from < limit || from == 0.0 {
        let to = (from + length).min(limit);
        let stretch = Stretch { chain, start, from, to };
        match stretch.first_crossing(below) {
            Ok(time) => return Some(time),
            Err(side) => below = side,
        }
        // A stretch may be too short to move the time on, and a limit may be no number.
        if to <= from || to.is_nan() {
            break;
        }
        from = to;
    }
    None
}

/// A stretch of time, without events, in which every link's roots are bracketed by those of the next.
struct Stretch<'c> {
    chain: &'c Chain,
    start: &'c Row,
    from: f64,
    to: f64,
}

impl Stretch<'_> {
    /// The first crossing, or on which side the potential is at the end.
    fn first_crossing(&self, mut below: bool) -> Result<f64, bool> {
        let links = self.chain.len();
        let mut brackets = Times { at: [0.0; SIZE + 2], len: 0 };
        brackets.push(self.from);
        brackets.push(self.to);
        for link in (1..links.saturating_sub(1)).rev() {
            brackets = self.roots(link, &brackets);
        }
        for pair in brackets.as_slice().windows(2) {
            let (low, high) = (pair[0], pair[1]);
            let now_below = self.value(0, high).0 < 0.0;
            if below && !now_below && links > 1 {
                return Ok(self.root(0, low, high));
            }
            below = now_below;
        }
        Err(below)
    }

    /// The roots of a link between those of the next; ends of the stretch included.
    fn roots(&self, link: usize, brackets: &Times) -> Times {
        let mut found = Times { at: [0.0; SIZE + 2], len: 0 };
        found.push(self.from);
        let mut before = self.value(link, self.from).0;
        for pair in brackets.as_slice().windows(2) {
            let (low, high) = (pair[0], pair[1]);
            let after = self.value(link, high).0;
            if (before < 0.0) != (after < 0.0) {
                found.push(self.root(link, low, high));
            }
            before = after;
        }
        found.push(self.to);
        found
    }

    /// A link at a time and its slope. The second link of a pair is taken with the tangent.
    fn value(&self, link: usize, time: f64) -> (f64, f64) {
        let (e, second) = self.chain.link(link);
        let from = if second { link - 1 } else { link };
        let values = self.chain.after(self.start, time, from);
        let next = values.get(link + 1).copied().unwrap_or(0.0);
        if second {
            let middle = 0.5 * (self.from + self.to);
            let turn = e.frequency * libm::tan(e.frequency * (time - middle));
            let value = values[link] + turn * values[from];
            return (value, (e.rate + turn) * value + next);
        }
        (values[link], e.rate * values[link] + next)
    }

    /// The root of a link whose sign changes between two times: Newton's method, with bisection where that would leave
    /// the bracket or be slow. The result is on the side of `high`.
    fn root(&self, link: usize, mut low: f64, mut high: f64) -> f64 {
        let rising = self.value(link, high).0 >= 0.0;
        let mut guess = 0.5 * (low + high);
        let mut width = high - low;
        for _ in 0..200 {
            let (value, slope) = self.value(link, guess);
            if (value >= 0.0) == rising {
                high = guess;
            } else {
                low = guess;
            }
            let newton = guess - value / slope;
            if newton == guess {
                return guess;
            }
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                return high;
            }
            let shrinks = (newton - guess).abs() < 0.5 * width;
            let next = if newton > low && newton < high && shrinks { newton } else { middle };
            width = (next - guess).abs();
            guess = next;
        }
        high
    }
}
