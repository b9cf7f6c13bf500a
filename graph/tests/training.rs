//! Training, evaluation and gradient steps, against formulas written by hand.

mod neurons;

use std::rc::Rc;

use neurons::*;
use snn_graph::ops::pointwise::Function;
use snn_graph::ops::{AverageOp, Dynamics, ParamOp};
use snn_graph::passes::{self, PassContext};
use snn_graph::training::{Optimizer, TrainStep, eval_step, gradient_graph, train_step};
use snn_graph::{
    Axes, Graph, Init, Input, InputKind, Kind, Model, NodeId, Parameter, RunningAverage, SpikeOutput, Tensor, TimeAxis,
    Ty,
};

const STEPS: usize = 2;
const BATCH: usize = 2;

/// Samples `x` of two numbers with a label; the loss of a sample is `sum of (w x)^2 / 2` and its prediction whether `w
/// x` is above 0 in the first place. Spikes are those of `x > 0`, where only the first number counts in the second
/// step.
fn quadratic_model() -> Model {
    let mut graph = Graph::new(STEPS);
    let x = input(&mut graph, "x", &Ty::signal(false, &[2]));
    let label = input(&mut graph, "label", &Ty { batch: true, ..Ty::scalar() });
    let spikes = input(&mut graph, "spikes", &Ty::signal(true, &[2]).with_kind(Kind::Spikes));
    let param =
        |graph: &mut Graph, path: &str| graph.push(ParamOp { path: path.into(), ty: Ty::fixed(&[2]) }, &[]).unwrap();
    let (w, idle) = (param(&mut graph, "layer.w"), param(&mut graph, "layer.idle"));
    let average = graph.push(AverageOp { path: "layer.mu".into(), dims: vec![2] }, &[]).unwrap();
    let y = graph.mul(w, x).unwrap();
    let square = graph.mul(y, y).unwrap();
    let half = graph.scale(square, 0.5).unwrap();
    let loss = graph.sum(half, &Axes { dims: vec![0], ..Axes::default() }).unwrap();
    let total = graph.sum(y, &Axes { dims: vec![0], ..Axes::default() }).unwrap();
    let (zero, one) = (graph.constant(0.0).unwrap(), graph.constant(1.0).unwrap());
    let above = graph.pointwise(Function::Lt, &[zero, total]).unwrap();
    let prediction = graph.select(above, one, zero).unwrap();
    let mean = graph.mean(x, &Axes { batch: true, ..Axes::default() }).unwrap();
    let twice = graph.scale(mean, 2.0).unwrap();
    let parameter = |path: &str, node: NodeId| Parameter {
        path: path.into(),
        dims: vec![2],
        time: false,
        init: Init::Constant(1.0),
        node,
    };
    let mut model = model(graph, y, TimeAxis::Steps(STEPS));
    model.parameters = vec![parameter("layer.w", w), parameter("layer.idle", idle)];
    model.averages = vec![RunningAverage {
        path: "layer.mu".into(),
        dims: vec![2],
        start: 0.0,
        momentum: 0.1,
        node: average,
        stored: vec![mean, twice],
    }];
    model.inputs = vec![Input { name: "x".into(), kind: InputKind::Static, dims: vec![2], node: x }];
    model.targets = vec![Input { name: "label".into(), kind: InputKind::Static, dims: vec![], node: label }];
    model.spikes = vec![SpikeOutput { path: "layer.lif1".into(), node: spikes, max_spikes: None }];
    model.loss = Some(loss);
    model.prediction = Some(prediction);
    model
}

const X: [f64; 4] = [1.0, -2.0, 0.5, 3.0];
const W: [f64; 2] = [0.8, -0.6];

fn bindings() -> Bindings {
    bind(&[
        ("x", &[BATCH, 2], &X),
        ("label", &[BATCH], &[1.0, 1.0]),
        ("spikes", &[STEPS, BATCH, 2], &[1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]),
        ("layer.w", &[2], &W),
        ("layer.idle", &[2], &[5.0, 6.0]),
        ("layer.mu", &[2], &[10.0, 20.0]),
        ("lr", &[], &[0.1]),
        ("bias1", &[], &[1.0]),
        ("bias2", &[], &[1.0]),
        ("sample_weight", &[BATCH], &[1.0, 1.0]),
    ])
}

