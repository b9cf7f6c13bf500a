//! Which nodes are sums of linear maps of spikes.

use std::collections::BTreeMap;

use snn_loops::ContractionKind;

use crate::graph::{Graph, Node, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::pointwise::Function;
use crate::ops::reduce::Reducer;
use crate::passes::events::current::{Sender, Signal, scaled};
use crate::ty::{Axes, Ty};

/// What is known to be made of spikes, by node of the old graph.
pub type Signals = BTreeMap<NodeId, Signal>;

/// What a node makes of signals that are made of spikes, as far as it stays such a signal. `inputs` are its operands in the
/// new graph, as far as they are no signals.
pub fn linear(
    graph: &mut Graph,
    signals: &Signals,
    node: &Node,
    inputs: &[NodeId],
) -> Result<Option<Signal>, ShapeError> {
    let signal = |at: usize| node.inputs.get(at).and_then(|input| signals.get(input));
    Ok(match (&node.op, signal(0), signal(1)) {
        (Op::Pointwise(pointwise), a, b) => sum(graph, pointwise.function, (a, b), inputs)?,
        (Op::Contract(contract), Some(spikes), None) if contract.kind == ContractionKind::Forward => {
            spikes.mapped(&contract.shape, inputs[1]).map(|term| Signal::Current(vec![term]))
        }
        (Op::Reshape(reshape), Some(signal), _) => reshaped(graph, signal, &reshape.dims)?,
        (Op::Windows(windows), Some(Signal::Spikes { from, dims, pool: [1, 1], is_flat: false }), _) => {
            let apart = windows.size == windows.stride && windows.pad == [0, 0] && windows.dilation == [1, 1];
            apart.then(|| Signal::Patches { from: *from, dims: dims.clone(), size: windows.size })
        }
        (Op::Reduce(reduce), Some(Signal::Patches { from, dims, size }), _) => {
            let whole = reduce.reducer == Reducer::Sum && reduce.axes == Axes { dims: vec![3, 4], ..Axes::default() };
            whole.then(|| Signal::Spikes { from: *from, dims: dims.clone(), pool: *size, is_flat: false })
        }
        (Op::Broadcast(broadcast), Some(signal), _) => same_shape(signal, &broadcast.ty).then(|| signal.clone()),
        (Op::TimesOf(_), Some(Signal::Spikes { from: Sender::Own(delay), dims, pool: [1, 1], is_flat: false }), _) => {
            Some(Signal::OwnTimes(*delay, dims.clone()))
        }
        (Op::SpikeAt(_), Some(Signal::OwnTimes(delay, dims)), _) => {
            Some(Signal::Spikes { from: Sender::Own(*delay), dims: dims.clone(), pool: [1, 1], is_flat: false })
        }
        _ => None,
    })
}

/// Whether a broadcast leaves a signal as it is.
fn same_shape(signal: &Signal, ty: &Ty) -> bool {
    match signal {
        Signal::Spikes { dims, pool: [1, 1], is_flat: false, .. } | Signal::OwnTimes(_, dims) => *dims == ty.dims,
        Signal::Current(terms) => terms.iter().all(|term| term.shape.output_len() == ty.dims.iter().product::<usize>()),
        Signal::Spikes { .. } | Signal::Patches { .. } => false,
    }
}

fn reshaped(graph: &mut Graph, signal: &Signal, dims: &[usize]) -> Result<Option<Signal>, ShapeError> {
    if let Some(times) = signal.times() {
        return Ok(Some(Signal::train(graph.reshape(times, dims)?, dims)));
    }
    Ok(match signal {
        Signal::Spikes { from, dims: own, pool, .. } if dims.len() == 1 => {
            Some(Signal::Spikes { from: *from, dims: own.clone(), pool: *pool, is_flat: true })
        }
        _ => None,
    })
}

/// Sums, differences and multiples of signals; a delay added to times.
fn sum(
    graph: &mut Graph,
    function: Function,
    (a, b): (Option<&Signal>, Option<&Signal>),
    inputs: &[NodeId],
) -> Result<Option<Signal>, ShapeError> {
    let number = |graph: &Graph, at: usize| {
        inputs.get(at).copied().filter(|id| graph.ty(*id).elements() == 1 && graph.ty(*id).same_shape(&Ty::scalar()))
    };
    match (function, a, b) {
        (Function::Add, Some(Signal::OwnTimes(before, dims)), None) => {
            delayed(graph, (*before, dims), number(graph, 1))
        }
        (Function::Add, None, Some(Signal::OwnTimes(before, dims))) => {
            delayed(graph, (*before, dims), number(graph, 0))
        }
        (Function::Add | Function::Sub, Some(a), Some(b)) => {
            let (Some(mut terms), Some(mut others)) = (a.terms(graph)?, b.terms(graph)?) else { return Ok(None) };
            if function == Function::Sub {
                let less = graph.constant(-1.0)?;
                others = scaled(graph, others, less)?;
            }
            terms.append(&mut others);
            Ok(Some(Signal::Current(terms)))
        }
        (Function::Mul | Function::Div, Some(signal), None) => {
            let (Some(mut by), Some(terms)) = (number(graph, 1), signal.terms(graph)?) else { return Ok(None) };
            if function == Function::Div {
                let one = graph.constant(1.0)?;
                by = graph.div(one, by)?;
            }
            Ok(Some(Signal::Current(scaled(graph, terms, by)?)))
        }
        (Function::Mul, None, Some(signal)) => {
            let (Some(by), Some(terms)) = (number(graph, 0), signal.terms(graph)?) else { return Ok(None) };
            Ok(Some(Signal::Current(scaled(graph, terms, by)?)))
        }
        (Function::Neg, Some(signal), None) => {
            let Some(terms) = signal.terms(graph)? else { return Ok(None) };
            let less = graph.constant(-1.0)?;
            Ok(Some(Signal::Current(scaled(graph, terms, less)?)))
        }
        _ => Ok(None),
    }
}

/// Times of the layer itself that come later, by one more delay if they have one already.
fn delayed(
    graph: &mut Graph,
    (before, dims): (Option<NodeId>, &[usize]),
    delay: Option<NodeId>,
) -> Result<Option<Signal>, ShapeError> {
    let Some(delay) = delay else { return Ok(None) };
    let sum = match before {
        Some(before) => graph.add(before, delay)?,
        None => delay,
    };
    Ok(Some(Signal::OwnTimes(Some(sum), dims.to_vec())))
}
