//! The gradient of a function of a neuron's spike times, from its last event back to its first.
//!
//! The adjoint `lambda(t)` is the derivative by the states at time t, all later events taken into account. Between events
//! it moves by the transposed flow. At a spike the implicit function theorem says how the time moves with the states
//! before it, `dt/dx = -threshold / slope`, and the states behind it move by `reset flow(x-) - flow(x+)` for each second
//! that the spike comes later. Exact as long as no spike appears or vanishes. (Bacho and Chu 2023 for time constants of
//! ratio 2; Wunderlich and Pehle 2021 for the adjoint form.)

use super::gradient::SpikeAdjoint;
use super::neuron::dot;
use super::simulate::{InputSpike, Response};
use super::solver::Solver;

/// Derivatives of a function of spike times.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    /// By the weight with which each input spike arrives.
    pub weights: Vec<f64>,
    /// By the time of each input spike, per second.
    pub times: Vec<f64>,
    /// Spikes whose slope was below the floor.
    pub floored: usize,
}

/// The gradient of a function whose derivatives by the spike times of `response` are `errors` (0 for those left out).
///
/// A slope below `slope_min` counts as that much, which bounds the gradient of a spike that is nearly tangent to the
/// threshold; 0 changes nothing. A spike at which the potential does not rise at all has a time without derivative.
pub fn adjoint(
    solver: &Solver,
    inputs: &[InputSpike],
    response: &Response,
    errors: &[f64],
    slope_min: f64,
) -> Gradient {
    let neuron = solver.neuron();
    let adjoint = SpikeAdjoint::new(neuron);
    let n = inputs.len();
    let mut gradient = Gradient { weights: vec![0.0; n], times: vec![0.0; n], floored: 0 };
    let mut lambda = vec![0.0; neuron.order];
    let mut now = f64::INFINITY;
    let mut back_to = |lambda: &mut [f64], time: f64| {
        // Behind the last event the adjoint is 0, and moving 0 changes nothing.
        if now.is_finite() {
            solver.propagator(now - time).advance_adjoint(lambda);
        }
        now = time;
    };
    let mut spikes =
        response.spikes.iter().zip(errors.iter().copied().chain(std::iter::repeat(0.0))).collect::<Vec<_>>();
    for before in (0..=n).rev() {
        while let Some((spike, error)) = spikes.pop_if(|(spike, _)| spike.inputs_before >= before) {
            back_to(&mut lambda, spike.time);
            let moved = adjoint.moved(&lambda, &spike.before, error);
            if spike.lifted {
                adjoint.back(&mut lambda, moved, None);
                if let Some(slot) = before.checked_sub(1).and_then(|at| gradient.times.get_mut(at)) {
                    *slot += moved;
                }
                continue;
            }
            gradient.floored += usize::from(spike.slope < slope_min);
            adjoint.back(&mut lambda, moved, Some(spike.slope.max(slope_min)));
        }
        let Some(at) = before.checked_sub(1) else { break };
        let (Some(input), Some(inject)) = (inputs.get(at), inputs.get(at).and_then(|i| neuron.inject.get(i.port)))
        else {
            continue;
        };
        if input.time < 0.0 {
            break;
        }
        back_to(&mut lambda, input.time);
        gradient.weights[at] += dot(&lambda, inject);
        let moved = neuron.flow.chunks_exact(neuron.order).map(|row| dot(row, inject));
        gradient.times[at] -= input.weight * lambda.iter().zip(moved).map(|(a, b)| a * b).sum::<f64>();
    }
    gradient
}
