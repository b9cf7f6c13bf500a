//! Which models are checked, and with which settings, so that each of their kernels is small.
//!
//! Must never know how they are checked.

use std::path::Path;

use snnc::{Model, Program, Source};

use crate::library;

/// A model to check.
#[derive(Clone, Debug)]
pub struct Subject {
    /// A name for people.
    pub name: String,
    /// Samples in a batch.
    pub batch: usize,
    /// Steps of training.
    pub steps: u64,
    source: Source,
}

impl Subject {
    /// The model of a file, as it is.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn from_file(path: &Path) -> Result<Subject, String> {
        let source = Source::from_file(path).map_err(|error| error.to_string())?;
        Ok(Subject { name: path.display().to_string(), batch: SMALL_BATCH, steps: FEW_STEPS, source })
    }

    fn from_text(name: &str, text: &str, batch: usize, steps: u64) -> Subject {
        Subject { name: name.to_owned(), batch, steps, source: Source::from_text(name, text) }
    }

    /// The compiled model.
    ///
    /// # Errors
    /// If its program is not right.
    pub fn model(&self) -> snnc::Result<Model> {
        Program::compile(self.source.clone(), &[])?.model()
    }
}

/// Samples in a batch where nothing else is said.
const SMALL_BATCH: usize = 2;

/// Steps of training where nothing else is said.
const FEW_STEPS: u64 = 3;

/// Networks of the kinds that come with snnc, smaller than they come.
const NETWORKS: &[(&str, &str, usize, u64)] = &[
    ("digits_mlp", include_str!("../../examples/models/digits_mlp.snn"), 16, 20),
    ("tdbn_small", include_str!("models/tdbn_small.snn"), SMALL_BATCH, FEW_STEPS),
    ("neunorm_small", include_str!("models/neunorm_small.snn"), SMALL_BATCH, FEW_STEPS),
    ("noise_small", include_str!("models/noise_small.snn"), SMALL_BATCH, FEW_STEPS),
    ("recurrent_small", include_str!("models/recurrent_small.snn"), SMALL_BATCH, FEW_STEPS),
    ("exact_small", include_str!("models/exact_small.snn"), SMALL_BATCH, FEW_STEPS),
];

/// Networks of every kind, and every item of the standard library.
pub fn shipped() -> Vec<Subject> {
    let networks = NETWORKS.iter().map(|(name, text, batch, steps)| Subject::from_text(name, text, *batch, *steps));
    let items = library::models();
    let items = items.iter().map(|(name, text)| Subject::from_text(&format!("std.{name}"), text, SMALL_BATCH, 0));
    networks.chain(items).collect()
}
