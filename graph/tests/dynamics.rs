//! Neurons given by equations: what `discretise` makes of them, against solutions by hand.

mod neurons;

use std::rc::Rc;

use neurons::*;
use snn_graph::feedback::LoopState;
use snn_graph::ops::dynamics::Flow;
use snn_graph::ops::pointwise::Function;
use snn_graph::ops::{Dynamics, Op};
use snn_graph::passes::discretise::matrix::Matrix;
use snn_graph::passes::discretise::solution::{Solution, solve};
use snn_graph::passes::discretise::{describe, linear};
use snn_graph::passes::{self, PassContext};
use snn_graph::{Axes, Graph, Model, OpRule, TimeAxis, Ty, autodiff};

const STEPS: usize = 12;
const DT: f64 = 5e-3;

fn ty() -> Ty {
    Ty::signal(false, &[1])
}

fn discretised(model: &Model) -> Model {
    let new = passes::run(model, &PassContext::new(model, false), Some("discretise")).unwrap();
    assert!(new.graph.ids().all(|id| !matches!(new.graph.node(id).op, Op::Dynamics(_))));
    new
}

/// Runs a neuron on a signal of one sample and one channel.
fn simulate(model: &Model, constants: &[f64], signal: &[f64]) -> Vec<f64> {
    let mut bindings = bind(&[("x", &[signal.len(), 1, 1], signal)]);
    for (k, value) in constants.iter().enumerate() {
        bindings.extend(bind(&[(format!("c{k}").as_str(), &[], &[*value])]));
    }
    run(&model.graph, &[model.output], 1, &bindings).unwrap().remove(0).data
}

/// The closed form of the current-based neuron over one step.
fn cuba_step(v: f64, i: f64, tau_m: f64, tau_s: f64) -> (f64, f64) {
    let (m, s) = (libm::exp(-DT / tau_m), libm::exp(-DT / tau_s));
    let drive = if tau_m == tau_s { i * DT / tau_m * m } else { i * tau_s / (tau_s - tau_m) * (s - m) };
    (v * m + drive, i * s)
}

fn cuba_by_hand(signal: &[f64], tau_m: f64, tau_s: f64, v_th: f64) -> (Vec<f64>, Vec<f64>) {
    let (mut v, mut i) = (0.0, 0.0);
    let (mut spikes, mut membrane) = (Vec::new(), Vec::new());
    for x in signal {
        (v, i) = cuba_step(v, i + x, tau_m, tau_s);
        let spike = if v >= v_th { 1.0 } else { 0.0 };
        v -= spike * v_th;
        spikes.push(spike);
        membrane.push(v);
    }
    (spikes, membrane)
}

const SIGNAL: [f64; STEPS] = [4.0, 0.0, 1.5, 3.0, 0.0, 0.0, 6.0, -1.0, 0.5, 0.0, 0.0, 2.0];
const TIME_CONSTANTS: [(f64, f64); 4] = [(20e-3, 10e-3), (10e-3, 10e-3), (5e-3, 50e-3), (10e-3, 10.001e-3)];

#[test]
fn a_linear_neuron_follows_its_exact_solution() {
    for (tau_m, tau_s) in TIME_CONSTANTS {
        let flow = cuba(Some((tau_m, tau_s)), 0.6, &ty());
        assert!(matches!(solve(&flow, DT).unwrap(), Solution::Exact { .. }));
        let (spikes, membrane) = cuba_by_hand(&SIGNAL, tau_m, tau_s, 0.6);
        assert!(spikes.contains(&1.0) && (spikes.contains(&0.0) || tau_s > tau_m));
        let shown = discretised(&neuron_model(showing_state(flow.clone()), STEPS, DT, true));
        close(&simulate(&shown, &[], &SIGNAL), &membrane, 1e-9);
        assert_eq!(simulate(&discretised(&neuron_model(flow, STEPS, DT, true)), &[], &SIGNAL), spikes);
    }
}

#[test]
fn learned_time_constants_are_exact_too() {
    for (tau_m, tau_s) in TIME_CONSTANTS {
        let flow = cuba(None, 0.6, &ty());
        assert!(matches!(solve(&flow, DT).unwrap(), Solution::Learned { .. }));
        let (_, membrane) = cuba_by_hand(&SIGNAL, tau_m, tau_s, 0.6);
        let model = discretised(&neuron_model(showing_state(flow), STEPS, DT, true));
        close(&simulate(&model, &[tau_m, tau_s], &SIGNAL), &membrane, 1e-9);
    }
}

