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
    deviating: BTreeSet<String>,
    details: Vec<String>,
}

impl Ledger {
    /// Nothing compared yet.
    pub fn new(file: &str) -> Ledger {
        Ledger {
            file: file.to_owned(),
            worst: BTreeMap::new(),
            compared: 0,
            deviating: BTreeSet::new(),
            details: Vec::new(),
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
        let tolerance = if way == Way::Compiled32 { F32 } else { F64 };
        assert_eq!(found.len(), expected.len(), "{} {case} {quantity}: number of elements", self.file);
        self.note(way, case, quantity, deviation(found, expected), tolerance);
    }

    fn note(&mut self, way: Way, case: &str, quantity: &str, deviation: f64, tolerance: f64) {
        self.compared += 1;
        let known = Known::find(&self.file, case, quantity);
        if known.is_none() {
            let worst = self.worst.entry((way, quantity.to_owned())).or_insert(0.0);
            *worst = deviation.max(*worst);
        }
        let within = deviation <= tolerance;
        if !within {
            self.deviating.insert(format!("{case} {quantity}"));
            self.details.push(format!("{way:?} {case} {quantity}: off by {deviation:e}"));
        }
        if let Some(known) = known
            && way != Way::Compiled32
        {
            assert!(!within, "{} {case} {quantity} agrees with the peer; take it off the list of deviations", self.file);
            assert!(deviation <= known.at_most, "{} {case} {quantity}: off by {deviation:e}", self.file);
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
        let unknown: Vec<&String> = self.deviating.iter().filter(|case| !Known::lists(&self.file, case)).collect();
        assert!(unknown.is_empty(), "{} of {}:\n{}", unknown.len(), self.file, self.details.join("\n"));
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
