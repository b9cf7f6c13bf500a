//! The primitive of a surrogate that declares none: 1/2 plus its integral from 0, by Gauss-Legendre quadrature.
//!
//! Only gradient checks use it, so its size does not matter and its accuracy does.
//! Must never know which surrogate it is.

use std::sync::OnceLock;

use snn_graph::NodeId;

use super::*;
use crate::value::SurrogateValue;

/// Number of points.
const POINTS: usize = 64;

impl<'p> Elaborator<'p, '_> {
    /// `1/2 + x/2 * sum of w_i * surrogate(x * (1 + t_i) / 2)`
    pub(super) fn primitive_by_quadrature(
        &mut self,
        x: NodeId,
        surrogate: &SurrogateValue<'p>,
        span: Span,
    ) -> Option<NodeId> {
        let mut sum: Option<NodeId> = None;
        for (t, weight) in rule() {
            let at = self.node(span, |graph| graph.scale(x, (1.0 + t) / 2.0))?;
            let value = self.surrogate_value(surrogate, at, &surrogate.decl.value, span)?;
            sum = Some(self.node(span, |graph| {
                let part = graph.scale(value, *weight)?;
                match sum {
                    Some(sum) => graph.add(sum, part),
                    None => Ok(part),
                }
            })?);
        }
        let sum = sum?;
        self.node(span, |graph| {
            let half = graph.scale(x, 0.5)?;
            let integral = graph.mul(half, sum)?;
            let start = graph.constant(0.5)?;
            graph.add(start, integral)
        })
    }
}

/// Points in (-1, 1) and their weights.
fn rule() -> &'static [(f64, f64)] {
    static RULE: OnceLock<Vec<(f64, f64)>> = OnceLock::new();
    RULE.get_or_init(|| {
        // The roots of each Legendre polynomial lie between those of the one before.
        let mut roots: Vec<f64> = Vec::new();
        for n in 1..=POINTS {
            let bounds: Vec<f64> = std::iter::once(-1.0).chain(roots).chain([1.0]).collect();
            roots = bounds.iter().zip(bounds.iter().skip(1)).map(|(low, high)| root_between(n, *low, *high)).collect();
        }
        roots
            .into_iter()
            .map(|t| {
                let (_, derivative) = legendre(POINTS, t);
                (t, 2.0 / ((1.0 - t * t) * derivative * derivative))
            })
            .collect()
    })
}

/// The root of the n-th Legendre polynomial between two points at which it has different signs.
fn root_between(n: usize, mut low: f64, mut high: f64) -> f64 {
    let sign = legendre(n, low).0.signum();
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if legendre(n, middle).0.signum() == sign { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// The n-th Legendre polynomial and its derivative, |t| < 1.
fn legendre(n: usize, t: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, t);
    for k in 2..=n {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * t * value - (k - 1.0) * before) / k);
    }
    let n = n as f64;
    (value, n * (before - t * value) / (1.0 - t * t))
}

#[cfg(test)]
mod tests {
    use super::rule;

    #[test]
    fn polynomials_of_high_degree_are_integrated_exactly() {
        for degree in [0, 2, 10, 40, 126] {
            let integral: f64 = rule().iter().map(|(t, weight)| weight * t.powi(degree)).sum();
            let exact = 2.0 / f64::from(degree + 1);
            assert!((integral - exact).abs() < 1e-13, "t^{degree}: {integral} instead of {exact}");
        }
    }
}
