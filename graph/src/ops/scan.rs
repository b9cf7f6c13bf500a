//! `scan(initial states.., stepped signals.., constants..) -> results..`: a time loop with state.
//!
//! For t = 0 .. T-1 (or T-1 .. 0, `reverse`) the body computes from the states, the signals' values at t and the
//! constants the next states and the values of step t. Results, in this order ([`Project`](crate::ops::Project) picks one):
//!
//! 1. every value the body yields, stepped;
//! 2. the final states;
//! 3. the states as they were before each step, stepped (what a backward scan needs; free where nobody asks).
//!
//! The gradient is a scan in the other direction that recomputes the body from the saved states (`scan/gradient.rs`;
//! backpropagation through time, Wu et al. 2018, eq. 3-5). A neuron is a scan with an element-wise body; a feedback loop
//! is one whose body also holds tensor ops. Bodies never hold scans: [`feedback`](crate::feedback) flattens them.

mod gradient;

use std::fmt;
use std::rc::Rc;

use crate::autodiff::Backward;
use crate::build::Built;
use crate::eval::EvalContext;
use crate::graph::{Graph, NodeId};
use crate::op::{GradientKind, Lowering, Op, OpRule, Sample, ShapeContext, ShapeError};
use crate::ops::InputOp;
use crate::ops::pointwise::Function;
use crate::tensor::Tensor;
use crate::ty::Ty;

/// One step of a scan: a graph in which nothing has a time axis.
#[derive(Clone)]
pub struct Body {
    /// The graph; its inputs are the `InputOp` nodes listed below.
    pub graph: Graph,
    /// The states before the step.
    pub states: Vec<NodeId>,
    /// The signals' values at this step.
    pub xs: Vec<NodeId>,
    /// Values that are the same at every step.
    pub consts: Vec<NodeId>,
    /// The states after the step; each has the shape of its state.
    pub next: Vec<NodeId>,
    /// The values of this step.
    pub ys: Vec<NodeId>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} nodes)", self.graph.len())
    }
}

impl Body {
    /// Whether every node is computed element by element.
    fn is_elementwise(&self) -> bool {
        let wanted: Vec<NodeId> = self.next.iter().chain(&self.ys).copied().collect();
        let needed = self.graph.reachable(&wanted);
        self.graph.ids().filter(|id| needed[id.index()]).all(|id| match &self.graph.node(id).op {
            Op::InputOp(_)
            | Op::Pointwise(_)
            | Op::Broadcast(_)
            | Op::WithGradient(_)
            | Op::Detach(_)
            | Op::Count(_) => true,
            Op::Constant(constant) => constant.as_scalar().is_some(),
            Op::ParamOp(_)
            | Op::AverageOp(_)
            | Op::IndexOp(_)
            | Op::Reduce(_)
            | Op::Reshape(_)
            | Op::Windows(_)
            | Op::Fold(_)
            | Op::Planes(_)
            | Op::Contract(_)
            | Op::ArgMax(_)
            | Op::Random(_)
            | Op::Training(_)
            | Op::Running(_)
            | Op::Scan(_)
            | Op::Project(_)
            | Op::Dynamics(_)
            | Op::SpikeAt(_)
            | Op::TimesOf(_)
            | Op::SpikeTimes(_)
            | Op::SpikeTimesGradient(_) => false,
        })
    }

    /// The one shape of all states and results of an element-wise body, to which its signals and constants broadcast:
    /// then the whole loop is one fused kernel. `None` for any other body.
    pub fn fused_ty(&self) -> Option<Ty> {
        if !self.is_elementwise() {
            return None;
        }
        let mut full = Ty::scalar();
        for id in self.states.iter().chain(&self.xs).chain(&self.consts).chain(&self.next).chain(&self.ys) {
            full = full.broadcast(self.graph.ty(*id))?;
        }
        let whole = self.states.iter().chain(&self.next).chain(&self.ys).all(|id| self.graph.ty(*id).same_shape(&full));
        whole.then_some(full)
    }
}

/// A time loop.
#[derive(Clone, Debug)]
pub struct Scan {
    /// One step.
    pub body: Rc<Body>,
    /// From the last step to the first.
    pub reverse: bool,
}