#[test]
fn the_flow_of_a_learned_neuron_is_computed_before_the_loop() {
    let model = neuron_model(showing_state(cuba(None, 0.6, &ty())), STEPS, DT, true);
    let model = passes::run(&model, &PassContext::new(&model, true), None).unwrap();
    let scan = model.graph.ids().find_map(|id| match &model.graph.node(id).op {
        Op::Scan(scan) => Some(scan.clone()),
        _ => None,
    });
    let body = &scan.unwrap().body;
    assert!(body.fused_ty().is_some());
    assert!(body.graph.len() < 40, "{} nodes in the body", body.graph.len());
    let (_, membrane) = cuba_by_hand(&SIGNAL, 20e-3, 10e-3, 0.6);
    close(&simulate(&model, &[20e-3, 10e-3], &SIGNAL), &membrane, 1e-9);
}

/// `v' = (rest - v) / tau` with a learned rest or a learned tau.
fn leaky(learned_tau: bool) -> Flow {
    integrator(&ty(), 1, |graph, v, constants| {
        let (rest, tau) = if learned_tau {
            (graph.constant(-0.5).unwrap(), constants[0])
        } else {
            (constants[0], graph.constant(20e-3).unwrap())
        };
        let away = graph.sub(rest, v).unwrap();
        graph.div(away, tau).unwrap()
    })
}

#[test]
fn the_constant_part_of_linear_equations_is_exact() {
    let e = libm::exp(-DT / 20e-3);
    let mut v = 0.0;
    let expected: Vec<f64> = SIGNAL
        .iter()
        .map(|x| {
            v = -0.5 + (v + x + 0.5) * e;
            v
        })
        .collect();
    for learned_tau in [false, true] {
        let flow = leaky(learned_tau);
        let model = discretised(&neuron_model(flow, STEPS, DT, true));
        let constant = if learned_tau { 20e-3 } else { -0.5 };
        close(&simulate(&model, &[constant], &SIGNAL), &expected, 1e-12);
    }
}

#[test]
fn a_vanishing_rate_is_no_special_case() {
    let flow = integrator(&ty(), 1, |graph, v, constants| graph.mul(v, constants[0]).unwrap());
    let model = discretised(&neuron_model(flow, STEPS, DT, true));
    let mut sum = 0.0;
    let expected: Vec<f64> = SIGNAL
        .iter()
        .map(|x| {
            sum += x;
            sum
        })
        .collect();
    close(&simulate(&model, &[0.0], &SIGNAL), &expected, 1e-14);
    // The gradient with respect to the rate is finite there, and continuous from either side of the series' limit.
    let mut graph = model.graph.clone();
    let all = Axes { time: true, batch: true, dims: vec![0] };
    let loss = graph.sum(model.output, &all).unwrap();
    let one = graph.constant(1.0).unwrap();
    let rate = graph.ids().find(|id| matches!(&graph.node(*id).op, Op::InputOp(input) if input.name == "c0")).unwrap();
    let slope = autodiff::gradients(&mut graph, &[(loss, one)], &[rate]).unwrap()[0].unwrap();
    let value_and_slope = |rate: f64| {
        let bindings = bind(&[("x", &[STEPS, 1, 1], &SIGNAL), ("c0", &[], &[rate])]);
        let values = run(&graph, &[loss, slope], 1, &bindings).unwrap();
        (values[0].data[0], values[1].data[0])
    };
    for rate in [0.0, 1.0, -1.0, 0.49 / DT, -0.49 / DT, -0.51 / DT, 0.51 / DT] {
        let h = 1e-4;
        let ((low, _), (high, _)) = (value_and_slope(rate - h), value_and_slope(rate + h));
        close(&[value_and_slope(rate).1], &[(high - low) / (2.0 * h)], 1e-6);
    }
}

#[test]
fn learned_time_constants_have_the_gradient_of_the_flow() {
    // Without a threshold: a surrogate is no derivative.
    let flow = showing_state(Flow { threshold: None, ..cuba(None, 1.0, &ty()) });
    let mut graph = discretised(&neuron_model(flow, STEPS, DT, true));
    let all = Axes { time: true, batch: true, dims: vec![0] };
    let loss = graph.graph.sum(graph.output, &all).unwrap();
    let one = graph.graph.constant(1.0).unwrap();
    let named = |graph: &Graph, name: &str| {
        graph.ids().find(|id| matches!(&graph.node(*id).op, Op::InputOp(input) if input.name == name)).unwrap()
    };
    let wrt = [named(&graph.graph, "c0"), named(&graph.graph, "c1")];
    let slopes = autodiff::gradients(&mut graph.graph, &[(loss, one)], &wrt).unwrap();
    let at = |taus: [f64; 2]| {
        let bindings = bind(&[("x", &[STEPS, 1, 1], &SIGNAL), ("c0", &[], &taus[..1]), ("c1", &[], &taus[1..])]);
        let wanted = [loss, slopes[0].unwrap(), slopes[1].unwrap()];
        let values = run(&graph.graph, &wanted, 1, &bindings).unwrap();
        [values[0].data[0], values[1].data[0], values[2].data[0]]
    };
    let taus = [20e-3, 10e-3];
    for k in 0..2 {
        let h = 1e-6;
        let (mut low, mut high) = (taus, taus);
        low[k] -= h;
        high[k] += h;
        close(&[at(taus)[1 + k]], &[(at(high)[0] - at(low)[0]) / (2.0 * h)], 1e-6);
    }
}

