//! Neurons written as equations. They stay equations: the graph gets one `Dynamics` node.
//!
//! Must never know how they are solved.

use snn_graph::op::ShapeError;
use snn_graph::ops::Dynamics;
use snn_graph::ops::dynamics::{Flow, Threshold};
use snn_graph::{Kind, NodeId, Ty};

use super::scope::Env;
use super::step_fn::Cutter;
use super::*;
use crate::ast::{Assign, AssignOp, BinaryOp, Expr, ExprKind, SpikeWhen, StmtKind, Unit};
use crate::value::SurrogateValue;

/// The states of a neuron while its equations are read.
struct States<'p> {
    names: Vec<&'p str>,
    placeholders: Vec<NodeId>,
    inits: Vec<NodeId>,
}

/// What a spike is and does, as nodes.
struct Firing {
    argument: NodeId,
    spike_argument: NodeId,
    spike: NodeId,
    spike_input: NodeId,
    reset: Vec<NodeId>,
}

impl<'p> Elaborator<'p, '_> {
    /// The value of a neuron written as equations.
    pub(super) fn equations(
        &mut self,
        unit: &'p Unit,
        signals: &[NodeId],
        max_spikes: Option<usize>,
        env: &Env<'p>,
    ) -> Value<'p> {
        self.mark_stateful();
        self.dynamics(unit, signals, max_spikes, env).map_or(Value::Poison, Value::Signal)
    }

    fn dynamics(
        &mut self,
        unit: &'p Unit,
        signals: &[NodeId],
        max_spikes: Option<usize>,
        env: &Env<'p>,
    ) -> Option<NodeId> {
        let span = unit.name.span;
        let ty = self.join(signals, span)?;
        let ty = Ty { time: false, ..ty }.with_kind(Kind::Real);
        let stepped = Ty { time: true, ..ty.clone() };
        let states = self.declare_states(unit, &stepped, env)?;
        let arrivals = self.arrivals(unit, signals)?;
        let derivative = self.derivatives(unit, &states, env)?;
        let jumps = self.jumps(unit, &states, &arrivals, env)?;
        let firing = match unit.body.stmts.iter().find_map(|stmt| match &stmt.kind {
            StmtKind::Spike(spike) => Some(spike),
            _ => None,
        }) {
            Some(spike) => Some(self.firing(spike, &states, &stepped, env)?),
            None => None,
        };
        let output = match unit.body.result() {
            Some(result) => {
                let value = self.expr(result, env);
                Some(self.as_signal(&value, result.span)?)
            }
            None => None,
        };
        let parts = Parts { states, signals, arrivals, derivative, jumps, firing, output };
        let built = parts.build(&self.graph, &ty);
        match built {
            Ok((flow, inputs)) => {
                let dynamics = Dynamics { flow: Rc::new(flow), max_spikes };
                self.node(span, |graph| graph.push(dynamics, &inputs))
            }
            Err(error) => {
                let error = self.shape_error(&error, span);
                self.fail(error);
                None
            }
        }
    }

    /// Runs the statements of every body and declares the states.
    fn declare_states(&mut self, unit: &'p Unit, stepped: &Ty, env: &Env<'p>) -> Option<States<'p>> {
        let mut states = States { names: Vec::new(), placeholders: Vec::new(), inits: Vec::new() };
        let mut whole = true;
        for stmt in &unit.body.stmts {
            let StmtKind::State(vars) = &stmt.kind else {
                if !matches!(stmt.kind, StmtKind::Expr(_)) {
                    self.statement(stmt, &unit.name.text, stepped, env);
                }
                continue;
            };
            for var in vars {
                env.bind(&var.name.text, Value::Poison);
                let start = self.expr(&var.start, env);
                let init = self.as_signal(&start, var.start.span);
                let (Some(init), Some(placeholder)) = (init, self.input(&var.name.text, stepped.clone(), var.span))
                else {
                    whole = false;
                    continue;
                };
                env.bind(&var.name.text, Value::Signal(placeholder));
                states.names.push(&var.name.text);
                states.placeholders.push(placeholder);
                states.inits.push(init);
            }
        }
        whole.then_some(states)
    }

    /// Placeholders for the arriving values of the signals.
    fn arrivals(&mut self, unit: &'p Unit, signals: &[NodeId]) -> Option<Vec<NodeId>> {
        let mut arrivals = Vec::new();
        for (param, id) in unit.signals.iter().zip(signals) {
            let ty = self.graph.ty(*id).clone();
            arrivals.push(self.input(&param.name.text, ty, param.span)?);
        }
        Some(arrivals)
    }

    /// The rate of change of each state; one without an equation stays as it is between events.
    fn derivatives(&mut self, unit: &'p Unit, states: &States<'p>, env: &Env<'p>) -> Option<Vec<NodeId>> {
        let mut rates = Vec::new();
        for name in &states.names {
            let equation = unit.body.stmts.iter().find_map(|stmt| match &stmt.kind {
                StmtKind::Equation { name: state, value } if state.text == *name => Some(value),
                _ => None,
            });
            rates.push(match equation {
                Some(value) => {
                    let rate = self.expr(value, env);
                    self.as_signal(&rate, value.span)?
                }
                None => self.constant(0.0, unit.name.span)?,
            });
        }
        Some(rates)
    }

    /// The states after everything that arrives has made them jump.
    fn jumps(
        &mut self,
        unit: &'p Unit,
        states: &States<'p>,
        arrivals: &[NodeId],
        env: &Env<'p>,
    ) -> Option<Vec<NodeId>> {
        let inner = self.scopes.child(env);
        let mut now = states.placeholders.clone();
        for stmt in &unit.body.stmts {
            let StmtKind::On { signal, body } = &stmt.kind else { continue };
            let at = unit.signals.iter().position(|param| param.name.text == signal.text)?;
            let event = self.scopes.child(&inner);
            event.bind(&signal.text, Value::Signal(*arrivals.get(at)?));
            for assign in body {
                self.assign(assign, None, states, &mut now, &event)?;
            }
        }
        Some(now)
    }

    /// Changes one of the states; with a spike, by as much as the neuron spikes.
    fn assign(
        &mut self,
        assign: &'p Assign,
        spike: Option<NodeId>,
        states: &States<'p>,
        now: &mut [NodeId],
        env: &Env<'p>,
    ) -> Option<()> {
        let at = states.names.iter().position(|name| *name == assign.target.text)?;
        let value = self.expr(&assign.value, env);
        let value = self.as_signal(&value, assign.value.span)?;
        let slot = now.get_mut(at)?;
        let before = *slot;
        let after = self.node(assign.span, |graph| {
            let change = match spike {
                Some(spike) => graph.mul(spike, value)?,
                None => value,
            };
            match (assign.op, spike) {
                (AssignOp::Add, _) => graph.add(before, change),
                (AssignOp::Sub, _) => graph.sub(before, change),
                (AssignOp::Set, None) => Ok(value),
                (AssignOp::Mul, None) => graph.mul(before, value),
                (AssignOp::Set, Some(spike)) => blend(graph, spike, before, value),
                (AssignOp::Mul, Some(spike)) => {
                    let scaled = graph.mul(before, value)?;
                    blend(graph, spike, before, scaled)
                }
            }
        })?;
        *slot = after;
        env.bind(&assign.target.text, Value::Signal(after));
        Some(())
    }

    fn firing(&mut self, spike: &'p SpikeWhen, states: &States<'p>, stepped: &Ty, env: &Env<'p>) -> Option<Firing> {
        let condition = &spike.condition;
        let (left, right, strict) = self.threshold(condition)?;
        let (left_value, right_value) = (self.expr(left, env), self.expr(right, env));
        let left = self.as_signal(&left_value, left.span)?;
        let right = self.as_signal(&right_value, right.span)?;
        let argument = self.node(condition.span, |graph| graph.sub(left, right))?;
        let spike_input = self.input("argument", stepped.clone(), condition.span)?;
        let surrogate = self.surrogate_in_sight(condition.span, env)?;
        let made = self.spike(spike_input, &surrogate, strict, condition.span)?;
        let fired = self.input("spike", stepped.with_kind(Kind::Spikes), condition.span)?;
        let inner = self.scopes.child(env);
        let mut reset = states.placeholders.clone();
        for assign in &spike.reset {
            self.assign(assign, Some(fired), states, &mut reset, &inner)?;
        }
        Some(Firing { argument, spike_argument: spike_input, spike: made, spike_input: fired, reset })
    }

    /// The two sides of `v >= v_th`, the larger first, and whether equality is not enough.
    fn threshold(&mut self, condition: &'p Expr) -> Option<(&'p Expr, &'p Expr, bool)> {
        match &condition.kind {
            ExprKind::Binary { op: BinaryOp::Ge, left, right, .. } => Some((left, right, false)),
            ExprKind::Binary { op: BinaryOp::Gt, left, right, .. } => Some((left, right, true)),
            ExprKind::Binary { op: BinaryOp::Le, left, right, .. } => Some((right, left, false)),
            ExprKind::Binary { op: BinaryOp::Lt, left, right, .. } => Some((right, left, true)),
            _ => {
                let message = "a neuron spikes when a state reaches a threshold";
                let error = self.error_at(Code::BadEquation, message, condition.span, "not a comparison");
                self.fail(error.help("write `spike when v >= v_th { ... }`"));
                None
            }
        }
    }

    /// The surrogate that a neuron written as equations uses: its setting of that name.
    fn surrogate_in_sight(&mut self, span: Span, env: &Env<'p>) -> Option<SurrogateValue<'p>> {
        match env.get("surrogate") {
            Some(Value::Surrogate(surrogate)) => Some(surrogate),
            _ => {
                let message = "this neuron spikes and has no surrogate";
                let error = self.error_at(Code::IncompleteNeuron, message, span, "its spikes need a gradient");
                self.fail(error.help("add the setting `surrogate = atan()`"));
                None
            }
        }
    }
}

