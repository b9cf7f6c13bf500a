//! Reference evaluation: bindings, errors, detached values, randomness; and graphs as text; and the verifier's catches.

use std::collections::BTreeMap;

use snn_graph::eval::{DetachTape, EvalContext, EvalError, evaluate};
use snn_graph::ops::pointwise::Function;
use snn_graph::ops::scan::{Body, Scan};
use snn_graph::ops::{AverageOp, InputOp, ParamOp, Project, Random, Running, Training};
use snn_graph::print::{print, print_reachable};
use snn_graph::verify::verify;
use snn_graph::{Graph, Kind, NodeId, Tensor, Ty, autodiff};
use snn_loops::{Distribution, RandomKey, draw};

fn input(graph: &mut Graph, name: &str, ty: Ty) -> NodeId {
    graph.push(InputOp { name: name.to_string(), ty }, &[]).unwrap()
}

fn bind<const N: usize>(values: [(&str, Tensor); N]) -> BTreeMap<String, Tensor> {
    values.into_iter().map(|(name, tensor)| (name.to_string(), tensor)).collect()
}

#[test]
fn missing_and_misshapen_bindings_are_errors() {
    let mut graph = Graph::new(2);
    let x = input(&mut graph, "x", Ty::signal(true, &[3]));
    let bindings = bind([]);
    let error = evaluate(&graph, &[x], &mut EvalContext::new(2, 4, &bindings)).unwrap_err();
    assert_eq!(error, EvalError::Unbound("x".to_string()));
    assert_eq!(error.to_string(), "no value was given for `x`");
    let bindings = bind([("x", Tensor::full(&[2, 3], 0.0))]);
    let error = evaluate(&graph, &[x], &mut EvalContext::new(2, 4, &bindings)).unwrap_err();
    assert_eq!(error.to_string(), "`x` should have the extents [2, 4, 3], not [2, 3]");
}

#[test]
fn only_what_is_wanted_is_evaluated() {
    let mut graph = Graph::new(1);
    let _unbound = input(&mut graph, "unbound", Ty::scalar());
    let two = graph.constant(2.0).unwrap();
    let four = graph.mul(two, two).unwrap();
    let bindings = bind([]);
    let values = evaluate(&graph, &[four, two], &mut EvalContext::new(1, 1, &bindings)).unwrap();
    assert_eq!(values, [Tensor::full(&[], 4.0), Tensor::full(&[], 2.0)]);
}

#[test]
fn recorded_detached_values_stay_while_inputs_move() {
    let mut graph = Graph::new(1);
    let x = input(&mut graph, "x", Ty::scalar());
    let fixed = graph.detach(x).unwrap();
    let product = graph.mul(x, fixed).unwrap();
    let at = |x: f64, tape: DetachTape| {
        let bindings = bind([("x", Tensor::full(&[], x))]);
        let mut context = EvalContext::new(1, 1, &bindings);
        context.detached = tape;
        let value = evaluate(&graph, &[product], &mut context).unwrap()[0].data[0];
        (value, context.detached)
    };
    let (value, tape) = at(3.0, DetachTape::Record(Vec::new()));
    assert_eq!(value, 9.0);
    assert_eq!(at(4.0, tape.replay()).0, 12.0);
    assert_eq!(at(4.0, DetachTape::Off).0, 16.0);
}

#[test]
fn random_numbers_lie_in_the_order_of_memory() {
    let mut graph = Graph::new(2);
    let distribution = Distribution::Uniform;
    let noise = graph.push(Random { distribution, stream: 9, ty: Ty::signal(true, &[3, 2]) }, &[]).unwrap();
    let bindings = bind([]);
    let mut context = EvalContext::new(2, 4, &bindings);
    context.key = RandomKey { seed: 1, run: 2 };
    let value = evaluate(&graph, &[noise], &mut context).unwrap().remove(0);
    let element = |e: u64| draw::element(distribution, context.key, 9, e);
    assert_eq!(value.at(&[0, 0, 1, 0]), element(1), "channels are fastest");
    assert_eq!(value.at(&[0, 0, 0, 1]), element(3));
    assert_eq!(value.at(&[0, 1, 0, 0]), element(6));
    assert_eq!(value.at(&[1, 2, 2, 1]), element(4 * 6 + 2 * 6 + 3 + 2));
}

