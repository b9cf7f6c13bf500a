//! What every op must say about itself.
//!
//! The set of ops is closed ([`Op`]) and [`OpRule`] has no default methods: a rule that was forgotten does not compile.
//! Each op is one file under `ops/`, in this order: documentation (signature with shapes, formula, derivative, source,
//! caveats), the struct with its attributes, the rule. Pointwise ops are rows of one table (`ops/pointwise.rs`).

use std::fmt;

use snn_loops::{Distribution, NestBuilder, Val, Var};

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::ops::reduce::Reduce;
use crate::ops::scan::Scan;
use crate::ops::{Contract, SpikeTimes, SpikeTimesGradient};
use crate::tensor::Tensor;
use crate::ty::Ty;

pub use crate::ops::Op;

/// Why an op cannot be applied to its inputs. The front end adds the places.
#[derive(Clone, Debug, PartialEq)]
pub struct ShapeError {
    /// What is wrong, with shapes as a user writes them.
    pub message: String,
    /// What to do about it, if that can be said.
    pub help: Option<String>,
    /// The operands, so that the places that made them can be shown.
    pub inputs: Vec<NodeId>,
}

impl ShapeError {
    /// An error with that message.
    pub fn new(message: impl Into<String>) -> ShapeError {
        ShapeError { message: message.into(), help: None, inputs: Vec::new() }
    }

    /// The same with advice.
    pub fn help(mut self, help: impl Into<String>) -> ShapeError {
        self.help = Some(help.into());
        self
    }

    /// The same with the operands filled in, unless they are already.
    pub fn at(mut self, inputs: &[NodeId]) -> ShapeError {
        if self.inputs.is_empty() {
            self.inputs = inputs.to_vec();
        }
        self
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)
    }
}

impl std::error::Error for ShapeError {}

/// What a shape rule may know besides its inputs.
#[derive(Clone, Copy, Debug)]
pub struct ShapeContext {
    /// Number of time steps of the graph.
    pub steps: usize,
    /// Whether the graph is the body of a scan, where no value has a time axis.
    pub is_step: bool,
}

/// Whether the gradient rule is the derivative of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradientKind {
    /// It is; finite differences agree (almost everywhere).
    Exact,
    /// It is declared to be something else, as for a surrogate or `detach`.
    Declared,
    /// There is none: the op has no differentiable input.
    None,
}

/// A point of a signal: one index for each axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The time step. Ignored by static signals.
    pub time: snn_loops::Ix,
    /// The sample. Ignored by shared signals.
    pub batch: snn_loops::Ix,
    /// One index for each axis of the shape.
    pub dims: Vec<snn_loops::Ix>,
}

/// What the lowering of a node at one point may ask for.
pub trait Emitter {
    /// The nest that is being built.
    fn builder(&mut self) -> &mut NestBuilder;
    /// The type everything is computed in.
    fn dtype(&self) -> snn_loops::Dtype;
    /// The value of the node's `input`-th operand at a point of *that operand's* shape: a float, or a mask for `Kind::Truth`.
    fn operand(&mut self, input: usize, at: &Point) -> Val;
    /// Like `operand`, for an operand that lies in memory (see [`Lowering::Window`]): where one of `bounds`
    /// (`0 <= index < extent`) fails, `otherwise`.
    fn operand_within(&mut self, input: usize, at: &Point, bounds: Vec<(snn_loops::Ix, i64)>, otherwise: f64) -> Val;
    /// The type of an operand.
    fn operand_ty(&self, input: usize) -> &Ty;
    /// Number of samples.
    fn batch(&self) -> usize;
    /// Number of time steps.
    fn steps(&self) -> usize;
    /// The largest number of values a loop variable takes, for simplifying quotients and remainders.
    fn extent(&self, var: Var) -> Option<usize>;
    /// A fresh register, for sums inside a point (see `Fold`).
    fn fresh_var(&mut self, extent: usize) -> Var;
}

/// Computes a node's value at one point from its operands' values at points.
pub trait PointRule {
    /// Emits the value at `at`, a point of the node's own shape.
    fn emit(&self, emitter: &mut dyn Emitter, ty: &Ty, at: &Point) -> Val;
}

/// How an op becomes loops.
pub enum Lowering<'a> {
    /// It lies in memory already: inputs, parameters, averages.
    Stored,
    /// Its value at a point follows from its operands' values at points; it fuses into whoever uses it.
    Point(&'a dyn PointRule),
    /// Like `Point`, but its operands must lie in memory, because it reads them out of bounds or many times.
    Window(&'a dyn PointRule),
    /// A sum or extremum over axes.
    Reduce(&'a Reduce),
    /// The heavy kernel; operands are its `a` and `b`.
    Contract(&'a Contract),
    /// Random numbers: distribution, stream, and whether they change from step to step is the node's type.
    Draw(Distribution, u64),
    /// A time loop.
    Scan(&'a Scan),
    /// A layer of neurons on events.
    SpikeTimes(&'a SpikeTimes),
    /// Its gradient.
    SpikeTimesGradient(&'a SpikeTimesGradient),
    /// A result of a node that has several: which.
    Project(usize),
    /// Nothing to compute: the node must not reach lowering (a pass should have replaced it); the text says which.
    Unlowered(&'static str),
}

/// A small graph for the generic tests: inputs by type, the op, and attributes worth trying.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The op.
    pub op: Op,
    /// Types of the operands.
    pub inputs: Vec<Ty>,
    /// Range from which the operands' elements are drawn; one for each operand.
    pub ranges: Vec<(f64, f64)>,
}

/// The rules of an op. There are no default methods.
pub trait OpRule {
    /// The name in printed graphs.
    fn name(&self) -> &'static str;
    /// Attributes as printed after the name, e.g. `over=time,0`; empty if there are none.
    fn attributes(&self) -> String;
    /// Whether the gradient rule is the derivative.
    fn gradient_kind(&self) -> GradientKind;
    /// The type of the result.
    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError>;
    /// Gradients with respect to the operands, given the gradient with respect to the node's value (of the same shape);
    /// `None` where an operand gets none. The results have the operands' shapes.
    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        node: NodeId,
        upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError>;
    /// How it becomes loops.
    fn lower(&self) -> Lowering<'_>;
    /// The reference value in f64, written for reading and never shared with `lower`.
    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor;
    /// Small cases for the generic tests, edge cases included.
    fn samples() -> Vec<Sample>
    where
        Self: Sized;
}
