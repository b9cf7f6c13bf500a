//! Models: settings, time, inputs, body, and the loss of their `train`.
//!
//! Must never know how a model is run.

use snn_graph::{Events, Input, InputKind, Kind, NodeId, TimeAxis, Ty};

use super::frame::{BodyKind, Frame};
use super::overrides::Change;
use super::scope::Env;
use super::*;
use crate::ast::{self, StmtKind};
use crate::method::MAX_STEPS;
use crate::resolve::ModuleId;
use crate::value::{Given, Spanned};

/// The ends of a finished graph.
pub(super) struct Top {
    /// What it reads.
    pub inputs: Vec<Input>,
    /// What its loss reads besides.
    pub targets: Vec<Input>,
    /// Its result.
    pub output: NodeId,
    /// The loss of each sample.
    pub loss: Option<NodeId>,
    /// The class of each sample.
    pub prediction: Option<NodeId>,
}

/// A model whose body has been elaborated.
pub(super) struct Body<'p> {
    /// The declaration.
    pub decl: &'p ast::Model,
    /// What it reads.
    pub inputs: Vec<Input>,
    /// Its result.
    pub output: NodeId,
    /// Where its result stands.
    pub span: Span,
}

/// A model with everything that belongs to it.
pub(crate) struct Elaborated {
    /// The model.
    pub model: Model,
    /// Its stages.
    pub stages: Vec<Stage>,
    /// How it is trained.
    pub train: Option<TrainPlan>,
    /// Places of its nodes, by origin less one.
    pub places: Vec<Span>,
}

