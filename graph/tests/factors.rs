//! Factors that leave sums: equal values, fewer sums.

mod neurons;

use std::collections::BTreeMap;

use neurons::*;
use snn_graph::eval::{EvalContext, evaluate};
use snn_graph::passes::rewrite::GraphPass;
use snn_graph::passes::{cse, dce, factor};
use snn_graph::{Axes, Graph, NodeId, OpRule, Tensor, Ty};

const STEPS: usize = 3;
const BATCH: usize = 2;

fn count(graph: &Graph, name: &str) -> usize {
    graph.ids().filter(|id| graph.node(*id).op.name() == name).count()
}

/// Numbers from -1 to 1 that are the same in every run.
fn numbers(dims: &[usize]) -> Tensor {
    let mut state = 5u64;
    Tensor::from_fn(dims, |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1 << 30) - 1.0
    })
}

/// Values of outputs before and after factors are moved out of sums, with the number of sums after.
fn factored(graph: &Graph, output: NodeId, bindings: &BTreeMap<String, Tensor>) -> (Vec<f64>, Vec<f64>, usize) {
    let value = |graph: &Graph, id: NodeId| {
        evaluate(graph, &[id], &mut EvalContext::new(STEPS, BATCH, bindings)).unwrap().remove(0).data
    };
    let before = value(graph, output);
    let (mut after, mut root) = (graph.clone(), output);
    let passes: [&GraphPass<'static>; 3] = [&factor::graph, &cse::graph, &dce::graph];
    for pass in passes {
        let rewritten = pass(&after, &[root]).unwrap();
        root = rewritten.node(root).unwrap();
        after = rewritten.graph;
    }
    (before, value(&after, root), count(&after, "sum"))
}

/// What sums have in common is summed once, signs and quotients alike.
#[test]
fn sums_share_what_their_factors_hide() {
    let mut graph = Graph::new(STEPS);
    let (full, small) = (Ty::signal(true, &[4, 3]), Ty::fixed(&[4]));
    let x = input(&mut graph, "x", &full);
    let scale = input(&mut graph, "scale", &small);
    let over = Axes { time: true, batch: true, dims: vec![1] };
    let wide = graph.broadcast(scale, &full).unwrap();
    let product = graph.mul(x, wide).unwrap();
    let negative = graph.neg(product).unwrap();
    let quotient = graph.div(x, wide).unwrap();
    let sums: Vec<NodeId> = [x, product, negative, quotient].map(|id| graph.sum(id, &over).unwrap()).into();
    let mut all = sums[0];
    for (at, sum) in sums.iter().enumerate().skip(1) {
        let weighted = graph.scale(*sum, at as f64 + 0.5).unwrap();
        all = graph.add(all, weighted).unwrap();
    }
    let scale = Tensor::from_fn(&[4], |at| 0.5 + at[0] as f64);
    let bindings = BTreeMap::from([("x".to_owned(), numbers(&[STEPS, BATCH, 4, 3])), ("scale".to_owned(), scale)]);
    let (before, after, n_sums) = factored(&graph, all, &bindings);
    assert_eq!((count(&graph, "sum"), n_sums), (4, 1));
    for (before, after) in before.iter().zip(&after) {
        assert!((before - after).abs() < 1e-12 * before.abs().max(1.0), "{before} became {after}");
    }
}

/// What is left of a mean that was taken away is rounding; it is dropped.
#[test]
fn centered_values_sum_to_nothing() {
    let mut graph = Graph::new(STEPS);
    let full = Ty::signal(true, &[4, 3]);
    let x = input(&mut graph, "x", &full);
    let over = Axes { time: true, batch: true, dims: vec![1] };
    let mean = graph.mean(x, &over).unwrap();
    let mean = graph.broadcast(mean, &full).unwrap();
    let centered = graph.sub(x, mean).unwrap();
    let sum = graph.sum(centered, &over).unwrap();
    // Over other axes it is something.
    let other = graph.sum(centered, &Axes { time: true, ..Axes::default() }).unwrap();
    let bindings = BTreeMap::from([("x".to_owned(), numbers(&[STEPS, BATCH, 4, 3]))]);
    let (before, after, n_sums) = factored(&graph, sum, &bindings);
    assert!(before.iter().all(|value| value.abs() < 1e-12), "{before:?}");
    assert!(after.iter().all(|value| *value == 0.0) && n_sums == 0, "{after:?}, {n_sums} sums");
    let (before, after, _) = factored(&graph, other, &bindings);
    assert!(before.iter().zip(&after).all(|(before, after)| (before - after).abs() < 1e-12));
    assert!(before.iter().any(|value| value.abs() > 0.01), "{before:?}");
}
