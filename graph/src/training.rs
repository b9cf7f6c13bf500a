//! One step over a batch as a graph with named results: a training update, an evaluation, or gradients alone.
//!
//! The model comes out of [`passes::run`](crate::passes::run) for the same mode. The results of a training step hold
//! everything that changes, so that the forward pass, the backward pass and the optimizer are one graph and fuse. Names
//! of inputs besides the model's own, and of results, are listed at each function; where a name ends in a path, it is
//! the model's path of the parameter, moving average or layer of neurons.

mod health;
mod optimizer;
mod trains;

pub use optimizer::{Optimizer, Schedule};
pub use trains::gradients_and_trains;

use crate::autodiff;
use crate::build::Built;
use crate::graph::{Graph, NodeId};
use crate::model::{Model, Parameter, RunningAverage};
use crate::op::ShapeError;
use crate::ops::InputOp;
use crate::ops::pointwise::Function;
use crate::passes;
use crate::ty::{Axes, Kind, Ty};

/// A graph and what it computes for the host.
#[derive(Clone, Debug)]
pub struct TrainStep {
    /// The graph, simplified; it holds nothing but what the results need.
    pub graph: Graph,
    /// Names and nodes of the results.
    pub outputs: Vec<(String, NodeId)>,
}

impl TrainStep {
    /// The result of that name.
    pub fn output(&self, name: &str) -> Option<NodeId> {
        self.outputs.iter().find(|(known, _)| known == name).map(|(_, id)| *id)
    }

    fn new(graph: &Graph, outputs: Vec<(String, NodeId)>, simplify: Simplify) -> Result<TrainStep, ShapeError> {
        let (names, nodes): (Vec<String>, Vec<NodeId>) = outputs.into_iter().unzip();
        let (graph, nodes) = simplify(graph, &nodes)?;
        Ok(TrainStep { graph, outputs: names.into_iter().zip(nodes).collect() })
    }
}

type Simplify = fn(&Graph, &[NodeId]) -> Result<(Graph, Vec<NodeId>), ShapeError>;

/// A training update over a full batch.
///
/// Inputs: `lr`, and for Adam `bias1`, `bias2` (see [`Optimizer::bias_corrections`]), all scalars; `slot:<path>:<k>`,
/// the optimizer's k-th tensor of a parameter.
///
/// Results: `loss`, the mean over the batch; `correct`, the number of samples whose prediction is their label (where
/// the model has both); `param:<path>`, `slot:<path>:<k>` and `average:<path>`, the new values; `rate:<path>`, the mean
/// of a layer's spikes over time, batch and neurons (their number where there is no grid of steps); then also
/// `silent:<path>`, the share of its neurons that no sample made spike, and `counters:<path>` ([`SpikeTimes`](crate::ops::SpikeTimes)). A parameter that the loss does not depend on has no results: like
/// PyTorch, training leaves it alone.
pub fn train_step(model: &Model, optimizer: &Optimizer) -> Result<TrainStep, ShapeError> {
    scaled_train_step(model, optimizer, 1.0)
}

/// The same with gradients of a loss times `scale`, divided by it again before the optimizer sees them: then small ones
/// are not lost where they pass through 16 bits. A power of two changes no other rounding.
pub fn scaled_train_step(model: &Model, optimizer: &Optimizer, scale: f64) -> Result<TrainStep, ShapeError> {
    let mut graph = model.graph.clone();
    let loss = mean_loss(&mut graph, model)?;
    let mut outputs = vec![("loss".to_owned(), loss)];
    if let Some(hits) = hits(&mut graph, model)? {
        outputs.push(("correct".to_owned(), graph.sum(hits, &over_batch())?));
    }
    for (path, rate) in rates(&mut graph, model, None)? {
        outputs.push((format!("rate:{path}"), rate));
    }
    outputs.extend(health::outputs(&mut graph, model)?);
    for average in &model.averages {
        if let Some(updated) = updated_average(&mut graph, average)? {
            outputs.push((format!("average:{}", average.path), updated));
        }
    }
    let scalar = |graph: &mut Graph, name: &str| input(graph, name, &Ty::scalar());
    let schedule = Schedule {
        lr: scalar(&mut graph, "lr")?,
        bias1: scalar(&mut graph, "bias1")?,
        bias2: scalar(&mut graph, "bias2")?,
    };
    let scaled = if scale == 1.0 { loss } else { graph.scale(loss, scale)? };
    for (parameter, mut gradient) in parameter_gradients(&mut graph, model, scaled)? {
        name_after(&mut graph, &parameter.path);
        if scale != 1.0 {
            gradient = graph.scale(gradient, 1.0 / scale)?;
        }
        let ty = graph.ty(parameter.node).with_kind(Kind::Real);
        let mut slots = Vec::with_capacity(optimizer.slots());
        for k in 0..optimizer.slots() {
            slots.push(input(&mut graph, &format!("slot:{}:{k}", parameter.path), &ty)?);
        }
        let (mut updated, slots) = optimizer.update(&mut graph, &schedule, parameter.node, gradient, &slots)?;
        updated = health::woken(&mut graph, model, parameter.node, updated)?;
        outputs.push((format!("param:{}", parameter.path), updated));
        for (k, slot) in slots.into_iter().enumerate() {
            outputs.push((format!("slot:{}:{k}", parameter.path), slot));
        }
    }
    TrainStep::new(&graph, outputs, passes::finish)
}

