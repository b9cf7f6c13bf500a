//! `test` declarations: each claim is checked on the reference evaluation and on compiled code, both in f64.
//!
//! Must never know how verdicts are shown.

use std::collections::BTreeMap;

use snn_graph::eval::{EvalContext, evaluate};
use snn_graph::lower::LowerOptions;
use snn_graph::passes::{self, PassContext};
use snn_graph::{Graph, Kind, Model, NodeId, ShapeError, SpikeOutput, Tensor};
use snn_lang::elaborate::{CompiledTest, Expectation, Relation};
use snn_runtime::device::Device;
use snn_runtime::step::Step;
use snn_runtime::weights::Weights;
use snn_runtime::{Dtype, RandomKey};

use crate::error::Result;
use crate::program::Program;

/// The seed of weights in tests.
const SEED: u64 = 0;

/// The most elements of one value that a failure shows.
const MAX_SHOWN: usize = 8;

/// What became of one test.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The test's title.
    pub title: String,
    /// `file:line:column` of the test.
    pub place: String,
    /// What does not hold, one entry for each claim and back end; empty if all is well.
    pub failures: Vec<String>,
}

/// Runs all tests of a program.
///
/// # Errors
/// If a test cannot be evaluated or compiled at all.
pub fn check(program: &Program) -> Result<Vec<Verdict>> {
    program.tests().iter().map(|test| verdict(program, test)).collect()
}

fn verdict(program: &Program, test: &CompiledTest) -> Result<Verdict> {
    let model = passes::run(&sides(test)?, &PassContext::new(&test.model, test.training), None)?;
    let weights = Weights::initial(&model, 0, SEED)?;
    let nodes: Vec<NodeId> = model.spikes.iter().map(|side| side.node).collect();
    let reference = on_reference(&model, &nodes, &weights, test.training)?;
    let compiled = on_cpu(&model, &nodes, &weights)?;
    let mut failures = Vec::new();
    for (name, values) in [("reference", reference), ("compiled", compiled)] {
        for (expectation, sides) in test.expectations.iter().zip(values.chunks_exact(2)) {
            if let [left, right] = sides
                && !holds(expectation.relation, left, right)
            {
                failures.push(failure(program, expectation, name, left, right));
            }
        }
    }
    Ok(Verdict { title: test.title.clone(), place: program.place(test.span), failures })
}

/// The test's model with the two sides of every claim, broadcast to one shape, in the place of the layers of neurons:
/// nodes that a model lists are what passes keep track of.
fn sides(test: &CompiledTest) -> Result<Model> {
    let mut model = test.model.clone();
    model.spikes.clear();
    for expectation in &test.expectations {
        let left = number(&mut model.graph, expectation.left)?;
        let right = number(&mut model.graph, expectation.right)?;
        let common = model
            .graph
            .ty(left)
            .broadcast(model.graph.ty(right))
            .ok_or_else(|| ShapeError::new("the two sides of an `expect` do not broadcast").at(&[left, right]))?;
        for side in [left, right] {
            let node = model.graph.broadcast(side, &common)?;
            model.spikes.push(SpikeOutput { path: model.spikes.len().to_string(), node, max_spikes: None });
        }
    }
    Ok(model)
}

/// Truth values as 0 and 1, anything else as it is.
fn number(graph: &mut Graph, id: NodeId) -> Result<NodeId, ShapeError> {
    if graph.ty(id).kind != Kind::Truth {
        return Ok(id);
    }
    let (one, zero) = (graph.constant(1.0)?, graph.constant(0.0)?);
    graph.select(id, one, zero)
}

fn on_reference(model: &Model, nodes: &[NodeId], weights: &Weights, training: bool) -> Result<Vec<Vec<f64>>> {
    let tensor = |dims: &[usize], values: &[f64]| Tensor { dims: dims.to_vec(), data: values.to_vec() };
    let bindings: BTreeMap<String, Tensor> =
        weights.iter().map(|kept| (kept.name(), tensor(kept.dims(), &kept.values))).collect();
    let mut context = EvalContext::new(model.graph.steps, 1, &bindings);
    context.key = key();
    context.training = training;
    Ok(evaluate(&model.graph, nodes, &mut context)?.into_iter().map(|tensor| tensor.data).collect())
}

fn on_cpu(model: &Model, nodes: &[NodeId], weights: &Weights) -> Result<Vec<Vec<f64>>> {
    let outputs: Vec<(String, NodeId)> =
        nodes.iter().enumerate().map(|(at, node)| (format!("side{at}"), *node)).collect();
    let mut step = Step::new(&model.graph, &outputs, LowerOptions::new(1, Dtype::F64), Device::cpu(1))?;
    for kept in weights.iter() {
        step.set(&kept.port(), &kept.values)?;
    }
    step.run(key())?;
    outputs.iter().map(|(name, _)| Ok(step.result(name)?.1)).collect()
}

fn key() -> RandomKey {
    RandomKey { seed: SEED, run: 0 }
}

fn holds(relation: Relation, left: &[f64], right: &[f64]) -> bool {
    let close = |(left, right): (&f64, &f64)| match relation {
        Relation::Equal => left == right,
        Relation::Near { absolute, relative } => {
            left == right || (left - right).abs() <= absolute + relative * right.abs()
        }
    };
    left.len() == right.len() && left.iter().zip(right).all(close)
}

fn failure(program: &Program, expectation: &Expectation, back_end: &str, left: &[f64], right: &[f64]) -> String {
    let (place, claim) = (program.place(expectation.span), program.slice(expectation.span));
    format!("{place}: `expect {claim}` does not hold ({back_end}): {} is not {}", shown(left), shown(right))
}

fn shown(values: &[f64]) -> String {
    let list: Vec<String> = values.iter().take(MAX_SHOWN).map(f64::to_string).collect();
    let more = if values.len() > MAX_SHOWN { ", .." } else { "" };
    format!("[{}{more}]", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_compare_element_by_element() {
        let near = Relation::Near { absolute: 0.1, relative: 0.0 };
        let relative = Relation::Near { absolute: 0.0, relative: 0.1 };
        assert!(holds(Relation::Equal, &[1.0, 2.0], &[1.0, 2.0]));
        assert!(!holds(Relation::Equal, &[1.0, 2.0], &[1.0, 2.0 + 1e-15]));
        assert!(holds(near, &[1.0], &[1.09]) && !holds(near, &[1.0], &[1.11]));
        assert!(holds(relative, &[91.0], &[100.0]) && !holds(relative, &[89.0], &[100.0]));
        assert!(holds(near, &[f64::INFINITY], &[f64::INFINITY]) && !holds(near, &[f64::NAN], &[f64::NAN]));
        assert!(!holds(near, &[1.0], &[1.0, 1.0]));
    }
}
