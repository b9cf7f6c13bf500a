//! Passes: what they do, that they keep every value, and that doing them twice changes nothing.

mod neurons;

use std::rc::Rc;

use neurons::*;
use snn_graph::eval::{EvalContext, evaluate};
use snn_graph::ops::pointwise::Function;
use snn_graph::ops::scan::Body;
use snn_graph::ops::{AverageOp, Op, ParamOp, Random, Running, Training, WithGradient};
use snn_graph::passes::{self, PASSES, PassContext, cse, dce, fold, hoist, mode, rewrite::GraphPass, scan_prune, sink};
use snn_graph::{Axes, Graph, Kind, NodeId, OpRule, Origin, RunningAverage, Tensor, TimeAxis, Ty};
use snn_loops::Distribution;

const STEPS: usize = 3;
const BATCH: usize = 2;

/// The graph as text, without ids of dead nodes getting in the way.
fn listing(graph: &Graph) -> Vec<String> {
    let mut lines = Vec::new();
    for id in graph.ids() {
        let node = graph.node(id);
        lines.push(format!("{} {:?} {:?} {}", id.0, node.op, node.inputs, node.ty));
        if let Op::Scan(scan) = &node.op {
            lines.extend(listing(&scan.body.graph));
        }
    }
    lines
}

fn count(graph: &Graph, name: &str) -> usize {
    graph.ids().filter(|id| graph.node(*id).op.name() == name).count()
}

fn body_of(graph: &Graph) -> Rc<Body> {
    let scan = graph.ids().find_map(|id| match &graph.node(id).op {
        Op::Scan(scan) => Some(scan.body.clone()),
        _ => None,
    });
    scan.expect("the graph has a scan")
}

const GRAPH_PASSES: [(&str, &GraphPass<'static>); 6] = [
    ("fold", &fold::graph),
    ("cse", &cse::graph),
    ("hoist", &hoist::graph),
    ("sink", &sink::graph),
    ("scan_prune", &scan_prune::graph),
    ("dce", &dce::graph),
];

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn tensor(&mut self, dims: &[usize]) -> Tensor {
        Tensor::from_fn(dims, |_| self.roll(2000) as f64 / 1000.0 - 1.0)
    }
}

/// A random element-wise expression over what is there, full of constants, broadcasts and reshapes that do nothing.
fn grow(graph: &mut Graph, dice: &mut Dice, mut values: Vec<NodeId>, ty: &Ty) -> NodeId {
    for value in [0.0, -0.0, 1.0, 2.5] {
        values.push(graph.constant(value).unwrap());
    }
    let mut truth = graph.pointwise(Function::Lt, &[values[0], values[1]]).unwrap();
    for _ in 0..30 {
        let pick = |dice: &mut Dice| values[dice.roll(values.len())];
        let (a, b) = (pick(dice), pick(dice));
        let new = match dice.roll(12) {
            0 => graph.add(a, b),
            1 => graph.sub(a, b),
            2 | 3 => graph.mul(a, b),
            4 => graph.neg(a),
            5 => graph.select(truth, a, b),
            6 => graph.broadcast(a, ty),
            7 => {
                let wide = graph.broadcast(a, ty).unwrap();
                let flat = graph.reshape(wide, &[ty.elements()]).unwrap();
                graph.reshape(flat, &ty.dims)
            }
            8 => graph.pointwise(Function::Tanh, &[a]),
            9 => graph.pointwise(Function::Powi(1), &[a]),
            10 => {
                let comparison = graph.pointwise(Function::Le, &[a, b]).unwrap();
                let logic = if dice.roll(2) == 0 { Function::And } else { Function::Or };
                truth = graph.pointwise(logic, &[comparison, truth]).unwrap();
                Ok(a)
            }
            _ => {
                let two = graph.constant(2.0).unwrap();
                graph.div(a, two)
            }
        };
        values.push(new.unwrap());
    }
    let mut sum = graph.constant(0.0).unwrap();
    for value in values {
        sum = graph.add(sum, value).unwrap();
    }
    graph.broadcast(sum, ty).unwrap()
}