impl Scan {
    /// The type of a result; `None` if there are fewer.
    pub fn result_ty(&self, index: usize) -> Option<Ty> {
        let (n_ys, n_states) = (self.body.ys.len(), self.body.states.len());
        let ty = |id: &NodeId| self.body.graph.ty(*id).clone();
        match index {
            i if i < n_ys => Some(Ty { time: true, ..ty(&self.body.ys[i]) }),
            i if i < n_ys + n_states => Some(ty(&self.body.states[i - n_ys])),
            i if i < n_ys + 2 * n_states => Some(Ty { time: true, ..ty(&self.body.states[i - n_ys - n_states]) }),
            _ => None,
        }
    }

    /// Position of the final value of a state among the results.
    pub fn final_state(&self, state: usize) -> usize {
        self.body.ys.len() + state
    }

    /// Position of a state's values before each step among the results.
    pub fn states_before(&self, state: usize) -> usize {
        self.body.ys.len() + self.body.states.len() + state
    }

    /// Number of results.
    pub fn n_results(&self) -> usize {
        self.body.ys.len() + 2 * self.body.states.len()
    }
}

impl Graph {
    /// Appends a scan. Initial states are broadcast to the shapes of their states.
    pub fn scan(&mut self, body: Body, reverse: bool, inits: &[NodeId], xs: &[NodeId], consts: &[NodeId]) -> Built {
        let mut inputs = Vec::with_capacity(inits.len() + xs.len() + consts.len());
        for (init, state) in inits.iter().zip(&body.states) {
            inputs.push(self.broadcast(*init, body.graph.ty(*state))?);
        }
        inputs.extend_from_slice(xs);
        inputs.extend_from_slice(consts);
        self.push(Scan { body: Rc::new(body), reverse }, &inputs)
    }
}

