//! How a neuron's equations are advanced by one step: which method, and the nodes of it.
//!
//! All methods are `x += dt phi(J dt) f(x)` with `phi(z) = (exp(z) - 1) / z`, where `J` holds derivatives of `f` by the
//! states. For linear equations with the whole of `J` this is the exact flow; with the diagonal of `J` it is
//! exponential Euler (Hochbruck and Ostermann 2010, eq. 2.8), exact for a single linear equation and of first order
//! otherwise. Where `J` is known at compile time, the same is written `x = e x + g b` with numbers `e` and `g`.

use crate::build::Built;
use crate::graph::{Graph, NodeId};
use crate::op::ShapeError;
use crate::ops::dynamics::{Flow, StepFn};
use crate::passes::discretise::linear::{self, Jacobian};
use crate::passes::discretise::matrix::{self, Matrix};
use crate::passes::discretise::phi::{self, Entries};
use crate::passes::fold;

/// How the flow between events is advanced.
#[derive(Clone, Debug)]
pub enum Solution {
    /// Linear with coefficients known at compile time: `x = decay x + gain b`, exact.
    Exact {
        /// `exp(A dt)`.
        decay: Matrix,
        /// The integral of `exp(A s)` over the step.
        gain: Matrix,
        /// (constants..) to `b`.
        offset: StepFn,
    },
    /// Linear with coefficients that are values of the model, such as learned time constants: `x += dt phi(A dt) f(x)`
    /// with the whole matrix, computed once; exact to about 1e-12 up to a norm of `A dt` of 32.
    Learned {
        /// The coefficients.
        jacobian: Jacobian,
    },
    /// Anything else: the same with the diagonal of the derivatives at the current point.
    ExponentialEuler {
        /// The derivative of each state's rate by that state.
        slopes: Jacobian,
    },
}

/// Chooses the method for a neuron and a step of `dt` seconds.
pub fn solve(flow: &Flow, dt: f64) -> Result<Solution, ShapeError> {
    let jacobian = linear::jacobian(flow)?;
    if !linear::is_linear(flow) {
        return Ok(Solution::ExponentialEuler { slopes: jacobian.diagonal() });
    }
    let Some(coefficients) = jacobian.constant() else { return Ok(Solution::Learned { jacobian }) };
    let a = Matrix::from_fn(flow.states.len(), |row, column| {
        coefficients.iter().find(|(at, _)| *at == (row, column)).map_or(0.0, |(_, value)| *value)
    });
    let (decay, gain) = matrix::flow(&a, dt);
    if !(decay.is_finite() && gain.is_finite()) {
        return Err(ShapeError::new("the states of this neuron leave all bounds within one step")
            .help("check its time constants: one of them is 0, or negative and much shorter than a step"));
    }
    Ok(Solution::Exact { decay, gain, offset: linear::offset(flow)? })
}

impl Solution {
    /// Appends the flow over one step of `dt` seconds and gives the states after it.
    pub fn advance(
        &self,
        graph: &mut Graph,
        flow: &Flow,
        dt: f64,
        states: &[NodeId],
        constants: &[NodeId],
    ) -> Result<Vec<NodeId>, ShapeError> {
        let arguments: Vec<NodeId> = states.iter().chain(constants).copied().collect();
        match self {
            Solution::Exact { decay, gain, offset } => {
                let offsets = offset.inline(graph, constants)?;
                (0..states.len()).map(|row| exact_row(graph, row, (decay, states), (gain, &offsets))).collect()
            }
            Solution::Learned { jacobian } => {
                let rates = flow.derivative.inline(graph, &arguments)?;
                let entries = scaled_entries(graph, jacobian, dt, &arguments)?;
                let factors = phi::matrix(graph, states.len(), &entries)?;
                let mut next = Vec::with_capacity(states.len());
                for (row, state) in states.iter().enumerate() {
                    let mut value = *state;
                    for (column, rate) in rates.iter().enumerate() {
                        if let Some(factor) = factors.at(row, column) {
                            let change = change(graph, factor, *rate, dt)?;
                            value = graph.add(value, change)?;
                        }
                    }
                    next.push(value);
                }
                Ok(next)
            }
            Solution::ExponentialEuler { slopes } => {
                let rates = flow.derivative.inline(graph, &arguments)?;
                let entries = scaled_entries(graph, slopes, dt, &arguments)?;
                let mut next = Vec::with_capacity(states.len());
                for (row, (state, rate)) in states.iter().zip(rates).enumerate() {
                    let slope = entries.iter().find(|(at, _)| *at == (row, row));
                    let change = match slope {
                        Some((_, slope)) => {
                            let factor = phi::number(graph, *slope)?;
                            change(graph, factor, rate, dt)?
                        }
                        None => graph.scale(rate, dt)?,
                    };
                    next.push(graph.add(*state, change)?);
                }
                Ok(next)
            }
        }
    }