fn values(step: &TrainStep, bindings: &Bindings) -> Vec<(String, Tensor)> {
    let wanted: Vec<NodeId> = step.outputs.iter().map(|(_, id)| *id).collect();
    let values = run(&step.graph, &wanted, BATCH, bindings).unwrap();
    step.outputs.iter().map(|(name, _)| name.clone()).zip(values).collect()
}

fn value<'v>(values: &'v [(String, Tensor)], name: &str) -> &'v [f64] {
    let found = values.iter().find(|(known, _)| known == name);
    &found.unwrap_or_else(|| panic!("no result `{name}`")).1.data
}

const SGD: Optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };

/// The loss and its gradient by hand.
fn by_hand(w: [f64; 2]) -> (f64, [f64; 2]) {
    let loss: f64 = X.iter().enumerate().map(|(at, x)| (w[at % 2] * x).powi(2) / 2.0).sum::<f64>() / 2.0;
    let slope = |k: usize| w[k] * (X[k] * X[k] + X[2 + k] * X[2 + k]) / 2.0;
    (loss, [slope(0), slope(1)])
}

#[test]
fn a_training_step_reports_and_changes_what_it_promises() {
    let step = train_step(&quadratic_model(), &SGD).unwrap();
    let names: Vec<&str> = step.outputs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["loss", "correct", "rate:layer.lif1", "average:layer.mu", "param:layer.w"]);
    let values = values(&step, &bindings());
    let (loss, slope) = by_hand(W);
    close(value(&values, "loss"), &[loss], 1e-14);
    // w x sums to 0.8 + 1.2 > 0 and 0.4 - 1.8 < 0; both labels are 1.
    assert_eq!(value(&values, "correct"), [1.0]);
    assert_eq!(value(&values, "rate:layer.lif1"), [0.5]);
    // The mean of x is (0.75, 0.5); two uses store it once and twice.
    close(value(&values, "average:layer.mu"), &[0.9 * 10.0 + 0.1 * 1.125, 0.9 * 20.0 + 0.1 * 0.75], 1e-14);
    close(value(&values, "param:layer.w"), &[W[0] - 0.1 * slope[0], W[1] - 0.1 * slope[1]], 1e-14);
    assert_eq!(step.output("param:layer.idle"), None);
}

#[test]
fn the_gradient_graph_has_all_gradients() {
    let (loss, slope) = by_hand(W);
    let parameters = gradient_graph(&quadratic_model(), false).unwrap();
    assert_eq!(parameters.outputs.len(), 2);
    let all = gradient_graph(&quadratic_model(), true).unwrap();
    for step in [&parameters, &all] {
        let values = values(step, &bindings());
        close(value(&values, "loss"), &[loss], 1e-14);
        close(value(&values, "grad:layer.w"), &slope, 1e-14);
    }
    let expected: Vec<f64> = X.iter().enumerate().map(|(at, x)| W[at % 2].powi(2) * x / 2.0).collect();
    close(value(&values(&all, &bindings()), "grad:x"), &expected, 1e-14);
}

#[test]
fn an_evaluation_counts_only_samples_with_weight() {
    let step = eval_step(&quadratic_model()).unwrap();
    let mut bindings = bindings();
    let loss = |b: usize| (0..2).map(|k| (W[k] * X[2 * b + k]).powi(2) / 2.0).sum::<f64>();
    let cases =
        [([1.0, 1.0], loss(0) + loss(1), 1.0, 0.5), ([1.0, 0.0], loss(0), 1.0, 0.25), ([0.0, 1.0], loss(1), 0.0, 0.75)];
    for (weight, loss_sum, correct, rate) in cases {
        bindings.extend(bind(&[("sample_weight", &[BATCH], &weight)]));
        let values = values(&step, &bindings);
        close(value(&values, "loss_sum"), &[loss_sum], 1e-14);
        assert_eq!(value(&values, "correct"), [correct]);
        assert_eq!(value(&values, "rate:layer.lif1"), [rate]);
        assert_eq!(value(&values, "prediction"), [1.0, 0.0]);
        close(value(&values, "output"), &[0.8, 1.2, 0.4, -1.8], 1e-14);
    }
}

