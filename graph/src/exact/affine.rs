//! Functions of a neuron's equations as sums of their arguments: `c0 + c1 x1 + c2 x2 + ..` in numbers.
//!
//! "Linear" means as written, up to constants: `v * v / v` is not. Must never know what the function is for.

use crate::exact::known;
use crate::graph::NodeId;
use crate::op::Op;
use crate::ops::dynamics::StepFn;
use crate::ops::pointwise::Function;

/// `constant + sum of coefficients times arguments`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Affine {
    pub coefficients: Vec<f64>,
    pub constant: f64,
}

impl Affine {
    fn number(n: usize, constant: f64) -> Affine {
        Affine { coefficients: vec![0.0; n], constant }
    }

    /// The number that it is, if no argument counts.
    fn as_number(&self) -> Option<f64> {
        self.coefficients.iter().all(|c| *c == 0.0).then_some(self.constant)
    }

    fn combine(&self, other: &Affine, f: impl Fn(f64, f64) -> f64) -> Affine {
        let pairs = self.coefficients.iter().zip(&other.coefficients);
        Affine { coefficients: pairs.map(|(a, b)| f(*a, *b)).collect(), constant: f(self.constant, other.constant) }
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Affine {
        Affine { coefficients: self.coefficients.iter().map(|c| f(*c)).collect(), constant: f(self.constant) }
    }
}

/// What an argument of a function stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Argument {
    /// A variable.
    Free,
    /// A number.
    Number(f64),
}

/// The results of a function as sums over its free arguments, in their order; for one that is not such a sum the node
/// at which it ceases to be.
pub(super) fn results(function: &StepFn, arguments: &[Argument]) -> Vec<Result<Affine, NodeId>> {
    let graph = &function.graph;
    let n = arguments.iter().filter(|argument| matches!(argument, Argument::Free)).count();
    let mut forms: Vec<Option<Result<Affine, NodeId>>> = vec![None; graph.len()];
    let mut free = 0;
    for (input, argument) in function.inputs.iter().zip(arguments) {
        let mut form = Affine::number(n, 0.0);
        match argument {
            Argument::Number(number) => form.constant = *number,
            Argument::Free => {
                if let Some(slot) = form.coefficients.get_mut(free) {
                    *slot = 1.0;
                }
                free += 1;
            }
        }
        forms[input.index()] = Some(Ok(form));
    }
    let needed = graph.reachable(&function.outputs);
    for id in graph.ids().filter(|id| needed[id.index()]) {
        if forms[id.index()].is_none() {
            let node = graph.node(id);
            let operands: Result<Vec<&Affine>, NodeId> =
                node.inputs.iter().map(|input| forms[input.index()].as_ref().map_or(Err(id), as_reference)).collect();
            let form = operands.and_then(|operands| apply(&node.op, &operands, n).ok_or(id));
            forms[id.index()] = Some(form);
        }
    }
    let form = |output: &NodeId| forms[output.index()].clone().unwrap_or(Err(*output));
    function.outputs.iter().map(form).collect()
}

fn as_reference(form: &Result<Affine, NodeId>) -> Result<&Affine, NodeId> {
    form.as_ref().map_err(|node| *node)
}

/// An op of sums as a sum, if it is one.
fn apply(op: &Op, operands: &[&Affine], n: usize) -> Option<Affine> {
    let numbers: Option<Vec<f64>> = operands.iter().map(|operand| operand.as_number()).collect();
    if let Some(value) = known::value(op, numbers.as_deref()) {
        return Some(Affine::number(n, value));
    }
    match (op, operands) {
        (Op::Broadcast(_) | Op::Reshape(_) | Op::Detach(_), [x]) => Some((*x).clone()),
        (Op::WithGradient(_), [value, ..]) => Some((*value).clone()),
        (Op::Pointwise(pointwise), _) => match (pointwise.function, operands) {
            (Function::Add, [x, y]) => Some(x.combine(y, |a, b| a + b)),
            (Function::Sub, [x, y]) => Some(x.combine(y, |a, b| a - b)),
            (Function::Neg, [x]) => Some(x.map(|a| -a)),
            (Function::Powi(1), [x]) => Some((*x).clone()),
            (Function::Mul, [x, y]) => match (x.as_number(), y.as_number()) {
                (Some(factor), _) => Some(y.map(|a| factor * a)),
                (_, Some(factor)) => Some(x.map(|a| a * factor)),
                _ => None,
            },
            (Function::Div, [x, y]) => y.as_number().map(|divisor| x.map(|a| a / divisor)),
            (Function::Where, [condition, x, y]) => {
                let chosen = if condition.as_number()? > 0.0 { x } else { y };
                Some((*chosen).clone())
            }
            _ => None,
        },
        _ => None,
    }
}
