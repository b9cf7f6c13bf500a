//! Passes: from a model to a model that means the same and is nearer to the machine.
//!
//! A pass is one file with a name and a line of description, listed in [`PASSES`]. They run in that order; any prefix
//! of the list can be run and printed (`snnc dump --stage graph --until NAME`). Differentiation comes after all of them
//! ([`training`](crate::training)), and what it appends is simplified by the same passes once more ([`simplify`],
//! [`finish`]); [`save_bits`] comes at its end, and [`count_planes`] when a graph is lowered. In debug builds the verifier looks at the result of each.
//!
//! Passes keep names, origins and the nodes that a [`Model`] lists. They must never know syntax or machines.

pub mod count_planes;
pub mod cse;
pub mod dce;
pub mod discretise;
pub mod events;
pub mod factor;
pub mod fold;
pub mod fold_norms;
pub mod hoist;
pub mod mode;
pub mod plain_spikes;
pub mod rewrite;
pub mod round_weights;
pub mod save_bits;
pub mod scan_prune;
pub mod sink;
pub mod strip;

use crate::graph::{Graph, NodeId};
use crate::model::{Events, Model};
use crate::op::ShapeError;
use crate::verify::{Violation, verify, verify_model};
use rewrite::rewrite_model;
use snn_loops::WeightValues;

/// What passes may know besides the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PassContext {
    /// Whether the model is prepared for training; else for evaluation.
    pub training: bool,
    /// Seconds a step, where the model has a grid with a length.
    pub dt: Option<f64>,
    /// How the model goes without a grid, where it has none.
    pub events: Option<Events>,
    /// What weights that spikes select are rounded to, in evaluation.
    pub weights: WeightValues,
}

impl PassContext {
    /// The context of a model as it describes itself, without rounded weights.
    pub fn new(model: &Model, training: bool) -> PassContext {
        PassContext { training, dt: model.time.dt(), events: model.time.events(), weights: WeightValues::Any }
    }
}

/// A step on the way from a model as written to one that can be differentiated and lowered.
pub struct Pass {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub description: &'static str,
    /// Does it.
    pub run: fn(&Model, &PassContext) -> Result<Model, ShapeError>,
}

/// All passes, in the order in which they run.
pub const PASSES: &[Pass] = &[
    Pass {
        name: "mode",
        description: "decides between training and evaluation",
        run: |model, context| mode::model(model, context.training),
    },
    Pass {
        name: "events",
        description: "without a grid of steps, turns neurons given by equations into layers on events",
        run: |model, context| match &context.events {
            Some(events) => events::model(model, events),
            None => Ok(model.clone()),
        },
    },
    Pass {
        name: "discretise",
        description: "turns neurons given by equations into time loops",
        run: |model, context| rewrite_model(model, &|graph, roots| discretise::graph(graph, roots, context.dt)),
    },
    Pass {
        name: "fold",
        description: "computes what is known and drops what does nothing",
        run: |model, _| rewrite_model(model, &fold::graph),
    },
    Pass {
        name: "plain_spikes",
        description: "moves factors and sums of spikes behind the linear maps that read them",
        run: |model, _| rewrite_model(model, &plain_spikes::graph),
    },
    Pass {
        name: "fold_norms",
        description: "in evaluation, moves scales of output channels into the weights before them",
        run: |model, context| match context.training {
            true => Ok(model.clone()),
            false => rewrite_model(model, &fold_norms::graph),
        },
    },
    Pass {
        name: "round_weights",
        description: "in evaluation, where it is asked for, rounds weights that spikes select to 8 bits",
        run: |model, context| match (context.training, context.weights) {
            (false, WeightValues::Int8) => rewrite_model(model, &round_weights::graph),
            _ => Ok(model.clone()),
        },
    },
    Pass { name: "cse", description: "computes equal things once", run: |model, _| rewrite_model(model, &cse::graph) },
    Pass {
        name: "hoist",
        description: "computes costly constants of a time loop once, before it",
        run: |model, _| rewrite_model(model, &hoist::graph),
    },
    Pass {
        name: "sink",
        description: "computes spikes inside of the time loops that they follow from",
        run: |model, _| rewrite_model(model, &sink::graph),
    },
    Pass {
        name: "scan_prune",
        description: "drops what a time loop carries, reads or yields for nobody",
        run: |model, _| rewrite_model(model, &scan_prune::graph),
    },
    Pass { name: "dce", description: "drops what nothing needs", run: |model, _| rewrite_model(model, &dce::graph) },
];

/// Runs all passes, or those up to and including `until`. An unknown name is an error that lists the names.
pub fn run(model: &Model, context: &PassContext, until: Option<&str>) -> Result<Model, ShapeError> {
    let count = match until {
        None => PASSES.len(),
        Some(name) => PASSES.iter().position(|pass| pass.name == name).map(|at| at + 1).ok_or_else(|| {
            let names: Vec<&str> = PASSES.iter().map(|pass| pass.name).collect();
            ShapeError::new(format!("there is no pass `{name}`")).help(format!("the passes are {}", names.join(", ")))
        })?,
    };
    let mut model = model.clone();
    for pass in &PASSES[..count] {
        model = (pass.run)(&model, context)?;
        if cfg!(debug_assertions) {
            verify_model(&model).map_err(|violation| broken(pass.name, &violation))?;
        }
    }
    Ok(model)
}

/// Simplifies a graph whose results are `outputs`, as after differentiation, and gives the results' new places.
pub fn simplify(graph: &Graph, outputs: &[NodeId]) -> Result<(Graph, Vec<NodeId>), ShapeError> {
    let first: &[&rewrite::GraphPass<'_>] = &[&fold::graph, &cse::graph, &factor::graph];
    let (graph, outputs) = apply(graph, outputs, first)?;
    apply(&graph, &outputs, &[&fold::graph, &cse::graph, &hoist::graph, &scan_prune::graph, &dce::graph])
}

/// Simplifies a graph that will not be differentiated again: what only gradients needed goes too, and what the backward
/// pass reads of the forward pass is decided.
pub fn finish(graph: &Graph, outputs: &[NodeId]) -> Result<(Graph, Vec<NodeId>), ShapeError> {
    let (graph, outputs) = apply(graph, outputs, &[&strip::graph])?;
    let (graph, outputs) = simplify(&graph, &outputs)?;
    apply(&graph, &outputs, &[&save_bits::graph, &cse::graph, &scan_prune::graph, &dce::graph])
}

fn apply(
    graph: &Graph,
    outputs: &[NodeId],
    passes: &[&rewrite::GraphPass<'_>],
) -> Result<(Graph, Vec<NodeId>), ShapeError> {
    let mut graph = graph.clone();
    let mut outputs = outputs.to_vec();
    for pass in passes {
        let rewritten = pass(&graph, &outputs)?;
        outputs = rewritten.nodes(&outputs)?;
        graph = rewritten.graph;
    }
    if cfg!(debug_assertions) {
        verify(&graph).map_err(|violation| broken("simplify", &violation))?;
    }
    Ok((graph, outputs))
}

/// A mistake of the compiler, found by the verifier.
fn broken(pass: &str, violation: &Violation) -> ShapeError {
    ShapeError::new(format!("the pass `{pass}` broke the graph: {violation}")).help("this is a mistake in the compiler")
}
