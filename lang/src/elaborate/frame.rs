//! What is known about the declaration whose body is being elaborated.
//!
//! Must never know how it is elaborated.

use std::collections::BTreeMap;
use std::rc::Rc;

use snn_graph::NodeId;
use snn_graph::feedback::LoopState;

use crate::source::Span;
use crate::value::Instance;

/// The kinds of body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyKind {
    /// A neuron.
    Neuron,
    /// A layer.
    Layer,
    /// A block.
    Block,
    /// A model.
    Model,
    /// A function.
    Function,
    /// A surrogate.
    Surrogate,
    /// A `train` or `convert`.
    Train,
    /// A test.
    Test,
}

/// One declaration in use.
#[derive(Debug)]
pub(super) struct Frame<'p> {
    /// Distinguishes this use from all others.
    pub id: u32,
    /// What kind of body it has.
    pub kind: BodyKind,
    /// The declaration's name.
    pub name: &'p str,
    /// Where it is used.
    pub site: Span,
    /// Its first signal.
    pub first_signal: Option<NodeId>,
    /// The axes that `..` in the first signal's pattern stands for.
    pub rest: Option<Vec<usize>>,
    /// Whether it spikes.
    pub spikes: bool,
    /// Whether durations stay seconds here, as in equations.
    pub seconds: bool,
}

/// An instance whose body is being elaborated.
#[derive(Debug)]
pub(super) struct Application {
    /// The instance.
    pub instance: Rc<Instance>,
    /// How often each place of the body has made an instance so far.
    pub counts: BTreeMap<Span, usize>,
    /// How often each path of a moving average has been asked for so far.
    pub averages: BTreeMap<String, usize>,
}

impl Application {
    /// The beginning of a body.
    pub(super) fn new(instance: Rc<Instance>) -> Application {
        Application { instance, counts: BTreeMap::new(), averages: BTreeMap::new() }
    }
}

/// A loop over time whose states are known and whose end is not.
#[derive(Debug)]
pub(super) struct OpenLoop {
    /// The body that has the states.
    pub frame: u32,
    /// The name of its declaration.
    pub name: String,
    /// Whether it is a neuron and not a feedback loop.
    pub is_neuron: bool,
    /// Where the first state is declared.
    pub span: Span,
    /// The states: name, placeholder, value before the first step, value after the step.
    pub states: Vec<LoopVariable>,
    /// How many spike outputs there were before.
    pub spikes_before: usize,
}

/// A state of an [`OpenLoop`].
#[derive(Debug)]
pub(super) struct LoopVariable {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// The node that reads it.
    pub placeholder: NodeId,
    /// Its value before the first step.
    pub init: NodeId,
    /// Its value after the step, once it is known.
    pub next: Option<NodeId>,
}

impl LoopVariable {
    /// The state as the graph needs it; without a next value it keeps its own.
    pub(super) fn close(&self) -> LoopState {
        let LoopVariable { placeholder, init, next, .. } = self;
        LoopState { placeholder: *placeholder, init: *init, next: next.unwrap_or(*placeholder) }
    }
}
