//! Norms folded into weights, factors moved off spikes, and the split into setup and step: the same values, and what is
//! left to compute.

mod neurons;

use neurons::*;
use snn_graph::op::OpRule;
use snn_graph::ops::ParamOp;
use snn_graph::passes::rewrite::GraphPass;
use snn_graph::passes::{dce, fold_norms, plain_spikes, round_weights};
use snn_graph::setup::split;
use snn_graph::training::TrainStep;
use snn_graph::{Graph, Kind, NodeId, Op, Tensor, Ty, autodiff};
use snn_loops::{ContractionKind, WeightValues};

const STEPS: usize = 2;
const BATCH: usize = 3;
const IN: usize = 3;
const OUT: usize = 4;

fn values(dims: &[usize], salt: usize) -> Tensor {
    Tensor::from_fn(dims, |index| {
        let at = index.iter().fold(salt, |at, i| at * 31 + i * 7 + 3);
        ((at * 2_654_435_761) % 1000) as f64 / 500.0 - 1.0
    })
}

fn ones(dims: &[usize], salt: usize) -> Tensor {
    let mut tensor = values(dims, salt);
    tensor.data.iter_mut().for_each(|x| *x = f64::from(u8::from(*x > 0.0)));
    tensor
}

fn param(graph: &mut Graph, path: &str, dims: &[usize]) -> NodeId {
    graph.push(ParamOp { path: path.into(), ty: Ty::fixed(dims) }, &[]).unwrap()
}

fn bindings() -> Bindings {
    let mut all = Bindings::new();
    for (salt, name) in ["gamma", "beta", "mu", "bias"].into_iter().enumerate() {
        all.insert(name.into(), values(&[OUT], salt));
    }
    all.insert("scale".into(), values(&[], 9));
    let mut var = values(&[OUT], 5);
    var.data.iter_mut().for_each(|x| *x += 1.5);
    all.insert("var".into(), var);
    all.insert("w".into(), values(&[OUT, IN], 6));
    all.insert("x".into(), values(&[STEPS, BATCH, IN], 7));
    all.insert("s".into(), ones(&[STEPS, BATCH, IN], 8));
    all.insert("t".into(), ones(&[STEPS, BATCH, IN], 10));
    all
}

fn applied(graph: &Graph, roots: &[NodeId], pass: &GraphPass<'_>) -> (Graph, Vec<NodeId>) {
    let first = pass(graph, roots).unwrap();
    let roots = first.nodes(roots).unwrap();
    let second = dce::graph(&first.graph, &roots).unwrap();
    let roots = second.nodes(&roots).unwrap();
    (second.graph, roots)
}

fn same(graph: &Graph, roots: &[NodeId], other: &Graph, others: &[NodeId], tolerance: f64) {
    let bindings = bindings();
    let expected = run(graph, roots, BATCH, &bindings).unwrap();
    let found = run(other, others, BATCH, &bindings).unwrap();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.dims, expected.dims);
        close(&found.data, &expected.data, tolerance);
    }
}

/// Stepped functions of one value that the contraction feeds, in numbers that samples share.
fn stepped_functions(graph: &Graph) -> Vec<&'static str> {
    let is_stepped = |id: &NodeId| graph.ty(*id).time && matches!(graph.node(*id).op, Op::Pointwise(_));
    graph.ids().filter(is_stepped).map(|id| graph.node(id).op.name()).collect()
}

/// Bias and norm behind a linear map, as the library writes them.
fn normed(graph: &mut Graph) -> (NodeId, NodeId) {
    let x = input(graph, "x", &Ty::signal(true, &[IN]));
    let w = param(graph, "w", &[OUT, IN]);
    let [bias, mu, var, gamma, beta] = ["bias", "mu", "var", "gamma", "beta"].map(|path| param(graph, path, &[OUT]));
    let y = graph.linear(x, w).unwrap();
    let biased = graph.add(y, bias).unwrap();
    let centered = graph.sub(biased, mu).unwrap();
    let scaled = graph.scale(centered, 0.7).unwrap();
    let eps = graph.constant(1e-5).unwrap();
    let var = graph.add(var, eps).unwrap();
    let half = graph.constant(0.5).unwrap();
    let std = graph.pow(var, half).unwrap();
    let divided = graph.div(scaled, std).unwrap();
    let product = graph.mul(gamma, divided).unwrap();
    (graph.add(product, beta).unwrap(), biased)
}

