//! The pass `events`: from equations to spike times, for models without a grid of steps.
//!
//! A train of spikes becomes the tensor of its times: its time axis counts slots instead of steps. Every
//! [`Dynamics`](crate::ops::Dynamics) node becomes a [`SpikeTimes`](crate::ops::SpikeTimes) layer with the synapses that
//! its signals are made of: sums of linear maps (through which spikes are scattered) of trains. Where anything else
//! reads spikes, it reads the number 1 for each of them, whose derivative by the spike's time is declared to be -1: an
//! earlier spike counts as more (Bacho and Chu 2022). So the sum over time is the number of spikes.
//!
//! What reaches a neuron and is not made of spikes is an error that names the place.

mod current;

use std::collections::BTreeMap;
use std::ops::Range;

use snn_loops::event_sweep::{Source, Synapses};
use snn_loops::{ContractionKind, EventLayer};

use crate::build::Built;
use crate::exact;
use crate::graph::{Graph, Node, NodeId};
use crate::model::{Events, Model};
use crate::op::{Op, ShapeError};
use crate::ops::dynamics::Flow;
use crate::ops::index::IndexAxis;
use crate::ops::pointwise::Function;
use crate::ops::{IndexOp, InputOp, WithGradient};
use crate::passes::fold;
use crate::passes::rewrite::{Rewritten, copy, model_roots, rewrite, rewrite_model};
use crate::ty::{Kind, Ty};

use current::{Signal, Term, image, scaled};

/// The model on events. Its result, where that is a train, are the times.
pub fn model(old: &Model, events: &Events) -> Result<Model, ShapeError> {
    let signals = graph(&old.graph, &model_roots(old), events)?.1;
    let mut new = rewrite_model(old, &|graph_before, roots| Ok(graph(graph_before, roots, events)?.0))?;
    if let Some(Signal::Train(times, None)) = signals.get(&old.output) {
        new.output = *times;
    }
    Ok(new)
}

type Signals = BTreeMap<NodeId, Signal>;

