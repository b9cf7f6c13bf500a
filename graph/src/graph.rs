//! The arena of nodes.
//!
//! Nodes are only ever appended and refer to earlier ones, so an index order is a topological order. Appending runs the
//! op's shape rule at once: a graph never holds an ill-typed node.

use std::rc::Rc;

use crate::op::{Op, OpRule, ShapeContext, ShapeError};
use crate::ty::Ty;

/// A node of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// Position in the arena.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a node comes from: an id that only the front end can turn into a place in a file. 0 is "nowhere".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Origin(pub u32);

/// One op applied to earlier nodes.
#[derive(Clone, Debug)]
pub struct Node {
    /// The op with its attributes.
    pub op: Op,
    /// Its operands.
    pub inputs: Vec<NodeId>,
    /// The type of its value.
    pub ty: Ty,
    /// The user's name of the layer or value it belongs to, if any.
    pub name: Option<Rc<str>>,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether differentiation made it.
    pub grad: bool,
    /// Whether it is computed just before its first user instead of as soon as possible: it is computed a second time so
    /// that nothing has to be kept in between ([`recompute`](crate::recompute)).
    pub late: bool,
}

/// A dataflow graph: a whole model, or the body of a scan (then it describes one step and no value has a time axis).
#[derive(Clone, Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    /// Number of time steps.
    pub steps: usize,
    /// Whether this is the body of a scan.
    pub is_step: bool,
    /// The name given to nodes that are appended from now on.
    pub current_name: Option<Rc<str>>,
    /// The origin given to nodes that are appended from now on.
    pub current_origin: Origin,
    /// Whether nodes that are appended from now on count as made by differentiation.
    pub current_grad: bool,
}

impl Graph {
    /// An empty graph of a model with that many time steps.
    pub fn new(steps: usize) -> Graph {
        Graph {
            nodes: Vec::new(),
            steps,
            is_step: false,
            current_name: None,
            current_origin: Origin::default(),
            current_grad: false,
        }
    }

    /// An empty body of a scan over that many steps.
    pub fn step_body(steps: usize) -> Graph {
        Graph { is_step: true, ..Graph::new(steps) }
    }

    /// Appends an op; its shape rule decides the type or says what is wrong.
    pub fn push(&mut self, op: impl Into<Op>, inputs: &[NodeId]) -> Result<NodeId, ShapeError> {
        let op = op.into();
        let tys: Vec<&Ty> = inputs.iter().map(|id| &self.nodes[id.index()].ty).collect();
        let context = ShapeContext { steps: self.steps, is_step: self.is_step };
        let ty = match &op {
            // Only the graph knows which node a projection reads from.
            Op::Project(project) => self.result_ty(inputs, project.index),
            _ => op.shape(&context, &tys),
        }
        .map_err(|error| error.at(inputs))?;
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            ty,
            name: self.current_name.clone(),
            origin: self.current_origin,
            grad: self.current_grad,
            late: false,
        });
        Ok(id)
    }

    fn result_ty(&self, inputs: &[NodeId], index: usize) -> Result<Ty, ShapeError> {
        let operand = inputs.first().map(|id| &self.nodes[id.index()].op);
        operand.and_then(|op| op.result_ty(index)).ok_or_else(|| ShapeError::new("there is no such result to project"))
    }

    /// The node of an id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The node of an id, to rename it or to record its kind more precisely.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.index()]
    }

    /// The type of a node's value.
    pub fn ty(&self, id: NodeId) -> &Ty {
        &self.nodes[id.index()].ty
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node yet.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All ids, in topological order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// Nodes that the given ones depend on, themselves included, as flags by index.
    pub fn reachable(&self, from: &[NodeId]) -> Vec<bool> {
        let mut needed = vec![false; self.nodes.len()];
        for id in from {
            needed[id.index()] = true;
        }
        for id in self.ids().rev() {
            if needed[id.index()] {
                for input in &self.nodes[id.index()].inputs {
                    needed[input.index()] = true;
                }
            }
        }
        needed
    }
}
