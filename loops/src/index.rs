//! Index expressions: which element of a buffer an access touches.
//!
//! An [`Ix`] is a sum of terms `coefficient * atom` plus a constant; an atom is a loop variable, the step of the
//! enclosing [`Launch::Repeat`](crate::Launch), or a quotient or remainder of another index by a positive constant.
//! Constructors keep the sum in normal form (atoms sorted, no zero coefficient), so equal indices compare equal.

use std::fmt;

/// A loop variable of a nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Var(pub u32);

/// What a term of an index multiplies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Atom {
    /// A loop variable.
    Var(Var),
    /// The current step of the enclosing `Repeat`; 0 outside of one.
    Step,
    /// `floor(index / divisor)`; the index is never negative.
    Div(Box<Ix>, i64),
    /// `index mod divisor`; the index is never negative.
    Mod(Box<Ix>, i64),
}

/// An index expression in normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Ix {
    terms: Vec<(Atom, i64)>,
    base: i64,
}

impl Ix {
    /// The index that is always `base`.
    pub fn constant(base: i64) -> Ix {
        Ix { terms: Vec::new(), base }
    }

    /// The value of a loop variable.
    pub fn var(var: Var) -> Ix {
        Ix { terms: vec![(Atom::Var(var), 1)], base: 0 }
    }

    /// The current step of the enclosing `Repeat`.
    pub fn step() -> Ix {
        Ix { terms: vec![(Atom::Step, 1)], base: 0 }
    }

    /// Terms in order, without the constant.
    pub fn terms(&self) -> &[(Atom, i64)] {
        &self.terms
    }

    /// The constant part.
    pub fn base(&self) -> i64 {
        self.base
    }

    /// The value, when it does not depend on anything.
    pub fn as_constant(&self) -> Option<i64> {
        self.terms.is_empty().then_some(self.base)
    }

    /// `self + other`
    pub fn plus(&self, other: &Ix) -> Ix {
        let mut terms = self.terms.clone();
        for (atom, coefficient) in &other.terms {
            match terms.binary_search_by(|(a, _)| a.cmp(atom)) {
                Ok(at) => {
                    terms[at].1 += coefficient;
                    if terms[at].1 == 0 {
                        terms.remove(at);
                    }
                }
                Err(at) => terms.insert(at, (atom.clone(), *coefficient)),
            }
        }
        Ix { terms, base: self.base + other.base }
    }

    /// `self + constant`
    pub fn offset(&self, constant: i64) -> Ix {
        Ix { terms: self.terms.clone(), base: self.base + constant }
    }

    /// `self * factor`
    pub fn times(&self, factor: i64) -> Ix {
        if factor == 0 {
            return Ix::constant(0);
        }
        Ix { terms: self.terms.iter().map(|(a, c)| (a.clone(), c * factor)).collect(), base: self.base * factor }
    }

    /// Smallest and largest value, given the extent of every variable; `None` where a variable has none or the step occurs.
    pub fn range(&self, extent: &dyn Fn(Var) -> Option<usize>) -> Option<(i64, i64)> {
        let (mut low, mut high) = (self.base, self.base);
        for (atom, coefficient) in &self.terms {
            let (a, b) = match atom {
                Atom::Var(var) => (0, extent(*var)? as i64 - 1),
                Atom::Step => return None,
                Atom::Div(inner, by) => {
                    let (a, b) = inner.range(extent)?;
                    (a.div_euclid(*by), b.div_euclid(*by))
                }
                Atom::Mod(inner, by) => match inner.range(extent) {
                    Some((a, b)) if a >= 0 && b < *by => (a, b),
                    _ => (0, by - 1),
                },
            };
            let (a, b) = (a * coefficient, b * coefficient);
            low += a.min(b);
            high += a.max(b);
        }
        Some((low, high))
    }

    /// `(divisible, rest)` with `self = divisible * by + rest`, where `rest` provably lies in `[0, by)`.
    fn split(&self, by: i64, extent: &dyn Fn(Var) -> Option<usize>) -> Option<(Ix, Ix)> {
        let mut whole = Ix::constant(self.base.div_euclid(by));
        let mut rest = Ix::constant(self.base.rem_euclid(by));
        for (atom, coefficient) in &self.terms {
            let term = Ix { terms: vec![(atom.clone(), 1)], base: 0 };
            if coefficient % by == 0 {
                whole = whole.plus(&term.times(coefficient / by));
            } else {
                rest = rest.plus(&term.times(*coefficient));
            }
        }
        match rest.range(extent) {
            Some((low, high)) if low >= 0 && high < by => Some((whole, rest)),
            _ => None,
        }
    }

