//! What the derivative of a spike time needs to know of a neuron.
//!
//! It must never know how spike times are found.

use super::neuron::{LinearNeuron, MAX_ORDER, dot};

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
