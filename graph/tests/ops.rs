//! Loops over the registry: every op's samples fit its shape rule, its value has the extents of its type, and its gradient
//! is the derivative where it says so.

use std::collections::BTreeMap;

use snn_graph::eval::{EvalContext, evaluate};
use snn_graph::op::{GradientKind, Sample};
use snn_graph::ops::InputOp;
use snn_graph::verify::verify;
use snn_graph::{Graph, Kind, NodeId, Op, OpRule, Tensor, Ty, autodiff};
use snn_loops::{RandomKey, draw};

const STEPS: usize = 3;
const BATCH: usize = 2;

/// Half the distance of a central difference. Its error is about `STEP^2` times a third derivative, 1e-8 for the wildest
/// sample, and rounding adds about 1e-11.
const STEP: f64 = 1e-5;

/// Allowed error of a derivative, relative to it where it is above 1.
const TOLERANCE: f64 = 1e-7;

/// Numbers that look random but never change; spikes and truth values are 0 or 1.
fn numbers(ty: &Ty, (low, high): (f64, f64), stream: u64) -> Tensor {
    let key = RandomKey { seed: 5, run: 0 };
    let mut element = 0;
    Tensor::from_fn(&ty.extents(STEPS, BATCH), |_| {
        let unit = draw::element(draw::Distribution::Uniform, key, stream, element);
        element += 1;
        match ty.kind {
            Kind::Truth | Kind::Spikes => (unit * 2.0).floor(),
            Kind::Scaled | Kind::Counts | Kind::Real => low + (high - low) * unit,
        }
    })
}

/// A sample's op with inputs `x0`, `x1`, .. and what it computes.
struct Case {
    what: String,
    graph: Graph,
    inputs: Vec<NodeId>,
    results: Vec<NodeId>,
    bindings: BTreeMap<String, Tensor>,
}

impl Case {
    fn new(sample: &Sample) -> Case {
        let what = format!("{}({}) of {:?}", sample.op.name(), sample.op.attributes(), sample.inputs);
        assert_eq!(sample.inputs.len(), sample.ranges.len(), "{what}: one range an operand");
        let mut graph = Graph::new(STEPS);
        let mut bindings = BTreeMap::new();
        let mut inputs = Vec::new();
        for (i, (ty, range)) in sample.inputs.iter().zip(&sample.ranges).enumerate() {
            let name = format!("x{i}");
            bindings.insert(name.clone(), numbers(ty, *range, i as u64));
            inputs.push(graph.push(InputOp { name, ty: ty.clone() }, &[]).unwrap());
        }
        let node = graph.push(sample.op.clone(), &inputs).unwrap_or_else(|e| panic!("{what}: {e}"));
        let results = match &sample.op {
            // What a scan yields and its final states; the states before each step have no gradient.
            Op::Scan(scan) => (0..scan.body.ys.len() + scan.body.states.len())
                .map(|index| graph.project(node, index).unwrap())
                .collect(),
            _ => vec![node],
        };
        Case { what, graph, inputs, results, bindings }
    }

    fn values(&self, nodes: &[NodeId], bindings: &BTreeMap<String, Tensor>) -> Vec<Tensor> {
        let mut context = EvalContext::new(STEPS, BATCH, bindings);
        evaluate(&self.graph, nodes, &mut context).unwrap_or_else(|e| panic!("{}: {e}", self.what))
    }

    /// The sum of all results' elements, each times its seed.
    fn loss(&self, bindings: &BTreeMap<String, Tensor>, seeds: &[Tensor]) -> f64 {
        let values = self.values(&self.results, bindings);
        let products = values.iter().zip(seeds).flat_map(|(value, seed)| value.data.iter().zip(&seed.data));
        products.map(|(value, seed)| value * seed).sum()
    }

    /// Appends the gradients of the loss with respect to the operands and gives the seeds.
    fn differentiate(&mut self) -> (Vec<Option<NodeId>>, Vec<Tensor>) {
        let mut pairs = Vec::new();
        let mut seeds = Vec::new();
        for (i, result) in self.results.iter().enumerate() {
            let ty = self.graph.ty(*result).with_kind(Kind::Real);
            let name = format!("seed{i}");
            let seed = numbers(&ty, (-1.0, 1.0), 100 + i as u64);
            self.bindings.insert(name.clone(), seed.clone());
            seeds.push(seed);
            pairs.push((*result, self.graph.push(InputOp { name, ty }, &[]).unwrap()));
        }
        let inputs = self.inputs.clone();
        let gradients = autodiff::gradients(&mut self.graph, &pairs, &inputs);
        (gradients.unwrap_or_else(|e| panic!("{}: {e}", self.what)), seeds)
    }
}