#[test]
fn a_norm_becomes_one_addition_behind_scaled_weights() {
    let mut graph = Graph::new(STEPS);
    let (result, _) = normed(&mut graph);
    let (folded, roots) = applied(&graph, &[result], &fold_norms::graph);
    same(&graph, &[result], &folded, &roots, 1e-12);
    assert_eq!(stepped_functions(&folded), ["add"]);
}

#[test]
fn what_lies_on_the_other_side_of_a_difference_is_negated() {
    let mut graph = Graph::new(STEPS);
    let (y, _) = normed(&mut graph);
    let scale = param(&mut graph, "scale", &[]);
    let flipped = graph.sub(scale, y).unwrap();
    let negated = graph.neg(flipped).unwrap();
    let end = graph.div(negated, scale).unwrap();
    let (folded, roots) = applied(&graph, &[end], &fold_norms::graph);
    same(&graph, &[end], &folded, &roots, 1e-11);
    assert_eq!(stepped_functions(&folded), ["add"]);
}

#[test]
fn a_value_in_the_middle_that_is_read_elsewhere_ends_the_chain() {
    let mut graph = Graph::new(STEPS);
    let (result, biased) = normed(&mut graph);
    let (before, _) = applied(&graph, &[result, biased], &dce::graph);
    let (folded, roots) = applied(&graph, &[result, biased], &fold_norms::graph);
    same(&graph, &[result, biased], &folded, &roots, 0.0);
    assert_eq!(folded.len(), before.len());
}

#[test]
fn scales_of_samples_steps_or_inputs_stay_where_they_are() {
    for other in [Ty::signal(true, &[OUT]), Ty { time: true, ..Ty::fixed(&[OUT]) }, Ty::signal(false, &[])] {
        let mut graph = Graph::new(STEPS);
        let x = input(&mut graph, "x", &Ty::signal(true, &[IN]));
        let w = param(&mut graph, "w", &[OUT, IN]);
        let y = graph.linear(x, w).unwrap();
        let scale = input(&mut graph, "scale", &other);
        let result = graph.mul(y, scale).unwrap();
        let (folded, _) = applied(&graph, &[result], &fold_norms::graph);
        assert_eq!(stepped_functions(&folded), ["mul"], "{other}");
    }
}

type Write = fn(&mut Graph, NodeId, NodeId) -> NodeId;

#[test]
fn contractions_and_their_gradients_read_plain_spikes() {
    let cases: [(Write, usize); 6] = [
        (|g, s, _| g.scale(s, 2.0).unwrap(), 1),
        (|g, s, _| g.constant(0.25).and_then(|p| g.div(s, p)).unwrap(), 1),
        (|g, s, _| g.neg(s).unwrap(), 1),
        (|g, s, t| g.add(s, t).unwrap(), 2),
        (|g, s, t| g.add(s, t).and_then(|sum| g.scale(sum, 0.5)).unwrap(), 2),
        (|g, s, _| g.reshape(s, &[IN, 1]).and_then(|y| g.scale(y, 3.0)).and_then(|y| g.reshape(y, &[IN])).unwrap(), 1),
    ];
    for (position, (write, n)) in cases.into_iter().enumerate() {
        let mut graph = Graph::new(STEPS);
        let ty = Ty::signal(true, &[IN]).with_kind(Kind::Spikes);
        let (s, t) = (input(&mut graph, "s", &ty), input(&mut graph, "t", &ty));
        let w = param(&mut graph, "w", &[OUT, IN]);
        let x = write(&mut graph, s, t);
        let y = graph.linear(x, w).unwrap();
        let square = graph.mul(y, y).unwrap();
        let (plain, roots) = applied(&graph, &[square, w], &plain_spikes::graph);
        let differentiated = |mut graph: Graph, y: NodeId, w: NodeId| {
            let one = graph.constant(1.0).unwrap();
            let ty = graph.ty(y).clone();
            let seed = graph.broadcast(one, &ty).unwrap();
            let gradient = autodiff::gradients(&mut graph, &[(y, seed)], &[w]).unwrap()[0].unwrap();
            (graph, [y, gradient])
        };
        let (before, old) = differentiated(graph, square, w);
        let (after, new) = differentiated(plain, roots[0], roots[1]);
        same(&before, &old, &after, &new, 1e-12);
        let mut seen = 0;
        for id in after.ids() {
            let Op::Contract(contract) = &after.node(id).op else { continue };
            let x = after.node(id).inputs[0];
            assert_eq!(after.ty(x).kind, Kind::Spikes, "case {position}: {:?}", contract.kind);
            seen += usize::from(contract.kind == ContractionKind::Forward);
        }
        assert_eq!(seen, n, "case {position}");
    }
}

