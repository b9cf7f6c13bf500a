//! Norms of SpikingJelly: threshold-dependent batch normalization over two steps of training and one of evaluation, and
//! neuron normalization.

use snn_graph::ops::pointwise::Function;
use snn_graph::training::{Optimizer, train_step};
use snn_graph::{Axes, Model};

use crate::files::{Golden, Values, open};
use crate::ledger::Ledger;
use crate::probe::{Probe, bind, bind_number, cotangent};
use crate::source::{compile, literal, prepare};
use crate::ways::{ALL, Bindings, Wanted, Way};

fn shape(values: &Values) -> String {
    let shape: Vec<String> = values.dims[2..].iter().map(ToString::to_string).collect();
    shape.join(", ")
}

fn tdbn(golden: &Golden) -> Model {
    let x = golden.tensor("x0");
    compile(&format!(
        "use std.norms {{ TdBN }}\nmodel Case {{\n input x: frames[{}]\n time {}\n\
         x -> TdBN(alpha = {}, v_th = {}, eps = {}, momentum = {}, fold_scale = true)\n}}\n",
        shape(x),
        x.dims[0],
        literal(golden.number("alpha")),
        literal(golden.number("v_th")),
        literal(golden.number("eps")),
        literal(golden.number("momentum"))
    ))
}

/// A training step whose only purpose is to move the averages.
fn averaging(model: &Model) -> Wanted {
    let mut model = prepare(model, true);
    let go = cotangent(&mut model.graph, "gs", model.output);
    let dims = (0..model.graph.ty(go).dims.len()).collect();
    let weighted = model.graph.pointwise(Function::Mul, &[model.output, go]).unwrap();
    model.loss = Some(model.graph.sum(weighted, &Axes { time: true, batch: false, dims }).unwrap());
    let step = train_step(&model, &Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 }).unwrap();
    Wanted { graph: step.graph, outputs: step.outputs }
}

/// Our name of a peer's quantity, found by how it ends.
fn ending<'m>(paths: impl Iterator<Item = &'m String>, end: &str) -> String {
    let mut found = paths.filter(|path| path.ends_with(end));
    found.next().unwrap_or_else(|| panic!("nothing ends in `{end}`")).clone()
}

struct Paths {
    gamma: String,
    beta: String,
    mu: String,
    var: String,
}

impl Paths {
    fn of(model: &Model) -> Paths {
        let parameter = |end: &str| ending(model.parameters.iter().map(|parameter| &parameter.path), end);
        let average = |end: &str| ending(model.averages.iter().map(|average| &average.path), end);
        Paths { gamma: parameter("gamma"), beta: parameter("beta"), mu: average("mu"), var: average("var") }
    }
}

fn check_tdbn(ledger: &mut Ledger, golden: &Golden, way: Way) {
    let model = tdbn(golden);
    let paths = Paths::of(&model);
    let channels = golden.tensor("weight").dims.clone();
    let mut bindings = Bindings::new();
    bind(&mut bindings, "gs", golden.tensor("go"));
    bind(&mut bindings, &paths.gamma, golden.tensor("weight"));
    bind(&mut bindings, &paths.beta, golden.tensor("bias"));
    for average in &model.averages {
        let start = snn_graph::Tensor::full(&channels, average.start);
        bindings.insert(average.path.clone(), start);
    }
    for rate in ["lr", "bias1", "bias2"] {
        bind_number(&mut bindings, rate, 1.0);
    }
    let batch = golden.tensor("x0").dims[1];
    let (training, averaging) = (Probe::default().wanted(&model), averaging(&model));
    for (step, x) in ["train0", "train1"].into_iter().zip(["x0", "x1"]) {
        bind(&mut bindings, "x", golden.tensor(x));
        let results = training.compute(way, batch, &bindings);
        compare_tdbn(ledger, golden, way, step, &paths, &results);
        let moved = averaging.compute(way, batch, &bindings);
        for (average, quantity) in [(&paths.mu, "running_mean"), (&paths.var, "running_var")] {
            let values = Values { dims: channels.clone(), data: moved[&format!("average:{average}")].clone() };
            ledger.close(way, step, quantity, &values.data, expected(golden, way, step, quantity));
            bind(&mut bindings, average, &values);
        }
    }
    bind(&mut bindings, "x", golden.tensor("x2"));
    let results = evaluation(&model).compute(way, batch, &bindings);
    compare_tdbn(ledger, golden, way, "eval", &paths, &results);
}

fn expected<'g>(golden: &'g Golden, way: Way, step: &str, quantity: &str) -> &'g [f64] {
    golden.data(&format!("{}.{step}.{quantity}", way.precision()))
}

fn compare_tdbn(
    ledger: &mut Ledger,
    golden: &Golden,
    way: Way,
    step: &str,
    paths: &Paths,
    results: &crate::ways::Results,
) {
    let gradient = |path: &str| results[&format!("g:{path}")].clone();
    let found = [
        ("y", results["s"].clone()),
        ("gx", gradient("x")),
        ("gweight", gradient(&paths.gamma)),
        ("gbias", gradient(&paths.beta)),
    ];
    for (quantity, values) in found {
        ledger.close(way, step, quantity, &values, expected(golden, way, step, quantity));
    }
}

/// Result and gradients with the averages in the place of the batch's statistics.
fn evaluation(model: &Model) -> Wanted {
    Probe { evaluation: true, ..Probe::default() }.wanted(model)
}

#[test]
fn sj_tdbn2d() {
    for golden in open("sj_tdbn2d") {
        let mut ledger = Ledger::new(&golden.name);
        for way in ALL {
            check_tdbn(&mut ledger, &golden, way);
        }
        let model = tdbn(&golden);
        for (key, path) in [("init_weight", "gamma"), ("init_bias", "beta")] {
            let parameter = model.parameters.iter().find(|parameter| parameter.path.ends_with(path)).unwrap();
            let snn_graph::Init::Constant(start) = parameter.init else {
                panic!("{path} does not start as a constant")
            };
            let starts = vec![start; parameter.dims[0]];
            ledger.close(Way::Reference, "start", key, &starts, golden.data(key));
        }
        ledger.finish();
    }
}

#[test]
fn sj_neunorm() {
    for golden in open("sj_neunorm") {
        let mut ledger = Ledger::new(&golden.name);
        let x = golden.tensor("x");
        for (case, shared) in [("perchannel", false), ("shared", true)] {
            let model = compile(&format!(
                "use std.norms {{ NeuNorm }}\nmodel Case {{\n input x: spikes[{}]\n time {}\n\
                 x -> NeuNorm(k = {}, coefficient = paper, shared = {shared})\n}}\n",
                shape(x),
                x.dims[0],
                literal(golden.number("k"))
            ));
            let weight = &model.parameters[0].path;
            let mut bindings = Bindings::new();
            bind(&mut bindings, "x", x);
            bind(&mut bindings, "gs", golden.tensor("go"));
            bind(&mut bindings, weight, golden.tensor(&format!("{case}.w")));
            let wanted = Probe::default().wanted(&model);
            for way in ALL {
                let results = wanted.compute(way, x.dims[1], &bindings);
                let found = [("y", &results["s"]), ("gx", &results["g:x"]), ("gw", &results[&format!("g:{weight}")])];
                for (quantity, values) in found {
                    let key = format!("{case}.{}.{quantity}", way.precision());
                    ledger.close(way, case, quantity, values, golden.data(&key));
                }
            }
        }
        ledger.finish();
    }
}