impl OpRule for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn attributes(&self) -> String {
        let Body { states, xs, consts, ys, .. } = &*self.body;
        let direction = if self.reverse { "reverse, " } else { "" };
        format!("{direction}{} states, {} signals, {} constants -> {}", states.len(), xs.len(), consts.len(), ys.len())
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Exact
    }

    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let body = &*self.body;
        let (n_states, n_xs) = (body.states.len(), body.xs.len());
        if context.is_step {
            return Err(ShapeError::new("a time loop cannot stand inside the step of another"));
        }
        if inputs.len() != n_states + n_xs + body.consts.len() || body.next.len() != n_states {
            return Err(ShapeError::new("a scan takes one operand for each state, signal and constant of its body"));
        }
        let expected = body.states.iter().chain(&body.xs).chain(&body.consts);
        for (position, (input, inner)) in inputs.iter().zip(expected).enumerate() {
            let stepped = position >= n_states && position < n_states + n_xs;
            let want = Ty { time: stepped, ..body.graph.ty(*inner).clone() };
            if !input.same_shape(&want) {
                return Err(ShapeError::new(format!("a scan's operand {position} is {input} but its body expects {want}")));
            }
        }
        for (state, next) in body.states.iter().zip(&body.next) {
            let (state, next) = (body.graph.ty(*state), body.graph.ty(*next));
            if !state.same_shape(next) {
                return Err(ShapeError::new(format!("a state is {:?} but its next value is {:?}", state.dims, next.dims)));
            }
        }
        self.result_ty(0).ok_or_else(|| ShapeError::new("a scan without results"))
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        node: NodeId,
        _upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError> {
        gradient::gradient(self, backward, node)
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Scan(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
        let body = &*self.body;
        let (n_states, n_xs) = (body.states.len(), body.xs.len());
        let (steps, batch) = (context.steps, context.batch);
        let mut state: Vec<Tensor> = inputs[..n_states].iter().map(|t| (*t).clone()).collect();
        let mut results: Vec<Tensor> = (0..self.n_results())
            .filter_map(|i| self.result_ty(i))
            .map(|ty| Tensor::full(&ty.extents(steps, batch), f64::NAN))
            .collect();
        let wanted: Vec<NodeId> = body.next.iter().chain(&body.ys).copied().collect();
        for count in 0..steps {
            let t = if self.reverse { steps - 1 - count } else { count };
            context.step = t;
            let mut fixed: Vec<(NodeId, Tensor)> = Vec::new();
            for (i, value) in state.iter().enumerate() {
                set_step(&mut results[self.states_before(i)], t, value);
                fixed.push((body.states[i], value.clone()));
            }
            for (x, input) in body.xs.iter().zip(&inputs[n_states..n_states + n_xs]) {
                fixed.push((*x, get_step(input, t)));
            }
            for (constant, input) in body.consts.iter().zip(&inputs[n_states + n_xs..]) {
                fixed.push((*constant, (*input).clone()));
            }
            let mut values = context.evaluate_with(&body.graph, &fixed, &wanted);
            for (i, y) in values.drain(n_states..).enumerate() {
                set_step(&mut results[i], t, &y);
            }
            state = values;
        }
        context.step = 0;
        for (i, value) in state.into_iter().enumerate() {
            results[self.final_state(i)] = value;
        }
        let first = results.first().cloned().unwrap_or_else(|| Tensor::full(&ty.extents(steps, batch), f64::NAN));
        context.set_results(results);
        first
    }

    /// A leaky integrator with a learned leak, forwards and backwards in time.
    fn samples() -> Vec<Sample> {
        let body = || -> Result<Body, ShapeError> {
            let mut graph = Graph::step_body(3);
            let ty = Ty::signal(false, &[2]);
            let input = |graph: &mut Graph, name: &str, ty: &Ty| graph.push(InputOp { name: name.into(), ty: ty.clone() }, &[]);
            let state = input(&mut graph, "v", &ty)?;
            let x = input(&mut graph, "x", &ty)?;
            let leak = input(&mut graph, "leak", &Ty::scalar())?;
            let kept = graph.mul(state, leak)?;
            let next = graph.add(kept, x)?;
            let y = graph.pointwise(Function::Tanh, &[next])?;
            Ok(Body { graph, states: vec![state], xs: vec![x], consts: vec![leak], next: vec![next], ys: vec![y] })
        };
        let sample = |reverse: bool| {
            body().ok().map(|body| Sample {
                op: Scan { body: Rc::new(body), reverse }.into(),
                inputs: vec![Ty::signal(false, &[2]), Ty::signal(true, &[2]), Ty::scalar()],
                ranges: vec![(-1.0, 1.0), (-1.0, 1.0), (0.1, 0.9)],
            })
        };
        // A state that is narrower than what it is combined with: the loop cannot be one element-wise kernel.
        let narrow = || -> Result<Sample, ShapeError> {
            let mut graph = Graph::step_body(3);
            let (state_ty, ty) = (Ty::signal(false, &[1, 2]), Ty::signal(false, &[3, 2]));
            let input = |graph: &mut Graph, name: &str, ty: &Ty| graph.push(InputOp { name: name.into(), ty: ty.clone() }, &[]);
            let state = input(&mut graph, "v", &state_ty)?;
            let x = input(&mut graph, "x", &ty)?;
            let y = graph.mul(state, x)?;
            let next = graph.scale(state, 0.5)?;
            let body = Body { graph, states: vec![state], xs: vec![x], consts: vec![], next: vec![next], ys: vec![y] };
            let op = Scan { body: Rc::new(body), reverse: false }.into();
            Ok(Sample { op, inputs: vec![state_ty, Ty::signal(true, &[3, 2])], ranges: vec![(-1.0, 1.0); 2] })
        };
        [sample(false), sample(true), narrow().ok()].into_iter().flatten().collect()
    }
}

/// The slice of a stepped tensor at one step.
fn get_step(tensor: &Tensor, t: usize) -> Tensor {
    let dims = tensor.dims[1..].to_vec();
    let len: usize = dims.iter().product();
    Tensor { dims, data: tensor.data[t * len..(t + 1) * len].to_vec() }
}

fn set_step(tensor: &mut Tensor, t: usize, value: &Tensor) {
    let len = value.data.len();
    tensor.data[t * len..(t + 1) * len].copy_from_slice(&value.data);
}
