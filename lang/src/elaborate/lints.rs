//! Warnings, spoken as an engineer of spiking networks would.
//!
//! Must never stop a program.

use snn_graph::{Kind, NodeId};

use super::scope::Env;
use super::*;
use crate::ast::UnitKind;
use crate::value::UnitValue;

impl<'p> Elaborator<'p, '_> {
    /// Looks at a use of a unit whose result is known.
    pub(super) fn lint_unit(
        &mut self,
        unit: &UnitValue<'p>,
        env: &Env<'p>,
        signals: &[NodeId],
        result: NodeId,
        span: Span,
    ) {
        let Some(Value::Number(v_th)) = env.get("v_th") else { return };
        let place = self.user_span(span);
        match unit.decl.kind {
            UnitKind::Layer => {
                self.recorded.thresholds.insert(result, (v_th, place));
            }
            UnitKind::Neuron => {
                let Some((norm, at)) = signals.first().and_then(|id| self.recorded.thresholds.get(id)).copied() else {
                    return;
                };
                if norm != v_th {
                    let message =
                        format!("the norm is made for a threshold of {norm}, the neurons behind it have {v_th}");
                    self.report.add(
                        Diagnostic::warning(Code::NormThreshold, message)
                            .at(at, format!("v_th = {norm}"))
                            .because(place, format!("v_th = {v_th}"))
                            .help("give both the same `v_th`, so that the norm's output starts in the range of the threshold"),
                    );
                }
            }
            UnitKind::Block => {}
        }
    }

    /// Looks at the input of a convolution or linear map.
    pub(super) fn lint_counts(&mut self, x: NodeId, span: Span) {
        let node = self.graph.node(x);
        // Merged trains are no numbers.
        if node.ty.kind != Kind::Counts || !node.ty.time || matches!(self.time, Some(TimeAxis::Continuous(_))) {
            return;
        }
        let message =
            "a sum of spikes feeds a convolution or linear map, which is then no longer free of multiplications";
        let frames = self.frames.iter().map(|frame| frame.id).collect();
        let made = self.origins.seen_from(node.origin, &frames).map(|span| self.user_span(span));
        let place = self.user_span(span);
        let warning = Diagnostic::warning(Code::CountsIntoWeights, message).at(place, "it takes counts");
        let warning = match made {
            Some(made) if made != place => warning.because(made, "the sum"),
            _ => warning,
        };
        self.report.add(warning.help("sum the currents before the neurons, not the spikes behind them"));
    }
}
