//! The pass `events`: from equations to spike times, for models without a grid of steps.
//!
//! A train of spikes becomes the tensor of its times: its time axis counts slots instead of steps. Every
//! [`Dynamics`](crate::ops::Dynamics) node becomes a [`SpikeTimes`](crate::ops::SpikeTimes) layer with the synapses that
//! its signals are made of: sums of linear maps (through which spikes are scattered) of trains, of pooled trains (whose
//! windows of neurons count as one) and, in a feedback loop, of the layer's own. Where anything else reads spikes, it reads
//! the number 1 for each of them, whose derivative by the spike's time is declared to be -1: an earlier spike counts as
//! more (Bacho and Chu 2022). So the sum over time is the number of spikes.
//!
//! What reaches a neuron and is not made of spikes is an error that names the place.

mod current;
mod feedback;
mod trace;

use std::collections::BTreeMap;

use snn_loops::EventLayer;
use snn_loops::event_sweep::{Source, Synapses};
use snn_loops::events::{LinearNeuron, Solver};

use crate::build::Built;
use crate::exact;
use crate::graph::{Graph, Node, NodeId};
use crate::model::{Events, Model};
use crate::op::{Op, ShapeError};
use crate::ops::index::IndexAxis;
use crate::ops::pointwise::Function;
use crate::ops::{IndexOp, InputOp, WithGradient};
use crate::passes::rewrite::{Rewritten, copy, model_roots, rewrite, rewrite_model};
use crate::ty::Kind;

use current::{Sender, Signal, Term};
use trace::{Signals, linear};

/// The model on events. Its result, where that is a train, are the times.
pub fn model(old: &Model, events: &Events) -> Result<Model, ShapeError> {
    let (_, signals) = graph(&old.graph, &model_roots(old), events)?;
    let mut new = rewrite_model(old, &|before, roots| Ok(graph(before, roots, events)?.0))?;
    if let Some(times) = signals.get(&old.output).and_then(Signal::times) {
        new.output = times;
    }
    Ok(new)
}

/// What is the same for all layers.
struct Layer<'e> {
    events: &'e Events,
    /// The node in the old graph.
    id: NodeId,
}

/// The graph on events, and what is made of spikes: old nodes with what stands for them in the new graph.
fn graph(old: &Graph, roots: &[NodeId], events: &Events) -> Result<(Rewritten, Signals), ShapeError> {
    let mut signals = Signals::new();
    // What stands for inputs of spikes where they are read as numbers.
    let mut numbers: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    let rewritten = rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        let layer = Layer { events, id };
        let times = match &node.op {
            Op::SpikeAt(_) => inputs[0],
            Op::InputOp(input) if node.ty.time && node.ty.kind == Kind::Spikes => {
                let ty = input.ty.with_kind(Kind::Real);
                let times = new.push(InputOp { name: input.name.clone(), ty }, &[])?;
                numbers.insert(id, counted(new, times)?);
                signals.insert(id, Signal::train(times, &node.ty.dims));
                return Ok(times);
            }
            Op::Dynamics(_) => {
                let neuron = exact::neuron_of(old, id)?;
                append(new, &signals, neuron, node, &layer)?
            }
            Op::Scan(scan) if feedback::is_feedback(scan) => {
                let times = feedback::layer(new, &signals, scan, &node.inputs, inputs, &layer)
                    .map_err(|error| error.at(&[id]))?;
                signals.insert(id, Signal::train(times, &new.ty(times).dims.clone()));
                return Ok(times);
            }
            Op::Project(_) if node.inputs.first().is_some_and(|scan| signals.contains_key(scan)) => inputs[0],
            Op::TimesOf(_) => {
                let signal = node.inputs.first().and_then(|input| signals.get(input));
                let times = signal.and_then(Signal::times);
                let times = times.ok_or_else(|| ShapeError::new("only trains of spikes have times").at(&[id]))?;
                return all_slots(new, times);
            }
            _ => {
                if let Some(signal) = linear(new, &signals, node, inputs)? {
                    signals.insert(id, signal);
                }
                let number = |(old, new): (&NodeId, &NodeId)| numbers.get(old).copied().unwrap_or(*new);
                let inputs: Vec<NodeId> = node.inputs.iter().zip(inputs).map(number).collect();
                return copy(new, node, &inputs);
            }
        };
        signals.insert(id, Signal::train(times, &new.ty(times).dims.clone()));
        let times = all_slots(new, times)?;
        counted(new, times)
    })?;
    Ok((rewritten, signals))
}

