//! Short training runs: loss and result of every step, and all parameters after the last.

use serde_json::Value;
use snn_graph::Tensor;
use snn_graph::training::{Optimizer, gradient_graph, train_step};

use crate::files::{Golden, Values, number, open, word};
use crate::layers::{averages, mlp, parameters, smallres};
use crate::ledger::Ledger;
use crate::networks::{CROSS_ENTROPY, Network, bind_network, bind_rates, extent, model, mse};
use crate::probe::{bind, bind_number};
use crate::source::prepare;
use crate::ways::{ALL, Bindings, Wanted, Way};

/// An optimizer with PyTorch's defaults for what is not said.
fn optimizer(config: &Value) -> (Optimizer, f64) {
    let settings = &config["opt_args"];
    let or = |key: &str, default: f64| settings[key].as_f64().unwrap_or(default);
    let weight_decay = or("weight_decay", 0.0);
    let optimizer = match word(config, "optimizer") {
        "sgd" => {
            let nesterov = settings["nesterov"].as_bool().unwrap_or(false);
            Optimizer::Sgd { momentum: or("momentum", 0.0), nesterov, weight_decay }
        }
        "adam" | "adamw" => {
            let beta = |at: usize, default: f64| settings["betas"][at].as_f64().unwrap_or(default);
            let (beta1, beta2, eps) = (beta(0, 0.9), beta(1, 0.999), or("eps", 1e-8));
            match word(config, "optimizer") {
                "adam" => Optimizer::Adam { beta1, beta2, eps, weight_decay },
                _ => Optimizer::AdamW { beta1, beta2, eps, weight_decay: or("weight_decay", 0.01) },
            }
        }
        other => panic!("there is no optimizer `{other}`"),
    };
    (optimizer, number(settings, "lr"))
}

fn network(golden: &Golden) -> Network {
    let e = |key: &str, axis: usize| extent(golden, &format!("init.{key}"), axis);
    let (block, call, classes, layers) = if golden.name.starts_with("train_mlp") {
        let (hidden, classes) = (e("fc1.weight", 0), e("fc2.weight", 0));
        (include_str!("../../golden/mlp.snn"), format!("MLP({hidden}, {classes})"), classes, mlp())
    } else {
        let classes = e("fc.weight", 0);
        let call = format!("SmallRes({}, {classes})", e("conv0.weight", 0));
        (include_str!("../../golden/smallres.snn"), call, classes, smallres(golden))
    };
    let loss = match word(&golden.config, "loss") {
        "mse" => mse(classes),
        _ => CROSS_ENTROPY.to_owned(),
    };
    Network { model: model(block, &call, golden, false, golden.number("T") as usize, &loss), layers }
}

/// One slice of a tensor along its first axis.
fn slice(values: &Values, at: usize) -> Values {
    let len: usize = values.dims[1..].iter().product();
    Values { dims: values.dims[1..].to_vec(), data: values.data[at * len..(at + 1) * len].to_vec() }
}

fn check(golden: &Golden) {
    let network = network(golden);
    let mut ledger = Ledger::new(&golden.name);
    for way in ALL {
        run(&mut ledger, golden, &network, way);
    }
    ledger.finish();
}

fn run(ledger: &mut Ledger, golden: &Golden, network: &Network, way: Way) {
    let (optimizer, lr) = optimizer(&golden.config);
    let batch = golden.tensor("target").dims[1];
    let mut bindings = Bindings::new();
    bind_rates(&mut bindings, batch);
    bind_number(&mut bindings, "lr", lr);
    let pairs = bind_network(&mut bindings, network, golden, "init");
    for parameter in &network.model.parameters {
        for k in 0..optimizer.slots() {
            bindings.insert(format!("slot:{}:{k}", parameter.path), Tensor::full(&parameter.dims, 0.0));
        }
    }
    let model = prepare(&network.model, true);
    let update = train_step(&model, &optimizer).unwrap();
    let update = Wanted { graph: update.graph, outputs: update.outputs };
    let result = Wanted { outputs: vec![("y".to_owned(), model.output)], graph: model.graph.clone() }.simplified();
    let gradients = gradient_graph(&model, false).unwrap();
    let gradients = Wanted { graph: gradients.graph, outputs: gradients.outputs };
    let (mut updating, mut showing) = (update.machine(way, batch), result.machine(way, batch));
    for step in 0..golden.number("steps") as usize {
        bind(&mut bindings, "x", &slice(golden.tensor("x"), step));
        bind(&mut bindings, "label", &slice(golden.tensor("target"), step));
        let (bias1, bias2) = optimizer.bias_corrections(step as u64 + 1);
        bind_number(&mut bindings, "bias1", bias1);
        bind_number(&mut bindings, "bias2", bias2);
        let case = format!("step{step}");
        let y = &showing.run(&bindings)["y"];
        ledger.close(way, &case, "y", y, golden.data(&format!("{case}.y")));
        if step == 0 {
            let found = gradients.compute(way, batch, &bindings);
            for pair in &pairs {
                let found: Vec<f64> = found[&format!("grad:{}", pair.ours)].iter().map(|g| g / pair.factor).collect();
                ledger.close(way, &case, "grad", &found, golden.data(&format!("{case}.grad.{}", pair.peer)));
            }
        }
        let results = updating.run(&bindings);
        ledger.close(way, &case, "loss", &results["loss"], &golden.data("losses")[step..=step]);
        for (name, value) in results {
            let input = name.strip_prefix("param:").or_else(|| name.strip_prefix("average:")).unwrap_or(&name);
            if let Some(bound) = bindings.get_mut(input) {
                bound.data = value;
            }
        }
    }
    for pair in parameters(&network.layers, golden, "final").into_iter().chain(averages(&network.layers)) {
        let found: Vec<f64> = bindings[&pair.ours].data.iter().map(|value| value * pair.factor).collect();
        ledger.close(way, &pair.peer, "final", &found, golden.data(&format!("final.{}", pair.peer)));
    }
}

#[test]
fn train_mlp() {
    open("train_mlp").iter().for_each(check);
}

#[test]
fn train_smallres() {
    open("train_smallres").iter().for_each(check);
}