/// The quadratic neuron `v' = v^2 + 1`, whose solution from 0 is the tangent.
fn quadratic() -> Flow {
    integrator(&ty(), 0, |graph, v, _| {
        let square = graph.mul(v, v).unwrap();
        let one = graph.constant(1.0).unwrap();
        graph.add(square, one).unwrap()
    })
}

#[test]
fn a_quadratic_neuron_converges_to_its_solution() {
    assert!(matches!(solve(&quadratic(), DT).unwrap(), Solution::ExponentialEuler { .. }));
    let error = |steps: usize| {
        let model = discretised(&neuron_model(quadratic(), steps, 1.0 / steps as f64, true));
        let last = *simulate(&model, &[], &vec![0.0; steps]).last().unwrap();
        (last - libm::tan(1.0)).abs()
    };
    assert!(error(200) < 1e-4, "{}", error(200));
    // With the full derivative of a single equation the method is of second order (Rosenbrock-Euler).
    assert!(error(200) < error(100) / 3.5, "{} {}", error(200), error(100));
}

#[test]
fn what_only_looks_linear_is_not() {
    let truth = |graph: &mut Graph, v| {
        let zero = graph.constant(0.0).unwrap();
        graph.pointwise(Function::Lt, &[zero, v]).unwrap()
    };
    let pieces = integrator(&ty(), 0, |graph, v, _| {
        let above = truth(graph, v);
        let (a, b) = (graph.constant(1.0).unwrap(), graph.constant(-2.0).unwrap());
        graph.select(above, a, b).unwrap()
    });
    let floor = integrator(&ty(), 0, |graph, v, _| graph.pointwise(Function::Floor, &[v]).unwrap());
    let inverse = integrator(&ty(), 1, |graph, v, constants| graph.div(constants[0], v).unwrap());
    for flow in [pieces, floor, inverse] {
        assert!(!linear::is_linear(&flow));
    }
    assert!(linear::is_linear(&leaky(true)) && !linear::is_linear(&quadratic()));
}

#[test]
fn a_static_signal_arrives_at_every_step() {
    let model = discretised(&neuron_model(leaky(false), STEPS, DT, false));
    let bindings = bind(&[("x", &[1, 1], &[0.25]), ("c0", &[], &[0.0])]);
    let once = run(&model.graph, &[model.output], 1, &bindings).unwrap().remove(0).data;
    let stepped = discretised(&neuron_model(leaky(false), STEPS, DT, true));
    assert_eq!(once, simulate(&stepped, &[0.0], &[0.25; STEPS]));
}

/// A neuron that gets its own last spike back, times a weight.
fn feedback_model(weight: f64) -> Model {
    let mut graph = Graph::new(STEPS);
    let stepped = Ty { time: true, ..ty() };
    let x = input(&mut graph, "x", &stepped);
    let last = input(&mut graph, "last", &stepped);
    let zero = graph.constant(0.0).unwrap();
    let back = graph.scale(last, weight).unwrap();
    let drive = graph.add(x, back).unwrap();
    let flow = cuba(Some((20e-3, 10e-3)), 0.6, &ty());
    let spike = graph.push(Dynamics { flow: Rc::new(flow), max_spikes: None }, &[zero, zero, drive]).unwrap();
    let state = LoopState { placeholder: last, init: zero, next: spike };
    let results = graph.close_loop(&[state], &[spike]).unwrap();
    model(graph, results[0], TimeAxis::Grid { steps: STEPS, dt: DT })
}

#[test]
fn equations_in_a_feedback_loop_become_states_of_the_loop() {
    for weight in [0.0, -2.0, 1.5] {
        let (mut v, mut i, mut spike) = (0.0, 0.0, 0.0);
        let expected: Vec<f64> = SIGNAL
            .iter()
            .map(|x| {
                (v, i) = cuba_step(v, i + x + weight * spike, 20e-3, 10e-3);
                spike = if v >= 0.6 { 1.0 } else { 0.0 };
                v -= 0.6 * spike;
                spike
            })
            .collect();
        let model = feedback_model(weight);
        assert_eq!(simulate(&discretised(&model), &[], &SIGNAL), expected);
        let all = passes::run(&model, &PassContext::new(&model, true), None).unwrap();
        assert_eq!(simulate(&all, &[], &SIGNAL), expected);
    }
}

