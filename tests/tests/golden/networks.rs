//! Whole networks: result, loss, spikes of every layer, all gradients, moving averages after a step of training, and the
//! result in evaluation with them.

use snn_graph::training::{Optimizer, eval_step, train_step};
use snn_graph::{Axes, Model, Tensor, autodiff};

use crate::files::{Golden, open, truth};
use crate::layers::{Kind, Layer, Pair, averages, cifarnet, parameters, resnet19, smallres};
use crate::ledger::Ledger;
use crate::probe::{bind, bind_number};
use crate::source::{compile, literal, prepare};
use crate::ways::{ALL, Bindings, Results, Wanted, Way};

/// A network under both names.
pub struct Network {
    /// What it is here.
    pub model: Model,
    /// Which layer is which.
    pub layers: Vec<Layer>,
}

/// A model with a loss around a block: `stepped` says whether the input has a value for each step.
pub fn model(block: &str, call: &str, golden: &Golden, stepped: bool, steps: usize, loss: &str) -> Model {
    let dims = &golden.tensor("x").dims[2 - usize::from(!stepped && golden.name.starts_with("net_"))..];
    let shape: Vec<String> = dims.iter().map(ToString::to_string).collect();
    let kind = if stepped { "frames" } else { "" };
    compile(&format!(
        "{block}\nuse std.readouts {{ Rate }}\nmodel Case {{\n    input x: {kind}[{}]\n    time {steps}\n\n    \
         x -> {call} as net -> Rate()\n}}\n\ntrain Case {{\n    data = npz(\"none\")\n    loss = {loss}\n    \
         predict = argmax(out)\n}}\n",
        shape.join(", ")
    ))
}

/// The loss of logits.
pub const CROSS_ENTROPY: &str = "cross_entropy(out, label)";

/// The mean squared distance from the right class.
pub fn mse(classes: usize) -> String {
    format!("mse(out, one_hot(label, {classes}))")
}

fn steps(golden: &Golden) -> usize {
    golden.number("T") as usize
}

/// The extent of a parameter at the peer.
pub fn extent(golden: &Golden, key: &str, axis: usize) -> usize {
    golden.tensor(key).dims[axis]
}

fn network(golden: &Golden) -> Network {
    let v_th = golden.number("v_threshold");
    let stepped = !truth(&golden.config, "repeat_input");
    let e = |key: &str, axis: usize| extent(golden, &format!("param.{key}"), axis);
    let (block, call, loss, layers) = if golden.name.starts_with("net_smallres") {
        let call = format!("SmallRes({}, {}, v_th = {})", e("conv0.weight", 0), e("fc.weight", 0), literal(v_th));
        let block = include_str!("../../golden/smallres.snn");
        (block, call, CROSS_ENTROPY.to_owned(), smallres(golden))
    } else if golden.name.starts_with("net_resnet19") {
        let (width, hidden, classes) = (e("conv0.weight", 0), e("fc1.weight", 0), e("fc2.weight", 0));
        let call = format!("ResNet19({width}, {hidden}, {classes}, v_th = {})", literal(v_th));
        (include_str!("../../golden/resnet19.snn"), call, CROSS_ENTROPY.to_owned(), resnet19(golden, v_th))
    } else if golden.name.starts_with("net_cifarnet") {
        let (outputs, classes) = (e("fc2.weight", 0), golden.tensor("y").dims[1]);
        let call = format!(
            "CIFARNet({}, {}, {outputs}, {}, {}, {})",
            e("convs.0.weight", 0),
            e("fc1.weight", 0),
            outputs / classes,
            literal(v_th),
            golden.tensors.contains_key("param.nn_.0.w")
        );
        (include_str!("../../golden/cifarnet.snn"), call, mse(classes), cifarnet(golden))
    } else {
        panic!("there is no network for {}", golden.name)
    };
    Network { model: model(block, &call, golden, stepped, steps(golden), &loss), layers }
}

/// Result, loss, spikes and gradients of a training step.
fn forward_and_backward(model: &Model) -> Wanted {
    let model = prepare(model, true);
    let mut graph = model.graph;
    let loss = graph.mean(model.loss.unwrap(), &Axes { batch: true, ..Axes::default() }).unwrap();
    let mut outputs = vec![("y".to_owned(), model.output), ("loss".to_owned(), loss)];
    outputs.extend(model.spikes.iter().map(|layer| (layer.path.clone(), layer.node)));
    let mut names: Vec<String> = model.parameters.iter().map(|parameter| parameter.path.clone()).collect();
    names.push("x".to_owned());
    let mut nodes: Vec<_> = model.parameters.iter().map(|parameter| parameter.node).collect();
    nodes.push(model.inputs[0].node);
    let one = graph.constant(1.0).unwrap();
    let gradients = autodiff::gradients(&mut graph, &[(loss, one)], &nodes).unwrap();
    outputs.extend(names.iter().zip(gradients).filter_map(|(name, node)| Some((format!("g:{name}"), node?))));
    Wanted { graph, outputs }.simplified()
}

