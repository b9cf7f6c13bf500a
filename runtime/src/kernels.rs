//! Which kernels a run computes with, as its files keep it.
//!
//! Must never know what the choice means.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::device::{Choices, Crossovers, Isa, Kernels, SpikeKernels, Winner};

/// Kernels in a manifest, a checkpoint or a file of calibrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Recorded(#[serde(with = "KernelsForm")] pub Kernels);

/// Which contractions libraries compute on a CUDA device, in a manifest or a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordedChoices(BTreeMap<String, WinnerForm>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WinnerForm {
    Ours,
    Library,
}

impl From<Choices> for RecordedChoices {
    fn from(choices: Choices) -> RecordedChoices {
        let form = |winner| match winner {
            Winner::Ours => WinnerForm::Ours,
            Winner::Library => WinnerForm::Library,
        };
        RecordedChoices(choices.into_iter().map(|(key, winner)| (key, form(winner))).collect())
    }
}

impl From<RecordedChoices> for Choices {
    fn from(recorded: RecordedChoices) -> Choices {
        let winner = |form| match form {
            WinnerForm::Ours => Winner::Ours,
            WinnerForm::Library => Winner::Library,
        };
        recorded.0.into_iter().map(|(key, form)| (key, winner(form))).collect()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Kernels")]
struct KernelsForm {
    #[serde(with = "IsaForm")]
    isa: Isa,
    #[serde(with = "SpikesForm")]
    spikes: SpikeKernels,
    precise: bool,
    #[serde(with = "CrossoversForm")]
    crossovers: Crossovers,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Isa", rename_all = "lowercase")]
enum IsaForm {
    Native,
    Avx2,
    Baseline,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SpikeKernels", rename_all = "lowercase")]
enum SpikesForm {
    Dense,
    Sparse,
    Auto,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Crossovers")]
struct CrossoversForm {
    table: [u8; 3],
    forward: [u8; 3],
    weight_gradient: [u8; 3],
    masked: [u8; 2],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_read_as_it_was_written() {
        for isa in Isa::ALL {
            for spikes in SpikeKernels::ALL {
                let crossovers = Crossovers { table: [1, 2, 100], ..Crossovers::BUILT_IN };
                let kernels = Recorded(Kernels { isa, spikes, precise: isa == Isa::Avx2, crossovers });
                let text = serde_json::to_string(&kernels).unwrap();
                assert_eq!(serde_json::from_str::<Recorded>(&text).unwrap(), kernels, "{text}");
                assert!(text.contains(isa.name()) && text.contains(spikes.name()), "{text}");
            }
        }
    }
    #[test]
    fn choices_are_read_as_they_were_written() {
        let choices = [("a", Winner::Ours), ("b", Winner::Library)].map(|(key, winner)| (key.to_owned(), winner));
        let choices = Choices::from(choices);
        let text = serde_json::to_string(&RecordedChoices::from(choices.clone())).unwrap();
        assert_eq!(text, r#"{"a":"ours","b":"library"}"#);
        assert_eq!(Choices::from(serde_json::from_str::<RecordedChoices>(&text).unwrap()), choices);
        assert!(serde_json::from_str::<RecordedChoices>(r#"{"a":"nobody"}"#).is_err());
    }
}