/// A random graph: an expression, a loop around another with more states and results than are used, and an expression
/// of its results.
fn random_graph(dice: &mut Dice) -> (Graph, Vec<NodeId>, Bindings) {
    let mut graph = Graph::new(STEPS);
    let stepped = Ty::signal(true, &[2, 2]);
    let still = Ty::signal(false, &[2, 2]);
    let x = input(&mut graph, "x", &stepped);
    let y = input(&mut graph, "y", &Ty::fixed(&[2]));
    let before = grow(&mut graph, dice, vec![x, y], &stepped);

    let mut body = Graph::step_body(STEPS);
    let states: Vec<NodeId> = (0..3).map(|_| input(&mut body, "state", &still)).collect();
    let xs: Vec<NodeId> = (0..3).map(|_| input(&mut body, "signal", &still)).collect();
    let consts: Vec<NodeId> = (0..3).map(|_| input(&mut body, "constant", &Ty::fixed(&[2]))).collect();
    let next = vec![
        grow(&mut body, dice, vec![states[0], xs[0], consts[0]], &still),
        grow(&mut body, dice, vec![states[1], states[0], xs[1]], &still),
        grow(&mut body, dice, vec![states[2], consts[1]], &still),
    ];
    let sigmoid = body.pointwise(Function::Sigmoid, &[consts[2]]).unwrap();
    let kept = body.mul(next[0], sigmoid).unwrap();
    let ys = vec![kept, next[1], kept];
    let body = Body { graph: body, states, xs, consts, next, ys };
    let zero = graph.constant(0.0).unwrap();
    let scan = graph.scan(body, dice.roll(2) == 0, &[zero; 3], &[before, x, x], &[y, y, y]).unwrap();
    let mut values = vec![x];
    for result in [0, 2, 3 + dice.roll(3), 6 + dice.roll(3)] {
        values.push(graph.project(scan, result).unwrap());
    }
    let after = grow(&mut graph, dice, values, &stepped);
    let bindings = [("x".to_owned(), dice.tensor(&[STEPS, BATCH, 2, 2])), ("y".to_owned(), dice.tensor(&[2]))];
    (graph, vec![after, before], bindings.into_iter().collect())
}

/// Equal, where -0 is 0 and a NaN is a NaN.
fn same_values(a: &[Tensor], b: &[Tensor]) -> bool {
    a.iter()
        .zip(b)
        .all(|(a, b)| a.dims == b.dims && a.data.iter().zip(&b.data).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())))
}

#[test]
fn passes_keep_every_value_to_the_last_bit() {
    let mut dice = Dice(1);
    for round in 0..40 {
        let (graph, roots, bindings) = random_graph(&mut dice);
        let expected = run(&graph, &roots, BATCH, &bindings).unwrap();
        for (name, pass) in GRAPH_PASSES {
            let new = pass(&graph, &roots).unwrap();
            let values = run(&new.graph, &new.nodes(&roots).unwrap(), BATCH, &bindings).unwrap();
            assert!(same_values(&values, &expected), "{name} changed values of graph {round}");
        }
        let (new, outputs) = passes::simplify(&graph, &roots).unwrap();
        assert!(same_values(&run(&new, &outputs, BATCH, &bindings).unwrap(), &expected), "graph {round}");
        assert!(new.len() < graph.len());
    }
}

#[test]
fn a_pass_that_runs_twice_changes_nothing_more() {
    let mut dice = Dice(2);
    for round in 0..20 {
        let (graph, roots, _) = random_graph(&mut dice);
        for (name, pass) in GRAPH_PASSES {
            let clean = |graph: &Graph, roots: &[NodeId]| {
                let new = dce::graph(graph, roots).unwrap();
                (new.nodes(roots).unwrap(), new.graph)
            };
            let once = pass(&graph, &roots).unwrap();
            let (once_roots, once) = clean(&once.graph, &once.nodes(&roots).unwrap());
            let twice = pass(&once, &once_roots).unwrap();
            let (_, twice) = clean(&twice.graph, &twice.nodes(&once_roots).unwrap());
            let (once, twice) = (listing(&once), listing(&twice));
            let difference = once.iter().zip(&twice).find(|(once, twice)| once != twice);
            assert_eq!(difference, None, "{name} is not done after one run on graph {round}");
            assert_eq!(once.len(), twice.len(), "{name} is not done after one run on graph {round}");
        }
    }
}