#[test]
fn the_setup_holds_what_depends_on_weights_alone_and_changes_no_bit() {
    let mut graph = Graph::new(STEPS);
    let (result, _) = normed(&mut graph);
    let (graph, roots) = applied(&graph, &[result], &fold_norms::graph);
    let whole = TrainStep { outputs: vec![("output".into(), roots[0])], graph };
    let parts = split(&whole).unwrap();
    let names: Vec<&str> = parts.setup.outputs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["setup:0", "setup:1"]);
    // The input, the weights, the shift, the contraction and the addition.
    assert_eq!(parts.step.graph.len(), 5);
    let mut all = bindings();
    let nodes: Vec<NodeId> = parts.setup.outputs.iter().map(|(_, id)| *id).collect();
    let fixed = run(&parts.setup.graph, &nodes, BATCH, &all).unwrap();
    all.extend(names.iter().map(|name| (*name).to_owned()).zip(fixed));
    let output = parts.step.output("output").unwrap();
    assert_eq!(run(&parts.step.graph, &[output], BATCH, &all), run(&whole.graph, &roots, BATCH, &all));
}

#[test]
fn nothing_is_set_up_for_data_draws_and_steps() {
    let mut graph = Graph::new(STEPS);
    let x = input(&mut graph, "x", &Ty::signal(true, &[IN]));
    let w = param(&mut graph, "w", &[OUT, IN]);
    let y = graph.linear(x, w).unwrap();
    let whole = TrainStep { graph, outputs: vec![("output".into(), y)] };
    assert!(split(&whole).unwrap().setup.outputs.is_empty());
}

/// A linear map whose weights are rounded where it hears spikes, and one that hears numbers.
#[test]
fn weights_that_spikes_select_become_multiples() {
    let mut graph = Graph::new(STEPS);
    let s = input(&mut graph, "s", &Ty::signal(true, &[IN]).with_kind(Kind::Spikes));
    let x = input(&mut graph, "x", &Ty::signal(true, &[IN]));
    let w = param(&mut graph, "w", &[OUT, IN]);
    let roots = [graph.linear(s, w).unwrap(), graph.linear(x, w).unwrap()];
    let (rounded, ids) = applied(&graph, &roots, &round_weights::graph);
    let known = |id: NodeId| match &rounded.node(id).op {
        Op::Contract(contract) => contract.weights,
        op => panic!("{op:?}"),
    };
    assert_eq!((known(ids[0]), known(ids[1])), (WeightValues::Int8, WeightValues::Any));
    let mut bindings = bindings();
    let weights = bindings.get_mut("w").unwrap();
    weights.data[IN..2 * IN].fill(0.0);
    let original = weights.data.clone();
    let of = rounded.node(ids[0]).inputs[1];
    let found = run(&rounded, &[of], BATCH, &bindings).unwrap().remove(0).data;
    for (channel, (found, original)) in found.chunks(IN).zip(original.chunks(IN)).enumerate() {
        let largest = original.iter().fold(0.0_f64, |most, w| most.max(w.abs()));
        let scale = if largest == 0.0 { 1.0 } else { largest / 127.0 };
        for (found, original) in found.iter().zip(original) {
            let multiple = found / scale;
            assert!((multiple - multiple.round()).abs() < 1e-9 && multiple.abs() < 127.5, "{channel}: {multiple}");
            assert!((found - original).abs() <= scale * 0.5000001, "{channel}: {found} is not {original}");
        }
    }
    let again = applied(&rounded, &ids, &round_weights::graph);
    let twice = run(&again.0, &[again.0.node(again.1[0]).inputs[1]], BATCH, &bindings).unwrap().remove(0).data;
    close(&twice, &found, 1e-12);
}
