//! States over time: a placeholder stands for the value after the last step, until the body's end closes the loop.
//!
//! Must never know how a scan is run.

use std::collections::BTreeSet;

use snn_graph::op::ShapeError;
use snn_graph::{Axes, NodeId, Ty};

use super::frame::{BodyKind, LoopVariable, OpenLoop};
use super::scope::Env;
use super::*;
use crate::ast::{Expr, Name, StateVar};

impl<'p> Elaborator<'p, '_> {
    /// `state v: [n] = start`.
    pub(super) fn state(&mut self, var: &'p StateVar, owner: &str, joined: &Ty, env: &Env<'p>) {
        env.bind(&var.name.text, Value::Poison);
        let is_neuron = self.body_kind() == BodyKind::Neuron;
        if is_neuron && var.shape.is_some() {
            let error = self.error_at(
                Code::WrongBody,
                "a state of a neuron has no shape",
                var.span,
                "one value for each neuron",
            );
            self.fail(error.help("leave the shape out; a state of another shape belongs into a `block`"));
            return;
        }
        let dims = match &var.shape {
            Some(shape) => match self.shape_dims(shape, env) {
                Some((dims, false)) => dims,
                Some((_, true)) => {
                    let error = self.error_at(
                        Code::TimeInLoop,
                        "a state has no time axis",
                        shape.span,
                        "it is one value that changes with time",
                    );
                    self.fail(error);
                    return;
                }
                None => return,
            },
            None => joined.dims.clone(),
        };
        let init = self.expr(&var.start, env);
        let Some(init) = self.as_signal(&init, var.start.span) else { return };
        let ty = Ty { time: true, dims, ..joined.clone() }.with_kind(snn_graph::Kind::Real);
        let at_once = Ty { time: false, ..ty.clone() };
        if !self.graph.ty(init).broadcast(&at_once).is_some_and(|both| both.same_shape(&at_once)) {
            let text = format!("this is {}", nodes::describe(self.graph.ty(init)));
            let message = format!("the state `{}` is {:?} and static at its start", var.name.text, ty.dims);
            let error = self.error_at(Code::ShapeMismatch, message, var.start.span, text);
            self.fail(error.because(var.span, "the state"));
            return;
        }
        let Some(placeholder) = self.input(&var.name.text, ty, var.span) else { return };
        self.mark_stateful();
        if self.loops.last().is_none_or(|open| open.frame != self.frame_id()) {
            let open = OpenLoop {
                frame: self.frame_id(),
                name: owner.to_string(),
                is_neuron,
                span: var.span,
                states: Vec::new(),
                spikes_before: self.recorded.spikes.len(),
            };
            self.loops.push(open);
        }
        if let Some(open) = self.loops.last_mut() {
            let variable = LoopVariable { name: var.name.text.clone(), span: var.span, placeholder, init, next: None };
            open.states.push(variable);
        }
        env.bind(&var.name.text, Value::Signal(placeholder));
    }

    /// The number of the body that is being elaborated.
    pub(super) fn frame_id(&self) -> u32 {
        self.frames.last().map_or(0, |frame| frame.id)
    }

    /// Everything that is being elaborated holds state.
    pub(super) fn mark_stateful(&self) {
        self.applications.iter().for_each(|application| application.instance.stateful.set(true));
    }

    /// `next v = value`.
    pub(super) fn next(&mut self, name: &'p Name, value: &'p Expr, env: &Env<'p>) {
        let made = self.held_by(&name.text, |this| this.expr(value, env));
        let Some(next) = self.as_signal(&made, value.span) else { return };
        let frame = self.frame_id();
        let open = self.loops.last().filter(|open| open.frame == frame);
        let Some(state) = open.and_then(|open| open.states.iter().find(|state| state.name == name.text)) else {
            return;
        };
        let (placeholder, declared) = (state.placeholder, state.span);
        let ty = self.graph.ty(placeholder);
        let fits = self.graph.ty(next).broadcast(ty).is_some_and(|both| both.same_shape(ty));
        if !fits {
            let message = format!("the state `{}` and its next value have different shapes", name.text);
            let text = format!("this is {}", nodes::describe(self.graph.ty(next)));
            let error = self.error_at(Code::ShapeMismatch, message, value.span, text);
            let text = format!("the state is {}", nodes::describe(ty));
            self.fail(error.because(declared, text));
            return;
        }
        let variable =
            self.loops.last_mut().and_then(|open| open.states.iter_mut().find(|state| state.name == name.text));
        if let Some(variable) = variable {
            variable.next = Some(next);
        }
    }

    /// Closes the loop that the innermost body has opened, if it has; what depends on its states is replaced.
    pub(super) fn close_own_loop(&mut self, result: Option<NodeId>, owner: &str, span: Span) -> Option<NodeId> {
        let frame = self.frame_id();
        if self.loops.last().is_none_or(|open| open.frame != frame) {
            return result;
        }
        let open = self.loops.pop()?;
        let result = result?;
        if open.states.iter().any(|state| state.next.is_none()) {
            // The mistake in its `next` has been reported.
            return None;
        }
        let states: Vec<_> = open.states.iter().map(LoopVariable::close).collect();
        let mut results = vec![result];
        results.extend(self.recorded.spikes.iter().skip(open.spikes_before).map(|spikes| spikes.node));
        results.extend(self.recorded.averages.iter().flat_map(|average| average.stored.iter().copied()));
        let depends = self.dependents(&states.iter().map(|state| state.placeholder).collect());
        let inside: Vec<NodeId> = results.into_iter().filter(|id| depends.get(id.index()) == Some(&true)).collect();
        if inside.is_empty() {
            return Some(result);
        }
        let before = self.mark(span);
        let closed = self.graph.close_loop(&states, &inside);
        self.graph.current_origin = before;
        match closed {
            Ok(outside) => self.replace(result, &inside, &outside),
            Err(error) => {
                let error = self.loop_error(&error, owner, &open, span);
                self.fail(error);
                None
            }
        }
    }

    fn loop_error(&self, error: &ShapeError, owner: &str, open: &OpenLoop, span: Span) -> Diagnostic {
        let mut diagnostic = self.shape_error(error, span);
        diagnostic.code = Code::TimeInLoop;
        diagnostic.because(open.span, format!("the feedback loop of `{owner}` is over this state"))
    }

    /// Puts the results of a closed loop in the place of the nodes inside it.
    fn replace(&mut self, result: NodeId, inside: &[NodeId], outside: &[NodeId]) -> Option<NodeId> {
        let now = |id: NodeId| inside.iter().zip(outside).find(|(old, _)| **old == id).map_or(id, |(_, new)| *new);
        for spikes in &mut self.recorded.spikes {
            spikes.node = now(spikes.node);
        }
        let over_time = Axes { time: true, ..Axes::default() };
        for average in &mut self.recorded.averages {
            for stored in &mut average.stored {
                if now(*stored) != *stored {
                    // What is averaged in a loop has one value a step; their mean is what is kept.
                    *stored = self.graph.mean(now(*stored), &over_time).unwrap_or(*stored);
                }
            }
        }
        Some(now(result))
    }

    /// Flags of the nodes that depend on any of `sources`, themselves included.
    fn dependents(&self, sources: &BTreeSet<NodeId>) -> Vec<bool> {
        let mut flags = vec![false; self.graph.len()];
        for id in self.graph.ids() {
            let inputs = &self.graph.node(id).inputs;
            let depends = sources.contains(&id) || inputs.iter().any(|input| flags.get(input.index()) == Some(&true));
            if let Some(flag) = flags.get_mut(id.index()) {
                *flag = depends;
            }
        }
        flags
    }

    /// The innermost open loop that a value depends on.
    fn loop_around(&self, id: NodeId) -> Option<&OpenLoop> {
        self.loops.iter().rev().find(|open| {
            let sources = open.states.iter().map(|state| state.placeholder).collect();
            self.dependents(&sources).get(id.index()) == Some(&true)
        })
    }

    /// Reports something that needs all time steps at once, where it depends on the state of an open loop.
    pub(super) fn refuse_in_loop(&mut self, what: &str, id: NodeId, span: Span) -> bool {
        let error = self.loop_around(id).map(|open| self.refused_in_loop(what, open, span));
        error.map(|error| self.fail(error)).is_some()
    }

    /// Reports something that cannot stand in the feedback loop of a block, wherever it stands.
    pub(super) fn refuse_in_block_loop(&mut self, what: &str, span: Span) -> bool {
        let open = self.loops.iter().rev().find(|open| !open.is_neuron);
        let error = open.map(|open| self.refused_in_loop(what, open, span));
        error.map(|error| self.fail(error)).is_some()
    }

    fn refused_in_loop(&self, what: &str, open: &OpenLoop, span: Span) -> Diagnostic {
        let message = format!("{what} cannot stand inside the feedback loop of `{}`", open.name);
        let text = format!("the loop of `{}` is over this state", open.name);
        let error = self.error_at(Code::TimeInLoop, message, span, "this needs all time steps at once");
        error.because(open.span, text).help("move it behind the loop, or feed back a value of the same step")
    }
}
