//! `dynamics(initial states.., signals.., constants..) -> value`: neurons given by equations, not discretised yet.
//!
//! Between events the states follow `d/dt state = derivative(states, constants)`, per second; a value of a signal makes
//! them jump (`on x`); where the threshold's argument reaches 0 the neuron spikes and its states are reset. The value
//! is the spike, or an expression of the states. What "a step" of this is, the graph does not say: the pass
//! [`discretise`](crate::passes::discretise) answers it on a grid (Wu et al. 2018 for the gradient that follows from
//! it), an event-exact method may answer it otherwise. So the equations survive elaboration whole.
//!
//! Derivative: none here; that of the scan which replaces the node. Caveat: equations without a grid have no value, so
//! reference evaluation is an error that names the pass.

use std::rc::Rc;

use crate::autodiff::Backward;
use crate::eval::{EvalContext, EvalError};
use crate::graph::{Graph, NodeId};
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// A function of signals at one instant, as a graph in which nothing has a time axis.
#[derive(Clone, Debug)]
pub struct StepFn {
    /// Its body.
    pub graph: Graph,
    /// Its arguments: `InputOp` nodes of the body.
    pub inputs: Vec<NodeId>,
    /// Its results.
    pub outputs: Vec<NodeId>,
}

impl StepFn {
    /// Appends the function's body to a graph, applied to `arguments`, and gives its results. The graph may be the body
    /// of a scan or, for arguments that do not change with time, a whole model.
    pub fn inline(&self, graph: &mut Graph, arguments: &[NodeId]) -> Result<Vec<NodeId>, ShapeError> {
        if arguments.len() != self.inputs.len() {
            return Err(ShapeError::new(format!(
                "a part of a neuron's equations takes {} values but got {}",
                self.inputs.len(),
                arguments.len()
            )));
        }
        let mut map = vec![None; self.graph.len()];
        for (input, argument) in self.inputs.iter().zip(arguments) {
            map[input.index()] = Some(*argument);
        }
        graph.import(&self.graph, &mut map, &self.outputs)?;
        let missing = || ShapeError::new("a part of a neuron's equations has a result without definition");
        self.outputs.iter().map(|output| map[output.index()].ok_or_else(missing)).collect()
    }

    /// Appends a function with a single result.
    pub fn inline_one(&self, graph: &mut Graph, arguments: &[NodeId]) -> Result<NodeId, ShapeError> {
        match self.inline(graph, arguments)?.as_slice() {
            [one] => Ok(*one),
            results => {
                Err(ShapeError::new(format!("expected one value of a neuron's equations, got {}", results.len())))
            }
        }
    }
}

/// When a neuron spikes and what that does to it.
#[derive(Clone, Debug)]
pub struct Threshold {
    /// (states.., constants..) to the argument `v - v_th`.
    pub condition: StepFn,
    /// (argument, constants..) to the spike: 0 or 1, with its surrogate gradient.
    pub spike: StepFn,
    /// (states.., spike, constants..) to the states after the reset, written as the blend of both cases.
    pub reset: StepFn,
}

/// The equations of a neuron. Every function is element-wise.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Names of the states.
    pub states: Vec<String>,
    /// The shape of every state; it has no time axis.
    pub state_ty: Ty,
    /// Number of signals, which make the states jump.
    pub n_signals: usize,
    /// Number of constants, such as learned time constants. One that changes from step to step is held during a step.
    pub n_constants: usize,
    /// (states.., constants..) to the rate of change of each state, per second.
    pub derivative: StepFn,
    /// (states.., signals.., constants..) to the states after `on`.
    pub jumps: StepFn,
    /// When it spikes; `None` for an integrator that never does.
    pub threshold: Option<Threshold>,
    /// (states after the step.., the spike if there is a threshold, constants..) to the value; `None` if that is the
    /// spike.
    pub output: Option<StepFn>,
}

impl Flow {
    /// Number of operands of the node.
    pub fn n_inputs(&self) -> usize {
        self.states.len() + self.n_signals + self.n_constants
    }