fn fold_one(write: impl FnOnce(&mut Graph, NodeId) -> NodeId, kind: Kind) -> (Graph, NodeId, NodeId) {
    let mut graph = Graph::new(STEPS);
    let x = input(&mut graph, "x", &Ty::signal(true, &[2]).with_kind(kind));
    let result = write(&mut graph, x);
    let new = fold::graph(&graph, &[x, result]).unwrap();
    let (x, result) = (new.node(x).unwrap(), new.node(result).unwrap());
    (new.graph, x, result)
}

#[test]
fn operations_that_do_nothing_disappear() {
    let number = |graph: &mut Graph, value: f64| graph.constant(value).unwrap();
    type Write = fn(&mut Graph, NodeId, NodeId, NodeId) -> NodeId;
    let identities: [Write; 11] = [
        |g, x, zero, _| g.add(x, zero).unwrap(),
        |g, x, zero, _| g.add(zero, x).unwrap(),
        |g, x, zero, _| g.sub(x, zero).unwrap(),
        |g, x, _, one| g.mul(x, one).unwrap(),
        |g, x, _, one| g.mul(one, x).unwrap(),
        |g, x, _, one| g.div(x, one).unwrap(),
        |g, x, _, _| g.neg(x).and_then(|y| g.neg(y)).unwrap(),
        |g, x, _, _| g.pointwise(Function::Powi(1), &[x]).unwrap(),
        |g, x, _, _| {
            g.reshape(x, &[2, 1]).and_then(|y| g.reshape(y, &[1, 2])).and_then(|y| g.reshape(y, &[2])).unwrap()
        },
        |g, x, zero, one| g.pointwise(Function::Lt, &[zero, one]).and_then(|c| g.select(c, x, zero)).unwrap(),
        |g, x, zero, one| {
            g.pointwise(Function::Lt, &[one, x]).and_then(|c| g.select(c, x, x)).and_then(|y| g.add(y, zero)).unwrap()
        },
    ];
    for (position, write) in identities.iter().enumerate() {
        let (_, x, result) = fold_one(
            |graph, x| {
                let (zero, one) = (number(graph, 0.0), number(graph, 1.0));
                write(graph, x, zero, one)
            },
            Kind::Real,
        );
        assert_eq!(x, result, "identity {position}");
    }
}

#[test]
fn zero_times_a_value_is_zero_only_where_the_value_is_finite() {
    let times_zero = |graph: &mut Graph, x: NodeId| graph.scale(x, 0.0).unwrap();
    let (graph, _, result) = fold_one(times_zero, Kind::Spikes);
    assert_eq!(fold::known_number(&graph, result), Some(0.0));
    assert_eq!(graph.ty(result).dims, [2]);
    let (graph, _, result) = fold_one(times_zero, Kind::Real);
    assert_eq!(fold::known_number(&graph, result), None);
}

#[test]
fn a_narrow_value_is_computed_once() {
    let mut graph = Graph::new(STEPS);
    let w = input(&mut graph, "w", &Ty::fixed(&[2]));
    let wide = graph.broadcast(w, &Ty::signal(true, &[2, 3])).unwrap();
    let result = graph.pointwise(Function::Exp, &[wide]).unwrap();
    let new = fold::graph(&graph, &[result]).unwrap();
    let result = new.node(result).unwrap();
    assert_eq!(new.graph.ty(result), &Ty::signal(true, &[2, 3]));
    assert_eq!(new.graph.ty(new.graph.node(result).inputs[0]).elements(), 2);
}

#[test]
fn equal_nodes_become_one_but_random_streams_stay_apart() {
    let mut graph = Graph::new(STEPS);
    let ty = Ty::signal(true, &[2]);
    let draw = |graph: &mut Graph, stream: u64| {
        graph.push(Random { distribution: Distribution::Uniform, stream, ty: ty.clone() }, &[]).unwrap()
    };
    let (a, b, c) = (draw(&mut graph, 1), draw(&mut graph, 1), draw(&mut graph, 2));
    let (x, y) = (graph.add(a, c).unwrap(), graph.add(b, c).unwrap());
    let new = cse::graph(&graph, &[x, y]).unwrap();
    assert_eq!(new.node(x).unwrap(), new.node(y).unwrap());
    assert_eq!(new.node(a).unwrap(), new.node(b).unwrap());
    assert_ne!(new.node(a).unwrap(), new.node(c).unwrap());
}