#[test]
fn equations_without_a_step_length_are_an_error() {
    let mut model = neuron_model(quadratic(), STEPS, DT, true);
    model.time = TimeAxis::Steps(STEPS);
    let error = passes::run(&model, &PassContext::new(&model, false), None).unwrap_err();
    assert!(error.message.contains("how long a step is"), "{error}");
    assert!(error.help.unwrap().contains("time 100 of 1ms"));
}

#[test]
fn equations_cannot_be_evaluated_or_differentiated_before_they_are_discretised() {
    let model = neuron_model(quadratic(), STEPS, DT, true);
    let bindings = bind(&[("x", &[STEPS, 1, 1], &SIGNAL)]);
    assert!(run(&model.graph, &[model.output], 1, &bindings).unwrap_err().to_string().contains("discretise"));
    let mut graph = model.graph.clone();
    let all = Axes { time: true, batch: true, dims: vec![0] };
    let loss = graph.sum(model.output, &all).unwrap();
    let one = graph.constant(1.0).unwrap();
    let x = graph.node(model.output).inputs[1];
    assert!(autodiff::gradients(&mut graph, &[(loss, one)], &[x]).unwrap_err().message.contains("discretised"));
}

#[test]
fn inconsistent_equations_are_errors() {
    let push = |flow: Flow, operands: usize| {
        let mut graph = Graph::new(STEPS);
        let zero = graph.constant(0.0).unwrap();
        graph
            .push(Dynamics { flow: Rc::new(flow), max_spikes: None }, &vec![zero; operands])
            .map(|_| ())
            .unwrap_err()
            .message
    };
    assert!(push(quadratic(), 1).contains("one operand for each"));
    assert!(push(Flow { output: None, ..quadratic() }, 2).contains("without `spike when`"));
    assert!(push(Flow { states: Vec::new(), ..quadratic() }, 2).contains("need a state"));
    assert!(push(Flow { states: vec!["a".into(), "b".into()], ..quadratic() }, 3).contains("one equation"));
    let mut graph = Graph::new(STEPS);
    let zero = graph.constant(0.0).unwrap();
    let wide = input(&mut graph, "x", &Ty::signal(true, &[3]));
    let narrow = Flow { state_ty: Ty::signal(false, &[2]), ..quadratic() };
    let error = graph.push(Dynamics { flow: Rc::new(narrow), max_spikes: None }, &[zero, wide]).unwrap_err();
    assert!(error.message.contains("[2]") && error.message.contains("[3]"), "{error}");
}

#[test]
fn the_solution_is_described_with_its_numbers() {
    let text = describe(&cuba(Some((20e-3, 10e-3)), 1.0, &ty()), DT).unwrap();
    let decay = Matrix::from_fn(1, |_, _| -DT / 10e-3).exp().at(0, 0);
    assert!(text.contains("exact flow"), "{text}");
    assert!(
        text.lines().any(|line| line.trim().starts_with("i = ") && line.contains(&decay.to_string()[..8])),
        "{text}"
    );
    assert!(describe(&quadratic(), DT).unwrap().contains("exponential Euler"));
    assert!(describe(&leaky(true), DT).unwrap().contains("learned"));
}

#[test]
fn a_constant_that_turns_out_to_be_a_number_counts_as_one() {
    let mut graph = Graph::new(STEPS);
    let x = input(&mut graph, "x", &Ty { time: true, ..ty() });
    let (zero, m, s) = (graph.constant(0.0).unwrap(), graph.constant(20e-3).unwrap(), graph.constant(10e-3).unwrap());
    let flow = Rc::new(showing_state(cuba(None, 0.6, &ty())));
    let output = graph.push(Dynamics { flow, max_spikes: None }, &[zero, zero, x, m, s]).unwrap();
    let model = discretised(&model(graph, output, TimeAxis::Grid { steps: STEPS, dt: DT }));
    let scan = model.graph.ids().find_map(|id| match &model.graph.node(id).op {
        Op::Scan(scan) => Some(scan.clone()),
        _ => None,
    });
    let body = scan.unwrap().body;
    assert!(body.consts.is_empty());
    assert!(body.graph.ids().all(|id| body.graph.node(id).op.name() != "exp") && body.graph.len() < 60);
    let (_, membrane) = cuba_by_hand(&SIGNAL, 20e-3, 10e-3, 0.6);
    close(&simulate(&model, &[], &SIGNAL), &membrane, 1e-9);
}

#[test]
fn a_time_constant_of_zero_is_an_error() {
    for tau in [0.0, -1e-6] {
        let model = neuron_model(cuba(Some((20e-3, tau)), 1.0, &ty()), STEPS, DT, true);
        let error = passes::run(&model, &PassContext::new(&model, true), None).unwrap_err();
        assert!(error.help.unwrap().contains("time constants"), "{}", error.message);
    }
}
