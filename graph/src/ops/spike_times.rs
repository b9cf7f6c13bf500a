//! `spike_times(trains.., weights.., delays..) -> times, memory, counters`: a layer of neurons with its synapses, without
//! a grid of time steps.
//!
//! Operands, for each group of synapses in order: its train `[slot][sample][senders]` (times in seconds, ascending,
//! infinite where there is none) unless the layer is its own sender; its weight; its delay where it has one. A train
//! without a time axis has a single slot. Results ([`Project`](crate::ops::Project) picks one):
//!
//! 1. the layer's train;
//! 2. of each spike what the gradient needs, in the order in which neurons lie in memory (free where nobody asks);
//! 3. two counters over the batch: neurons that would have exceeded their budget of spikes, and spikes whose slope was below the floor.
//!
//! What happens between a train and the next is said at [`snn_loops::event_sweep`]. The derivative of a spike time is that
//! of the implicit function theorem, with all recursion through resets, feedback and delays (Bacho and Chu 2022;
//! Wunderlich and Pehle 2021); it is exact as long as no spike appears or disappears.

use std::rc::Rc;

use snn_loops::{Dtype, EventLayer};
use snn_loops::event_sweep::{COUNTERS, Sample as EventSample, Source, forward};

use crate::autodiff::Backward;
use crate::eval::{EvalContext, EvalError};
use crate::graph::{Graph, NodeId};
use crate::lower::storage::{Layout, rearrange};
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::ops::SpikeTimesGradient;
use crate::tensor::Tensor;
use crate::ty::Ty;

/// A layer of neurons on events.
#[derive(Clone, Debug, PartialEq)]
pub struct SpikeTimes {
    /// The layer in numbers.
    pub layer: Rc<EventLayer>,
    /// Its shape.
    pub dims: Vec<usize>,
}

impl SpikeTimes {
    /// Position of the train among the results.
    pub const TIMES: usize = 0;
    /// Position of what the gradient needs.
    pub const MEMORY: usize = 1;
    /// Position of the counters.
    pub const COUNTERS: usize = 2;

    /// The type of a result; `None` if there are fewer.
    pub fn result_ty(&self, index: usize) -> Option<Ty> {
        let neurons: usize = self.dims.iter().product();
        match index {
            Self::TIMES => Some(Ty::signal(true, &self.dims)),
            Self::MEMORY => Some(match self.layer.memory_width() {
                1 => Ty::signal(true, &[neurons]),
                width => Ty::signal(true, &[width, neurons]),
            }),
            Self::COUNTERS => Some(Ty::fixed(&[COUNTERS])),
            _ => None,
        }
    }
}

/// The number of operands of a layer.
pub(super) fn n_operands(layer: &EventLayer) -> usize {
    let of = |source: &Source| match source {
        Source::Train(_) | Source::Own(true) => 2,
        Source::Own(false) => 1,
    };
    layer.synapses.iter().map(|synapses| of(&synapses.source)).sum()
}

/// What is wrong with the operands of a layer, if anything.
pub(super) fn check_operands(layer: &EventLayer, steps: usize, inputs: &[&Ty]) -> Result<(), ShapeError> {
    if inputs.len() < n_operands(layer) {
        return Err(ShapeError::new("a layer on events takes a train, a weight and a delay for each kind of synapse"));
    }
    if layer.slots != steps {
        return Err(ShapeError::new(format!("a layer has {} slots, but the model {steps}", layer.slots)));
    }
    let mut inputs = inputs.iter();
    for synapses in &layer.synapses {
        if let Source::Train(slots) = synapses.source {
            let fits = |ty: &&&Ty| {
                let has = if ty.time { steps } else { 1 };
                ty.batch && has == slots && ty.elements() == synapses.senders()
            };
            inputs.next().filter(fits).ok_or_else(|| ShapeError::new("a train does not fit the synapses that read it"))?;
        }
        let fits = |ty: &&&Ty| !ty.time && !ty.batch && ty.elements() == synapses.shape.weight_len();
        inputs.next().filter(fits).ok_or_else(|| ShapeError::new("a weight does not fit its synapses"))?;
        if synapses.source == Source::Own(true) {
            let fits = |ty: &&&Ty| !ty.time && !ty.batch && ty.elements() == 1;
            inputs.next().filter(fits).ok_or_else(|| ShapeError::new("synapses have one delay"))?;
        }
    }
    Ok(())
}

/// What belongs to a sample of `[slot][sample][dims]`, with neurons in the order in which they lie in memory.
pub(super) fn of_sample(value: &Tensor, dims: &[usize], batch: usize, sample: usize) -> Vec<f64> {
    let each = dims.iter().product::<usize>().max(1);
    let mut all = Vec::with_capacity(value.data.len() / batch.max(1));
    for slot in value.data.chunks(each).skip(sample).step_by(batch.max(1)) {
        let mut arranged = vec![0.0; each];
        rearrange(layout(dims), dims, slot, &mut arranged, true);
        all.extend(arranged);
    }
    all
}

