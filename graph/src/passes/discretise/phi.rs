//! `phi(z) = (exp(z) - 1) / z` as nodes of a graph, for numbers and for matrices of numbers; smooth at 0.

use crate::build::Built;
use crate::graph::{Graph, NodeId};
use crate::op::ShapeError;
use crate::ops::pointwise::Function;

/// Below this |z| the series is used: above it `(exp(z) - 1) / z` loses at most two bits.
const SERIES_BELOW: f64 = 0.5;

/// The last power of the series; the remainder is below 0.5^14 / 15! = 5e-17.
const SERIES_ORDER: u32 = 13;

/// The last power of the matrix series, at a norm of 1/2 (32 before scaling): the remainder is below 0.5^11 / 12! =
/// 1e-12.
const MATRIX_ORDER: u32 = 10;

/// How often the matrix is halved first.
const SQUARINGS: u32 = 6;

/// `phi(z)`, element by element. Gradients are finite everywhere: neither case divides by zero.
pub fn number(graph: &mut Graph, z: NodeId) -> Built {
    let size = graph.pointwise(Function::Abs, &[z])?;
    let limit = graph.constant(SERIES_BELOW)?;
    let small = graph.pointwise(Function::Lt, &[size, limit])?;
    let one = graph.constant(1.0)?;

    let near = graph.select(small, z, one)?;
    let mut series = graph.constant(reciprocal_factorial(SERIES_ORDER + 1))?;
    for power in (0..SERIES_ORDER).rev() {
        let scaled = graph.mul(series, near)?;
        let coefficient = graph.constant(reciprocal_factorial(power + 1))?;
        series = graph.add(scaled, coefficient)?;
    }

    let far = graph.select(small, one, z)?;
    let exp = graph.pointwise(Function::Exp, &[far])?;
    let excess = graph.sub(exp, one)?;
    let quotient = graph.div(excess, far)?;
    graph.select(small, series, quotient)
}

fn reciprocal_factorial(n: u32) -> f64 {
    1.0 / (1..=n).map(f64::from).product::<f64>()
}

/// The elements of a matrix that are not zero, by (row, column).
pub type Entries = Vec<((usize, usize), NodeId)>;

/// A matrix whose elements are nodes; `None` is zero.
#[derive(Clone, Debug)]
pub struct NodeMatrix {
    n: usize,
    data: Vec<Option<NodeId>>,
}

impl NodeMatrix {
    fn zero(n: usize) -> NodeMatrix {
        NodeMatrix { n, data: vec![None; n * n] }
    }

    /// An element.
    pub fn at(&self, row: usize, column: usize) -> Option<NodeId> {
        self.data[row * self.n + column]
    }

    fn set(&mut self, row: usize, column: usize, value: Option<NodeId>) {
        self.data[row * self.n + column] = value;
    }

    fn scale(&self, graph: &mut Graph, by: f64) -> Result<NodeMatrix, ShapeError> {
        let mut result = NodeMatrix::zero(self.n);
        for (to, from) in result.data.iter_mut().zip(&self.data) {
            if let Some(value) = from {
                *to = Some(graph.scale(*value, by)?);
            }
        }
        Ok(result)
    }

    fn add(&self, graph: &mut Graph, other: &NodeMatrix) -> Result<NodeMatrix, ShapeError> {
        let mut result = NodeMatrix::zero(self.n);
        for (to, (a, b)) in result.data.iter_mut().zip(self.data.iter().zip(&other.data)) {
            *to = match (a, b) {
                (Some(a), Some(b)) => Some(graph.add(*a, *b)?),
                (one, other) => one.or(*other),
            };
        }
        Ok(result)
    }

    /// Adds a number to the diagonal.
    fn add_identity(&self, graph: &mut Graph, number: f64) -> Result<NodeMatrix, ShapeError> {
        let mut identity = NodeMatrix::zero(self.n);
        for i in 0..self.n {
            identity.set(i, i, Some(graph.constant(number)?));
        }
        self.add(graph, &identity)
    }

    fn multiply(&self, graph: &mut Graph, other: &NodeMatrix) -> Result<NodeMatrix, ShapeError> {
        let mut result = NodeMatrix::zero(self.n);
        for row in 0..self.n {
            for column in 0..self.n {
                let mut sum = None;
                for k in 0..self.n {
                    let (Some(a), Some(b)) = (self.at(row, k), other.at(k, column)) else { continue };
                    let term = graph.mul(a, b)?;
                    sum = Some(match sum {
                        Some(before) => graph.add(before, term)?,
                        None => term,
                    });
                }
                result.set(row, column, sum);
            }
        }
        Ok(result)
    }
}

/// `phi(Z)` of a matrix given by its elements that are not zero. A diagonal matrix is taken number by number; otherwise
/// the matrix is halved, put into the series, and doubled again by `phi(2 Z) = phi(Z) + Z phi(Z)^2 / 2`, which keeps
/// all digits of a slow flow.
pub fn matrix(graph: &mut Graph, n: usize, entries: &Entries) -> Result<NodeMatrix, ShapeError> {
    let mut z = NodeMatrix::zero(n);
    for ((row, column), value) in entries {
        z.set(*row, *column, Some(*value));
    }
    if entries.iter().all(|((row, column), _)| row == column) {
        let mut result = NodeMatrix::zero(n).add_identity(graph, 1.0)?;
        for ((row, column), value) in entries {
            result.set(*row, *column, Some(number(graph, *value)?));
        }
        return Ok(result);
    }
    let mut z = z.scale(graph, 0.5f64.powi(SQUARINGS as i32))?;
    let mut phi = NodeMatrix::zero(n).add_identity(graph, reciprocal_factorial(MATRIX_ORDER + 1))?;
    for power in (0..MATRIX_ORDER).rev() {
        phi = z.multiply(graph, &phi)?.add_identity(graph, reciprocal_factorial(power + 1))?;
    }
    for _ in 0..SQUARINGS {
        let half = z.scale(graph, 0.5)?;
        let squared = phi.multiply(graph, &phi)?;
        phi = half.multiply(graph, &squared)?.add(graph, &phi)?;
        z = z.scale(graph, 2.0)?;
    }
    Ok(phi)
}