/// The graph on events, and what is made of spikes: old nodes with what stands for them in the new graph.
fn graph(old: &Graph, roots: &[NodeId], events: &Events) -> Result<(Rewritten, Signals), ShapeError> {
    let mut signals = Signals::new();
    // What stands for inputs of spikes where they are read as numbers.
    let mut numbers: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    let rewritten = rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        if let Op::InputOp(input) = &node.op
            && node.ty.time
            && node.ty.kind == Kind::Spikes
        {
            let times = new.push(InputOp { name: input.name.clone(), ty: input.ty.with_kind(Kind::Real) }, &[])?;
            numbers.insert(id, counted(new, times)?);
            signals.insert(id, Signal::Train(times, None));
            return Ok(times);
        }
        let signal = match &node.op {
            Op::SpikeAt(_) => Some(Signal::Train(inputs[0], None)),
            Op::Dynamics(dynamics) => {
                Some(Signal::Train(layer(new, &signals, node, id, &dynamics.flow, inputs, events)?, None))
            }
            _ => linear(new, &signals, node, inputs)?,
        };
        let value = match (&node.op, &signal, node.inputs.first().and_then(|input| signals.get(input))) {
            (Op::TimesOf(_), _, Some(Signal::Train(times, None))) => stepped_times(new, *times)?,
            (Op::TimesOf(_), ..) => {
                return Err(ShapeError::new("only a train of spikes has times").at(&[id]));
            }
            (Op::SpikeAt(_) | Op::Dynamics(_), Some(Signal::Train(times, _)), _) => {
                let times = stepped_times(new, *times)?;
                counted(new, times)?
            }
            _ => {
                let number = |(old, new): (&NodeId, &NodeId)| numbers.get(old).copied().unwrap_or(*new);
                let inputs: Vec<NodeId> = node.inputs.iter().zip(inputs).map(number).collect();
                copy(new, node, &inputs)?
            }
        };
        if let Some(signal) = signal {
            signals.insert(id, signal);
        }
        Ok(value)
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
fn stepped_times(graph: &mut Graph, times: NodeId) -> Built {
    if graph.ty(times).time {
        return Ok(times);
    }
    let slot = graph.push(IndexOp { axis: IndexAxis::Time }, &[])?;
    let (zero, never) = (graph.constant(0.0)?, graph.constant(f64::INFINITY)?);
    let is_first = graph.pointwise(Function::Eq, &[slot, zero])?;
    graph.select(is_first, times, never)
}

/// What a node makes of signals that are made of spikes, as far as it stays such a signal.
fn linear(graph: &mut Graph, signals: &Signals, node: &Node, inputs: &[NodeId]) -> Result<Option<Signal>, ShapeError> {
    let signal = |at: usize| node.inputs.get(at).and_then(|input| signals.get(input));
    Ok(match (&node.op, signal(0), signal(1)) {
        (Op::Reshape(reshape), Some(Signal::Train(times, None)), _) => {
            Some(Signal::Train(graph.reshape(*times, &reshape.dims)?, None))
        }
        (Op::Contract(contract), Some(Signal::Train(times, pool)), None)
            if contract.kind == ContractionKind::Forward =>
        {
            let [_, height, width] = image(&graph.ty(*times).dims);
            let (image, pool) = ([height, width], pool.map_or([1, 1], |pool| pool.size));
            Some(Signal::Current(vec![Term { train: *times, shape: contract.shape, image, pool, weight: inputs[1] }]))
        }
        (Op::Pointwise(pointwise), Some(a), Some(b)) if pointwise.function == Function::Add => {
            let mut terms = a.terms(graph)?;
            terms.extend(b.terms(graph)?);
            Some(Signal::Current(terms))
        }
        (Op::Pointwise(pointwise), Some(a), Some(b)) if pointwise.function == Function::Sub => {
            let mut terms = a.terms(graph)?;
            let less = graph.constant(-1.0)?;
            let others = b.terms(graph)?;
            terms.extend(scaled(graph, others, less)?);
            Some(Signal::Current(terms))
        }
        (Op::Pointwise(pointwise), Some(a), None)
            if pointwise.function == Function::Mul && is_number(graph, inputs[1]) =>
        {
            let terms = a.terms(graph)?;
            Some(Signal::Current(scaled(graph, terms, inputs[1])?))
        }
        (Op::Pointwise(pointwise), None, Some(b))
            if pointwise.function == Function::Mul && is_number(graph, inputs[0]) =>
        {
            let terms = b.terms(graph)?;
            Some(Signal::Current(scaled(graph, terms, inputs[0])?))
        }
        (Op::Broadcast(broadcast), Some(signal), _) => {
            let dims = match signal {
                Signal::Train(times, None) => Some(graph.ty(*times).dims.clone()),
                _ => node.inputs.first().map(|_| broadcast.ty.dims.clone()),
            };
            (dims.as_deref() == Some(&broadcast.ty.dims)).then(|| signal.clone())
        }
        _ => None,
    })
}

/// Whether a value is a single number that is the same for all samples.
fn is_number(graph: &Graph, id: NodeId) -> bool {
    graph.ty(id).same_shape(&Ty::scalar())
}

/// Appends a layer in place of equations and gives its train.
fn layer(
    graph: &mut Graph,
    signals: &Signals,
    node: &Node,
    id: NodeId,
    flow: &Flow,
    inputs: &[NodeId],
    events: &Events,
) -> Built {
    let n_states = flow.states.len();
    let numbers =
        |range: Range<usize>| -> Vec<Option<f64>> { range.map(|at| fold::known_number(graph, inputs[at])).collect() };
    let (starts, constants) = (numbers(0..n_states), numbers(n_states + flow.n_signals..inputs.len()));
    let neuron = exact::neuron(flow, &starts, &constants).map_err(|error| error.at(&[id]))?;
    let mut synapses = Vec::new();
    let mut operands = Vec::new();
    for port in 0..flow.n_signals {
        let operand = node.inputs[n_states + port];
        let signal = signals.get(&operand).ok_or_else(|| {
            ShapeError::new("what reaches a neuron on events must be made of spikes")
                .help("give neurons linear maps and convolutions of spikes, without bias and norm, and encode values as spike times, for example with `latency(window = 100ms)`")
                .at(&[operand])
        })?;
        for Term { train, shape, image, pool, weight } in signal.terms(graph)? {
            let slots = if graph.ty(train).time { graph.steps } else { 1 };
            synapses.push(Synapses { shape, image, pool, port, source: Source::Train(slots) });
            operands.extend([train, weight]);
        }
    }
    let Events { duration, max_spikes, slope_min, .. } = *events;
    let layer = EventLayer { neuron, synapses, slots: max_spikes, duration, slope_min };
    graph.spike_times(layer, &flow.state_ty.dims, &operands)
}