#[test]
fn random_numbers_go_on_from_step_to_step() {
    let ty = Ty::signal(false, &[2]);
    let noise = |ty: &Ty| Random { distribution: Distribution::Normal, stream: 3, ty: ty.clone() };
    let mut body = Graph::step_body(3);
    let drawn = body.push(noise(&ty), &[]).unwrap();
    let mut graph = Graph::new(3);
    let at_once = graph.push(noise(&Ty { time: true, ..ty }), &[]).unwrap();
    let bindings = bind([]);
    let mut context = EvalContext::new(3, 2, &bindings);
    let expected = evaluate(&graph, &[at_once], &mut context).unwrap().remove(0);
    let mut in_steps = Vec::new();
    for step in 0..3 {
        context.step = step;
        in_steps.extend(context.evaluate_with(&body, &[], &[drawn]).remove(0).data);
    }
    assert_eq!(in_steps, expected.data);
}

#[test]
fn running_averages_show_in_evaluation_only() {
    let mut graph = Graph::new(1);
    let value = graph.push(ParamOp { path: "w".to_string(), ty: Ty::fixed(&[2]) }, &[]).unwrap();
    let average = graph.push(AverageOp { path: "mu".to_string(), dims: vec![2] }, &[]).unwrap();
    let running = graph.push(Running { path: "mu".to_string() }, &[value, average]).unwrap();
    let training = graph.push(Training {}, &[]).unwrap();
    let bindings = bind([("w", Tensor::full(&[2], 1.5)), ("mu", Tensor::full(&[2], -2.0))]);
    let mut context = EvalContext::new(1, 1, &bindings);
    let trained = evaluate(&graph, &[running, training], &mut context).unwrap();
    assert_eq!(trained, [Tensor::full(&[2], 1.5), Tensor::full(&[], 1.0)]);
    context.training = false;
    let evaluated = evaluate(&graph, &[running, training], &mut context).unwrap();
    assert_eq!(evaluated, [Tensor::full(&[2], -2.0), Tensor::full(&[], 0.0)]);
}

/// A leaky integrator over a stepped input, and the gradient of its last state.
fn leaky() -> Graph {
    let ty = Ty::signal(false, &[2]);
    let mut body = Graph::step_body(3);
    let v = input(&mut body, "v", ty.clone());
    let x = input(&mut body, "x", ty.clone());
    let decayed = body.scale(v, 0.5).unwrap();
    let next = body.add(decayed, x).unwrap();
    body.name(next, "lif1");
    let body = Body { graph: body, states: vec![v], xs: vec![x], consts: Vec::new(), next: vec![next], ys: vec![next] };
    let mut graph = Graph::new(3);
    let x = input(&mut graph, "image", Ty { time: true, ..ty });
    let zero = graph.constant(0.0).unwrap();
    graph.current_name = Some("lif1".into());
    let scan = graph.scan(body, false, &[zero], &[x], &[]).unwrap();
    graph.project(scan, 0).unwrap();
    graph
}

#[test]
fn graphs_print_as_text() {
    let graph = leaky();
    let expected = r#"%0 = input(image) : stepped real [2]
%1 = constant(0.0) : static shared spikes []
%2 = broadcast %1 : static spikes [2]  // "lif1"
%3 = scan(1 states, 1 signals, 0 constants -> 1) %2, %0 : stepped real [2]  // "lif1"
    states %0
    signals %1
    %0 = input(v) : static real [2]
    %1 = input(x) : static real [2]
    %2 = constant(0.5) : static shared real []
    %3 = mul %0, %2 : static real [2]
    %4 = add %3, %1 : static real [2]  // "lif1"
    next states %4
    yields %4
%4 = project(0) %3 : stepped real [2]  // "lif1"
"#;
    assert_eq!(print(&graph), expected);
    assert_eq!(print_reachable(&graph, &[NodeId(1)]), "%1 = constant(0.0) : static shared spikes []\n");
}