/// A loop with a learned leak: two states, of which one is for nobody.
fn leaky_loop() -> (Graph, NodeId) {
    let mut body = Graph::step_body(STEPS);
    let ty = Ty::signal(false, &[2]);
    let states = vec![input(&mut body, "v", &ty), input(&mut body, "unused", &ty)];
    let xs = vec![input(&mut body, "x", &ty), input(&mut body, "x again", &ty)];
    let consts = vec![input(&mut body, "w", &Ty::scalar())];
    let leak = body.pointwise(Function::Sigmoid, &[consts[0]]).unwrap();
    let one = body.constant(1.0).unwrap();
    let rest = body.sub(one, leak).unwrap();
    let kept = body.mul(states[0], leak).unwrap();
    let fresh = body.mul(xs[0], rest).unwrap();
    let v = body.add(kept, fresh).unwrap();
    let v = body.add(v, xs[1]).unwrap();
    let unused = body.add(states[1], v).unwrap();
    let body = Body { graph: body, states, xs, consts, next: vec![v, unused], ys: vec![unused, v, v] };
    let mut graph = Graph::new(STEPS);
    let x = input(&mut graph, "x", &Ty::signal(true, &[2]));
    let w = input(&mut graph, "w", &Ty::scalar());
    let zero = graph.constant(0.0).unwrap();
    let scan = graph.scan(body, false, &[zero, zero], &[x, x], &[w]).unwrap();
    let (y, again) = (graph.project(scan, 1).unwrap(), graph.project(scan, 2).unwrap());
    let before = graph.project(scan, 5).unwrap();
    let sum = graph.add(y, again).unwrap();
    let sum = graph.add(sum, before).unwrap();
    (graph, sum)
}

#[test]
fn what_is_costly_and_the_same_at_every_step_moves_before_the_loop() {
    let (graph, result) = leaky_loop();
    let new = hoist::graph(&graph, &[result]).unwrap();
    let new = scan_prune::graph(&new.graph, &[new.node(result).unwrap()]).unwrap();
    let body = body_of(&new.graph);
    assert_eq!((count(&new.graph, "sigmoid"), count(&body.graph, "sigmoid")), (1, 0));
    // `1 - leak` is cheaper than another constant of the loop.
    assert_eq!(body.consts.len(), 1);
    assert_eq!(count(&body.graph, "sub"), 1);
}

#[test]
fn a_loop_carries_reads_and_yields_only_what_is_used() {
    let (graph, result) = leaky_loop();
    let new = scan_prune::graph(&graph, &[result]).unwrap();
    let body = body_of(&new.graph);
    assert_eq!((body.states.len(), body.xs.len(), body.ys.len(), body.next.len()), (1, 1, 1, 1));
    let bindings = bind(&[("x", &[STEPS, 1, 2], &[0.5, 1.0, -2.0, 0.25, 3.0, 1.5]), ("w", &[], &[0.3])]);
    assert_eq!(
        run(&graph, &[result], 1, &bindings).unwrap(),
        run(&new.graph, &[new.node(result).unwrap()], 1, &bindings).unwrap()
    );
}

/// A loop that yields a potential, and behind it a spike with a declared derivative and the spike's negation.
fn spike_behind_a_loop() -> (Graph, [NodeId; 3]) {
    let mut body = Graph::step_body(STEPS);
    let ty = Ty::signal(false, &[2]);
    let (states, xs) = (vec![input(&mut body, "u", &ty)], vec![input(&mut body, "x", &ty)]);
    let kept = body.scale(states[0], 0.5).unwrap();
    let u = body.add(kept, xs[0]).unwrap();
    let body = Body { graph: body, states, xs, consts: Vec::new(), next: vec![u], ys: vec![u] };
    let mut graph = Graph::new(STEPS);
    let x = input(&mut graph, "x", &Ty::signal(true, &[2]));
    let (zero, one) = (graph.constant(0.0).unwrap(), graph.constant(1.0).unwrap());
    let scan = graph.scan(body, false, &[zero], &[x], &[]).unwrap();
    let potential = graph.project(scan, 0).unwrap();
    let last = graph.project(scan, 1).unwrap();
    let above = graph.pointwise(Function::Lt, &[one, potential]).unwrap();
    let wide = graph.broadcast(one, &Ty::signal(true, &[2])).unwrap();
    let value = graph.select(above, wide, zero).unwrap();
    let derivative = graph.pointwise(Function::Sigmoid, &[potential]).unwrap();
    let spike = graph.push(WithGradient {}, &[value, potential, derivative]).unwrap();
    let rest = graph.sub(one, spike).unwrap();
    let weighted = graph.mul(rest, x).unwrap();
    (graph, [spike, weighted, last])
}

