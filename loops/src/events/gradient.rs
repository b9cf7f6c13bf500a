//! What the derivative of a spike time needs to know of a neuron, and what a spike does to the adjoint.
//!
//! It must never know how spike times are found.

use super::neuron::{LinearNeuron, MAX_ORDER, dot};

/// What a spike does to the adjoint of a neuron.
#[derive(Clone, Debug)]
pub struct SpikeAdjoint<'n> {
    neuron: &'n LinearNeuron,
    commutator: Vec<f64>,
    steady: Vec<f64>,
}

impl<'n> SpikeAdjoint<'n> {
    /// Works out what is the same for all spikes.
    pub fn new(neuron: &'n LinearNeuron) -> SpikeAdjoint<'n> {
        SpikeAdjoint { neuron, commutator: neuron.commutator(), steady: neuron.steady_change() }
    }

    /// What the loss changes by if a spike alone comes a second later: by its own error, and by the change of the rates,
    /// `f+ - reset f-`, which what lies behind it misses for so long. `lambda` is the adjoint behind the spike, `before` the
    /// states before it (not read where the change does not depend on them).
    pub fn moved(&self, lambda: &[f64], before: &[f64], error: f64) -> f64 {
        let rows = self.commutator.chunks_exact(self.neuron.order);
        let change = rows.zip(&self.steady).map(|(row, steady)| steady + dot(row, before));
        error - lambda.iter().zip(change).map(|(lambda, change)| lambda * change).sum::<f64>()
    }

    /// The adjoint before the spike from that behind it, in place. `slope` is that of the potential at a spike whose time the
    /// states decide; one that is not positive gives no derivative by them.
    pub fn back(&self, lambda: &mut [f64], moved: f64, slope: Option<f64>) {
        self.neuron.reset_adjoint(lambda);
        if let Some(slope) = slope.filter(|slope| *slope > 0.0) {
            lambda.iter_mut().zip(&self.neuron.threshold).for_each(|(entry, weight)| *entry -= weight * moved / slope);
        }
    }
}

impl LinearNeuron {
    /// `flow v`, written to `out`.
    pub fn flow_of(&self, v: &[f64], out: &mut [f64]) {
        for (value, row) in out.iter_mut().zip(self.flow.chunks_exact(self.order)) {
            *value = dot(row, v);
        }
    }

    /// `reset^T lambda`, in place.
    pub fn reset_adjoint(&self, lambda: &mut [f64]) {
        let mut before = [0.0; MAX_ORDER];
        for (row, weight) in self.reset.chunks_exact(self.order).zip(lambda.iter()) {
            before.iter_mut().zip(row).for_each(|(sum, value)| *sum += weight * value);
        }
        lambda.iter_mut().zip(before).for_each(|(state, value)| *state = value);
    }

    /// `flow reset - reset flow`, d x d, rows first: how the change of the rates at a reset depends on the states.
    pub fn commutator(&self) -> Vec<f64> {
        let n = self.order;
        let product = |a: &[f64], b: &[f64], row: usize, column: usize| -> f64 {
            (0..n).map(|k| a[row * n + k] * b[k * n + column]).sum()
        };
        let at = |at: usize| {
            let (row, column) = (at / n, at % n);
            product(&self.flow, &self.reset, row, column) - product(&self.reset, &self.flow, row, column)
        };
        (0..n * n).map(at).collect()
    }

    /// The part of the change of the rates at a reset, `f+ - reset f-`, that is the same for all states:
    /// `flow kick + drive - reset drive`.
    pub fn steady_change(&self) -> Vec<f64> {
        let n = self.order;
        let rows = self.flow.chunks_exact(n).zip(self.reset.chunks_exact(n)).zip(&self.drive);
        rows.map(|((flow, reset), drive)| dot(flow, &self.kick) + drive - dot(reset, &self.drive)).collect()
    }

    /// Whether the change of the rates at a reset is the same for all states, as where a fixed amount is subtracted.
    pub fn resets_evenly(&self) -> bool {
        self.commutator().iter().all(|entry| *entry == 0.0)
    }
}
