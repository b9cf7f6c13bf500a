//! Equations as linear neurons in numbers: matrices, mathematics in words, and errors that name the term.

mod neurons;

use std::rc::Rc;

use neurons::{cuba, function, input};
use snn_graph::exact::{self, explain};
use snn_graph::ops::Dynamics;
use snn_graph::ops::dynamics::Flow;
use snn_graph::ops::pointwise::Function;
use snn_graph::{Graph, NodeId, Ty};
use snn_loops::events::{LinearNeuron, Solution, Solver};

fn ty() -> Ty {
    Ty::signal(false, &[3])
}

fn solved(flow: &Flow) -> Result<LinearNeuron, String> {
    exact::neuron(flow, &vec![Some(0.0); flow.states.len()], &vec![Some(2.0); flow.n_constants])
        .map_err(|error| error.message)
}

/// A graph that holds a neuron, and its node.
fn graph_of(flow: Flow, constant: Option<f64>) -> (Graph, NodeId) {
    let mut graph = Graph::new(4);
    let mut inputs = Vec::new();
    for _ in &flow.states {
        inputs.push(graph.constant(0.0).unwrap());
    }
    inputs.push(input(&mut graph, "x", &Ty::signal(true, &[3])));
    for _ in 0..flow.n_constants {
        inputs.push(match constant {
            // Written as an expression, as users do.
            Some(value) => {
                let (half, two) = (graph.constant(0.5 * value).unwrap(), graph.constant(2.0).unwrap());
                graph.mul(half, two).unwrap()
            }
            None => input(&mut graph, "learned", &Ty::scalar()),
        });
    }
    graph.current_name = Some("lif1".into());
    let node = graph.push(Dynamics { flow: Rc::new(flow), max_spikes: None }, &inputs).unwrap();
    (graph, node)
}