    /// The method in words, with numbers where they are known.
    pub fn describe(&self, flow: &Flow) -> String {
        let names = flow.states.join(", ");
        match self {
            Solution::Exact { decay, gain, offset } => {
                let mut text = "linear with constant coefficients: the exact flow\n".to_owned();
                for (row, name) in flow.states.iter().enumerate() {
                    let mut terms = Vec::new();
                    for (column, other) in flow.states.iter().enumerate() {
                        if decay.at(row, column) != 0.0 {
                            terms.push(format!("{} {other}", decay.at(row, column)));
                        }
                    }
                    for (column, other) in flow.states.iter().enumerate() {
                        let known = offset.outputs.get(column).and_then(|id| fold::known_number(&offset.graph, *id));
                        match known {
                            Some(0.0) => {}
                            _ if gain.at(row, column) == 0.0 => {}
                            Some(b) => terms.push(format!("{}", gain.at(row, column) * b)),
                            None => terms.push(format!("{} * (the constant part of {other}')", gain.at(row, column))),
                        }
                    }
                    let sum = if terms.is_empty() { "0".to_owned() } else { terms.join(" + ") };
                    text.push_str(&format!("  {name} = {sum}\n"));
                }
                text
            }
            Solution::Learned { .. } => {
                format!(
                    "linear in {names} with learned coefficients: the exact flow, its matrix computed once for all steps\n"
                )
            }
            Solution::ExponentialEuler { .. } => format!("not linear in {names}: exponential Euler\n"),
        }
    }
}

/// `sum over j of decay[row, j] x[j] + gain[row, j] b[j]`, without terms that are zero.
fn exact_row(graph: &mut Graph, row: usize, decay: (&Matrix, &[NodeId]), gain: (&Matrix, &[NodeId])) -> Built {
    let mut sum = None;
    for (matrix, values) in [decay, gain] {
        for (column, value) in values.iter().enumerate() {
            let factor = matrix.at(row, column);
            if factor == 0.0 || fold::known_number(graph, *value) == Some(0.0) {
                continue;
            }
            let term = if factor == 1.0 { *value } else { graph.scale(*value, factor)? };
            sum = Some(match sum {
                Some(before) => graph.add(before, term)?,
                None => term,
            });
        }
    }
    match sum {
        Some(sum) => Ok(sum),
        None => graph.constant(0.0),
    }
}

/// The derivatives times `dt`, by row and column.
fn scaled_entries(
    graph: &mut Graph,
    jacobian: &Jacobian,
    dt: f64,
    arguments: &[NodeId],
) -> Result<Entries, ShapeError> {
    let slopes = jacobian.function.inline(graph, arguments)?;
    jacobian.entries.iter().zip(slopes).map(|(at, slope)| Ok((*at, graph.scale(slope, dt)?))).collect()
}

/// `dt factor rate`
fn change(graph: &mut Graph, factor: NodeId, rate: NodeId, dt: f64) -> Built {
    let over_step = graph.scale(factor, dt)?;
    graph.mul(over_step, rate)
}
