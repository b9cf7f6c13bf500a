//! Reference evaluation in f64: the readable meaning of a graph.
//!
//! [`evaluate`] runs the nodes that are wanted in order; every op says in its `eval` what it means, element by element,
//! with [`Place`]s (one index for each axis) and [`View`]s of its operands (which broadcast). Written for reading and for
//! tests, never for speed, and never shared with the lowering.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use snn_loops::RandomKey;

use crate::graph::{Graph, NodeId};
use crate::op::{Op, OpRule};
use crate::tensor::Tensor;
use crate::ty::Ty;

/// Why a graph could not be evaluated.
#[derive(Clone, Debug, PartialEq)]
pub enum EvalError {
    /// Nothing was bound to the input, parameter or average of this name.
    Unbound(String),
    /// What was bound to the name, or computed by the op of that name, has other extents than its type says.
    Extents {
        /// Name of the stored value, or of the op.
        name: String,
        /// What the type says.
        expected: Vec<usize>,
        /// What was found.
        found: Vec<usize>,
    },
    /// A result was asked of something that has none of that number.
    NoResult(usize),
    /// The node must be replaced by a pass before evaluation; the text says which.
    Unlowered(&'static str),
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EvalError::Unbound(name) => write!(f, "no value was given for `{name}`"),
            EvalError::Extents { name, expected, found } => {
                write!(f, "`{name}` should have the extents {expected:?}, not {found:?}")
            }
            EvalError::NoResult(index) => write!(f, "there is no result {index} to project"),
            EvalError::Unlowered(pass) => write!(f, "the pass `{pass}` has not run"),
        }
    }
}

impl std::error::Error for EvalError {}

/// What happens to detached values. Finite differences hold them fixed: record them once at the point in question, then
/// replay them while inputs move.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum DetachTape {
    /// They are computed anew.
    #[default]
    Off,
    /// They are computed anew and remembered in order of evaluation.
    Record(Vec<Tensor>),
    /// They are taken from the record; `next` counts those that were.
    Replay {
        /// What was recorded.
        values: Vec<Tensor>,
        /// The next to be taken.
        next: usize,
    },
}

impl DetachTape {
    /// A tape that replays what this one recorded.
    pub fn replay(&self) -> DetachTape {
        match self {
            DetachTape::Off => DetachTape::Off,
            DetachTape::Record(values) | DetachTape::Replay { values, .. } => {
                DetachTape::Replay { values: values.clone(), next: 0 }
            }
        }
    }

    fn pass(&mut self, value: &Tensor) -> Tensor {
        match self {
            DetachTape::Off => {}
            DetachTape::Record(values) => values.push(value.clone()),
            DetachTape::Replay { values, next } => {
                *next += 1;
                if let Some(recorded) = values.get(*next - 1) {
                    return recorded.clone();
                }
            }
        }
        value.clone()
    }
}

/// What an evaluation depends on besides the graph, and what it remembers on the way.
#[derive(Debug)]
pub struct EvalContext<'a> {
    /// Number of samples.
    pub batch: usize,
    /// Number of time steps.
    pub steps: usize,
    /// What random numbers depend on.
    pub key: RandomKey,
    /// Whether running averages show the value itself.
    pub training: bool,
    /// What happens to detached values.
    pub detached: DetachTape,
    /// The step that is being evaluated inside a scan's body; 0 outside of one. Random numbers depend on it.
    pub step: usize,
    bindings: &'a BTreeMap<String, Tensor>,
    /// Types of the operands of the node that is being evaluated.
    operands: Vec<Ty>,
    /// Results of the scan that is the operand of the node that is being evaluated.
    scan_results: Option<Rc<Vec<Tensor>>>,
    /// Results that the node that is being evaluated has left behind.
    results: Option<Vec<Tensor>>,
    error: Option<EvalError>,
}

