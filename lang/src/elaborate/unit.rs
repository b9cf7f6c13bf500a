//! Using a neuron, layer or block: its body is run with the settings and signals of this use.
//!
//! Must never know a declaration of the library.

use snn_graph::{SpikeOutput, Ty};

use super::frame::{Application, BodyKind, Frame};
use super::scope::Env;
use super::*;
use crate::ast::UnitKind;
use crate::structure::is_equation;
use crate::value::{Spanned, UnitValue};

impl<'p> Elaborator<'p, '_> {
    /// What an instance makes of signals.
    pub(super) fn apply_unit(&mut self, unit: &UnitValue<'p>, signals: Vec<Spanned<'p>>, span: Span) -> Value<'p> {
        let Some(instance) = unit.instance.clone() else { return Value::Poison };
        if self.broken.contains(&unit.id) || !self.may_stand_here(unit, span) {
            return Value::Poison;
        }
        if self.out_of_limits(span) || self.applications.len() >= MAX_APPLICATIONS {
            return self.too_deep(span);
        }
        if let Some(error) = self.shared_state(unit, &instance, span) {
            return self.fail(error);
        }
        instance.uses.borrow_mut().push(self.user_span(span));
        let decl = unit.decl;
        let is_block = decl.kind == UnitKind::Block;
        let bound = self.bind_settings(&decl.name.text, unit.id.module, &decl.settings, &unit.given, is_block, span);
        let Some(env) = bound else { return Value::Poison };
        let Some(max_spikes) = self.budget(unit, &env, span) else { return Value::Poison };
        let Some((ids, rest)) = self.bind_signals(&decl.name.text, &decl.signals, &signals, &env, span) else {
            return Value::Poison;
        };
        let path = self.path_of(&instance, &decl.name.text);
        let frame = Frame {
            id: self.next_frame_id(),
            kind: match decl.kind {
                UnitKind::Neuron => BodyKind::Neuron,
                UnitKind::Layer => BodyKind::Layer,
                UnitKind::Block => BodyKind::Block,
            },
            name: &decl.name.text,
            site: span,
            first_signal: ids.first().copied(),
            rest,
            spikes: false,
            seconds: decl.body.stmts.iter().any(|stmt| is_equation(&stmt.kind)),
        };
        let row = self.recorded.stages.len();
        let depth = self.applications.len() - 1;
        self.recorded.stages.push(Stage::new(&path, decl, depth, self.user_span(span)));
        let (value, spikes) =
            self.inside(frame, Application::new(instance), &path, |this| this.unit_body(unit, &ids, max_spikes, &env));
        let Value::Signal(result) = value else {
            self.recorded.stages.truncate(row);
            return Value::Poison;
        };
        if let Some(stage) = self.recorded.stages.get_mut(row) {
            stage.ty = self.graph.ty(result).clone();
        }
        if spikes && decl.kind == UnitKind::Neuron {
            self.recorded.spikes.push(SpikeOutput { path: path.to_string(), node: result, max_spikes });
        }
        self.lint_unit(unit, &env, &ids, result, span);
        value
    }

    /// Runs something inside a frame of its own; also says whether it spiked.
    fn inside(
        &mut self,
        frame: Frame<'p>,
        application: Application,
        path: &Rc<str>,
        body: impl FnOnce(&mut Self) -> Value<'p>,
    ) -> (Value<'p>, bool) {
        let name = self.graph.current_name.replace(Rc::clone(path));
        let origin = self.graph.current_origin;
        let prefix = std::mem::replace(&mut self.prefix, vec![path.to_string()]);
        self.frames.push(frame);
        self.applications.push(application);
        let loops = self.loops.len();
        let value = body(self);
        self.loops.truncate(loops);
        self.applications.pop();
        let spikes = self.frames.pop().is_some_and(|frame| frame.spikes);
        self.prefix = prefix;
        self.graph.current_name = name;
        self.graph.current_origin = origin;
        (value, spikes)
    }

    fn unit_body(
        &mut self,
        unit: &UnitValue<'p>,
        signals: &[NodeId],
        max_spikes: Option<usize>,
        env: &Env<'p>,
    ) -> Value<'p> {
        let inner = self.scopes.child(env);
        let body = &unit.decl.body;
        if unit.decl.kind == UnitKind::Neuron && body.stmts.iter().any(|stmt| is_equation(&stmt.kind)) {
            return self.equations(unit.decl, signals, max_spikes, &inner);
        }
        let Some(joined) = self.join(signals, unit.decl.name.span) else { return Value::Poison };
        let result = self.body(&body.stmts, &unit.decl.name.text, &joined, &inner);
        let span = body.result().map_or(unit.decl.name.span, |result| result.span);
        let result = match result {
            Value::Poison => return Value::Poison,
            value => self.as_signal(&value, span),
        };
        self.close_own_loop(result, &unit.decl.name.text, span).map_or(Value::Poison, Value::Signal)
    }

    /// The type that all signals broadcast to.
    pub(super) fn join(&mut self, signals: &[NodeId], span: Span) -> Option<Ty> {
        let mut joined = Ty::scalar();
        for (at, id) in signals.iter().enumerate() {
            match joined.broadcast(self.graph.ty(*id)) {
                Some(ty) => joined = ty,
                // Signals of a block may have nothing to do with each other; a state without a shape is like the first.
                None if self.body_kind() == BodyKind::Block => break,
                None => {
                    let message = format!(
                        "a neuron is element-wise, but its signals are {:?} and {:?}",
                        joined.dims,
                        self.graph.ty(*id).dims
                    );
                    let error = snn_graph::ShapeError::new(message).at(signals.get(..=at).unwrap_or_default());
                    let error = self.shape_error(&error, span);
                    self.fail(error);
                    return None;
                }
            }
        }
        Some(joined)
    }

    /// Whether the body around may use this kind of declaration.
    fn may_stand_here(&mut self, unit: &UnitValue<'p>, span: Span) -> bool {
        let (owner, what) = match (self.body_kind(), unit.decl.kind) {
            (BodyKind::Neuron, _) => ("a neuron", "its body is element-wise and holds no other units"),
            (BodyKind::Layer, UnitKind::Neuron) => ("a layer", "it has no state over time; declare a `block`"),
            (BodyKind::Function, _) => ("a function", "it is pure and holds no weights or state"),
            (BodyKind::Train, _) => ("a loss", "weights and state belong to the model"),
            _ => return true,
        };
        let message = format!("{owner} cannot use {} `{}`", unit.decl.kind.as_str(), unit.decl.name.text);
        let error = self.error_at(Code::WrongBody, message, span, "used here");
        self.fail(error.help(what));
        false
    }

    /// The error for an instance with state that is used a second time.
    fn shared_state(&self, unit: &UnitValue<'p>, instance: &Instance, span: Span) -> Option<Diagnostic> {
        let uses = instance.uses.borrow();
        let first = uses.first().filter(|_| instance.stateful.get())?;
        let name = &unit.decl.name.text;
        let place = self.user_span(span);
        let error = Diagnostic::error(Code::SharedState, format!("one `{name}` with state is used in two places"))
            .at(place, "the second use");
        let error = if *first == place { error } else { error.because(*first, "the first use") };
        Some(
            error
                .note("without parentheses a stage is one instance, and two signals cannot share its state")
                .help("write `name()` with parentheses in each place, so that each has a state of its own"),
        )
    }
}