/// An evaluation over a batch that may be filled up with samples that do not count.
///
/// Inputs: `sample_weight`, one number a sample, 1 for those that count and 0 for the others.
///
/// Results: `output`, the model's result; `prediction`, where there is one; `loss_sum`, the sum of the losses, where
/// there is a loss; `correct`, as in training but of those that count; `rate:<path>`, the mean over those that count.
pub fn eval_step(model: &Model) -> Result<TrainStep, ShapeError> {
    let mut graph = model.graph.clone();
    let weight = input(&mut graph, "sample_weight", &Ty { batch: true, ..Ty::scalar() })?;
    let mut outputs = vec![("output".to_owned(), model.output)];
    outputs.extend(model.prediction.map(|prediction| ("prediction".to_owned(), prediction)));
    if let Some(loss) = model.loss {
        outputs.push(("loss_sum".to_owned(), weighted_sum(&mut graph, loss, weight)?));
    }
    if let Some(hits) = hits(&mut graph, model)? {
        outputs.push(("correct".to_owned(), weighted_sum(&mut graph, hits, weight)?));
    }
    for (path, rate) in rates(&mut graph, model, Some(weight))? {
        outputs.push((format!("rate:{path}"), rate));
    }
    TrainStep::new(&graph, outputs, passes::finish)
}

/// The gradients of the mean loss over the batch, for reading and for checks.
///
/// Results: `loss`; `grad:<path>` for each parameter the loss depends on; where `inputs` is set also `grad:<name>` for
/// each such input. Declared derivatives stay in the graph, so that the loss can be evaluated with detached values held
/// fixed.
pub fn gradient_graph(model: &Model, inputs: bool) -> Result<TrainStep, ShapeError> {
    let mut graph = model.graph.clone();
    let loss = mean_loss(&mut graph, model)?;
    let mut wrt: Vec<(&str, NodeId)> = model.parameters.iter().map(|p| (p.path.as_str(), p.node)).collect();
    if inputs {
        wrt.extend(model.inputs.iter().map(|input| (input.name.as_str(), input.node)));
    }
    let mut outputs = vec![("loss".to_owned(), loss)];
    outputs.extend(labeled_gradients(&mut graph, loss, &wrt)?);
    TrainStep::new(&graph, outputs, passes::simplify)
}

/// `grad:<name>` for each of the nodes that the loss depends on.
fn labeled_gradients(
    graph: &mut Graph,
    loss: NodeId,
    wrt: &[(&str, NodeId)],
) -> Result<Vec<(String, NodeId)>, ShapeError> {
    let nodes: Vec<NodeId> = wrt.iter().map(|(_, node)| *node).collect();
    let gradients = gradients_of(graph, loss, &nodes)?;
    Ok(wrt
        .iter()
        .zip(gradients)
        .filter_map(|((name, _), gradient)| Some((format!("grad:{name}"), gradient?)))
        .collect())
}

fn input(graph: &mut Graph, name: &str, ty: &Ty) -> Built {
    graph.push(InputOp { name: name.to_owned(), ty: ty.clone() }, &[])
}

