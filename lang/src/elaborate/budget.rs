//! The budget of spikes of a neuron: the setting `max_spikes` of every neuron that spikes by its equations.
//!
//! Must never know what is done with it.

use super::scope::Env;
use super::*;
use crate::ast::{StmtKind, Unit, UnitKind};
use crate::value::UnitValue;

/// Its name. A declaration may have a setting of that name, which gives it a default.
const MAX_SPIKES: &str = "max_spikes";

/// The setting that a declaration takes without declaring it.
pub(super) fn reserved(unit: &Unit) -> Option<&'static str> {
    let declares = unit.settings.iter().any(|param| param.name.text == MAX_SPIKES);
    (spikes_by_equations(unit) && !declares).then_some(MAX_SPIKES)
}

fn spikes_by_equations(unit: &Unit) -> bool {
    unit.kind == UnitKind::Neuron && unit.body.stmts.iter().any(|stmt| matches!(stmt.kind, StmtKind::Spike(_)))
}

impl<'p> Elaborator<'p, '_> {
    /// The budget that a neuron has of its own, if any. `None` if it is wrong.
    pub(super) fn budget(&mut self, unit: &UnitValue<'p>, env: &Env<'p>, site: Span) -> Option<Option<usize>> {
        if !spikes_by_equations(unit.decl) {
            return Some(None);
        }
        let given = unit.given.iter().find(|given| given.name == MAX_SPIKES);
        let span = given.map_or(site, |given| given.value.span);
        let Some(value) = env.get(MAX_SPIKES).or_else(|| given.map(|given| given.value.value.clone())) else {
            return Some(None);
        };
        self.whole(MAX_SPIKES, &value, 1, span).map(|most| usize::try_from(most).ok())
    }
}