#[test]
fn a_spike_behind_a_loop_is_all_that_leaves_it() {
    let (graph, roots) = spike_behind_a_loop();
    let new = sink::graph(&graph, &roots).unwrap();
    let roots_now = new.nodes(&roots).unwrap();
    let pruned = scan_prune::graph(&new.graph, &roots_now).unwrap();
    let found = pruned.nodes(&roots_now).unwrap();
    let body = body_of(&pruned.graph);
    let kinds: Vec<Kind> = body.ys.iter().map(|id| body.graph.ty(*id).kind).collect();
    assert_eq!(kinds, [Kind::Spikes], "the potential is not yielded");
    assert_eq!((count(&pruned.graph, "with_gradient"), count(&body.graph, "with_gradient")), (0, 1));
    let bindings = bind(&[("x", &[STEPS, 1, 2], &[0.5, 1.0, 1.25, -0.25, 3.0, 1.5])]);
    assert_eq!(run(&graph, &roots, 1, &bindings).unwrap(), run(&pruned.graph, &found, 1, &bindings).unwrap());
    // Somebody reads the potential: it is yielded beside.
    let potential = graph.node(roots[0]).inputs[1];
    let new = sink::graph(&graph, &[roots[0], potential]).unwrap();
    assert_eq!(body_of(&new.graph).ys.len(), 2);
    // What follows from a loop and from something else stays outside.
    assert_eq!(count(&pruned.graph, "mul"), 1);
}

/// A value that is normalised by its mean, dropped in training, and a parameter nobody uses.
fn moody_model() -> snn_graph::Model {
    let mut graph = Graph::new(STEPS);
    let x = input(&mut graph, "x", &Ty::signal(true, &[2]));
    let average = graph.push(AverageOp { path: "mu".into(), dims: vec![2] }, &[]).unwrap();
    let idle = graph.push(ParamOp { path: "idle".into(), ty: Ty::fixed(&[1]) }, &[]).unwrap();
    let mean = graph.mean(x, &Axes { time: true, batch: true, dims: Vec::new() }).unwrap();
    let mu = graph.push(Running { path: "mu".into() }, &[mean, average]).unwrap();
    let centred = graph.sub(x, mu).unwrap();
    let training = graph.push(Training {}, &[]).unwrap();
    graph.current_origin = Origin(7);
    let twice = graph.scale(centred, 2.0).unwrap();
    let output = graph.select(training, twice, centred).unwrap();
    graph.name(twice, "twice");
    graph.name(output, "chosen");
    let mut model = model(graph, output, TimeAxis::Steps(STEPS));
    model.averages.push(RunningAverage {
        path: "mu".into(),
        dims: vec![2],
        start: 0.0,
        momentum: 0.1,
        node: average,
        stored: vec![mean],
    });
    model.parameters.push(snn_graph::Parameter {
        path: "idle".into(),
        dims: vec![1],
        time: false,
        init: snn_graph::Init::Constant(0.0),
        node: idle,
    });
    model
}