fn name_after(graph: &mut Graph, path: &str) {
    graph.current_name = Some(path.into());
}

fn over_batch() -> Axes {
    Axes { batch: true, ..Axes::default() }
}

fn mean_loss(graph: &mut Graph, model: &Model) -> Built {
    let loss = model.loss.ok_or_else(|| {
        ShapeError::new(format!("{} has no loss", model.name)).help("add a `train` declaration with a `loss`")
    })?;
    let ty = graph.ty(loss);
    if ty.time || !ty.dims.is_empty() {
        return Err(ShapeError::new(format!("a loss is one number a sample, but this is {ty}")).at(&[loss]));
    }
    graph.mean(loss, &over_batch())
}

fn gradients_of(graph: &mut Graph, loss: NodeId, wrt: &[NodeId]) -> Result<Vec<Option<NodeId>>, ShapeError> {
    let one = graph.constant(1.0)?;
    autodiff::gradients(graph, &[(loss, one)], wrt)
}

fn parameter_gradients<'m>(
    graph: &mut Graph,
    model: &'m Model,
    loss: NodeId,
) -> Result<Vec<(&'m Parameter, NodeId)>, ShapeError> {
    let nodes: Vec<NodeId> = model.parameters.iter().map(|parameter| parameter.node).collect();
    let gradients = gradients_of(graph, loss, &nodes)?;
    Ok(model.parameters.iter().zip(gradients).filter_map(|(parameter, g)| Some((parameter, g?))).collect())
}

/// 1 for each sample whose prediction is its label and 0 for the others, where the model has both.
fn hits(graph: &mut Graph, model: &Model) -> Result<Option<NodeId>, ShapeError> {
    let label = model.targets.iter().find(|target| target.name == "label");
    let (Some(prediction), Some(label)) = (model.prediction, label) else { return Ok(None) };
    let equal = graph.pointwise(Function::Eq, &[prediction, label.node])?;
    let (one, zero) = (graph.constant(1.0)?, graph.constant(0.0)?);
    Ok(Some(graph.select(equal, one, zero)?))
}

fn weighted_sum(graph: &mut Graph, value: NodeId, weight: NodeId) -> Built {
    let weighted = graph.mul(value, weight)?;
    graph.sum(weighted, &over_batch())
}

/// The mean of each layer's spikes over time, neurons and samples, the latter with weights if given.
fn rates(graph: &mut Graph, model: &Model, weight: Option<NodeId>) -> Result<Vec<(String, NodeId)>, ShapeError> {
    let mut rates = Vec::with_capacity(model.spikes.len());
    for layer in &model.spikes {
        name_after(graph, &layer.path);
        let axes = Axes { time: true, batch: weight.is_none(), dims: (0..graph.ty(layer.node).dims.len()).collect() };
        let mut rate = graph.mean(layer.node, &axes)?;
        if model.time.events().is_some() {
            // Slots are no steps: the spikes of a neuron are counted.
            rate = graph.scale(rate, graph.steps as f64)?;
        }
        if let Some(weight) = weight {
            let sum = weighted_sum(graph, rate, weight)?;
            let count = graph.sum(weight, &over_batch())?;
            rate = graph.div(sum, count)?;
        }
        rates.push((layer.path.clone(), rate));
    }
    graph.current_name = None;
    Ok(rates)
}

/// `(1 - momentum) old + momentum stored`, the mean of what its uses store; `None` where nothing is stored.
fn updated_average(graph: &mut Graph, average: &RunningAverage) -> Result<Option<NodeId>, ShapeError> {
    let Some((first, others)) = average.stored.split_first() else { return Ok(None) };
    name_after(graph, &average.path);
    let mut stored = *first;
    for other in others {
        stored = graph.add(stored, *other)?;
    }
    if !others.is_empty() {
        let uses = graph.constant(average.stored.len() as f64)?;
        stored = graph.div(stored, uses)?;
    }
    let old = graph.scale(average.node, 1.0 - average.momentum)?;
    let new = graph.scale(stored, average.momentum)?;
    let sum = graph.add(old, new)?;
    let updated = graph.sum_to(sum, &Ty::fixed(&average.dims))?;
    graph.current_name = None;
    Ok(Some(updated))
}