/// `(1 - s) * a + s * b`
fn blend(graph: &mut Graph, s: NodeId, a: NodeId, b: NodeId) -> Result<NodeId, ShapeError> {
    let one = graph.constant(1.0)?;
    let silent = graph.sub(one, s)?;
    let kept = graph.mul(silent, a)?;
    let set = graph.mul(s, b)?;
    graph.add(kept, set)
}

/// A neuron's equations as nodes of the graph around it.
struct Parts<'a, 'p> {
    states: States<'p>,
    signals: &'a [NodeId],
    arrivals: Vec<NodeId>,
    derivative: Vec<NodeId>,
    jumps: Vec<NodeId>,
    firing: Option<Firing>,
    output: Option<NodeId>,
}

impl Parts<'_, '_> {
    /// The equations as functions of one instant, and the operands of the node that holds them.
    fn build(&self, graph: &Graph, ty: &Ty) -> Result<(Flow, Vec<NodeId>), ShapeError> {
        let states = &self.states.placeholders;
        let mut placeholders: Vec<NodeId> = states.iter().chain(&self.arrivals).copied().collect();
        if let Some(firing) = &self.firing {
            placeholders.extend([firing.spike_argument, firing.spike_input]);
        }
        let mut cutter = Cutter::new(graph, &placeholders);
        cutter.gather(&self.derivative);
        cutter.gather(&self.jumps);
        if let Some(firing) = &self.firing {
            cutter.gather(&[firing.argument]);
            cutter.gather(&[firing.spike]);
            cutter.gather(&firing.reset);
        }
        cutter.gather(self.output.as_slice());
        let with = |more: &[NodeId]| states.iter().chain(more).copied().collect::<Vec<NodeId>>();
        let spike = ty.with_kind(Kind::Spikes);
        let threshold = match &self.firing {
            Some(firing) => Some(Threshold {
                condition: cutter.function(states, &[firing.argument], ty)?,
                spike: cutter.function(&[firing.spike_argument], &[firing.spike], &spike)?,
                reset: cutter.function(&with(&[firing.spike_input]), &firing.reset, ty)?,
            }),
            None => None,
        };
        let after_step: Vec<NodeId> = self.firing.iter().map(|firing| firing.spike_input).collect();
        let output = match self.output {
            Some(output) => Some(cutter.function(&with(&after_step), &[output], ty)?),
            None => None,
        };
        let flow = Flow {
            states: self.states.names.iter().map(|name| (*name).to_string()).collect(),
            state_ty: ty.clone(),
            n_signals: self.signals.len(),
            n_constants: cutter.constants().len(),
            derivative: cutter.function(states, &self.derivative, ty)?,
            jumps: cutter.function(&with(&self.arrivals), &self.jumps, ty)?,
            threshold,
            output,
        };
        let inputs = self.states.inits.iter().chain(self.signals).chain(cutter.constants()).copied().collect();
        Ok((flow, inputs))
    }
}