#[test]
fn matrices_of_a_current_based_neuron() {
    let neuron = solved(&cuba(Some((0.5, 0.25)), 0.75, &ty())).unwrap();
    assert_eq!(neuron.flow, [-2.0, 2.0, 0.0, -4.0]);
    assert_eq!(neuron.drive, [0.0, 0.0]);
    assert_eq!(neuron.inject, [[0.0, 1.0]]);
    assert_eq!((neuron.threshold, neuron.theta), (vec![1.0, 0.0], 0.75));
    assert_eq!(neuron.reset, [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(neuron.kick, [-0.75, 0.0]);
    assert_eq!(neuron.start, [0.0, 0.0]);
}

#[test]
fn constants_may_be_expressions_of_numbers() {
    let (graph, node) = graph_of(cuba(None, 1.0, &ty()), Some(0.25));
    let neuron = exact::neuron_of(&graph, node).unwrap();
    assert_eq!(neuron.flow, [-4.0, 4.0, 0.0, -4.0]);
    assert!(matches!(Solver::new(&neuron).unwrap().solution(), Solution::LambertW { .. }));
    let (graph, node) = graph_of(cuba(None, 1.0, &ty()), None);
    let error = exact::neuron_of(&graph, node).unwrap_err();
    assert!(error.message.contains("a constant"), "{}", error.message);
    assert!(error.help.unwrap().contains("make it a setting"));
}

#[test]
fn mathematics_in_words() {
    let (graph, _) = graph_of(cuba(Some((0.26, 0.13)), 0.5, &ty()), None);
    let explanations = explain(&graph).unwrap();
    assert_eq!(explanations.len(), 1);
    assert_eq!(explanations[0].name, "lif1");
    let expected = "\
between events
  v' = -3.84615 v + 3.84615 i
  i' = -7.69231 i
eigenvalues: -3.84615 per second, a time constant of 260ms; -7.69231 per second, a time constant of 130ms
an input spike of weight w: i += w
s seconds after an event that left v, i
  v(s) = (v + i) e^(-s / 260ms) - i e^(-s / 130ms)
a spike when v(s) reaches 0.5 from below
  in closed form, by a quadratic equation: a y^2 + b y + c = 0 for y = e^(-s / 260ms)
  a = -i
  b = v + i
  c = -0.5
  s = -260ms ln y, y = (-b - sqrt(b^2 - 4 a c)) / (2 a), where v(s) rises
reset: v -= 0.5
budget: 4 spikes in a sample
gradient: ds = -dv / v'(s), by the implicit function theorem
";
    assert_eq!(explanations[0].text, expected);
}

#[test]
fn what_is_not_linear_is_named() {
    let squared = |graph: &mut Graph, a: &[NodeId]| {
        let square = graph.mul(a[0], a[0]).unwrap();
        vec![graph.add(square, a[1]).unwrap(), graph.neg(a[1]).unwrap()]
    };
    let mut flow = cuba(Some((0.5, 0.25)), 1.0, &ty());
    flow.derivative = function(&ty(), 2, squared);
    assert_eq!(
        solved(&flow).unwrap_err(),
        "the equation of `argument0` is not linear: `argument0 * argument0`".replace("of `argument0`", "of `v`")
    );

    let mut flow = cuba(Some((0.5, 0.25)), 1.0, &ty());
    flow.jumps = function(&ty(), 3, |graph, a| vec![a[0], graph.mul(a[1], a[2]).unwrap()]);
    assert_eq!(solved(&flow).unwrap_err(), "`on` for `i` is not linear: `argument1 * argument2`");

    let mut flow = cuba(Some((0.5, 0.25)), 1.0, &ty());
    flow.jumps = function(&ty(), 3, |_, a| vec![a[0], a[2]]);
    assert_eq!(solved(&flow).unwrap_err(), "`on` does more than add to `i`");

    let mut flow = cuba(Some((0.5, 0.25)), 1.0, &ty());
    if let Some(threshold) = &mut flow.threshold {
        threshold.reset = function(&ty(), 3, |graph, a| {
            let bent = graph.pointwise(Function::Exp, &[a[0]]).unwrap();
            let change = graph.mul(a[2], bent).unwrap();
            vec![graph.sub(a[0], change).unwrap(), a[1]]
        });
    }
    assert_eq!(solved(&flow).unwrap_err(), "the reset of `v` is not linear: `exp(argument0)`");
}

#[test]
fn a_blend_is_read_as_a_reset() {
    // v = (1 - s) v + s 0.25
    let mut flow = cuba(Some((0.5, 0.25)), 1.0, &ty());
    if let Some(threshold) = &mut flow.threshold {
        threshold.reset = function(&ty(), 3, |graph, a| {
            let one = graph.constant(1.0).unwrap();
            let silent = graph.sub(one, a[2]).unwrap();
            let kept = graph.mul(silent, a[0]).unwrap();
            let set = graph.scale(a[2], 0.25).unwrap();
            vec![graph.add(kept, set).unwrap(), a[1]]
        });
    }
    let neuron = solved(&flow).unwrap();
    assert_eq!((neuron.reset, neuron.kick), (vec![0.0, 0.0, 0.0, 1.0], vec![0.25, 0.0]));
}

#[test]
fn a_value_must_be_the_spike_and_spikes_must_follow_from_currents() {
    let mut flow = cuba(Some((0.5, 0.25)), 1.0, &ty());
    flow.output = Some(function(&ty(), 3, |_, a| vec![a[0]]));
    assert_eq!(solved(&flow).unwrap_err(), "the value of this neuron is not its spike");
    flow.output = Some(function(&ty(), 3, |_, a| vec![a[2]]));
    assert!(solved(&flow).is_ok());
    flow.threshold = None;
    assert_eq!(solved(&flow).unwrap_err(), "this neuron never spikes, so it has no spike times");

    // The signal is added to the potential, and the current has no effect on it.
    let mut flow = cuba(Some((0.5, 0.25)), 1.0, &ty());
    flow.jumps = function(&ty(), 3, |graph, a| vec![graph.add(a[0], a[2]).unwrap(), a[1]]);
    flow.derivative = function(&ty(), 2, |graph, a| vec![graph.neg(a[0]).unwrap(), graph.neg(a[1]).unwrap()]);
    let error = solved(&flow).unwrap_err();
    assert!(error.contains("lifts the membrane potential"), "{error}");
}
