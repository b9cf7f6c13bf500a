//! Indices as integer expressions.
//!
//! Must never know what an index is for.

use snn_loops::{Atom, Ix, Var};

/// How wide the integers of a nest are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Int {
    /// `i32`
    Narrow,
    /// `i64`
    Wide,
}

impl Int {
    /// The type's name.
    pub fn name(self) -> &'static str {
        match self {
            Int::Narrow => "i32",
            Int::Wide => "i64",
        }
    }

    fn literal(self, value: i64) -> String {
        match self {
            Int::Narrow => value.to_string(),
            Int::Wide => format!("(i64){value}"),
        }
    }

    /// An index as text; variables are called `i0`, `i1`, ... and are of this type.
    pub fn index(self, index: &Ix, extent: &dyn Fn(Var) -> Option<usize>) -> String {
        let mut terms: Vec<String> = Vec::new();
        for (atom, coefficient) in index.terms() {
            let atom = match atom {
                Atom::Var(var) => format!("i{}", var.0),
                Atom::Step => format!("({})step", self.name()),
                Atom::Div(inner, by) => self.quotient("/", "sn_div_floor", inner, *by, extent),
                Atom::Mod(inner, by) => self.quotient("%", "sn_mod_floor", inner, *by, extent),
            };
            terms.push(match coefficient {
                1 => atom,
                _ => format!("{} * {atom}", self.literal(*coefficient)),
            });
        }
        if index.base() != 0 || terms.is_empty() {
            terms.push(self.literal(index.base()));
        }
        terms.join(" + ")
    }

    /// C rounds towards zero, so an index that may be negative needs a function.
    fn quotient(
        self,
        operator: &str,
        function: &str,
        inner: &Ix,
        by: i64,
        extent: &dyn Fn(Var) -> Option<usize>,
    ) -> String {
        let text = self.index(inner, extent);
        let by = self.literal(by);
        match inner.range(extent) {
            Some((low, _)) if low >= 0 => format!("(({text}) {operator} {by})"),
            _ => format!("{function}<{}>({text}, {by})", self.name()),
        }
    }
}

/// No partial sum of the index is larger in magnitude than this; none where the step of a `Repeat` occurs, which is small
/// but unknown here.
pub(super) fn magnitude(index: &Ix, extent: &dyn Fn(Var) -> Option<usize>) -> Option<i64> {
    let mut sum = index.base().checked_abs()?;
    for (atom, coefficient) in index.terms() {
        let most = match atom {
            Atom::Var(var) => i64::try_from(extent(*var)?).ok()?,
            Atom::Step => return None,
            Atom::Div(inner, _) | Atom::Mod(inner, _) => magnitude(inner, extent)?,
        };
        sum = sum.checked_add(most.checked_mul(coefficient.checked_abs()?)?)?;
    }
    Some(sum)
}
