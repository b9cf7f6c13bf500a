//! Rules 1, 8, 10 and 14 for layers of neurons on events.
//!
//! Must never know loop nests.

use super::Report;
use super::heavy::{check_operand, is_sound, overlaps};
use super::nest::check_writable;
use crate::event_sweep::{EventLayer, EventSweep, Source, SweepPass, Synapses};
use crate::program::{Operand, Program};

/// Checks a sweep that runs in at most `steps` steps.
pub(super) fn check(program: &Program, sweep: &EventSweep, steps: usize, report: &mut Report) {
    if let Some(problem) = problem(sweep) {
        return report.add(10, problem);
    }
    let (reads, writes) = (sweep.reads(), sweep.writes());
    for (operand, len) in reads.iter().chain(&writes) {
        check_operand(program, operand, *len, steps, report);
        if program.is_packed(operand.buffer) {
            report.add(10, format!("b{} is packed, but holds what an event sweep takes as floats", operand.buffer.0));
        }
    }
    for (at, (out, len)) in writes.iter().enumerate() {
        check_writable(program, out.buffer, report);
        let shares = |(other, other_len): &(&Operand, usize)| overlaps(other, *other_len, out, *len, steps);
        if reads.iter().any(shares) || writes.iter().skip(at + 1).any(shares) {
            report.add(10, format!("a result overlaps another operand in b{}", out.buffer.0));
        }
    }
}

/// What is unsound about the layer or its operands.
fn problem(sweep: &EventSweep) -> Option<String> {
    let layer = &sweep.layer;
    if let Err(error) = layer.neuron.check() {
        return Some(error.to_string());
    }
    if !(layer.duration.is_finite() && layer.duration > 0.0 && layer.slope_min.is_finite() && layer.slope_min >= 0.0) {
        return Some("the duration or the least slope is no sound number".into());
    }
    if layer.slots == 0 || layer.synapses.is_empty() || layer.synapses.len() != sweep.synapses.len() {
        return Some("a layer needs slots, synapses and operands for each of them".into());
    }
    if layer.budget == 0 || layer.budget > layer.slots {
        return Some(format!("a budget of {} spikes does not fit {} slots", layer.budget, layer.slots));
    }
    for (synapses, operands) in layer.synapses.iter().zip(&sweep.synapses) {
        if !is_sound_group(layer, synapses) {
            return Some(format!("the synapses {synapses:?} do not fit the layer"));
        }
        let has_train = matches!(synapses.source, Source::Train(_));
        if has_train != operands.train.is_some() || (synapses.source == Source::Own(true)) != operands.delay.is_some() {
            return Some("synapses have a train or are the layer's own, and own ones may have a delay".into());
        }
    }
    match &sweep.pass {
        SweepPass::Adjoint { gradients, .. } if gradients.len() != layer.synapses.len() => {
            Some("gradients need one entry for each group of synapses".into())
        }
        SweepPass::Adjoint { .. } | SweepPass::Forward { .. } => None,
    }
}

fn is_sound_group(layer: &EventLayer, synapses: &Synapses) -> bool {
    let Synapses { shape, image, pool, port, source } = synapses;
    let output = |other: &Synapses| (other.shape.cout, other.shape.output);
    let pools = (0..2).all(|axis| pool[axis] > 0 && image[axis] / pool[axis] == shape.input[axis]);
    let sends = match source {
        Source::Train(slots) => *slots > 0,
        Source::Own(_) => synapses.senders() == layer.neurons(),
    };
    let count = [shape.cin, image[0], image[1]].iter().try_fold(1usize, |n, extent| n.checked_mul(*extent));
    is_sound(shape)
        && count.is_some()
        && pools
        && sends
        && *port < layer.neuron.inject.len()
        && layer.synapses.first().is_some_and(|first| output(first) == output(synapses))
}