impl<'p> Elaborator<'p, '_> {
    /// Elaborates a model with its settings changed, and its `train`. `None` if anything about it is wrong.
    pub(crate) fn model(
        mut self,
        id: DeclId,
        decl: &'p ast::Model,
        changes: &[Change<'p>],
        train: Option<&train::TrainDecl<'p>>,
    ) -> Option<Elaborated> {
        let before = self.report.n_errors();
        if self.broken.contains(&id) {
            return None;
        }
        self.enter(BodyKind::Model, &decl.name, decl.name.span);
        let body = self.model_body(id.module, decl, changes)?;
        self.frames.clear();
        let (plan, ends) = match train {
            Some(train) => {
                let (plan, ends) = self.train(train, &body)?;
                (Some(plan), ends)
            }
            None => (None, train::Ends::default()),
        };
        if self.report.n_errors() > before {
            return None;
        }
        let time = self.time?;
        let time = match (time, &plan) {
            (TimeAxis::Continuous(events), Some(plan)) => TimeAxis::Continuous(Events {
                max_spikes: plan.max_spikes,
                slope_min: plan.slope_min,
                wake: plan.wake,
                ..events
            }),
            (time, _) => time,
        };
        self.graph.steps = time.steps();
        let train::Ends { targets, loss, prediction } = ends;
        let top = Top { inputs: body.inputs, targets, output: body.output, loss, prediction };
        let places = self.origins.places(|span| self.program.is_library(span.file));
        let (model, stages) = self.into_model(&decl.name.text, time, top, &[]);
        Some(Elaborated { model, stages, train: plan, places })
    }

    /// Opens a frame for a body that is not used by another.
    pub(super) fn enter(&mut self, kind: BodyKind, name: &'p ast::Name, site: Span) {
        let id = self.next_frame_id();
        self.frames.push(Frame {
            id,
            kind,
            name: &name.text,
            site,
            first_signal: None,
            rest: None,
            spikes: false,
            seconds: false,
        });
    }

    fn model_body(&mut self, module: ModuleId, decl: &'p ast::Model, changes: &[Change<'p>]) -> Option<Body<'p>> {
        let given = self.changed_settings(decl, changes)?;
        self.model_time(module, decl, &given);
        let name = &decl.name;
        let settings = self.bind_settings(&name.text, module, &decl.settings, &given, true, name.span)?;
        let env = self.scopes.child(&settings);
        let mut inputs = Vec::new();
        let joined = Ty::signal(true, &[]);
        let mut result = Value::Poison;
        for stmt in &decl.body.stmts {
            match &stmt.kind {
                StmtKind::Input(input) => self.model_input(input, &env, &mut inputs),
                _ => result = self.statement(stmt, &name.text, &joined, &env),
            }
        }
        let span = decl.body.result().map_or(name.span, |result| result.span);
        let output = match result {
            Value::Poison => None,
            value => self.as_signal(&value, span),
        };
        let output = self.close_own_loop(output, &name.text, span)?;
        Some(Body { decl, inputs, output, span })
    }

    /// The settings that `--set` or `convert` changes.
    fn changed_settings(&mut self, decl: &'p ast::Model, changes: &[Change<'p>]) -> Option<Vec<Given<'p>>> {
        let mut given = Vec::new();
        let env = self.scopes.root(self.program.main());
        for change in changes {
            let Some(param) = decl.settings.iter().find(|param| param.name.text == change.name) else { continue };
            let value = match (self.expr(change.value, &env), change.pick) {
                (Value::List(elements), Some(at)) => elements.get(at).cloned()?,
                (Value::Poison, _) => return None,
                (value, _) => value,
            };
            given.retain(|known: &Given<'p>| known.name != param.name.text);
            given.push(Given { name: &param.name.text, value: Spanned { value, span: change.value.span } });
        }
        Some(given)
    }

    /// Sets the time axis. Where it is wrong, elaboration goes on with one step.
    fn model_time(&mut self, module: ModuleId, decl: &'p ast::Model, given: &[Given<'p>]) {
        let times: Vec<(&'p ast::Time, Span)> = decl
            .body
            .stmts
            .iter()
            .filter_map(|stmt| match &stmt.kind {
                StmtKind::Time(time) => Some((time, stmt.span)),
                _ => None,
            })
            .collect();
        if let [(_, first), (_, second), ..] = times.as_slice() {
            let error =
                Diagnostic::error(Code::MissingTime, format!("`{}` says twice how long it runs", decl.name.text))
                    .at(*second, "the second time")
                    .because(*first, "the first time");
            self.fail(error);
        }
        let axis = match times.first() {
            Some((time, _)) => {
                // A duration among the settings can only be turned into steps once the step is known.
                let env = self.scopes.root(module);
                for param in &decl.settings {
                    let raw =
                        given.iter().find(|given| given.name == param.name.text).map(|given| given.value.value.clone());
                    let raw = raw.or_else(|| param.default.as_ref().map(|default| self.expr(default, &env)));
                    env.bind(&param.name.text, raw.unwrap_or(Value::Poison));
                }
                self.time_axis(time, &env).and_then(|axis| self.retimed(axis, time.extent.span))
            }
            None => {
                let error =
                    Diagnostic::error(Code::MissingTime, format!("`{}` does not say how long it runs", decl.name.text))
                        .at(decl.name.span, "no `time`")
                        .help("write `time 8` for 8 steps, or `time 100 of 10ms`");
                self.fail(error);
                None
            }
        };
        self.set_time(axis.unwrap_or(TimeAxis::Steps(1)));
    }

    /// The time axis that the method of compilation asks for.
    fn retimed(&mut self, axis: TimeAxis, span: Span) -> Option<TimeAxis> {
        match self.options.method.axis(axis) {
            Ok(axis) => Some(axis),
            Err((message, help)) => {
                let error = self.error_at(Code::BadTime, message, span, "this is how long it runs");
                self.fail(error.help(help));
                None
            }
        }
    }

    /// Decides the number of steps, before any node depends on it.
    pub(super) fn set_time(&mut self, axis: TimeAxis) {
        self.time = Some(axis);
        self.graph.steps = axis.steps();
    }

    /// `time 8`, `time 100 of 10ms`, `time 200ms`.
    pub(super) fn time_axis(&mut self, time: &'p ast::Time, env: &Env<'p>) -> Option<TimeAxis> {
        let extent = self.expr(&time.extent, env);
        let step = time.step.as_ref().map(|step| (self.expr(step, env), step.span));
        match (&extent, &step) {
            (Value::Poison, _) | (_, Some((Value::Poison, _))) => None,
            (Value::Number(n), _) if *n < 1.0 || *n != n.trunc() || *n > MAX_STEPS => {
                let message = format!("a model runs for a whole number of steps, from 1 to {MAX_STEPS}");
                let error = self.error_at(Code::BadTime, message, time.extent.span, format!("{n} steps"));
                self.fail(error);
                None
            }
            (Value::Number(n), None) => Some(TimeAxis::Steps(*n as usize)),
            (Value::Number(n), Some((Value::Duration(dt), _))) if *dt > 0.0 => {
                Some(TimeAxis::Grid { steps: *n as usize, dt: *dt })
            }
            (Value::Duration(seconds), None) if *seconds > 0.0 => Some(TimeAxis::Continuous(Events::lasting(*seconds))),
            _ => {
                let span = step.map_or(time.extent.span, |(_, span)| span);
                let error = self.error_at(Code::BadTime, "this is no time that a model can run", span, "here");
                self.fail(error.help("write `time 8`, `time 100 of 10ms` or, without a grid, `time 200ms`"));
                None
            }
        }
    }

    /// `input image: [3, 32, 32]`
    fn model_input(&mut self, input: &'p ast::Input, env: &Env<'p>, inputs: &mut Vec<Input>) {
        env.bind(&input.name.text, Value::Poison);
        let kind = match input.kind.as_ref().map(|kind| kind.text.as_str()) {
            None => InputKind::Static,
            Some("frames") => InputKind::Frames,
            Some("spikes") => InputKind::Spikes,
            Some(other) => {
                let span = input.kind.as_ref().map_or(input.name.span, |kind| kind.span);
                let error =
                    self.error_at(Code::BadInput, format!("`{other}` is not a kind of input"), span, "unknown kind");
                self.fail(
                    error.help("write `frames[...]`, `spikes[...]`, or the shape alone for one value at all steps"),
                );
                return;
            }
        };
        let Some((dims, time)) = self.shape_dims(&input.shape, env) else { return };
        if time {
            let error =
                self.error_at(Code::BadInput, "time is never written in an input's shape", input.shape.span, "here");
            self.fail(error.help("write `frames[...]` for a new value at each step"));
            return;
        }
        let ty = Ty::signal(kind != InputKind::Static, &dims);
        let ty = if kind == InputKind::Spikes { ty.with_kind(Kind::Spikes) } else { ty };
        let Some(node) = self.input(&input.name.text, ty, input.name.span) else { return };
        if let Some(frame) = self.frames.last_mut() {
            frame.first_signal.get_or_insert(node);
        }
        env.bind(&input.name.text, Value::Signal(node));
        inputs.push(Input { name: input.name.text.clone(), kind, dims, node });
    }
}
