//! Whether the neurons of a model can be trained by their exact spike times.
//!
//! Must never know how spike times are found.

use snn_graph::exact;
use snn_graph::op::Op;

use super::*;
use crate::ast::UnitKind;

impl Elaborator<'_, '_> {
    /// Reports every neuron given by equations whose spike times cannot be solved; `asked` is where they are asked for.
    /// Neurons given by steps have no spike times at all.
    pub(super) fn check_spike_times(&mut self, asked: Span) {
        self.check_equations(asked);
        let places = self.origins.places(|span| self.program.is_library(span.file));
        let mut errors = BTreeMap::new();
        for id in self.graph.ids() {
            let node = self.graph.node(id);
            if !matches!(node.op, Op::Dynamics(_)) {
                continue;
            }
            let place = (node.origin.0 as usize).checked_sub(1).and_then(|at| places.get(at)).copied();
            if let Err(error) = exact::neuron_of(&self.graph, id) {
                // Layers of one neuron have one mistake.
                errors.entry((place.unwrap_or(asked), error.message.clone())).or_insert(error);
            }
        }
        for ((place, message), error) in errors {
            let mut diagnostic = Diagnostic::error(Code::BadEquation, message).at(place, "in this neuron");
            if place != asked {
                diagnostic = diagnostic.because(asked, "its exact spike times are asked for here");
            }
            self.fail(match error.help {
                Some(help) => diagnostic.help(help),
                None => diagnostic,
            });
        }
    }

    fn check_equations(&mut self, asked: Span) {
        let stepped = |stage: &&Stage| stage.kind == UnitKind::Neuron.as_str() && !stage.has_equations;
        let stepped: Vec<(String, Span)> =
            self.recorded.stages.iter().filter(stepped).map(|stage| (stage.name.clone(), stage.span)).collect();
        for (name, span) in stepped {
            let message = format!("`{name}` is given as steps, and without a grid there are none");
            let error = Diagnostic::error(Code::BadEquation, message).at(span, "in this neuron");
            let help = "take a neuron given by equations, such as `CubaLIF`, or `gradient = stbp`";
            self.fail(error.because(asked, "its exact spike times are asked for here").help(help));
        }
    }
}
