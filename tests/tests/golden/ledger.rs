//! What was compared with golden values, and how far it was off.
//!
//! Spikes are equal or not; anything else is measured against the largest element of the golden tensor. Deviations are
//! gathered, so that one run shows them all, and compared with the list of those that are known to be the peer's.

use std::collections::{BTreeMap, BTreeSet};

use crate::known::Known;
use crate::ways::Way;

/// The largest allowed deviation in double precision, relative to the largest element.
pub const F64: f64 = 1e-9;
/// The same in single precision.
pub const F32: f64 = 1e-4;

/// The comparisons of one golden file.
pub struct Ledger {
    file: String,
    worst: BTreeMap<(Way, String), f64>,
    compared: usize,
    unexpected: Vec<String>,
    met: BTreeSet<(&'static str, &'static str)>,
}

impl Ledger {
    /// Nothing compared yet.
    pub fn new(file: &str) -> Ledger {
        Ledger {
            file: file.to_owned(),
            worst: BTreeMap::new(),
            compared: 0,
            unexpected: Vec::new(),
            met: BTreeSet::new(),
        }
    }

    /// Compares spikes: every one must be equal.
    pub fn spikes(&mut self, way: Way, case: &str, found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len(), "{} {case}: number of spikes", self.file);
        let wrong = found.iter().zip(expected).filter(|(found, expected)| found != expected).count();
        self.note(way, case, "s", wrong as f64, 0.0);
    }

    /// Compares real numbers: `quantity` names what they are.
    pub fn close(&mut self, way: Way, case: &str, quantity: &str, found: &[f64], expected: &[f64]) {
        let tolerance = if way.precision() == "f32" { F32 } else { F64 };
        assert_eq!(found.len(), expected.len(), "{} {case} {quantity}: number of elements", self.file);
        self.note(way, case, quantity, deviation(found, expected), tolerance);
    }

    fn note(&mut self, way: Way, case: &str, quantity: &str, deviation: f64, tolerance: f64) {
        self.compared += 1;
        if let Some(known) = Known::find(&self.file, case, quantity) {
            self.met.insert((known.case, known.quantity));
            // In single precision the peer's rounding is no larger than ours.
            if tolerance != F32 {
                let is_known = deviation > tolerance && deviation <= known.at_most;
                assert!(is_known, "{} {case} {quantity}: off by {deviation:e}, which is not what is listed", self.file);
                return;
            }
        }
        let worst = self.worst.entry((way, quantity.to_owned())).or_insert(0.0);
        *worst = deviation.max(*worst);
        if deviation > tolerance {
            self.unexpected.push(format!("{way:?} {case} {quantity}: off by {deviation:e}"));
        }
    }

    /// Says how far the largest deviations are, and fails unless exactly the known ones are too large.
    pub fn finish(self) {
        let mut summary: BTreeMap<Way, Vec<String>> = BTreeMap::new();
        for ((way, quantity), worst) in &self.worst {
            summary.entry(*way).or_default().push(format!("{quantity} {worst:.1e}"));
        }
        for (way, worst) in summary {
            println!("{}: {way:?}: {}", self.file, worst.join(", "));
        }
        assert!(self.compared > 0, "{}: nothing was compared", self.file);
        assert!(self.unexpected.is_empty(), "{}:\n{}", self.file, self.unexpected.join("\n"));
        assert_eq!(self.met.len(), Known::of(&self.file).count(), "{}: only {:?} were compared", self.file, self.met);
    }
}

/// The largest difference, relative to the largest element expected (absolute where all are 0).
pub fn deviation(found: &[f64], expected: &[f64]) -> f64 {
    let scale = expected.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
    let largest = found.iter().zip(expected).fold(0.0f64, |largest, (found, expected)| {
        let difference = (found - expected).abs();
        if difference.is_nan() { f64::INFINITY } else { largest.max(difference) }
    });
    if scale == 0.0 { largest } else { largest / scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_relative_to_the_largest_element() {
        assert_eq!(deviation(&[1.0, -4.5], &[1.0, -4.0]), 0.125);
        assert_eq!(deviation(&[0.25], &[0.0]), 0.25);
        assert_eq!(deviation(&[f64::NAN], &[1.0]), f64::INFINITY);
    }

    #[test]
    #[should_panic(expected = "Compiled64 case v: off by 2e-9")]
    fn a_number_that_is_off_is_noticed() {
        let mut ledger = Ledger::new("file");
        ledger.close(Way::Dense32, "case", "v", &[1.0 + 2e-9], &[1.0]);
        ledger.close(Way::Compiled64, "case", "v", &[2e-9], &[0.0]);
        ledger.finish();
    }

    #[test]
    #[should_panic(expected = "Dense32 case s: off by 1e0")]
    fn a_spike_that_is_off_is_noticed() {
        let mut ledger = Ledger::new("file");
        ledger.spikes(Way::Dense32, "case", &[1.0, 0.0, 1.0], &[1.0, 1.0, 1.0]);
        ledger.finish();
    }

    #[test]
    #[should_panic(expected = "not what is listed")]
    fn a_listed_deviation_that_agrees_is_noticed() {
        Ledger::new("norse_lif").close(Way::Reference, "lif.heavi_erfc", "gx", &[1.0], &[1.0]);
    }

    #[test]
    #[should_panic(expected = "were compared")]
    fn a_listed_deviation_that_is_not_met_is_noticed() {
        let mut ledger = Ledger::new("norse_lif");
        ledger.spikes(Way::Reference, "lif.super", &[1.0], &[1.0]);
        ledger.finish();
    }
}