/// 1 for each spike and 0 for empty slots, with the declared derivative.
fn counted(graph: &mut Graph, times: NodeId) -> Built {
    let never = graph.constant(f64::INFINITY)?;
    let fired = graph.pointwise(Function::Lt, &[times, never])?;
    let (one, zero, less) = (graph.constant(1.0)?, graph.constant(0.0)?, graph.constant(-1.0)?);
    let value = graph.select(fired, one, zero)?;
    let derivative = graph.select(fired, less, zero)?;
    graph.push(WithGradient {}, &[value, times, derivative])
}

/// A train with all slots: one of single spikes has a single slot, and the others are empty.
fn all_slots(graph: &mut Graph, times: NodeId) -> Built {
    if graph.ty(times).time {
        return Ok(times);
    }
    let slot = graph.push(IndexOp { axis: IndexAxis::Time }, &[])?;
    let (zero, never) = (graph.constant(0.0)?, graph.constant(f64::INFINITY)?);
    let is_first = graph.pointwise(Function::Eq, &[slot, zero])?;
    graph.select(is_first, times, never)
}

/// Appends a layer in place of equations and gives its train.
fn append(graph: &mut Graph, signals: &Signals, neuron: LinearNeuron, node: &Node, layer: &Layer<'_>) -> Built {
    let Op::Dynamics(dynamics) = &node.op else { return Err(ShapeError::new("only equations become a layer")) };
    let flow = &dynamics.flow;
    let mut synapses = Vec::new();
    let mut operands = Vec::new();
    for (port, operand) in node.inputs.iter().skip(flow.states.len()).take(flow.n_signals).enumerate() {
        let terms = signals.get(operand).map(|signal| signal.terms(graph)).transpose()?.flatten();
        let terms = terms.ok_or_else(|| not_spikes(layer.id))?;
        for Term { from, shape, image, pool, weight } in terms {
            let source = match from {
                Sender::Train(times) => {
                    operands.push(times);
                    Source::Train(if graph.ty(times).time { graph.steps } else { 1 })
                }
                Sender::Own(delay) => Source::Own(delay.is_some()),
            };
            synapses.push(Synapses { shape, image, pool, port, source });
            operands.push(weight);
            if let Sender::Own(delay) = from {
                operands.extend(delay);
            }
        }
    }
    let is_heard =
        |synapses: &Synapses| neuron.inject.get(synapses.port).is_some_and(|jump| jump.iter().any(|x| *x != 0.0));
    if !synapses.iter().any(is_heard) {
        return Err(ShapeError::new("no spikes reach this neuron: without a grid neurons act on what arrives")
            .help("let it hear its input, as in `on x { i += x }`")
            .at(&[layer.id]));
    }
    let Events { duration, max_spikes: slots, slope_min, .. } = *layer.events;
    check_frequency(&neuron, duration).map_err(|error| error.at(&[layer.id]))?;
    let layer = EventLayer { neuron, synapses, slots, budget: dynamics.budget(slots), duration, slope_min };
    graph.spike_times(layer, &flow.state_ty.dims, &operands)
}

/// The most half periods of a potential within a sample: a search for its crossings looks at each of them.
const MOST_HALF_PERIODS: f64 = 1e5;

fn check_frequency(neuron: &LinearNeuron, duration: f64) -> Result<(), ShapeError> {
    let solver = Solver::new(neuron).map_err(|reason| ShapeError::new(reason.to_string()))?;
    let half_periods = solver.frequency() * duration / std::f64::consts::PI;
    if half_periods <= MOST_HALF_PERIODS {
        return Ok(());
    }
    Err(ShapeError::new(format!(
        "the potential of this neuron oscillates {:.0} times within a sample, and its spikes would be sought in every one",
        0.5 * half_periods
    ))
    .help("check the units of its equations, which are per second"))
}

fn not_spikes(id: NodeId) -> ShapeError {
    ShapeError::new("what reaches a neuron on events must be made of spikes")
        .help(
            "give neurons linear maps, convolutions and sums of spikes, without bias and norm, and encode values as spike \
             times, for example with `latency(window = 100ms)`",
        )
        .at(&[id])
}
