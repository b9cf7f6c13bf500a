//! Which models are checked, and with which settings, so that each of their kernels is small.
//!
//! Must never know how they are checked.

use snnc::{Model, Program, Source};

/// A model to check.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// A name for people.
    pub name: &'static str,
    /// The program.
    pub text: &'static str,
    /// Its settings, as of `--set`.
    pub settings: &'static [(&'static str, &'static str)],
    /// Samples in a batch.
    pub batch: usize,
    /// Steps of training.
    pub steps: u64,
}

impl Subject {
    /// The compiled model.
    ///
    /// # Errors
    /// If its program is not right.
    pub fn model(&self) -> snnc::Result<Model> {
        let settings: Vec<(String, String)> =
            self.settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Program::compile(Source::from_text(self.name, self.text), &settings)?.model()
    }
}

/// Every model that comes with snnc and can be trained, smaller than it comes where it is large.
pub const SUBJECTS: &[Subject] = &[
    Subject {
        name: "digits_mlp",
        text: include_str!("../../examples/models/digits_mlp.snn"),
        settings: &[],
        batch: 16,
        steps: 20,
    },
    Subject { name: "tdbn_small", text: include_str!("models/tdbn_small.snn"), settings: &[], batch: 2, steps: 3 },
    Subject {
        name: "neunorm_small",
        text: include_str!("models/neunorm_small.snn"),
        settings: &[],
        batch: 2,
        steps: 3,
    },
    Subject { name: "noise_small", text: include_str!("models/noise_small.snn"), settings: &[], batch: 2, steps: 3 },
    Subject {
        name: "recurrent_small",
        text: include_str!("models/recurrent_small.snn"),
        settings: &[],
        batch: 2,
        steps: 3,
    },
    Subject { name: "exact_small", text: include_str!("models/exact_small.snn"), settings: &[], batch: 2, steps: 3 },
];