/// Writes what belongs to a sample back.
pub(super) fn set_sample(value: &mut Tensor, dims: &[usize], batch: usize, sample: usize, from: &[f64]) {
    let each = dims.iter().product::<usize>().max(1);
    for (slot, from) in value.data.chunks_mut(each).skip(sample).step_by(batch.max(1)).zip(from.chunks(each)) {
        rearrange(layout(dims), dims, from, slot, false);
    }
}

fn layout(dims: &[usize]) -> Layout {
    Layout::of(&Ty::signal(true, dims))
}

/// The operands of a layer in one sample.
pub(super) fn sample_of(layer: &EventLayer, tys: &[Ty], inputs: &[&Tensor], batch: usize, at: usize) -> EventSample {
    let mut operands = inputs.iter().zip(tys);
    let mut sample = EventSample::new(Dtype::F64);
    for synapses in &layer.synapses {
        let is_own = !matches!(synapses.source, Source::Train(_));
        let train = if is_own { None } else { operands.next() };
        sample.trains.push(train.map_or(Vec::new(), |(train, ty)| of_sample(train, &ty.dims, batch, at)));
        sample.weights.push(operands.next().map_or(Vec::new(), |(weight, _)| weight.data.clone()));
        let delay = if synapses.source == Source::Own(true) { operands.next() } else { None };
        sample.delays.push(delay.and_then(|(delay, _)| delay.data.first().copied()).unwrap_or(0.0));
    }
    sample
}

impl Graph {
    /// Appends a layer of neurons on events and gives its train.
    pub fn spike_times(
        &mut self,
        layer: EventLayer,
        dims: &[usize],
        operands: &[NodeId],
    ) -> Result<NodeId, ShapeError> {
        let layer = self.push(SpikeTimes { layer: Rc::new(layer), dims: dims.to_vec() }, operands)?;
        self.project(layer, SpikeTimes::TIMES)
    }
}

impl OpRule for SpikeTimes {
    fn name(&self) -> &'static str {
        "spike_times"
    }

    fn attributes(&self) -> String {
        let EventLayer { neuron, synapses, slots, duration, .. } = &*self.layer;
        let kinds = synapses.len();
        format!("{:?}, order {}, {kinds} kinds of synapses, {slots} slots in {duration} s", self.dims, neuron.order)
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Exact
    }

    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        if context.is_step {
            return Err(ShapeError::new("a layer on events cannot stand inside the step of a time loop"));
        }
        check_operands(&self.layer, context.steps, inputs)?;
        if self.dims.iter().product::<usize>() != self.layer.neurons() {
            return Err(ShapeError::new("a layer's shape does not have as many neurons as its synapses reach"));
        }
        Ok(Ty::signal(true, &self.dims))
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        node: NodeId,
        _upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError> {
        let inputs = backward.graph.node(node).inputs.clone();
        let Some(errors) = backward.result(node, Self::TIMES) else { return Ok(vec![None; inputs.len()]) };
        let wanted: Vec<bool> = inputs.iter().map(|input| backward.wants(*input)).collect();
        let graph = &mut *backward.graph;
        let tys = inputs.iter().map(|input| graph.ty(*input).with_kind(crate::ty::Kind::Real)).collect();
        let mut operands = inputs;
        operands.push(graph.project(node, Self::TIMES)?);
        operands.push(graph.project(node, Self::MEMORY)?);
        operands.push(errors);
        let layer = Rc::clone(&self.layer);
        let dims = self.dims.clone();
        let gradient = graph.push(SpikeTimesGradient { layer, dims, tys }, &operands)?;
        let part = |(at, wanted): (usize, bool)| wanted.then(|| graph.project(gradient, at)).transpose();
        wanted.into_iter().enumerate().map(part).collect()
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::SpikeTimes(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
        let tys: Vec<Ty> = (0..inputs.len()).map(|at| context.view(inputs, at).ty).collect();
        let memory_ty = self.result_ty(Self::MEMORY).unwrap_or_else(Ty::scalar);
        let (mut times, mut memory) = (context.zeros(ty), context.zeros(&memory_ty));
        let mut counters = Tensor::full(&[COUNTERS], 0.0);
        for at in 0..context.batch {
            match forward(&self.layer, &sample_of(&self.layer, &tys, inputs, context.batch, at)) {
                Ok(spikes) => {
                    set_sample(&mut times, &self.dims, context.batch, at, &spikes.times);
                    set_sample(&mut memory, &memory_ty.dims, context.batch, at, &spikes.memory);
                    counters.data.iter_mut().zip(spikes.counters).for_each(|(sum, count)| *sum += count);
                }
                Err(_) => context.fail(EvalError::Unlowered("events")),
            }
        }
        context.set_results(vec![times.clone(), memory, counters]);
        times
    }

    /// None: what it computes is tested with networks, where operands are trains.
    fn samples() -> Vec<Sample> {
        Vec::new()
    }
}