impl<'a> EvalContext<'a> {
    /// A context for training mode with the default random key; `bindings` holds inputs, parameters and averages by name or
    /// path, with all axes that their types have.
    pub fn new(steps: usize, batch: usize, bindings: &'a BTreeMap<String, Tensor>) -> EvalContext<'a> {
        EvalContext {
            batch,
            steps,
            key: RandomKey::default(),
            training: true,
            detached: DetachTape::Off,
            step: 0,
            bindings,
            operands: Vec::new(),
            scan_results: None,
            results: None,
            error: None,
        }
    }

    /// Sizes of all axes of a type.
    pub fn extents(&self, ty: &Ty) -> Vec<usize> {
        ty.extents(self.steps, self.batch)
    }

    /// The value bound to a name; zeros and a remembered error where there is none or where its extents are wrong.
    pub fn binding(&mut self, name: &str, ty: &Ty) -> Tensor {
        let expected = self.extents(ty);
        match self.bindings.get(name) {
            Some(tensor) if tensor.dims == expected => return tensor.clone(),
            Some(tensor) => {
                self.fail(EvalError::Extents { name: name.to_string(), expected, found: tensor.dims.clone() });
            }
            None => self.fail(EvalError::Unbound(name.to_string())),
        }
        self.zeros(ty)
    }

    /// Remembers an error; the first one counts.
    pub fn fail(&mut self, error: EvalError) {
        self.error.get_or_insert(error);
    }

    /// Zeros of a type.
    pub fn zeros(&self, ty: &Ty) -> Tensor {
        Tensor::full(&self.extents(ty), 0.0)
    }

    /// The node's `input`-th operand, to be read by place.
    pub fn view<'t>(&self, inputs: &[&'t Tensor], input: usize) -> View<'t> {
        View { tensor: inputs[input], ty: self.operands[input].clone() }
    }

    /// A tensor of a type, computed place by place.
    pub fn tensor(&self, ty: &Ty, mut value: impl FnMut(&Place) -> f64) -> Tensor {
        Tensor::from_fn(&self.extents(ty), |index| value(&Place::of(ty, index)))
    }

    /// A tensor of a type: every place starts with `start` and takes in the items that fall on it, in order.
    pub fn gather(
        &self,
        ty: &Ty,
        start: f64,
        items: impl IntoIterator<Item = (Place, f64)>,
        combine: impl Fn(f64, f64) -> f64,
    ) -> Tensor {
        let mut tensor = Tensor::full(&self.extents(ty), start);
        for (place, value) in items {
            let at = tensor.offset(&place.index(ty));
            tensor.data[at] = combine(tensor.data[at], value);
        }
        tensor
    }

    /// A value behind `detach`, as the tape says.
    pub fn detach(&mut self, value: &Tensor) -> Tensor {
        self.detached.pass(value)
    }

    /// A copy of one result of the scan that is the current node's operand.
    pub fn scan_result(&mut self, index: usize) -> Tensor {
        match self.scan_results.as_ref().and_then(|results| results.get(index)) {
            Some(tensor) => tensor.clone(),
            None => {
                self.fail(EvalError::NoResult(index));
                Tensor::full(&[], 0.0)
            }
        }
    }

    /// Leaves behind the results of the node that is being evaluated, for projections to read.
    pub fn set_results(&mut self, results: Vec<Tensor>) {
        self.results = Some(results);
    }

    /// Evaluates the nodes of a graph that `wanted` needs; the nodes in `fixed` have the values given there.
    ///
    /// Errors are remembered in the context and returned by [`evaluate`]; values are meaningless after one.
    pub fn evaluate_with(&mut self, graph: &Graph, fixed: &[(NodeId, Tensor)], wanted: &[NodeId]) -> Vec<Tensor> {
        let outer = (std::mem::take(&mut self.operands), self.scan_results.take());
        let mut values: Vec<Option<Tensor>> = vec![None; graph.len()];
        for (id, value) in fixed {
            values[id.index()] = Some(value.clone());
        }
        let needed = needed(graph, &values, wanted);
        let mut results: BTreeMap<NodeId, Rc<Vec<Tensor>>> = BTreeMap::new();
        for id in graph.ids() {
            if !needed[id.index()] || values[id.index()].is_some() {
                continue;
            }
            let node = graph.node(id);
            let inputs: Vec<&Tensor> = node.inputs.iter().filter_map(|input| values[input.index()].as_ref()).collect();
            self.operands = node.inputs.iter().map(|input| graph.ty(*input).clone()).collect();
            self.scan_results = node.inputs.first().and_then(|input| results.get(input).cloned());
            if matches!(node.op, Op::Dynamics(_)) {
                self.fail(EvalError::Unlowered("discretise"));
            }
            let value = node.op.eval(self, &inputs, &node.ty);
            if let Some(left) = self.results.take() {
                results.insert(id, Rc::new(left));
            }
            values[id.index()] = Some(self.checked(&node.op, &node.ty, value));
        }
        (self.operands, self.scan_results) = outer;
        wanted.iter().filter_map(|id| values[id.index()].clone()).collect()
    }

    /// The value, if it has the extents of its type; zeros and an error otherwise.
    fn checked(&mut self, op: &Op, ty: &Ty, value: Tensor) -> Tensor {
        let expected = self.extents(ty);
        if value.dims == expected {
            return value;
        }
        self.fail(EvalError::Extents { name: op.name().to_string(), expected, found: value.dims });
        self.zeros(ty)
    }
}