    /// `floor(self / by)` for an index that is never negative, simplified with the extents of the variables.
    pub fn divide(&self, by: i64, extent: &dyn Fn(Var) -> Option<usize>) -> Ix {
        if by == 1 {
            return self.clone();
        }
        match self.split(by, extent) {
            Some((whole, _)) => whole,
            None => Ix { terms: vec![(Atom::Div(Box::new(self.clone()), by), 1)], base: 0 },
        }
    }

    /// `self mod by` for an index that is never negative, simplified with the extents of the variables.
    pub fn modulo(&self, by: i64, extent: &dyn Fn(Var) -> Option<usize>) -> Ix {
        if by == 1 {
            return Ix::constant(0);
        }
        match self.split(by, extent) {
            Some((_, rest)) => rest,
            None => Ix { terms: vec![(Atom::Mod(Box::new(self.clone()), by), 1)], base: 0 },
        }
    }

    /// How far the index moves when `var` grows by one; `None` when that is not a constant.
    pub fn stride(&self, var: Var) -> Option<i64> {
        let mut stride = 0;
        for (atom, coefficient) in &self.terms {
            match atom {
                Atom::Var(v) if *v == var => stride = *coefficient,
                Atom::Var(_) | Atom::Step => {}
                Atom::Div(inner, _) | Atom::Mod(inner, _) => {
                    if inner.mentions(var) {
                        return None;
                    }
                }
            }
        }
        Some(stride)
    }

    /// Whether the variable occurs anywhere.
    pub fn mentions(&self, var: Var) -> bool {
        self.terms.iter().any(|(atom, _)| match atom {
            Atom::Var(v) => *v == var,
            Atom::Step => false,
            Atom::Div(inner, _) | Atom::Mod(inner, _) => inner.mentions(var),
        })
    }

    /// The index with every variable replaced.
    pub fn substitute(&self, replace: &dyn Fn(Var) -> Ix, extent: &dyn Fn(Var) -> Option<usize>) -> Ix {
        let mut out = Ix::constant(self.base);
        for (atom, coefficient) in &self.terms {
            let atom = match atom {
                Atom::Var(var) => replace(*var),
                Atom::Step => Ix::step(),
                Atom::Div(inner, by) => inner.substitute(replace, extent).divide(*by, extent),
                Atom::Mod(inner, by) => inner.substitute(replace, extent).modulo(*by, extent),
            };
            out = out.plus(&atom.times(*coefficient));
        }
        out
    }

    /// The value for given variables and step.
    pub fn evaluate(&self, value: &dyn Fn(Var) -> i64, step: i64) -> i64 {
        self.terms.iter().fold(self.base, |sum, (atom, coefficient)| {
            let atom = match atom {
                Atom::Var(var) => value(*var),
                Atom::Step => step,
                Atom::Div(inner, by) => inner.evaluate(value, step).div_euclid(*by),
                Atom::Mod(inner, by) => inner.evaluate(value, step).rem_euclid(*by),
            };
            sum + coefficient * atom
        })
    }
}

impl fmt::Display for Ix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (atom, coefficient) in &self.terms {
            let sign = if *coefficient < 0 { "-" } else { "+" };
            match (first, *coefficient < 0) {
                (true, false) => {}
                (true, true) => write!(f, "-")?,
                (false, _) => write!(f, " {sign} ")?,
            }
            first = false;
            if coefficient.abs() != 1 {
                write!(f, "{}*", coefficient.abs())?;
            }
            match atom {
                Atom::Var(var) => write!(f, "i{}", var.0)?,
                Atom::Step => write!(f, "step")?,
                Atom::Div(inner, by) => write!(f, "({inner})/{by}")?,
                Atom::Mod(inner, by) => write!(f, "({inner})%{by}")?,
            }
        }
        match (first, self.base) {
            (true, base) => write!(f, "{base}"),
            (false, 0) => Ok(()),
            (false, base) if base < 0 => write!(f, " - {}", -base),
            (false, base) => write!(f, " + {base}"),
        }
    }
}
