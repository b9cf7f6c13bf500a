//! The values an index can take.
//!
//! Must never know what the index is used for.

use std::collections::BTreeMap;

use crate::index::{Atom, Ix, Var};
use crate::nest::Extent;

/// Smallest and largest value of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// The smallest.
    pub low: i64,
    /// The largest.
    pub high: i64,
    /// Whether both are taken; otherwise the true range may be smaller.
    pub is_exact: bool,
}

impl Range {
    fn point(at: i64) -> Range {
        Range { low: at, high: at, is_exact: true }
    }

    fn upto(n: i64) -> Range {
        Range { low: 0, high: n - 1, is_exact: true }
    }

    fn plus(self, other: Range) -> Range {
        Range {
            low: self.low.saturating_add(other.low),
            high: self.high.saturating_add(other.high),
            is_exact: self.is_exact && other.is_exact,
        }
    }

    fn times(self, factor: i64) -> Range {
        let (a, b) = (self.low.saturating_mul(factor), self.high.saturating_mul(factor));
        Range { low: a.min(b), high: a.max(b), ..self }
    }

    /// The part between 0 and `extent`.
    fn within(self, extent: i64) -> Range {
        Range { low: self.low.max(0), high: self.high.min(extent - 1), ..self }
    }
}

/// The loops around a place, and the steps of the `Repeat` around its kernel.
pub(super) struct Scope {
    /// Extents of the variables of enclosing loops.
    pub extents: BTreeMap<Var, Extent>,
    /// Number of steps.
    pub steps: usize,
}

impl Scope {
    /// Whether the place is never reached.
    pub(super) fn is_dead(&self) -> bool {
        self.steps == 0 || self.extents.values().any(|extent| extent.limit() == 0)
    }

    /// The range of an index where all `bounds` hold; exact only if it can tell.
    ///
    /// Where a multiple of a bounded index is part of `index`, as `y * width` is of `y * width + x`, the bounds of `y`
    /// replace what `y` could be without them. Empty (`low > high`) where the bounds never hold.
    pub(super) fn range(&self, index: &Ix, bounds: &[(Ix, i64)]) -> Range {
        let mut rest = index.clone();
        let mut sum = Range::point(0);
        for (bounded, extent) in bounds {
            let inside = self.unbounded(bounded).within(*extent);
            if inside.low > inside.high {
                return inside;
            }
            match factor(&rest, bounded) {
                Some(factor) => {
                    rest = rest.plus(&bounded.times(-factor));
                    sum = sum.plus(inside.times(factor));
                }
                None if bounded.terms().is_empty() => {}
                None => sum.is_exact = false,
            }
        }
        let shares_terms = bounds.iter().any(|(bounded, _)| shares_variable(&rest, bounded));
        let total = sum.plus(self.unbounded(&rest));
        Range { is_exact: total.is_exact && !shares_terms, ..total }
    }

    fn unbounded(&self, index: &Ix) -> Range {
        let (index, blocks) = self.take_blocks(index);
        let mut sum = Range::point(index.base()).plus(blocks);
        for (atom, coefficient) in index.terms() {
            sum = sum.plus(self.atom(atom).times(*coefficient));
        }
        // Two parts that move together do not take their extremes at once.
        let parts: Vec<Ix> = index.terms().iter().map(|(atom, _)| variables_of(atom)).collect();
        let moves_with = |at: usize, part: &Ix| parts.iter().skip(at + 1).any(|other| shares_variable(part, other));
        let is_repeated = parts.iter().enumerate().any(|(at, part)| moves_with(at, part));
        Range { is_exact: sum.is_exact && !is_repeated, ..sum }
    }

    /// Removes the terms `c * (size * block + i)` of blocked loops, which together count `0..total`.
    fn take_blocks(&self, index: &Ix) -> (Ix, Range) {
        let mut rest = index.clone();
        let mut sum = Range::point(0);
        for (var, extent) in &self.extents {
            let Extent::Block { block, size, total } = *extent else { continue };
            let Some(c) = coefficient(&rest, *var) else { continue };
            let whole = Ix::var(block).times(size as i64).plus(&Ix::var(*var)).times(c);
            if coefficient(&rest, block) == Some(c.saturating_mul(size as i64)) {
                rest = rest.plus(&whole.times(-1));
                sum = sum.plus(Range::upto(total as i64).times(c));
            }
        }
        (rest, sum)
    }

    fn atom(&self, atom: &Atom) -> Range {
        match atom {
            Atom::Var(var) => match self.extents.get(var) {
                Some(Extent::Fixed(n)) => Range::upto(*n as i64),
                Some(extent) => Range { is_exact: false, ..Range::upto(extent.limit() as i64) },
                None => Range { low: i64::MIN / 4, high: i64::MAX / 4, is_exact: false },
            },
            Atom::Step => Range::upto(self.steps as i64),
            Atom::Div(inner, by) => {
                let range = self.unbounded(inner);
                Range { low: range.low.div_euclid(*by), high: range.high.div_euclid(*by), is_exact: range.is_exact }
            }
            Atom::Mod(inner, by) => {
                let range = self.unbounded(inner);
                let fits = range.low >= 0 && range.high < *by;
                if fits { range } else { Range { is_exact: false, ..Range::upto(*by) } }
            }
        }
    }
}

/// An index with the variables of an atom.
fn variables_of(atom: &Atom) -> Ix {
    match atom {
        Atom::Var(var) => Ix::var(*var),
        Atom::Step => Ix::step(),
        Atom::Div(inner, _) | Atom::Mod(inner, _) => (**inner).clone(),
    }
}

/// The factor of a variable that stands alone in a sum.
fn coefficient(index: &Ix, var: Var) -> Option<i64> {
    index.terms().iter().find_map(|(atom, c)| (*atom == Atom::Var(var)).then_some(*c))
}

/// `f` if every term of `part` occurs `f` times in `index`.
fn factor(index: &Ix, part: &Ix) -> Option<i64> {
    let mut ratios = part.terms().iter().map(|(atom, c)| {
        let whole = index.terms().iter().find_map(|(other, whole)| (other == atom).then_some(*whole))?;
        (whole % c == 0).then_some(whole / c)
    });
    let first = ratios.next()??;
    ratios.all(|ratio| ratio == Some(first)).then_some(first)
}

fn shares_variable(a: &Ix, b: &Ix) -> bool {
    let mut shared = false;
    each_variable(b, &mut |var| shared |= a.mentions(var));
    shared
}

fn each_variable(index: &Ix, visit: &mut dyn FnMut(Var)) {
    for (atom, _) in index.terms() {
        match atom {
            Atom::Var(var) => visit(*var),
            Atom::Step => {}
            Atom::Div(inner, _) | Atom::Mod(inner, _) => each_variable(inner, visit),
        }
    }
}

/// All variables of an index, in order of occurrence.
pub(super) fn variables(index: &Ix) -> Vec<Var> {
    let mut found = Vec::new();
    each_variable(index, &mut |var| found.push(var));
    found
}
