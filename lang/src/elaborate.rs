//! From syntax tree to graph: an interpreter whose values are numbers, stages and signals.
//!
//! [`Elaborator`] elaborates one model, or one test, into one graph. What a declaration means follows from running its
//! body once for each place that uses it, with the shapes of that place; what is wrong becomes a diagnostic and a value
//! that is silently wrong from then on ([`Value::Poison`]), so that independent mistakes come out in one run.
//!
//! This module must never know which machine the graph will run on, nor read a file.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use snn_graph::{Graph, Model, NodeId, TimeAxis};

use crate::codes::Code;
use crate::compile::Options;
use crate::diagnostic::Diagnostic;
use crate::elaborate::frame::{Application, Frame, OpenLoop};
use crate::elaborate::origins::Origins;
use crate::elaborate::scope::Scopes;
use crate::elaborate::table::Stage;
use crate::report::Report;
use crate::resolve::{DeclId, Program};
use crate::source::Span;
use crate::value::{Instance, Value};

mod arith;
mod axes;
mod body;
mod budget;
mod builtin;
mod call;
pub(crate) mod convert;
mod equations;
mod exact;
mod expr;
mod frame;
mod intrinsics;
mod lints;
mod loops;
mod loss;
pub(crate) mod model;
mod nodes;
mod origins;
pub(crate) mod overrides;
mod params;
mod paths;
mod pattern;
mod pipe;
mod plain;
mod quadrature;
mod random;
pub(crate) mod scope;
mod settings;
mod stage;
mod step_fn;
mod surrogate;
pub(crate) mod table;
mod test_decl;
pub(crate) mod train;
mod unit;

pub use convert::{ConvertPlan, Keep, Variant};
pub use plain::{ExternCall, Plain};
pub use table::Stage as StageRow;
pub use test_decl::{CompiledTest, Expectation, Relation};
pub use train::{DataField, Feeds, GradientMethod, Precision, TrainPlan};

/// The most nodes of one graph.
const MAX_NODES: usize = 200_000;
/// The most elements of one value, for one sample at one step.
const MAX_ELEMENTS: usize = 1 << 30;
/// The most declarations that may be in use inside one another.
const MAX_APPLICATIONS: usize = 48;
/// The most expressions that may be under evaluation inside one another, so that no program overflows the stack.
const MAX_DEPTH: usize = 400;
/// The most expressions that are evaluated for one graph, so that no program takes forever.
const MAX_WORK: usize = 500_000;

/// Elaborates one model or one test.
pub(crate) struct Elaborator<'p, 'r> {
    program: &'p Program,
    options: &'p Options,
    broken: &'p BTreeSet<DeclId>,
    report: &'r mut Report,
    graph: Graph,
    time: Option<TimeAxis>,
    origins: Origins,
    scopes: Scopes<'p>,
    frames: Vec<Frame<'p>>,
    applications: Vec<Application>,
    loops: Vec<OpenLoop>,
    /// Labels, `let` names and repetition indices that hold what is being elaborated.
    prefix: Vec<String>,
    /// How many of a kind, or repetitions, there are under each prefix.
    counters: BTreeMap<String, usize>,
    recorded: Recorded<'p>,
    /// Whether a name that is both an intrinsic and an initializer means the latter.
    wants_init: bool,
    streams: u64,
    work: usize,
    depth: usize,
    next_frame: u32,
    /// Whether a limit has been met, so that everything further is left out.
    exhausted: bool,
}

/// What elaboration gathers beside the graph.
#[derive(Default)]
struct Recorded<'p> {
    parameters: Vec<snn_graph::Parameter>,
    averages: Vec<snn_graph::RunningAverage>,
    spikes: Vec<snn_graph::SpikeOutput>,
    stages: Vec<Stage>,
    /// Norms whose output is known to have a threshold: the node, its `v_th`, where the norm stands.
    thresholds: BTreeMap<NodeId, (f64, Span)>,
    /// Calls of losses that have a prediction: function, signals.
    losses: Vec<loss::LossCall<'p>>,
}

