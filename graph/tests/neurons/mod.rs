//! Neurons given by equations, written by hand, and small helpers to evaluate graphs. Shared by several test files.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

use std::collections::BTreeMap;
use std::rc::Rc;

use snn_graph::eval::{EvalContext, EvalError, evaluate};
use snn_graph::lower::{LowerOptions, lower};
use snn_graph::ops::dynamics::{Flow, StepFn, Threshold};
use snn_graph::ops::pointwise::Function;
use snn_graph::ops::{Dynamics, InputOp, WithGradient};
use snn_graph::training::TrainStep;
use snn_graph::{Graph, Model, NodeId, Tensor, TimeAxis, Ty};
use snn_loops::{Dtype, RandomKey, interp, verify};

/// Writes a function of named arguments, all of one type.
pub fn function(ty: &Ty, n_inputs: usize, write: impl FnOnce(&mut Graph, &[NodeId]) -> Vec<NodeId>) -> StepFn {
    let mut graph = Graph::step_body(1);
    let inputs: Vec<NodeId> = (0..n_inputs).map(|k| input(&mut graph, &format!("argument{k}"), ty)).collect();
    let outputs = write(&mut graph, &inputs);
    StepFn { graph, inputs, outputs }
}

pub fn input(graph: &mut Graph, name: &str, ty: &Ty) -> NodeId {
    graph.push(InputOp { name: name.into(), ty: ty.clone() }, &[]).unwrap()
}

/// A spike with a surrogate that is `1 / (1 + x^2)`.
pub fn spike(graph: &mut Graph, x: NodeId) -> NodeId {
    let (zero, one) = (graph.constant(0.0).unwrap(), graph.constant(1.0).unwrap());
    let above = graph.pointwise(Function::Le, &[zero, x]).unwrap();
    let value = graph.select(above, one, zero).unwrap();
    let square = graph.mul(x, x).unwrap();
    let below = graph.add(one, square).unwrap();
    let slope = graph.div(one, below).unwrap();
    graph.push(WithGradient {}, &[value, x, slope]).unwrap()
}

/// The current-based leaky integrate-and-fire neuron of the language reference, subtractive reset; the time constants
/// are numbers, or the first two constants. The value is the spike.
pub fn cuba(tau: Option<(f64, f64)>, v_th: f64, ty: &Ty) -> Flow {
    let n_constants = if tau.is_some() { 0 } else { 2 };
    let derivative = function(ty, 2 + n_constants, |graph, arguments| {
        let (v, i) = (arguments[0], arguments[1]);
        let (tau_m, tau_s) = match tau {
            Some((m, s)) => (graph.constant(m).unwrap(), graph.constant(s).unwrap()),
            None => (arguments[2], arguments[3]),
        };
        let drive = graph.sub(i, v).unwrap();
        let v = graph.div(drive, tau_m).unwrap();
        let leak = graph.neg(i).unwrap();
        vec![v, graph.div(leak, tau_s).unwrap()]
    });
    let jumps = function(ty, 3 + n_constants, |graph, a| vec![a[0], graph.add(a[1], a[2]).unwrap()]);
    let threshold = Threshold {
        condition: function(ty, 2 + n_constants, |graph, a| {
            let limit = graph.constant(v_th).unwrap();
            vec![graph.sub(a[0], limit).unwrap()]
        }),
        spike: function(ty, 1 + n_constants, |graph, a| vec![spike(graph, a[0])]),
        reset: function(ty, 3 + n_constants, |graph, a| {
            let drop = graph.scale(a[2], v_th).unwrap();
            vec![graph.sub(a[0], drop).unwrap(), a[1]]
        }),
    };
    Flow {
        states: vec!["v".into(), "i".into()],
        state_ty: ty.clone(),
        n_signals: 1,
        n_constants,
        derivative,
        jumps,
        threshold: Some(threshold),
        output: None,
    }
}