#[test]
fn a_model_without_a_loss_can_be_evaluated_but_not_trained() {
    let model = Model { loss: None, prediction: None, ..quadratic_model() };
    let names: Vec<String> = eval_step(&model).unwrap().outputs.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["output", "rate:layer.lif1"]);
    for error in [train_step(&model, &SGD).unwrap_err(), gradient_graph(&model, false).unwrap_err()] {
        assert!(error.message.contains("has no loss"), "{error}");
    }
}

#[test]
fn a_loss_that_is_not_one_number_a_sample_is_an_error() {
    let model = quadratic_model();
    let model = Model { loss: Some(model.output), ..model };
    let error = train_step(&model, &SGD).unwrap_err();
    assert!(error.message.contains("one number a sample"), "{error}");
}

/// An optimizer written as `torch.optim` documents it: one number, its slots, its gradient, and the step from 1.
type ByHand = fn(&mut f64, &mut [f64], f64, i32);

const LR: f64 = 0.05;

fn sgd(p: &mut f64, slots: &mut [f64], g: f64, step: i32) {
    let g = g + 0.01 * *p;
    slots[0] = if step == 1 { g } else { 0.9 * slots[0] + g };
    *p -= LR * slots[0];
}

fn nesterov(p: &mut f64, slots: &mut [f64], g: f64, step: i32) {
    slots[0] = if step == 1 { g } else { 0.8 * slots[0] + g };
    *p -= LR * (g + 0.8 * slots[0]);
}

fn adam(p: &mut f64, slots: &mut [f64], g: f64, step: i32) {
    let g = g + 0.02 * *p;
    adam_step(p, slots, g, step);
}

fn adam_w(p: &mut f64, slots: &mut [f64], g: f64, step: i32) {
    *p *= 1.0 - LR * 0.02;
    adam_step(p, slots, g, step);
}

fn adam_step(p: &mut f64, slots: &mut [f64], g: f64, step: i32) {
    slots[0] = 0.9 * slots[0] + 0.1 * g;
    slots[1] = 0.999 * slots[1] + 0.001 * g * g;
    let (corrected, scale) = (slots[0] / (1.0 - 0.9f64.powi(step)), slots[1] / (1.0 - 0.999f64.powi(step)));
    *p -= LR * corrected / (scale.sqrt() + 1e-8);
}

fn plain(p: &mut f64, _: &mut [f64], g: f64, _: i32) {
    *p -= LR * g;
}

#[test]
fn optimizers_follow_their_formulas_step_by_step() {
    let (beta1, beta2, eps) = (0.9, 0.999, 1e-8);
    let cases: [(Optimizer, usize, ByHand); 5] = [
        (SGD, 0, plain),
        (Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.01 }, 1, sgd),
        (Optimizer::Sgd { momentum: 0.8, nesterov: true, weight_decay: 0.0 }, 1, nesterov),
        (Optimizer::Adam { beta1, beta2, eps, weight_decay: 0.02 }, 2, adam),
        (Optimizer::AdamW { beta1, beta2, eps, weight_decay: 0.02 }, 2, adam_w),
    ];
    for (optimizer, slots, formula) in cases {
        assert_eq!(optimizer.slots(), slots);
        let step = train_step(&quadratic_model(), &optimizer).unwrap();
        let mut bindings = bindings();
        for k in 0..slots {
            bindings.insert(format!("slot:layer.w:{k}"), Tensor::full(&[2], 0.0));
        }
        let mut w = W;
        let mut kept = [[0.0; 2]; 2];
        for t in 1..=5 {
            let (bias1, bias2) = optimizer.bias_corrections(t);
            bindings.extend(bind(&[("lr", &[], &[LR]), ("bias1", &[], &[bias1]), ("bias2", &[], &[bias2])]));
            let values = values(&step, &bindings);
            let (_, slope) = by_hand(w);
            for k in 0..2 {
                formula(&mut w[k], &mut kept[k], slope[k], t as i32);
            }
            close(value(&values, "param:layer.w"), &w, 1e-12);
            for k in 0..slots {
                let name = format!("slot:layer.w:{k}");
                close(value(&values, &name), &kept.map(|slots| slots[k]), 1e-12);
                bindings.extend(bind(&[(name.as_str(), &[2], value(&values, &name))]));
            }
            bindings.extend(bind(&[("layer.w", &[2], value(&values, "param:layer.w"))]));
        }
    }
}