#[test]
fn the_mode_is_decided_before_anything_else() {
    let old = moody_model();
    let bindings = bind(&[
        ("x", &[STEPS, BATCH, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]),
        ("mu", &[2], &[0.5, -0.5]),
    ]);
    for training in [true, false] {
        let mut context = EvalContext::new(STEPS, BATCH, &bindings);
        context.training = training;
        let expected = evaluate(&old.graph, &[old.output], &mut context).unwrap();
        for pass in PASSES {
            let new = passes::run(&old, &PassContext::new(&old, training), Some(pass.name)).unwrap();
            assert_eq!(run(&new.graph, &[new.output], BATCH, &bindings).unwrap(), expected, "until {}", pass.name);
            assert_eq!(count(&new.graph, "running") + count(&new.graph, "training"), 0);
            assert_eq!(new.averages[0].stored.is_empty(), !training);
            assert_eq!(new.parameters.len(), 1);
            assert_eq!(new.graph.node(new.parameters[0].node).op.name(), "param");
        }
        let all = passes::run(&old, &PassContext::new(&old, training), None).unwrap();
        let output = all.graph.node(all.output);
        let expected = if training { (Some("twice"), Origin(7)) } else { (None, Origin(0)) };
        assert_eq!((output.name.as_deref(), output.origin), expected);
        assert_eq!(count(&all.graph, "where"), 0);
        // The statistics are not computed in evaluation.
        assert_eq!(count(&all.graph, "sum"), usize::from(training));
    }
}

#[test]
fn the_mode_reaches_into_loops() {
    let mut body = Graph::step_body(STEPS);
    let state = input(&mut body, "v", &Ty::scalar());
    let training = body.push(Training {}, &[]).unwrap();
    let (one, two) = (body.constant(1.0).unwrap(), body.constant(2.0).unwrap());
    let step = body.select(training, one, two).unwrap();
    let next = body.add(state, step).unwrap();
    let body = Body { graph: body, states: vec![state], xs: vec![], consts: vec![], next: vec![next], ys: vec![next] };
    let mut graph = Graph::new(STEPS);
    let zero = graph.constant(0.0).unwrap();
    let scan = graph.scan(body, false, &[zero], &[], &[]).unwrap();
    let y = graph.project(scan, 0).unwrap();
    for (training, expected) in [(true, [1.0, 2.0, 3.0]), (false, [2.0, 4.0, 6.0])] {
        let decided = mode::graph(&graph, &[y], training).unwrap();
        let y = decided.node(y).unwrap();
        let new = fold::graph(&decided.graph, &[y]).unwrap();
        assert_eq!(run(&new.graph, &[new.node(y).unwrap()], 1, &Bindings::new()).unwrap()[0].data, expected);
        assert_eq!(count(&body_of(&new.graph).graph, "where"), 0);
    }
}

#[test]
fn an_unknown_pass_is_an_error_that_lists_the_passes() {
    let model = moody_model();
    let error = passes::run(&model, &PassContext::new(&model, true), Some("discretize")).unwrap_err();
    assert!(error.message.contains("`discretize`"));
    let help = error.help.unwrap();
    assert!(PASSES.iter().all(|pass| help.contains(pass.name)), "{help}");
}

#[test]
fn declared_derivatives_go_once_nothing_is_differentiated_any_more() {
    let ty = Ty::signal(false, &[2]);
    let mut body = Graph::step_body(STEPS);
    let (v, x) = (input(&mut body, "v", &ty), input(&mut body, "x", &ty));
    let sum = body.add(v, x).unwrap();
    let s = spike(&mut body, sum);
    let fixed = body.detach(s).unwrap();
    let next = body.sub(sum, fixed).unwrap();
    let body = Body { graph: body, states: vec![v], xs: vec![x], consts: vec![], next: vec![next], ys: vec![s] };
    let mut graph = Graph::new(STEPS);
    let x = input(&mut graph, "x", &Ty::signal(true, &[2]));
    let zero = graph.constant(0.0).unwrap();
    let scan = graph.scan(body, false, &[zero], &[x], &[]).unwrap();
    let y = graph.project(scan, 0).unwrap();
    let (new, outputs) = passes::finish(&graph, &[y]).unwrap();
    let inner = &body_of(&new).graph;
    assert_eq!(count(inner, "with_gradient") + count(inner, "detach") + count(inner, "div"), 0);
    assert_eq!(new.ty(outputs[0]).kind, Kind::Spikes);
    let bindings = bind(&[("x", &[STEPS, 1, 2], &[0.5, -1.0, 2.0, 0.25, -3.0, 1.5])]);
    assert_eq!(run(&graph, &[y], 1, &bindings).unwrap(), run(&new, &outputs, 1, &bindings).unwrap());
}