/// A neuron of one state without threshold that shows its state; signals are added to it.
pub fn integrator(ty: &Ty, n_constants: usize, rate: impl FnOnce(&mut Graph, NodeId, &[NodeId]) -> NodeId) -> Flow {
    Flow {
        states: vec!["v".into()],
        state_ty: ty.clone(),
        n_signals: 1,
        n_constants,
        derivative: function(ty, 1 + n_constants, |graph, a| vec![rate(graph, a[0], &a[1..])]),
        jumps: function(ty, 2 + n_constants, |graph, a| vec![graph.add(a[0], a[1]).unwrap()]),
        threshold: None,
        output: Some(function(ty, 1 + n_constants, |_, a| vec![a[0]])),
    }
}

/// The flow with its first state as value instead of the spike.
pub fn showing_state(mut flow: Flow) -> Flow {
    let inputs = flow.states.len() + usize::from(flow.threshold.is_some()) + flow.n_constants;
    flow.output = Some(function(&flow.state_ty, inputs, |_, a| vec![a[0]]));
    flow
}

/// A model that is one neuron on one signal `x` (stepped, or static where `stepped` is not set); constants are inputs
/// `c0`, `c1`, ... that all samples share. States begin at 0.
pub fn neuron_model(flow: Flow, steps: usize, dt: f64, stepped: bool) -> Model {
    let mut graph = Graph::new(steps);
    let zero = graph.constant(0.0).unwrap();
    let mut operands = vec![zero; flow.states.len()];
    for _ in 0..flow.n_signals {
        operands.push(input(&mut graph, "x", &Ty { time: stepped, ..flow.state_ty.clone() }));
    }
    for k in 0..flow.n_constants {
        operands.push(input(&mut graph, &format!("c{k}"), &Ty::scalar()));
    }
    let output = graph.push(Dynamics { flow: Rc::new(flow), max_spikes: None }, &operands).unwrap();
    model(graph, output, TimeAxis::Grid { steps, dt })
}

/// A model without anything but a result.
pub fn model(graph: Graph, output: NodeId, time: TimeAxis) -> Model {
    Model {
        name: "test".into(),
        graph,
        time,
        inputs: Vec::new(),
        parameters: Vec::new(),
        averages: Vec::new(),
        spikes: Vec::new(),
        output,
        targets: Vec::new(),
        loss: None,
        prediction: None,
    }
}

pub type Bindings = BTreeMap<String, Tensor>;

pub fn bind(values: &[(&str, &[usize], &[f64])]) -> Bindings {
    values
        .iter()
        .map(|(name, dims, data)| ((*name).to_owned(), Tensor { dims: dims.to_vec(), data: data.to_vec() }))
        .collect()
}

pub fn run(graph: &Graph, wanted: &[NodeId], batch: usize, bindings: &Bindings) -> Result<Vec<Tensor>, EvalError> {
    evaluate(graph, wanted, &mut EvalContext::new(graph.steps, batch, bindings))
}

pub fn close(a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "element {at}: {a} is not {b}");
    }
}

/// Lowers a step and interprets the program; the results in the order of its outputs. All values have rank 0 or 1, so
/// that they lie in memory as they are written.
pub fn interpret(step: &TrainStep, batch: usize, bindings: &Bindings) -> Vec<Vec<f64>> {
    let lowered = lower(&step.graph, &step.outputs, LowerOptions::new(batch, Dtype::F64)).unwrap();
    verify::verify(&lowered.program).unwrap_or_else(|errors| panic!("{}", errors[0]));
    let mut memory = interp::Memory::new(&lowered.program);
    for port in &lowered.inputs {
        let (_, name) = port.name.split_once(':').unwrap();
        memory.write(port.buffer, &bindings[name].data).unwrap();
    }
    interp::run(&lowered.program, &mut memory, RandomKey::default()).unwrap();
    lowered.outputs.iter().map(|port| memory.buffer(port.buffer).to_vec()).collect()
}