    /// What is inconsistent about the equations, if anything.
    fn problem(&self) -> Option<&'static str> {
        let n = self.states.len();
        let fits = |f: &StepFn, inputs: usize, outputs: usize| f.inputs.len() == inputs && f.outputs.len() == outputs;
        if self.state_ty.time {
            return Some("a neuron's states cannot have a time axis of their own");
        }
        if n == 0 {
            return Some("equations need a state");
        }
        if !fits(&self.derivative, n + self.n_constants, n) {
            return Some("every state needs one equation");
        }
        if !fits(&self.jumps, self.n_inputs(), n) {
            return Some("jumps must give every state");
        }
        let spikes = usize::from(self.threshold.is_some());
        if let Some(Threshold { condition, spike, reset }) = &self.threshold
            && !(fits(condition, n + self.n_constants, 1)
                && fits(spike, 1 + self.n_constants, 1)
                && fits(reset, n + 1 + self.n_constants, n))
        {
            return Some("a threshold needs one condition, one spike and a reset of every state");
        }
        match &self.output {
            Some(output) if !fits(output, n + spikes + self.n_constants, 1) => Some("a neuron has one value"),
            None if spikes == 0 => Some("a neuron without `spike when` needs a value"),
            _ => None,
        }
    }
}

/// A neuron given by equations.
#[derive(Clone, Debug)]
pub struct Dynamics {
    /// The equations.
    pub flow: Rc<Flow>,
    /// The most spikes of a neuron in a sample where there is no grid of steps; `None` for what the model allows.
    pub max_spikes: Option<usize>,
}

impl Dynamics {
    /// The most spikes of a neuron in a sample, in a model whose trains have so many slots.
    pub fn budget(&self, slots: usize) -> usize {
        self.max_spikes.map_or(slots, |most| most.min(slots))
    }
}

impl OpRule for Dynamics {
    fn name(&self) -> &'static str {
        "dynamics"
    }

    fn attributes(&self) -> String {
        let Flow { states, n_signals, n_constants, .. } = &*self.flow;
        let budget = self.max_spikes.map_or(String::new(), |most| format!(", max_spikes {most}"));
        format!("states {}, {n_signals} signals, {n_constants} constants{budget}", states.join(" "))
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Declared
    }

    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let flow = &*self.flow;
        if let Some(problem) = flow.problem() {
            return Err(ShapeError::new(problem));
        }
        if inputs.len() != flow.n_inputs() {
            return Err(ShapeError::new("equations take one operand for each initial state, signal and constant"));
        }
        for (position, ty) in inputs.iter().enumerate() {
            let static_ty = Ty { time: false, ..(*ty).clone() };
            if !flow.state_ty.broadcast(&static_ty).is_some_and(|both| both.same_shape(&flow.state_ty)) {
                let (have, want) = (&ty.dims, &flow.state_ty.dims);
                return Err(ShapeError::new(format!(
                    "a neuron of shape {want:?} cannot use a value of shape {have:?}"
                ))
                .help("a neuron is element-wise: its signals and constants must broadcast to its own shape"));
            }
            if position < flow.states.len() && ty.time {
                let name = &flow.states[position];
                return Err(ShapeError::new(format!("the initial value of state `{name}` changes with time")));
            }
        }
        let kind = if flow.output.is_none() { Kind::Spikes } else { Kind::Real };
        Ok(Ty { time: !context.is_step, kind, ..flow.state_ty.clone() })
    }

    fn gradient(
        &self,
        _backward: &mut Backward<'_>,
        _node: NodeId,
        _upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Err(ShapeError::new("equations have no gradient before they are discretised")
            .help("run the pass `discretise` before differentiating"))
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Unlowered("discretise")
    }

    fn eval(&self, context: &mut EvalContext<'_>, _inputs: &[&Tensor], ty: &Ty) -> Tensor {
        context.fail(EvalError::Unlowered("discretise"));
        context.zeros(ty)
    }

    /// None: the op has neither a value nor loops.
    fn samples() -> Vec<Sample> {
        Vec::new()
    }
}