#[test]
fn samples_fit_and_values_have_their_types_extents() {
    let samples = Op::all_samples();
    for sample in &samples {
        let case = Case::new(sample);
        verify(&case.graph).unwrap_or_else(|e| panic!("{}: {e}", case.what));
        for (node, value) in case.results.iter().zip(case.values(&case.results, &case.bindings)) {
            assert_eq!(value.dims, case.graph.ty(*node).extents(STEPS, BATCH), "{}", case.what);
            assert_eq!(value.data.len(), value.dims.iter().product::<usize>(), "{}", case.what);
            check_kind(&case.what, case.graph.ty(*node).kind, &value);
        }
    }
    assert!(samples.len() > 100, "only {} samples", samples.len());
}

/// Values are of the kind that their type promises.
fn check_kind(what: &str, kind: Kind, value: &Tensor) {
    let holds = |x: &f64| match kind {
        Kind::Truth | Kind::Spikes => *x == 0.0 || *x == 1.0,
        Kind::Counts => *x >= 0.0 && *x == x.floor(),
        Kind::Scaled | Kind::Real => true,
    };
    assert!(value.data.iter().all(holds), "{what}: not all {} in {:?}", kind.name(), value.data);
}

#[test]
fn gradients_are_derivatives() {
    let mut seen = 0;
    for sample in Op::all_samples().iter().filter(|sample| sample.op.gradient_kind() == GradientKind::Exact) {
        let mut case = Case::new(sample);
        let (gradients, seeds) = case.differentiate();
        verify(&case.graph).unwrap_or_else(|e| panic!("{}: {e}", case.what));
        for (i, gradient) in gradients.iter().enumerate() {
            let name = format!("x{i}");
            let x = case.bindings[&name].clone();
            if sample.inputs[i].kind == Kind::Truth {
                assert!(gradient.is_none(), "{}: a truth value has no gradient", case.what);
                continue;
            }
            let found = match gradient {
                Some(node) => {
                    assert!(case.graph.ty(*node).same_shape(&sample.inputs[i]), "{}: shape of gradient {i}", case.what);
                    case.values(&[*node], &case.bindings).remove(0)
                }
                None => Tensor::full(&x.dims, 0.0),
            };
            for at in 0..x.data.len() {
                let moved = |by: f64| {
                    let mut bindings = case.bindings.clone();
                    bindings.get_mut(&name).unwrap().data[at] += by;
                    case.loss(&bindings, &seeds)
                };
                let expected = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                let error = (found.data[at] - expected).abs();
                assert!(
                    error <= TOLERANCE * expected.abs().max(1.0),
                    "{}: gradient {i} [{at}] is {}, not {expected}",
                    case.what,
                    found.data[at]
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 1000, "only {seen} derivatives");
}

#[test]
fn declared_gradients_are_what_was_declared() {
    for sample in Op::all_samples().iter().filter(|sample| sample.op.gradient_kind() == GradientKind::Declared) {
        let mut case = Case::new(sample);
        let (gradients, seeds) = case.differentiate();
        let value = |node: NodeId| case.values(&[node], &case.bindings).remove(0);
        match &sample.op {
            Op::Detach(_) => assert_eq!(gradients, [None], "{}", case.what),
            Op::Running(_) => {
                assert_eq!(gradients[1], None, "{}", case.what);
                assert_eq!(value(gradients[0].unwrap()), seeds[0], "{}", case.what);
            }
            Op::WithGradient(_) => {
                assert_eq!((gradients[0], gradients[2]), (None, None), "{}", case.what);
                let found: f64 = value(gradients[1].unwrap()).data.iter().sum();
                let derivative = &case.bindings["x2"].data;
                let at = |i: usize| if derivative.len() == 1 { derivative[0] } else { derivative[i] };
                let expected: f64 = seeds[0].data.iter().enumerate().map(|(i, seed)| seed * at(i)).sum();
                assert!((found - expected).abs() < 1e-12, "{}: {found} {expected}", case.what);
            }
            other => panic!("{} declares a gradient that no test knows", other.name()),
        }
    }
}

#[test]
fn ops_without_gradient_pass_none() {
    for sample in Op::all_samples().iter().filter(|sample| sample.op.gradient_kind() == GradientKind::None) {
        let mut case = Case::new(sample);
        let (gradients, _) = case.differentiate();
        assert!(gradients.iter().all(Option::is_none), "{}", case.what);
    }
}

#[test]
fn gradients_that_nobody_wants_are_not_built() {
    for sample in Op::all_samples() {
        let mut case = Case::new(&sample);
        let ty = case.graph.ty(case.results[0]).with_kind(Kind::Real);
        let seed = case.graph.push(InputOp { name: "seed".to_string(), ty }, &[]).unwrap();
        let before = case.graph.len();
        autodiff::gradients(&mut case.graph, &[(case.results[0], seed)], &[]).unwrap();
        assert_eq!(case.graph.len(), before, "{}", case.what);
    }
}
