//! A term of a neuron's equations as text, for messages about it.

use crate::graph::{Graph, NodeId};
use crate::op::Op;
use crate::ops::pointwise::Function;

/// Deeper than this a term is written `...`.
const DEPTH: usize = 6;

/// How tightly what is at the top of a term binds: sums, products, powers, everything else.
const SUM: u8 = 0;
const PRODUCT: u8 = 1;
const POWER: u8 = 2;
const ATOM: u8 = 3;

/// A node as an expression over the names of the inputs it reads.
pub(super) fn term(graph: &Graph, node: NodeId) -> String {
    write(graph, node, DEPTH).0
}

fn write(graph: &Graph, id: NodeId, depth: usize) -> (String, u8) {
    let node = graph.node(id);
    let Some(left) = depth.checked_sub(1) else { return ("...".to_owned(), ATOM) };
    let operand = |at: usize, binding: u8| {
        let (text, own) = node.inputs.get(at).map_or(("...".to_owned(), ATOM), |input| write(graph, *input, left));
        if own < binding { format!("({text})") } else { text }
    };
    match &node.op {
        Op::InputOp(input) => (input.name.clone(), ATOM),
        Op::Constant(constant) => (constant.as_scalar().map_or("...".to_owned(), |value| value.to_string()), ATOM),
        Op::Broadcast(_) | Op::Reshape(_) | Op::Detach(_) | Op::WithGradient(_) => match node.inputs.first() {
            Some(input) => write(graph, *input, depth),
            None => ("...".to_owned(), ATOM),
        },
        Op::Pointwise(pointwise) => {
            let infix =
                |sign: &str, own: u8, right: u8| (format!("{} {sign} {}", operand(0, own), operand(1, right)), own);
            match pointwise.function {
                Function::Add => infix("+", SUM, SUM),
                Function::Sub => infix("-", SUM, PRODUCT),
                Function::Mul => infix("*", PRODUCT, PRODUCT),
                Function::Div => infix("/", PRODUCT, POWER),
                Function::Lt => infix("<", SUM, PRODUCT),
                Function::Le => infix("<=", SUM, PRODUCT),
                Function::Eq => infix("==", SUM, PRODUCT),
                Function::Neg => (format!("-{}", operand(0, PRODUCT)), SUM),
                Function::Powi(n) => (format!("{}^{n}", operand(0, ATOM)), POWER),
                function => {
                    let arguments: Vec<String> = (0..node.inputs.len()).map(|at| operand(at, SUM)).collect();
                    (format!("{}({})", function.name(), arguments.join(", ")), ATOM)
                }
            }
        }
        _ => ("...".to_owned(), ATOM),
    }
}
