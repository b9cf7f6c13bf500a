//! Graphs as text, for `snnc dump --stage graph` and `--stage grad`.
//!
//! One line a node: number, op with its attributes, operands, type, and the user's name of what it belongs to:
//!
//! ```text
//! %12 = add %3, %11 : stepped real [64, 32, 32]  // "stage1.0.main"
//! ```
//!
//! `grad` before the name marks what differentiation made. The graphs inside of a scan or of a neuron's equations follow
//! their node, indented. The same graph always gives the same text. Nothing reads the text back.

use std::fmt::{self, Write};

use crate::graph::{Graph, Node, NodeId};
use crate::op::{Op, OpRule};
use crate::ops::dynamics::{Flow, StepFn};
use crate::ops::scan::Body;

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// The whole graph as text.
pub fn print(graph: &Graph) -> String {
    Printer::default().all(graph)
}

/// The part of a graph that the given nodes depend on, themselves included, as text.
pub fn print_reachable(graph: &Graph, from: &[NodeId]) -> String {
    let needed = graph.reachable(from);
    let mut printer = Printer::default();
    printer.graph(graph, |id| needed[id.index()]);
    printer.text
}

#[derive(Default)]
struct Printer {
    text: String,
    depth: usize,
}

impl Printer {
    fn all(mut self, graph: &Graph) -> String {
        self.graph(graph, |_| true);
        self.text
    }

    fn line(&mut self, line: &str) {
        for _ in 0..self.depth {
            self.text.push_str("    ");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn graph(&mut self, graph: &Graph, shown: impl Fn(NodeId) -> bool) {
        for id in graph.ids().filter(|id| shown(*id)) {
            let node = graph.node(id);
            self.line(&node_line(id, node));
            self.depth += 1;
            match &node.op {
                Op::Scan(scan) => self.body(&scan.body),
                Op::Dynamics(dynamics) => self.flow(&dynamics.flow),
                _ => {}
            }
            self.depth -= 1;
        }
    }

    fn body(&mut self, body: &Body) {
        let Body { graph, states, xs, consts, next, ys } = body;
        self.list("states", states);
        self.list("signals", xs);
        self.list("constants", consts);
        self.graph(graph, |_| true);
        self.list("next states", next);
        self.list("yields", ys);
    }

    fn flow(&mut self, flow: &Flow) {
        self.function("derivative", &flow.derivative);
        self.function("jumps", &flow.jumps);
        if let Some(threshold) = &flow.threshold {
            self.function("condition", &threshold.condition);
            self.function("spike", &threshold.spike);
            self.function("reset", &threshold.reset);
        }
        if let Some(output) = &flow.output {
            self.function("output", output);
        }
    }

    fn function(&mut self, name: &str, function: &StepFn) {
        self.line(&format!("{name}({})", ids(&function.inputs)));
        self.depth += 1;
        self.graph(&function.graph, |_| true);
        self.list("gives", &function.outputs);
        self.depth -= 1;
    }

    /// A list of nodes, unless it is empty.
    fn list(&mut self, name: &str, nodes: &[NodeId]) {
        if !nodes.is_empty() {
            self.line(&format!("{name} {}", ids(nodes)));
        }
    }
}

fn ids(nodes: &[NodeId]) -> String {
    nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ")
}

fn node_line(id: NodeId, node: &Node) -> String {
    let mut line = format!("{id} = {}", node.op.name());
    let attributes = node.op.attributes();
    if !attributes.is_empty() {
        let _ = write!(line, "({attributes})");
    }
    if !node.inputs.is_empty() {
        let _ = write!(line, " {}", ids(&node.inputs));
    }
    let _ = write!(line, " : {}", node.ty);
    match (&node.name, node.grad) {
        (Some(name), false) => {
            let _ = write!(line, "  // {name:?}");
        }
        (Some(name), true) => {
            let _ = write!(line, "  // grad {name:?}");
        }
        (None, true) => line.push_str("  // grad"),
        (None, false) => {}
    }
    line
}
