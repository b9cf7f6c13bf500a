//! A whole model: its graph, what it learns, what it reads, what it shows.
//!
//! The front end makes one; everything behind works on it. Nothing here knows where it came from.

use crate::graph::{Graph, NodeId};

/// How a parameter starts. `fan_in` and `fan_out` follow the weight's shape `[out, in / groups, k...]`:
/// fan_in = product of all but the first extent, fan_out = first extent times the product from the third on.
#[derive(Clone, Debug, PartialEq)]
pub enum Init {
    /// Every element has this value.
    Constant(f64),
    /// Normal with mean 0 and deviation `gain / sqrt(fan_in)`, gain sqrt(2) (He et al. 2015).
    KaimingNormal,
    /// Uniform in ±`sqrt(6 / ((1 + a^2) fan_in))`.
    KaimingUniform {
        /// Slope of the leaky rectifier the bound is derived from.
        a: f64,
    },
    /// Normal with deviation `sqrt(2 / (fan_in + fan_out))` (Glorot and Bengio 2010).
    XavierNormal,
    /// Uniform in ±`sqrt(6 / (fan_in + fan_out))`.
    XavierUniform,
    /// Uniform in `[low, high)`.
    Uniform {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
}

/// A learned tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its path, e.g. `stage1.0.main.conv2d1.weight`.
    pub path: String,
    /// Its shape; a leading axis of length T where `time` is set.
    pub dims: Vec<usize>,
    /// Whether it has one value a time step (`param p: [time]`).
    pub time: bool,
    /// How it starts.
    pub init: Init,
    /// The node that reads it.
    pub node: NodeId,
}

/// A moving average that training updates and evaluation reads (`running`).
#[derive(Clone, Debug, PartialEq)]
pub struct RunningAverage {
    /// Its path, e.g. `stem.tdbn1.mu`.
    pub path: String,
    /// Its shape.
    pub dims: Vec<usize>,
    /// Where the average begins.
    pub start: f64,
    /// New average = (1 - momentum) * old + momentum * stored value.
    pub momentum: f64,
    /// The node that reads it.
    pub node: NodeId,
    /// What is averaged (one entry for each use; the mean of them is stored).
    pub stored: Vec<NodeId>,
}

/// What kind of data an input takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    /// One real tensor a sample, the same at all steps.
    Static,
    /// A new real tensor at each step.
    Frames,
    /// Spikes at each step.
    Spikes,
}

/// Something the model reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Its name in the source.
    pub name: String,
    /// What kind of data.
    pub kind: InputKind,
    /// Shape of one sample at one step.
    pub dims: Vec<usize>,
    /// The node that reads it.
    pub node: NodeId,
}

/// A layer of neurons, shown in reports.
#[derive(Clone, Debug, PartialEq)]
pub struct SpikeOutput {
    /// Its path, e.g. `stage1.0.main.iterativelif1`.
    pub path: String,
    /// The spikes.
    pub node: NodeId,
    /// The most spikes of a neuron in a sample where there is no grid of steps, if the layer says.
    pub max_spikes: Option<usize>,
}

/// The time axis of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TimeAxis {
    /// `time 8`: steps without a length.
    Steps(usize),
    /// `time 100 of 10ms`: steps with a length in seconds.
    Grid {
        /// Number of steps.
        steps: usize,
        /// Seconds a step.
        dt: f64,
    },
    /// `time 200ms`: no grid, spikes at any time.
    Continuous(Events),
}

/// Time without a grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Events {
    /// Seconds of a sample.
    pub duration: f64,
    /// The most spikes of a neuron in a sample: the slots of its train, which the graph counts as steps. A layer may have
    /// less.
    pub max_spikes: usize,
    /// Slopes of the membrane potential at a spike count as at least this, per second; 0 for as they are.
    pub slope_min: f64,
    /// What an update adds to the weights of a neuron that no sample of the batch made spike.
    pub wake: f64,
}

impl Events {
    /// A duration with a single spike of each neuron and all else off.
    pub fn lasting(duration: f64) -> Events {
        Events { duration, max_spikes: 1, slope_min: 0.0, wake: 0.0 }
    }
}

impl TimeAxis {
    /// Number of steps; slots of a train where there is no grid.
    pub fn steps(self) -> usize {
        match self {
            TimeAxis::Steps(steps) | TimeAxis::Grid { steps, .. } => steps,
            TimeAxis::Continuous(events) => events.max_spikes,
        }
    }

    /// How it goes without a grid, where there is none.
    pub fn events(self) -> Option<Events> {
        match self {
            TimeAxis::Continuous(events) => Some(events),
            TimeAxis::Steps(_) | TimeAxis::Grid { .. } => None,
        }
    }

    /// Seconds a step, where the model says.
    pub fn dt(self) -> Option<f64> {
        match self {
            TimeAxis::Grid { dt, .. } => Some(dt),
            TimeAxis::Steps(_) | TimeAxis::Continuous(_) => None,
        }
    }
}

/// A model with, where it is trained, its loss.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its name in the source.
    pub name: String,
    /// The graph.
    pub graph: Graph,
    /// The time axis.
    pub time: TimeAxis,
    /// What it reads, in the order of the source.
    pub inputs: Vec<Input>,
    /// What it learns, in the order of the source.
    pub parameters: Vec<Parameter>,
    /// Its moving averages.
    pub averages: Vec<RunningAverage>,
    /// Its layers of neurons.
    pub spikes: Vec<SpikeOutput>,
    /// Its result.
    pub output: NodeId,
    /// Targets the loss reads besides `out`, by the data set's name, e.g. `label`.
    pub targets: Vec<Input>,
    /// The loss of each sample (batched, no other axis), where there is a `train`.
    pub loss: Option<NodeId>,
    /// The predicted class of each sample, where there is one.
    pub prediction: Option<NodeId>,
}

impl Model {
    /// The most spikes of a neuron of a layer in a sample, by the layer's path: its own budget, or what the model allows.
    /// On a grid of steps that is a spike at each.
    pub fn budget(&self, layer: &str) -> usize {
        let most = self.time.steps();
        let own = self.spikes.iter().find(|spikes| spikes.path == layer).and_then(|spikes| spikes.max_spikes);
        own.filter(|_| self.time.events().is_some()).map_or(most, |own| own.min(most))
    }
}
