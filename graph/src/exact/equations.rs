//! From the functions of a neuron's equations to the matrices of a linear neuron.

use snn_loops::events::LinearNeuron;

use crate::exact::GRID;
use crate::exact::affine::{Affine, Argument, results};
use crate::exact::term::term;
use crate::op::ShapeError;
use crate::ops::dynamics::{Flow, StepFn};

/// The matrices of a neuron whose equations, jumps, threshold and reset are linear.
pub(super) fn linear(
    flow: &Flow,
    starts: &[Option<f64>],
    constants: &[Option<f64>],
) -> Result<LinearNeuron, ShapeError> {
    let numbers = numbers(flow, starts, constants)?;
    let n = flow.states.len();
    let Some(threshold) = &flow.threshold else {
        return Err(ShapeError::new("this neuron never spikes, so it has no spike times")
            .help(format!("add `spike when v >= v_th {{ v -= v_th }}`, {GRID}")));
    };
    is_its_spike(flow, &numbers)?;
    let derivative = every(flow, &flow.derivative, &arguments(flow, &[], &numbers), "the equation of")?;
    let jumps =
        every(flow, &flow.jumps, &arguments(flow, &vec![Argument::Free; flow.n_signals], &numbers), "`on` for")?;
    let condition = single(&threshold.condition, &arguments(flow, &[], &numbers), "the threshold of `spike when`")?;
    let reset = |spike: f64| {
        every(flow, &threshold.reset, &arguments(flow, &[Argument::Number(spike)], &numbers), "the reset of")
    };
    let (silent, spiking) = (reset(0.0)?, reset(1.0)?);
    for (at, name) in flow.states.iter().enumerate() {
        if !silent.get(at).is_some_and(|form| is_unit(form, at)) {
            return Err(ShapeError::new(format!("the reset changes `{name}` without a spike")));
        }
    }
    if condition.coefficients.iter().all(|weight| *weight == 0.0) {
        return Err(ShapeError::new("no state of this neuron has an effect on its threshold"));
    }
    Ok(LinearNeuron {
        order: n,
        flow: matrix(&derivative),
        drive: constants_of(&derivative),
        inject: injections(flow, &jumps)?,
        threshold: condition.coefficients,
        theta: -condition.constant,
        reset: matrix(&spiking),
        kick: constants_of(&spiking),
        start: numbers.starts,
    })
}

/// What is known about a neuron as numbers.
struct Numbers {
    starts: Vec<f64>,
    constants: Vec<f64>,
}

fn numbers(flow: &Flow, starts: &[Option<f64>], constants: &[Option<f64>]) -> Result<Numbers, ShapeError> {
    let mut known = Numbers { starts: Vec::new(), constants: Vec::new() };
    for (name, start) in flow.states.iter().zip(starts.iter().chain(std::iter::repeat(&None))) {
        known.starts.push(start.ok_or_else(|| {
            ShapeError::new(format!("the state `{name}` does not start with a number that is known before training"))
                .help(format!("give it a number, such as `state {name} = 0.0`, {GRID}"))
        })?);
    }
    for constant in constants.iter().chain(std::iter::repeat(&None)).take(flow.n_constants) {
        known.constants.push(constant.ok_or_else(|| {
            ShapeError::new("a constant of this neuron is not a number that is known before training")
                .help(format!("make it a setting, such as `tau = 20ms`, {GRID}"))
        })?);
    }
    Ok(known)
}

/// The arguments of a function: the states, what comes between, the constants.
fn arguments(flow: &Flow, between: &[Argument], numbers: &Numbers) -> Vec<Argument> {
    let states = flow.states.iter().map(|_| Argument::Free);
    let constants = numbers.constants.iter().map(|number| Argument::Number(*number));
    states.chain(between.iter().copied()).chain(constants).collect()
}

/// The results of a function for every state, or an error that names the state and the term.
fn every(flow: &Flow, function: &StepFn, arguments: &[Argument], what: &str) -> Result<Vec<Affine>, ShapeError> {
    let forms = results(function, arguments).into_iter().zip(&flow.states);
    forms
        .map(|(form, state)| {
            form.map_err(|node| not_linear(&format!("{what} `{state}`"), &term(&function.graph, node)))
        })
        .collect()
}

fn single(function: &StepFn, arguments: &[Argument], what: &str) -> Result<Affine, ShapeError> {
    match results(function, arguments).pop() {
        Some(Ok(form)) => Ok(form),
        Some(Err(node)) => Err(not_linear(what, &term(&function.graph, node))),
        None => Err(ShapeError::new(format!("{what} has no value"))),
    }
}

fn not_linear(what: &str, term: &str) -> ShapeError {
    ShapeError::new(format!("{what} is not linear: `{term}`")).help(format!(
        "event-exact spike times need a neuron that is linear between its spikes; change the term, {GRID}"
    ))
}

/// What each signal adds to the states.
fn injections(flow: &Flow, jumps: &[Affine]) -> Result<Vec<Vec<f64>>, ShapeError> {
    let n = flow.states.len();
    let mut ports = vec![vec![0.0; n]; flow.n_signals];
    for (at, (form, name)) in jumps.iter().zip(&flow.states).enumerate() {
        let (states, signals) = form.coefficients.split_at(n.min(form.coefficients.len()));
        let keeps = states.iter().enumerate().all(|(column, weight)| *weight == f64::from(u8::from(column == at)));
        if !keeps || form.constant != 0.0 {
            return Err(ShapeError::new(format!("`on` does more than add to `{name}`"))
                .help(format!("an input spike must add to the states, as in `on x {{ {name} += x }}`, {GRID}")));
        }
        for (port, weight) in ports.iter_mut().zip(signals) {
            if let Some(slot) = port.get_mut(at) {
                *slot = *weight;
            }
        }
    }
    Ok(ports)
}

/// Checks that what the neuron gives is its spike.
fn is_its_spike(flow: &Flow, numbers: &Numbers) -> Result<(), ShapeError> {
    let Some(output) = &flow.output else { return Ok(()) };
    let form = single(output, &arguments(flow, &[Argument::Free], numbers), "the value of this neuron")?;
    if is_unit(&form, flow.states.len()) {
        return Ok(());
    }
    Err(ShapeError::new("the value of this neuron is not its spike")
        .help(format!("on events only spikes exist; leave the last line of the neuron out, {GRID}")))
}

/// Whether a form is exactly the argument at that place.
fn is_unit(form: &Affine, at: usize) -> bool {
    let mut entries = form.coefficients.iter().enumerate();
    form.constant == 0.0 && entries.all(|(column, weight)| *weight == f64::from(u8::from(column == at)))
}

fn matrix(forms: &[Affine]) -> Vec<f64> {
    forms.iter().flat_map(|form| form.coefficients.iter().take(forms.len()).copied()).collect()
}

fn constants_of(forms: &[Affine]) -> Vec<f64> {
    forms.iter().map(|form| form.constant).collect()
}