impl<'p, 'r> Elaborator<'p, 'r> {
    /// An elaborator for one graph.
    pub(crate) fn new(
        program: &'p Program,
        options: &'p Options,
        broken: &'p BTreeSet<DeclId>,
        report: &'r mut Report,
    ) -> Self {
        Elaborator {
            program,
            options,
            broken,
            report,
            graph: Graph::new(1),
            time: None,
            origins: Origins::default(),
            scopes: Scopes::default(),
            frames: Vec::new(),
            applications: vec![Application::new(Rc::new(Instance::default()))],
            loops: Vec::new(),
            prefix: Vec::new(),
            counters: BTreeMap::new(),
            recorded: Recorded::default(),
            wants_init: false,
            streams: 0,
            work: 0,
            depth: 0,
            next_frame: 0,
            exhausted: false,
        }
    }

    /// Reports an error; the value stands for what could not be computed.
    fn fail(&mut self, error: Diagnostic) -> Value<'p> {
        self.report.add(error);
        Value::Poison
    }

    /// Whether a limit has been met. The first time it is reported.
    fn out_of_limits(&mut self, span: Span) -> bool {
        if self.exhausted {
            return true;
        }
        let error = if self.work > MAX_WORK {
            Diagnostic::error(Code::TooLarge, "elaborating this takes too long")
                .note(format!("more than {MAX_WORK} expressions have been evaluated"))
        } else if self.graph.len() > MAX_NODES {
            Diagnostic::error(Code::TooLarge, "the model is too large")
                .note(format!("it has more than {MAX_NODES} operations"))
        } else if self.depth > MAX_DEPTH || self.applications.len() > MAX_APPLICATIONS {
            let names: Vec<&str> = self.frames.iter().rev().take(4).map(|frame| frame.name).collect();
            Diagnostic::error(Code::TooRecursive, "declarations use each other without end")
                .note(format!("innermost: {}", names.join(", in ")))
        } else {
            return false;
        };
        self.exhausted = true;
        let place = self.user_span(span);
        self.report.add(error.at(place, "met here"));
        true
    }

    /// The place in the user's text through which elaboration came to `span`, if that lies in the library.
    fn user_span(&self, span: Span) -> Span {
        self.user_place(span).0
    }

    /// The same with the number of frames that lie between.
    fn user_place(&self, span: Span) -> (Span, usize) {
        let mut place = span;
        for (above, frame) in self.frames.iter().rev().enumerate() {
            if !self.program.is_library(place.file) {
                return (place, above);
            }
            place = frame.site;
        }
        (place, self.frames.len())
    }

    /// An error at a place; if that lies in the library, at the use of it in the user's text.
    fn error_at(&self, code: Code, message: impl Into<String>, span: Span, text: impl Into<String>) -> Diagnostic {
        let place = self.user_span(span);
        let error = Diagnostic::error(code, message);
        if place == span { error.at(span, text) } else { error.at(place, "in this use").because(span, text) }
    }

    /// The model with everything gathered; parameters and averages that nothing depends on do not exist.
    fn into_model(mut self, name: &str, time: TimeAxis, top: model::Top, more: &[NodeId]) -> (Model, Vec<Stage>) {
        let model::Top { inputs, targets, output, loss, prediction } = top;
        let mut roots: Vec<NodeId> = vec![output];
        roots.extend(loss.iter().chain(&prediction).chain(more).copied());
        roots.extend(self.recorded.spikes.iter().map(|spikes| spikes.node));
        let reachable = self.graph.reachable(&roots);
        let is_used = |id: NodeId| reachable.get(id.index()).copied().unwrap_or(false);
        self.recorded.averages.retain(|average| is_used(average.node));
        roots.extend(self.recorded.averages.iter().flat_map(|average| average.stored.iter().copied()));
        let reachable = self.graph.reachable(&roots);
        let is_used = |id: NodeId| reachable.get(id.index()).copied().unwrap_or(false);
        self.recorded.parameters.retain(|parameter| is_used(parameter.node));
        let Recorded { parameters, averages, spikes, mut stages, .. } = std::mem::take(&mut self.recorded);
        table::count_parameters(&mut stages, &parameters);
        self.scopes.clear();
        let graph = std::mem::replace(&mut self.graph, Graph::new(1));
        let name = name.to_string();
        let model =
            Model { name, graph, time, inputs, parameters, averages, spikes, output, targets, loss, prediction };
        (model, stages)
    }
}
