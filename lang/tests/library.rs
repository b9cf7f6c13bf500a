//! The tests of the standard library, evaluated by the graph's reference evaluation: what the library's texts claim is
//! what elaboration makes of them.

use std::collections::BTreeMap;

use snn_graph::eval::{EvalContext, evaluate};
use snn_graph::passes::discretise;
use snn_graph::{Init, Tensor};
use snn_lang::elaborate::{CompiledTest, Relation};
use snn_lang::source::NoFiles;
use snn_lang::{Options, compile, render};

/// Parameters and averages at their start; what is drawn at random is a tenth everywhere.
fn bindings(test: &CompiledTest) -> BTreeMap<String, Tensor> {
    let mut bindings = BTreeMap::new();
    for parameter in &test.model.parameters {
        let value = match parameter.init {
            Init::Constant(value) => value,
            _ => 0.1,
        };
        bindings.insert(parameter.path.clone(), Tensor::full(&parameter.dims, value));
    }
    for average in &test.model.averages {
        bindings.insert(average.path.clone(), Tensor::full(&average.dims, average.start));
    }
    bindings
}

/// What does not hold, in words.
fn failures(test: &CompiledTest) -> Vec<String> {
    let bindings = bindings(test);
    let mut failures = Vec::new();
    for (number, expectation) in test.expectations.iter().enumerate() {
        let mut graph = test.model.graph.clone();
        let ty = graph.ty(expectation.left).broadcast(graph.ty(expectation.right)).unwrap();
        let sides = [expectation.left, expectation.right].map(|side| graph.broadcast(side, &ty).unwrap());
        let rewritten = discretise::graph(&graph, &sides, test.model.time.dt()).unwrap();
        let (graph, sides) = (&rewritten.graph, rewritten.nodes(&sides).unwrap());
        let mut context = EvalContext::new(graph.steps, 1, &bindings);
        context.training = test.training;
        let values = match evaluate(graph, &sides, &mut context) {
            Ok(values) => values,
            Err(error) => {
                failures.push(format!("expectation {number}: {error}"));
                continue;
            }
        };
        let (left, right) = (&values[0].data, &values[1].data);
        let holds = left.iter().zip(right).all(|(a, b)| match expectation.relation {
            Relation::Equal => a == b,
            Relation::Near { absolute, relative } => (a - b).abs() <= absolute + relative * b.abs(),
        });
        if !holds {
            failures.push(format!("expectation {number}: {left:?} against {right:?}"));
        }
    }
    failures
}

/// A neuron written as equations, fed through a loop by itself, beside the same written as steps.
const FEEDBACK: &str = r#"
use std.surrogates { rect }
neuron Leaky(tau = 10ms, v_th = 1.0, surrogate = rect())(x) {
    state v = 0.0
    v' = -v / tau
    on x { v += x }
    spike when v >= v_th { v = 0.0 }
}
neuron Steps(decay, v_th = 1.0, surrogate = rect())(x) {
    state v = 0.0
    let u = (v + x) * decay
    let s = spike(u - v_th, surrogate)
    next v = u * (1 - s)
    s
}
block Fed(neuron)(x) {
    state s = 0.0
    let y = x + 0.5 * s -> neuron()
    next s = y
    y
}
test "equations in a feedback loop do what their steps do" {
    time 6 of 2ms
    let x = [0.7, 0.9, 0.7, 0.0, 1.3, 0.8]
    let equations = x -> Fed(Leaky())
    expect equations == (x -> Fed(Steps(decay = exp(-0.2))))
    expect sum(equations, over = time) == 3
}
"#;

#[test]
fn equations_in_a_feedback_loop_have_the_value_of_their_steps() {
    let compiled = compile(&NoFiles, "feedback.snn", FEEDBACK, &Options::default());
    assert!(!compiled.has_errors(), "{}", render::render_all(&compiled.diagnostics, &compiled.sources, false));
    assert_eq!(failures(&compiled.tests[0]), Vec::<String>::new());
}

#[test]
fn every_claim_of_the_library_holds_in_reference_evaluation() {
    let mut wrong = Vec::new();
    let mut n_tests = 0;
    for module in snn_stdlib::MODULES {
        let compiled = compile(&NoFiles, module.file, module.text, &Options::default());
        let errors: Vec<_> = compiled.diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).cloned().collect();
        if !errors.is_empty() {
            wrong.push(format!("{}:\n{}", module.file, render::render_all(&errors, &compiled.sources, false)));
        }
        for test in &compiled.tests {
            n_tests += 1;
            wrong.extend(failures(test).into_iter().map(|what| format!("{}: \"{}\": {what}", module.file, test.title)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(n_tests > 50, "only {n_tests} tests were found");
}