#[test]
fn what_differentiation_made_is_marked() {
    let mut graph = Graph::new(1);
    let x = input(&mut graph, "x", Ty::signal(false, &[2]));
    graph.current_name = Some("square".into());
    let square = graph.pointwise(Function::Powi(2), &[x]).unwrap();
    graph.current_name = None;
    let seed = input(&mut graph, "seed", Ty::signal(false, &[2]));
    autodiff::gradients(&mut graph, &[(square, seed)], &[x]).unwrap();
    let expected = r#"%0 = input(x) : static real [2]
%1 = powi(2) %0 : static real [2]  // "square"
%2 = input(seed) : static real [2]
%3 = constant(2.0) : static shared real []  // grad "square"
%4 = mul %2, %3 : static real [2]  // grad "square"
%5 = powi(1) %0 : static real [2]  // grad "square"
%6 = mul %4, %5 : static real [2]  // grad "square"
"#;
    assert_eq!(print(&graph), expected);
}

#[test]
fn the_verifier_accepts_what_was_built() {
    assert_eq!(verify(&leaky()), Ok(()));
}

#[test]
fn the_verifier_finds_what_was_broken() {
    let broken = |breakage: fn(&mut Graph)| {
        let mut graph = leaky();
        breakage(&mut graph);
        verify(&graph).unwrap_err().to_string()
    };
    let rebuilt = |breakage: fn(&mut Body)| {
        let mut graph = leaky();
        let snn_graph::Op::Scan(scan) = graph.node(NodeId(3)).op.clone() else { panic!("%3 is the scan") };
        let mut body = (*scan.body).clone();
        breakage(&mut body);
        graph.node_mut(NodeId(3)).op = Scan { body: body.into(), ..scan }.into();
        verify(&graph).unwrap_err().to_string()
    };
    let cases = [
        (
            broken(|graph| graph.node_mut(NodeId(2)).inputs = vec![NodeId(2)]),
            "%2: the operand %2 is not an earlier node",
        ),
        (
            broken(|graph| graph.node_mut(NodeId(2)).ty.dims = vec![3]),
            "%2: recorded as static spikes [3], but its op gives static spikes [2]",
        ),
        (
            broken(|graph| graph.node_mut(NodeId(2)).ty.kind = Kind::Real),
            "%2: recorded as static real [2], but its op gives static spikes [2]",
        ),
        (
            broken(|graph| graph.node_mut(NodeId(0)).ty.kind = Kind::Truth),
            "%0: recorded as stepped truth [2], but its op gives stepped real [2]",
        ),
        (broken(|graph| graph.node_mut(NodeId(4)).inputs = vec![NodeId(0)]), "%4: %0 has no result 0"),
        (broken(|graph| graph.node_mut(NodeId(4)).op = Project { index: 3 }.into()), "%4: %3 has no result 3"),
        (rebuilt(|body| body.graph.steps = 2), "%3: the body of a scan over 3 steps is not one of its steps"),
        (
            rebuilt(|body| {
                input(&mut body.graph, "loose", Ty::scalar());
            }),
            "%3: the input %5 of its body is bound to nothing",
        ),
        (
            rebuilt(|body| body.graph.node_mut(NodeId(3)).ty.batch = false),
            "%3: in its body, %3: recorded as static shared real [2], but its op gives static real [2]",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    // A kind that says more than the op knows is fine.
    let mut graph = leaky();
    graph.node_mut(NodeId(0)).ty.kind = Kind::Spikes;
    assert_eq!(verify(&graph), Ok(()));
}