/// A layer of neurons given by equations with learned time constants and learned input weights.
fn spiking_model() -> Model {
    const STEPS: usize = 6;
    let state = Ty::signal(false, &[3]);
    let mut graph = Graph::new(STEPS);
    let x = input(&mut graph, "x", &Ty::signal(true, &[3]));
    let mut parameters = Vec::new();
    for (path, dims) in [("w", vec![3]), ("tau_m", vec![]), ("tau_s", vec![3])] {
        let node = graph.push(ParamOp { path: path.into(), ty: Ty::fixed(&dims) }, &[]).unwrap();
        parameters.push(Parameter { path: path.into(), dims, time: false, init: Init::Constant(1.0), node });
    }
    let drive = graph.mul(x, parameters[0].node).unwrap();
    let zero = graph.constant(0.0).unwrap();
    let flow = Rc::new(cuba(None, 0.6, &state));
    let operands = [zero, zero, drive, parameters[1].node, parameters[2].node];
    let spikes = graph.push(Dynamics { flow, max_spikes: None }, &operands).unwrap();
    let rate = graph.mean(spikes, &Axes { time: true, batch: false, dims: vec![0] }).unwrap();
    let loss = graph.mul(rate, rate).unwrap();
    let mut model = model(graph, spikes, TimeAxis::Grid { steps: STEPS, dt: 5e-3 });
    model.inputs = vec![Input { name: "x".into(), kind: InputKind::Frames, dims: vec![3], node: x }];
    model.parameters = parameters;
    model.spikes = vec![SpikeOutput { path: "cuba1".into(), node: spikes, max_spikes: None }];
    model.loss = Some(loss);
    model
}

#[test]
fn steps_of_a_spiking_layer_compute_the_same_after_lowering() {
    let x: Vec<f64> = (0..6 * BATCH * 3).map(|at| f64::from((at * 7 % 11) as u32) / 2.0 - 1.0).collect();
    let mut bindings = bind(&[
        ("x", &[6, BATCH, 3], &x),
        ("w", &[3], &[0.5, 1.0, 1.5]),
        ("tau_m", &[], &[20e-3]),
        ("tau_s", &[3], &[10e-3, 15e-3, 20e-3]),
        ("lr", &[], &[0.1]),
        ("bias1", &[], &[0.1]),
        ("bias2", &[], &[0.001]),
        ("sample_weight", &[BATCH], &[1.0, 0.0]),
    ]);
    for (path, dims) in [("w", vec![3]), ("tau_m", vec![]), ("tau_s", vec![3])] {
        for k in 0..2 {
            bindings.insert(format!("slot:{path}:{k}"), Tensor::full(&dims, 0.25));
        }
    }
    let model = spiking_model();
    let trained = passes::run(&model, &PassContext::new(&model, true), None).unwrap();
    let evaluated = passes::run(&model, &PassContext::new(&model, false), None).unwrap();
    let adam = Optimizer::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
    for step in [train_step(&trained, &adam).unwrap(), eval_step(&evaluated).unwrap()] {
        let expected = values(&step, &bindings);
        let rate = value(&expected, "rate:cuba1")[0];
        assert!(rate > 0.0 && rate < 1.0, "{rate}");
        for ((_, expected), found) in expected.iter().zip(interpret(&step, BATCH, &bindings)) {
            close(&found, &expected.data, 1e-11);
        }
    }
}
