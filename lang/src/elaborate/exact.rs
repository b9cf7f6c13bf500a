//! Whether the neurons of a model can be trained by their exact spike times.
//!
//! Must never know how spike times are found.

use snn_graph::exact;
use snn_graph::op::Op;

use super::*;

impl Elaborator<'_, '_> {
    /// Reports every neuron given by equations whose spike times cannot be solved; `asked` is where they are asked for.
    pub(super) fn check_spike_times(&mut self, asked: Span) {
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
}