/// Flags for the nodes that `wanted` needs when some already have values.
fn needed(graph: &Graph, values: &[Option<Tensor>], wanted: &[NodeId]) -> Vec<bool> {
    let mut needed = vec![false; graph.len()];
    for id in wanted {
        needed[id.index()] = true;
    }
    for id in graph.ids().rev() {
        if needed[id.index()] && values[id.index()].is_none() {
            for input in &graph.node(id).inputs {
                needed[input.index()] = true;
            }
        }
    }
    needed
}

/// Evaluates `wanted` in f64.
pub fn evaluate(graph: &Graph, wanted: &[NodeId], context: &mut EvalContext<'_>) -> Result<Vec<Tensor>, EvalError> {
    context.error = None;
    let values = context.evaluate_with(graph, &[], wanted);
    match context.error.take() {
        Some(error) => Err(error),
        None => Ok(values),
    }
}

/// One element of a signal: an index for each axis. Implicit axes that the signal lacks have index 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The time step.
    pub time: usize,
    /// The sample.
    pub batch: usize,
    /// One index for each axis of the shape.
    pub dims: Vec<usize>,
}

impl Place {
    /// The place of an index over all axes of a type.
    fn of(ty: &Ty, index: &[usize]) -> Place {
        let mut axes = index.iter().copied();
        let time = if ty.time { axes.next().unwrap_or(0) } else { 0 };
        let batch = if ty.batch { axes.next().unwrap_or(0) } else { 0 };
        Place { time, batch, dims: axes.collect() }
    }

    /// The index over all axes of a type; axes of extent 1 repeat their only element, axes that it lacks are left out.
    pub fn index(&self, ty: &Ty) -> Vec<usize> {
        let time = ty.time.then_some(self.time);
        let batch = ty.batch.then_some(self.batch);
        let dims = ty.dims.iter().zip(&self.dims).map(|(extent, index)| if *extent == 1 { 0 } else { *index });
        time.into_iter().chain(batch).chain(dims).collect()
    }

    /// The same step and sample, elsewhere in the shape.
    pub fn with_dims(&self, dims: Vec<usize>) -> Place {
        Place { dims, ..*self }
    }
}

/// An operand that is read by place.
#[derive(Clone, Debug)]
pub struct View<'t> {
    tensor: &'t Tensor,
    /// The operand's type.
    pub ty: Ty,
}

impl View<'_> {
    /// The element at a place of this operand or of anything that it broadcasts to.
    pub fn at(&self, place: &Place) -> f64 {
        self.tensor.at(&place.index(&self.ty))
    }

    /// Every place of the operand with its element, in order.
    pub fn elements(&self) -> Vec<(Place, f64)> {
        let mut elements = Vec::with_capacity(self.tensor.data.len());
        Tensor::from_fn(&self.tensor.dims, |index| {
            elements.push((Place::of(&self.ty, index), self.tensor.at(index)));
            0.0
        });
        elements
    }
}