/// Binds the parameters that the golden file has under `prefix`, and where the averages begin. Every parameter of
/// the model must have got its value.
pub fn bind_network(bindings: &mut Bindings, network: &Network, golden: &Golden, prefix: &str) -> Vec<Pair> {
    let pairs = parameters(&network.layers, golden, prefix);
    for pair in &pairs {
        let values = golden.tensor(&format!("{prefix}.{}", pair.peer));
        let data = values.data.iter().map(|value| value / pair.factor).collect();
        bindings.insert(pair.ours.clone(), Tensor { dims: values.dims.clone(), data });
    }
    let ours: Vec<&str> = network.model.parameters.iter().map(|parameter| parameter.path.as_str()).collect();
    let unbound: Vec<&&str> = ours.iter().filter(|path| !bindings.contains_key(**path)).collect();
    assert!(unbound.is_empty() && pairs.len() == ours.len(), "{unbound:?} have no peer; ours are {ours:?}");
    for average in &network.model.averages {
        bindings.insert(average.path.clone(), Tensor::full(&average.dims, average.start));
    }
    pairs
}

/// Binds what changes from step to step of training and what evaluation needs.
pub fn bind_rates(bindings: &mut Bindings, batch: usize) {
    for (name, value) in [("lr", 0.0), ("bias1", 1.0), ("bias2", 1.0)] {
        bind_number(bindings, name, value);
    }
    bindings.insert("sample_weight".to_owned(), Tensor::full(&[batch], 1.0));
}

fn check(golden: &Golden) {
    let network = network(golden);
    let batch = golden.tensor("target").data.len();
    let mut bindings = Bindings::new();
    bind(&mut bindings, "x", golden.tensor("x"));
    bind(&mut bindings, "label", golden.tensor("target"));
    bind_rates(&mut bindings, batch);
    let pairs = bind_network(&mut bindings, &network, golden, "param");
    let mut ledger = Ledger::new(&golden.name);
    let training = forward_and_backward(&network.model);
    let sgd = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let update = train_step(&prepare(&network.model, true), &sgd).unwrap();
    let averaging = update.outputs.into_iter().filter(|(name, _)| name.starts_with("average:")).collect();
    let averaging = Wanted { graph: update.graph, outputs: averaging };
    let evaluation = eval_step(&prepare(&network.model, false)).unwrap();
    let output = evaluation.output("output").unwrap();
    let evaluation = Wanted { graph: evaluation.graph, outputs: vec![("output".to_owned(), output)] };
    for way in ALL {
        let results = training.compute(way, batch, &bindings);
        compare(&mut ledger, golden, &network.layers, way, &results);
        for pair in &pairs {
            let found: Vec<f64> = results[&format!("g:{}", pair.ours)].iter().map(|g| g / pair.factor).collect();
            ledger.close(way, &pair.peer, "grad", &found, golden.data(&format!("grad.{}", pair.peer)));
        }
        let mut after = bindings.clone();
        if !averaging.outputs.is_empty() {
            let moved = averaging.compute(way, batch, &bindings);
            for pair in averages(&network.layers) {
                let found = &moved[&format!("average:{}", pair.ours)];
                ledger.close(way, &pair.peer, "buffer", found, golden.data(&format!("buffer_after.{}", pair.peer)));
                after.insert(pair.ours, Tensor { dims: vec![found.len()], data: found.clone() });
            }
        }
        let evaluated = evaluation.compute(way, batch, &after);
        ledger.close(way, "evaluation", "y_eval", &evaluated["output"], golden.data("y_eval"));
    }
    ledger.finish();
}

fn compare(ledger: &mut Ledger, golden: &Golden, layers: &[Layer], way: Way, results: &Results) {
    for (key, name) in [("y", "y"), ("loss", "loss"), ("gx", "g:x")] {
        ledger.close(way, "training", key, &results[name], golden.data(key));
    }
    for layer in layers.iter().filter(|layer| layer.kind == Kind::Neuron) {
        ledger.spikes(way, &layer.peer, &results[&layer.ours], golden.data(&format!("spikes.{}", layer.peer)));
    }
}

#[test]
fn net_smallres() {
    open("net_smallres").iter().for_each(check);
}

#[test]
fn net_cifarnet() {
    open("net_cifarnet").iter().for_each(check);
}

#[test]
fn net_resnet19() {
    open("net_resnet19").iter().for_each(check);
}
