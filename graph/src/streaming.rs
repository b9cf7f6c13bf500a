//! One time step of an evaluation as a graph of its own: the same model step by step, in memory that does not grow with
//! the number of steps.
//!
//! Every time axis disappears. The body of each time loop is written out, its states are inputs `state:<name>` and their
//! next values results of that name; all states are 0 before the first step. What is reduced over time becomes such a
//! state too: it holds the sum, maximum or minimum of the steps so far, so that whatever lies behind it (a mean over
//! time, a prediction) has its value for the whole sequence after the last step, and before that the value for a
//! sequence that ends here and is silent from here on (a mean divides by the number of steps of the model at all times).
//!
//! Static inputs may be given anew at each step. Draws depend on the number of the step, so that a stream draws what the
//! whole sequence draws. What depends on weights alone is computed in advance ([`setup`](crate::setup)). A value at one
//! step that depends on all steps cannot be streamed, and is an error that names its layer.

mod convert;

use std::rc::Rc;

use crate::graph::NodeId;
use crate::model::Model;
use crate::op::ShapeError;
use crate::passes;
use crate::setup::{Split, split};
use crate::training::TrainStep;
use crate::ty::Ty;

/// The input that holds the number of the step, from 0; only where something depends on it.
pub const STEP: &str = "stream:step";

/// A model step by step.
#[derive(Clone, Debug)]
pub struct Streaming {
    /// What depends on weights alone, see [`Split::setup`].
    pub setup: TrainStep,
    /// One step. Inputs: the model's own without their time axes, `setup:<k>`, [`STEP`], the rows and the states.
    /// Results: `output`, `prediction` where there is one, and the next states.
    pub step: TrainStep,
    /// What it remembers from step to step.
    pub states: Vec<State>,
    /// What it reads another row of at each step.
    pub rows: Vec<Row>,
}

/// Something that is remembered from one step to the next; 0 before the first.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The name of the input that holds it and of the result that replaces it.
    pub name: String,
    /// Its type, without a time axis.
    pub ty: Ty,
}

/// Numbers over time that do not come from the data: their row of the present step is an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The name of the input.
    pub name: String,
    /// Where the rows are.
    pub source: RowSource,
}

/// Where the rows of all steps are, row-major `[step][...]`.
#[derive(Clone, Debug, PartialEq)]
pub enum RowSource {
    /// In the parameter of that path.
    Parameter(String),
    /// Here.
    Constant(Rc<[f64]>),
}

/// The step of a model that comes out of [`passes::run`] for evaluation.
///
/// # Errors
/// If a value at one step depends on later ones.
pub fn streaming(model: &Model) -> Result<Streaming, ShapeError> {
    let (mut names, mut nodes) = (vec!["output".to_owned()], vec![model.output]);
    if let Some(prediction) = model.prediction {
        names.push("prediction".to_owned());
        nodes.push(prediction);
    }
    let (graph, nodes) = passes::finish(&model.graph, &nodes)?;
    let outputs: Vec<(String, NodeId)> = names.into_iter().zip(nodes).collect();
    let Split { setup, step } = split(&TrainStep { graph, outputs })?;
    let converted = convert::convert(&step)?;
    let (names, nodes): (Vec<String>, Vec<NodeId>) = converted.outputs.into_iter().unzip();
    let (graph, nodes) = passes::simplify(&converted.graph, &nodes)?;
    let step = TrainStep { graph, outputs: names.into_iter().zip(nodes).collect() };
    Ok(Streaming { setup, step, states: converted.states, rows: converted.rows })
}
