//! The ways in which every graph is computed: the reference evaluation, and compiled code in double and in single
//! precision, the latter with every kind of kernel for spikes. Must never know what a graph computes.

use std::collections::BTreeMap;

use snn_graph::eval::{EvalContext, evaluate};
use snn_graph::lower::{LowerOptions, lower};
use snn_graph::{Graph, NodeId, Tensor, passes};
use snn_loops::{Dtype, RandomKey};
use snn_runtime::device::{Device, Kernels, SpikeKernels};
use snn_runtime::step::Step;

/// A way to compute a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The meaning of the graph, node by node, in f64.
    Reference,
    /// Compiled code in f64.
    Compiled64,
    /// Compiled code in f32, spikes as bits, one addition a spike.
    Sparse32,
    /// Compiled code in f32, spikes as bits, products of floats.
    Dense32,
    /// Compiled code in f32, spikes as floats.
    Floats32,
}

impl Way {
    /// The precision as keys of golden files call it.
    pub fn precision(self) -> &'static str {
        match self {
            Way::Reference | Way::Compiled64 => "f64",
            Way::Sparse32 | Way::Dense32 | Way::Floats32 => "f32",
        }
    }
}

/// All ways.
pub const ALL: [Way; 5] = [Way::Reference, Way::Compiled64, Way::Sparse32, Way::Dense32, Way::Floats32];

/// Values by the name of an input, the path of a parameter or the path of an average.
pub type Bindings = BTreeMap<String, Tensor>;

/// What a graph computes for its names.
pub type Results = BTreeMap<String, Vec<f64>>;

/// A graph with the nodes that are wanted of it, by name.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The graph.
    pub graph: Graph,
    /// Names and nodes.
    pub outputs: Vec<(String, NodeId)>,
}

impl Wanted {
    /// The same, simplified as training does after differentiation.
    pub fn simplified(self) -> Wanted {
        let (names, nodes): (Vec<String>, Vec<NodeId>) = self.outputs.into_iter().unzip();
        let (graph, nodes) = passes::simplify(&self.graph, &nodes).unwrap();
        Wanted { graph, outputs: names.into_iter().zip(nodes).collect() }
    }

    /// Computes everything that is wanted, once.
    pub fn compute(&self, way: Way, batch: usize, bindings: &Bindings) -> Results {
        self.machine(way, batch).run(bindings)
    }

    /// Makes ready to compute everything that is wanted several times.
    pub fn machine(&self, way: Way, batch: usize) -> Machine<'_> {
        match way {
            Way::Reference => Machine::Reference(self, batch),
            Way::Compiled64 => self.compiled(Dtype::F64, true, SpikeKernels::Auto, batch),
            Way::Sparse32 => self.compiled(Dtype::F32, true, SpikeKernels::Sparse, batch),
            Way::Dense32 => self.compiled(Dtype::F32, true, SpikeKernels::Dense, batch),
            Way::Floats32 => self.compiled(Dtype::F32, false, SpikeKernels::Auto, batch),
        }
    }

    fn compiled(&self, dtype: Dtype, packed: bool, spikes: SpikeKernels, batch: usize) -> Machine<'_> {
        let options = LowerOptions { packed, ..LowerOptions::new(batch, dtype) };
        let lowered = lower(&self.graph, &self.outputs, options).unwrap_or_else(|error| panic!("{error}"));
        let device = Device::cpu(1).with_kernels(Kernels { spikes, ..Kernels::NATIVE });
        let step = Step::load(lowered, self.graph.steps, &[], batch, device);
        Machine::Compiled(self, Box::new(step.unwrap_or_else(|error| panic!("{error}"))))
    }

    fn evaluate(&self, batch: usize, bindings: &Bindings) -> Results {
        let nodes: Vec<NodeId> = self.outputs.iter().map(|(_, node)| *node).collect();
        let mut context = EvalContext::new(self.graph.steps, batch, bindings);
        let values = evaluate(&self.graph, &nodes, &mut context).unwrap_or_else(|error| panic!("{error}"));
        self.outputs.iter().zip(values).map(|((name, _), value)| (name.clone(), value.data)).collect()
    }
}

/// A graph that is ready to run.
pub enum Machine<'w> {
    /// Node by node, for that many samples.
    Reference(&'w Wanted, usize),
    /// Compiled code.
    Compiled(&'w Wanted, Box<Step>),
}

impl Machine<'_> {
    /// Runs once.
    pub fn run(&mut self, bindings: &Bindings) -> Results {
        match self {
            Machine::Reference(wanted, batch) => wanted.evaluate(*batch, bindings),
            Machine::Compiled(wanted, step) => {
                set_inputs(step, bindings);
                step.run(RandomKey::default()).unwrap();
                wanted.outputs.iter().map(|(name, _)| (name.clone(), step.result(name).unwrap().1)).collect()
            }
        }
    }
}

/// Sets whatever the program reads; names are unique among inputs, parameters and averages.
fn set_inputs(step: &mut Step, bindings: &Bindings) {
    for (name, value) in bindings {
        for kind in ["input", "param", "average"] {
            step.set(&format!("{kind}:{name}"), &value.data).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
